"""Pictures from one description: in the terminal at every size, and as files that are the same twice."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from shrunk_core.analysis.broken import fit_broken
from shrunk_core.analysis.powerlaw import fit_power
from shrunk_core.errors import ConfigError

from shrunk_tui.charts import draw
from shrunk_tui.cli.frontiers import valleys
from shrunk_tui.cli.points import Points
from shrunk_tui.figures import check_name, render, save
from shrunk_tui.scaling_charts import Overlay, fit_chart, frontier_chart, isoflop_chart, ladder_chart, points_chart

RNG = np.random.default_rng(3)
X = np.geomspace(1e14, 1e17, 30)
Y = np.where(X < 3e15, 65 * X**-0.087, 364 * X**-0.14) * np.exp(RNG.normal(0, 0.005, 30))
ROWS = [
    {"flops": float(x), "loss": float(y), "run": f"r{i}", "hidden_size": (32, 64)[i % 2]}
    for i, (x, y) in enumerate(zip(X, Y, strict=True))
]
POINTS = Points(source="a test", rows=ROWS, places=[r["run"] for r in ROWS], columns=tuple(ROWS[0]), counting="paper")
PAPER = Overlay(label="paper", x=[1e15, 1e16], y=[3.0, 2.0], same_scale=False, why="its losses count padding")


@pytest.fixture(scope="module")
def chart():
    return fit_chart(fit_broken(X, Y, bootstrap=100, test=99), POINTS, "flops", "loss", overlay=PAPER)


@pytest.mark.parametrize(("width", "height"), [(80, 22), (120, 36), (200, 56)])
def test_band_break_residuals_and_overlay_are_in_the_terminal(chart, width: int, height: int) -> None:
    text = draw(chart, width=width, height=height, colour=False)
    assert all(len(line) <= width for line in text.splitlines())
    for sign in ("░", "┊", "residual (%)", "paper (right axis)", "H 32", "1e15", "loss of paper"):
        assert sign in text, sign
    frames = [line for line in text.splitlines() if line.strip().startswith("┌")]
    assert len(frames) == 2 and len({line.index("┌") for line in frames}) == 1  # one column is one x in both panels
    assert len({line.rindex("┐") for line in frames}) == 1
    plain = draw(chart, width=width, height=height, colour=False, ascii_only=True)
    assert not set(plain) & set("░┊●■")


def test_a_low_screen_leaves_the_residuals_out_and_says_so(chart) -> None:
    text = draw(chart, width=60, height=10, colour=False)
    assert "residuals need" in text and "residual (%)" not in text


def test_figures_are_the_same_twice_and_hold_their_words(chart, tmp_path: Path) -> None:
    first, second = (render(chart, "svg") for _ in range(2))
    assert first == second
    for word in (b"<svg", b"loss (nats)", b"FLOPs (paper)", b"95 % band", b"residual (%)", b"paper (right axis)"):
        assert word in first, word
    for form, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        save(chart, tmp_path / f"figure.{form}")
        assert (tmp_path / f"figure.{form}").read_bytes().startswith(magic)
    for bad in ("figure.gif", "figure", "none/figure.svg"):
        with pytest.raises(ConfigError, match="--save"):
            check_name(tmp_path / bad)


def test_a_law_that_cannot_be_told_is_not_drawn() -> None:
    flat = np.full(30, 3.0) * np.exp(RNG.normal(0, 0.01, 30))
    rows = [row | {"loss": float(y)} for row, y in zip(ROWS, flat, strict=True)]
    points = Points(source="a test", rows=rows, places=["" for _ in rows], columns=POINTS.columns)
    made = fit_chart(fit_power(X, flat, bootstrap=100), points, "flops", "loss")
    assert not made.bands and not any(one.line for one in made.series) and "no law is drawn" in made.notes[0]


def test_ladders_and_bare_points() -> None:
    rows = [
        {
            "axis": "num_layers",
            "status": "reference",
            "cost": 1e15,
            "effect": -20.0,
            "counting": "paper",
            "warning": "",
        },
        {
            "axis": "num_layers",
            "status": "rung",
            "cost": 2e15,
            "effect": -15.0,
            "counting": "paper",
            "warning": "not only",
        },
    ]
    made = ladder_chart(rows, "flops", "perplexity")
    assert made.series[0].label == "num_layers" and list(made.series[0].y) == [20.0, 15.0]
    assert made.series[1].line and made.series[-1].glyph == "!" and list(made.series[-1].x) == [2e15]
    front = [
        {"flops": 1e15, "loss": 5.0, "warning": "in warm-up; unfinished schedule"},
        {"flops": 2e15, "loss": 4.0, "warning": ""},
    ]
    names = [one.label for one in frontier_chart(POINTS, front, POINTS.numbers("loss"), "paper").series]
    assert names == ["evaluations", "frontier (paper)", "in warm-up"]
    assert [one.label for one in points_chart(POINTS, "flops", "loss").series] == ["H 32", "H 64"]


def test_one_module_uses_matplotlib_and_only_when_a_figure_is_saved() -> None:
    root = Path(__file__).parents[2]
    modules = (root / "shrunk_tui").rglob("*.py")
    found = [p.name for p in modules if re.search(r"^\s*(import|from) matplotlib", p.read_text(), re.MULTILINE)]
    assert found == ["figures.py"]
    code = "import sys, shrunk_tui.figures; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_isoflops_are_drawn_as_they_were_fitted_and_none_is_left_out() -> None:
    """Nine budgets of five sizes: six with signs of their own, three grey, a parabola and a bottom each."""
    budgets = np.geomspace(1e17, 1e21, 9)
    rows = [
        {
            "flops": c,
            "n": 0.1 * c**0.5 * scale,
            "loss": 2 + 50 * c**-0.1 + 0.05 * np.log(scale) ** 2,
            "run": f"{c:g} {scale}",
        }
        for c in budgets
        for scale in (0.25, 0.5, 1.0, 2.0, 4.0)
    ]
    pool = Points(source="a test", rows=rows, places=[r["run"] for r in rows], columns=tuple(rows[0]))
    found = valleys(pool, 0).valleys
    made = isoflop_chart(pool, [dict(one.__dict__) for one in found], pool.numbers("loss"))
    assert sum(len(one.x) for one in made.series if not one.line and one.label != "best size") == 45
    assert [one.label for one in made.series if one.label][-2:] == ["3 more", "best size"]
    bottoms = [min(one.y) for one in made.series if one.line]
    assert bottoms == pytest.approx([one.loss for one in found], rel=1e-4) and len(bottoms) == 9
