"""The report is one page with everything in it; kept fits and the frontier are views."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from scaling_lab import scaling_lab
from shrunk_core.config.lab import init_lab
from shrunk_core.cost import costs
from shrunk_core.errors import ConfigError, FitError
from shrunk_core.record.rundir import write_spec
from shrunk_core.store.store import open_store
from store_lab import evaluated, finished, spec, started, step, write
from typer.testing import CliRunner

from shrunk_tui.charts import Chart, Series
from shrunk_tui.cli.app import app
from shrunk_tui.cli.report_page import Page, Wanted


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scaling_lab(tmp_path_factory.mktemp("report") / "widths and depths", hidden=(16, 32, 64, 128), layers=(1, 2))


def ask(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def test_the_page_stands_alone(grid: Path) -> None:
    path = Path(ask("report", "--lab", str(grid), "--bootstrap", "50").strip())
    text = path.read_text()
    assert path == grid / "exports" / "report.md" and text.startswith("# widths and depths\n")
    for heading in (
        "Settings",
        "Results",
        "Learning curves",
        "Laws",
        "Compute-optimal frontier",
        "Caveats found",
        "Versions",
    ):
        assert f"\n## {heading}\n" in text
    assert text.count("](data:image/svg+xml;base64,") >= 6 and not re.search(r"\]\((?!data:)[^)]*svg", text)
    assert (
        "| a | " in text and "95 % interval" in text and "`shrunk fit power --hold-out-largest --bootstrap 50`" in text
    )
    assert "Refused: all points have the same number of tokens" in text  # chinchilla, of one budget of tokens
    assert "16 points come from 8 shapes (16 runs)" in text and "not only hidden_size changes" in text


def test_figures_beside_the_page() -> None:
    chart = Chart(title="t", x_label="x", y_label="y", series=(Series(label="s", x=[1, 2], y=[1, 2]),))
    wanted = Wanted(title="t", where=None, counting="paper", evaluation_id=None, reference=None, bootstrap=0, stem="me")
    page = Page(wanted=wanted)
    page.figure("law", chart)
    assert page.text == "![t](me-law.svg)\n" and page.figures["me-law.svg"].startswith(b"<?xml")


def test_names_and_subsets_that_are_refused(grid: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Markdown"):
        ask("report", "--lab", str(grid), "--out", str(tmp_path / "page.pdf"))
    with pytest.raises(FitError):
        ask("report", "--lab", str(grid), "--where", "hidden_size > 1000")


def test_a_kept_fit_is_a_row_of_fits(grid: Path) -> None:
    for _ in range(2):
        ask("fit", "power", "--lab", str(grid), "--bootstrap", "60", "--keep", "final points")
    store = open_store(grid)
    store.refresh(force=True)
    rows = store.query(
        "select name, form, points, clusters, identifiable, params['a'], intervals['a'], flops_counting from fits "
        "where latest"
    ).rows
    name, form, points, clusters, identifiable, a, (low, high), counting = rows[0]
    assert (len(rows), name, form, points, clusters, identifiable) == (1, "final points", "power", 16, 8, True)
    assert low < a < high and counting == "paper"
    assert store.query("select count(*) from fits").rows == [(2,)]


def test_the_frontier_view_is_the_lower_envelope(grid: Path) -> None:
    store = open_store(grid)
    store.refresh(force=True)
    front = store.query("select flops, loss from frontier order by flops").rows
    every = store.query("select flops, loss from evaluations").rows
    wanted = [
        (f, y) for f, y in sorted(every) if all(y < other for g, other in every if g < f or (g == f and other < y))
    ]
    assert [(f, y) for f, y in front] == wanted


def test_isoflops_of_a_lab(tmp_path: Path) -> None:
    """Three budgets, five sizes each, losses by a Chinchilla law: the best N and D grow with about its exponents."""
    lab = init_lab(tmp_path / "lab")
    for budget in (1e11, 4e11, 1.6e12):
        for hidden in (16, 32, 64, 128, 256):
            one = spec(
                0, hidden_size=hidden, embedding_size=32, num_heads=2, intermediate_size=4 * hidden, num_layers=2
            )
            per_update = costs(one.model, one.train)["flops_paper"] * one.train.batch_size
            updates = round(budget / per_update)
            one = dataclasses.replace(one, train=dataclasses.replace(one.train, updates=updates))
            cost = costs(one.model, one.train)
            tokens = updates * one.train.batch_size * one.train.sequence_length
            point = dataclasses.replace(
                evaluated(updates, 1.8 + 80 / cost["num_params"] ** 0.35 + 40 / tokens**0.35),
                tokens=tokens, flops=updates * per_update, evaluation_id=one.evaluation_id,
            )  # fmt: skip
            run = write_spec(lab, one, name=f"{budget:g} H{hidden}", grid="iso", costs=cost)
            write(run.events_file, started(), step(updates), point, finished(updates))
    rows = json.loads(ask("frontier", "--method", "isoflop", "--lab", str(lab), "--format", "json"))
    assert len(rows) == 3 and all(row["points"] == 5 and not row["warning"] for row in rows)
    assert [row["n_opt"] for row in rows] == sorted(row["n_opt"] for row in rows)
    assert 0.3 < rows[0]["n_exponent"] < 0.7 and rows[0]["counting"] == "paper"
    found = json.loads(ask("fit", "chinchilla", "--lab", str(lab), "--bootstrap", "0", "--starts", "60"))
    assert found["params"]["alpha"] == pytest.approx(0.35, rel=0.05)
