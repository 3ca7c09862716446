"""The Scaling screen as stories: a law by keys, a subset, ladders, refits as runs finish, figures; and how it looks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from scaling_lab import add_run, scaling_lab
from textual.pilot import Pilot
from textual.widgets import Input, Static

from shrunk_tui.app import ShrunkApp
from shrunk_tui.screens import scaling
from shrunk_tui.screens.scaling import ScalingPane
from shrunk_tui.screens.scaling_choice import Choice
from shrunk_tui.session import LabSession

from .stage import at_rest, until

Tell = Callable[[Pilot[None], ScalingPane], object]


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    return scaling_lab(tmp_path / "grid", hidden=(16, 32, 64, 128), layers=(1, 2), seeds=2)


def story(lab: Path, tell: Tell, size: tuple[int, int] = (120, 40), **options: bool) -> None:
    async def run() -> None:
        app = ShrunkApp(LabSession(lab, **options), "scaling")
        async with app.run_test(size=size) as pilot:
            await answered(pilot)
            await tell(pilot, pane_of(app))  # type: ignore[misc]

    asyncio.run(run())


def pane_of(app: object) -> ScalingPane:
    pane = app.pane  # type: ignore[attr-defined]
    assert isinstance(pane, ScalingPane)
    return pane


async def answered(pilot: Pilot[None]) -> None:
    """The whole answer to the choice that is made now, drawn."""

    def there() -> bool:
        pane = pilot.app.pane  # type: ignore[attr-defined]
        if not isinstance(pane, ScalingPane) or pane.study is None or not pane.study.whole:
            return False
        same = pane.study.choice.plain() | {"evaluation_id": ""} == pane.choice.plain() | {"evaluation_id": ""}
        return same and (pane.study.chart is None or bool(chart(pane).strip()))

    await until(pilot, there)
    await at_rest(pilot)
    await pilot.pause()


def chart(pane: ScalingPane) -> str:
    return str(pane.query_one("#scaling-chart", Static).content)


def numbers(pane: ScalingPane) -> str:
    return str(pane.query_one("#scaling-numbers", Static).content)


def test_a_law_is_chosen_by_keys_and_kept_between_visits(grid: Path) -> None:
    async def tell(pilot: Pilot[None], pane: ScalingPane) -> None:
        assert "95 % interval" in numbers(pane) and "8 independent runs" in numbers(pane)
        assert "with FLOPs counted as `executed`" in " ".join(numbers(pane).split())
        assert "residual (%)" in chart(pane) and "95 % band" in chart(pane)
        await pilot.press("f", "f")
        await answered(pilot)
        assert pane.choice.form == "broken" and "one law in place of two: p =" in numbers(pane)
        await pilot.press("x")
        await answered(pilot)
        assert "parameters" in chart(pane) and pane.choice.headless() == "shrunk fit broken --x params"
        await pilot.press("r")
        await pilot.pause()
        assert pane.choice.residuals == "alone"

    story(grid, tell)

    async def again(pilot: Pilot[None], pane: ScalingPane) -> None:
        assert (pane.choice.form, pane.choice.x, pane.choice.residuals) == ("broken", "params", "alone")

    story(grid, again, (80, 24))


def test_a_subset_a_refusal_and_the_way_back(grid: Path) -> None:
    async def tell(pilot: Pilot[None], pane: ScalingPane) -> None:
        await pilot.press("slash")
        line = pane.query_one("#scaling-where", Input)
        assert line.has_class("-open") and line.has_focus
        line.value = "hidden_size == 16 and num_layers == 1"
        await pilot.press("enter")
        await answered(pilot)
        assert "NO LAW" in numbers(pane) and "needs at least 4 points" in " ".join(numbers(pane).split())
        assert "●" in chart(pane)  # the points stay
        await pilot.press("slash")
        line.value = "hiden_size == 16"
        await pilot.press("enter")
        await answered(pilot)
        assert "hiden_size" in chart(pane)
        await pilot.press("slash")
        line.value = ""
        await pilot.press("enter")
        await answered(pilot)
        assert "16 points" in numbers(pane)

    story(grid, tell)


def test_ladders_frontier_and_missing_scores(grid: Path) -> None:
    async def tell(pilot: Pilot[None], pane: ScalingPane) -> None:
        await pilot.press("v")
        await answered(pilot)
        assert "unfinished" in numbers(pane) and "frontier (envelope)" in chart(pane)
        assert "□ unfinished schedule" in chart(pane)
        await pilot.press("v")
        await answered(pilot)
        assert "gain: fall of perplexity per 1e16 FLOPs" in numbers(pane) and "num_layers" in numbers(pane)
        await pilot.press("m")
        await answered(pilot)
        assert "dominated" in numbers(pane)
        await pilot.press("v")
        await answered(pilot)
        assert "shrunk glue" in chart(pane)

    story(grid, tell)


def test_it_refits_when_a_run_finishes(grid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "DEBOUNCE", 0.1)

    async def tell(pilot: Pilot[None], pane: ScalingPane) -> None:
        assert "16 points" in numbers(pane)
        add_run(grid, random.Random(9), 256, 1, 0)
        await until(pilot, lambda: "17 points" in numbers(pane))

    story(grid, tell)


def test_figures_and_fits_are_saved_unless_the_lab_is_only_looked_at(grid: Path) -> None:
    async def tell(pilot: Pilot[None], pane: ScalingPane) -> None:
        await pilot.press("s", "k")
        await at_rest(pilot)
        for form in ("svg", "png"):
            assert (grid / "exports" / f"law-power-flops.{form}").stat().st_size > 1000
        assert pane.session.store().query("select name, command from fits").rows == [
            ("power of flops", "shrunk fit power")
        ]

    story(grid, tell)
    (grid / "exports" / "law-power-flops.svg").unlink()

    async def look(pilot: Pilot[None], pane: ScalingPane) -> None:
        await pilot.press("s", "k")
        await pilot.pause()
        assert not (grid / "exports" / "law-power-flops.svg").exists()

    story(grid, look, read_only=True)


def test_an_empty_lab_says_what_will_be_here(lab: Path) -> None:
    async def run() -> None:
        app = ShrunkApp(LabSession(lab), "scaling")
        async with app.run_test(size=(80, 24)) as pilot:
            await until(
                pilot, lambda: isinstance(app.pane, ScalingPane) and "No run of this lab" in chart(pane_of(app))
            )

    asyncio.run(run())


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_how_it_looks(grid: Path, size: tuple[int, int], snap_compare: Callable[..., bool]) -> None:
    """Chart, band, numbers and keys at three sizes; the numbers are those of the seeds in `scaling_lab`."""
    app = ShrunkApp(LabSession(grid), "scaling")

    async def before(pilot: Pilot[None]) -> None:
        await answered(pilot)

    assert snap_compare(app, terminal_size=size, run_before=before)


def test_choices_survive_what_they_cannot_read() -> None:
    assert Choice.read({"form": "cubic", "x": 5, "where": "seed == 0", "odd": 1}) == Choice(where="seed == 0")
