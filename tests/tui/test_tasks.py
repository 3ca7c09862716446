"""The Tasks screen as a story: a matrix with a gap, gains, correlation, one cell, starting what is missing; how it looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cell_lab import TASK, cell, cell_finished, cell_started, scored_event
from shrunk_core.config.cell import TaskSpec
from shrunk_core.config.lab import init_lab
from shrunk_core.record.cell_events import CellEpoch, GainMeasured
from shrunk_core.record.celldir import write_cell
from store_lab import T0, born, evaluated, finished, started, write
from textual.pilot import Pilot
from textual.widgets import Static

from shrunk_tui.app import ShrunkApp, farewell
from shrunk_tui.screens import tasks_starting
from shrunk_tui.screens.asking import AskText, Confirm
from shrunk_tui.screens.tasks import TasksPane
from shrunk_tui.session import LabSession

from .stage import at_rest, until

SST2 = TaskSpec(name="sst2", fields=("sentence",), labels=("negative", "positive"), metrics=("accuracy",))
RUNS = 6


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """Six runs, the lower the perplexity the higher the score, with two seeds of cola and one of sst2; the last lacks sst2."""
    lab = init_lab(tmp_path / "lab")
    for number in range(RUNS):
        run = born(lab, name=f"H{16 * 2**number}", hidden_size=16 * 2**number, num_heads=2)
        write(run.events_file, started(), evaluated(100, 5.0 - 0.3 * number), finished())
        for seed in (0, 1):
            value = 0.10 + 0.05 * number + 0.01 * seed
            gain = [_gain(cell(run.run_id).comparison, value - 0.05)] if seed else []
            _score(lab, cell(run.run_id, seed=seed), "matthews", value, gain)
            _score(lab, cell(run.run_id, "untrained", seed=seed), "matthews", 0.05, [])
        if number < RUNS - 1:
            _score(lab, cell(run.run_id, task=SST2), "accuracy", 0.6 + 0.03 * number, [])
    return lab


def _score(lab: Path, spec: Any, metric: str, value: float, more: list[Any]) -> None:
    epochs = [
        CellEpoch(
            attempt=1, trial=0, epoch=e, update=5 * e, learning_rate=1e-3, loss=0.7 / e, score=value * e / 2,
            selection=float("nan"), examples_per_second=100.0, logged_at=T0,
        )
        for e in (1, 2)
    ]  # fmt: skip
    write(
        write_cell(lab, spec).events_file,
        cell_started(T0),
        *epochs,
        scored_event(value, metric),
        *more,
        cell_finished(),
    )


def _gain(comparison: str, gain: float) -> GainMeasured:
    return GainMeasured(
        attempt=1, comparison=comparison, checkpoint="best", task=TASK.name, split="validation", metric="matthews", place=0,
        pretrained=gain + 0.05, untrained=0.05, gain=gain, low=gain - 0.08, high=gain + 0.08, seeds=2, n=100,
    )  # fmt: skip


async def pane_of(pilot: Pilot[None]) -> TasksPane:
    def there() -> bool:
        pane = pilot.app.pane  # type: ignore[attr-defined]
        return isinstance(pane, TasksPane) and pane.book is not None and bool(numbers(pane))

    await until(pilot, there)
    pane = pilot.app.pane  # type: ignore[attr-defined]
    pane.hidden()  # no look comes in between
    await at_rest(pilot)
    await pilot.pause()
    return pane  # type: ignore[no-any-return]


def numbers(pane: TasksPane) -> str:
    return str(pane.query_one("#tasks-numbers", Static).content)


def head(pane: TasksPane) -> str:
    return str(pane.query_one("#tasks-head", Static).content)


def story(lab: Path, tell: Callable[[Pilot[None], TasksPane], Any], **options: bool) -> None:
    async def run() -> None:
        app = ShrunkApp(LabSession(lab, **options), "tasks")
        async with app.run_test(size=(120, 40)) as pilot:
            await tell(pilot, await pane_of(pilot))

    asyncio.run(run())


def test_from_the_matrix_to_a_cell_a_gain_a_correlation_and_a_start(
    scored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        "shrunk_core.engine.cells.submit_cells", lambda lab, cells: asked.extend(cells) or {"queued": []}
    )
    elsewhere = LabSession.aside

    def aside(session: LabSession, place: str, *arguments: Any) -> Any:
        if place.endswith(":missing_cells"):
            return tasks_starting.Asked(cells=(cell(arguments[1][0][0].run_id, task=SST2),))
        return elsewhere(session, place, *arguments)

    monkeypatch.setattr(LabSession, "aside", aside)

    async def tell(pilot: Pilot[None], pane: TasksPane) -> None:
        table = pane.matrix
        assert table.headings == ["cola", "sst2", "GLUE / no wnli"] and len(table.names) == RUNS
        texts = {name: [c.text for c in row] for name, row in zip(table.names, table.cells, strict=True)}
        assert texts["H16 best"] == [".105 ±.007 (2)", ".600 (1)", ".352 / .352 of 2"]
        assert texts["H512 best"][1] == "." and "1 missing" in head(pane)
        await pilot.press("b")
        assert len(table.names) == 2 * RUNS and "--baseline untrained" in head(pane)
        await pilot.press("b")
        assert "seed 0  matthews" in numbers(pane) and "seed 1" in numbers(pane)
        assert "seed 1" in str(pane.query_one("#tasks-chart", Static).content)
        await pilot.press("v")
        await until(pilot, lambda: "gain over the untrained start" in numbers(pane))
        assert "not told from chance" in numbers(pane) and "+0.060 [-0.020, +0.140]" in numbers(pane)
        await pilot.press("v")
        await until(pilot, lambda: "Spearman -1.00" in numbers(pane))
        table.put(table.names.index("H512 best"), 1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: bool(asked))
        assert asked[0].task.name == "sst2"

    story(scored, tell)


def test_who_quits_is_told_that_the_scoring_goes_on(scored: Path) -> None:
    session = LabSession(scored)
    assert farewell(session) is None
    session.cells = {"a/1": "running", "a/2": "queued", "a/3": "queued", "a/4": "finished"}
    assert (farewell(session) or "").startswith("Scoring of tasks goes on: 1 running, 2 queued. `shrunk` looks again")


def test_nothing_starts_in_a_lab_that_is_only_looked_at(scored: Path) -> None:
    async def first(pilot: Pilot[None], pane: TasksPane) -> None:
        assert pane.book is not None and pane.book.tasks

    story(scored, first)  # publishes the index

    async def tell(pilot: Pilot[None], pane: TasksPane) -> None:
        await pilot.press("m", "n")
        await pilot.pause()
        assert not isinstance(pilot.app.screen, Confirm) and len(pilot.app.screen_stack) == 1

    story(scored, tell, read_only=True)


def test_rows_that_are_gone_are_refused_by_name(scored: Path) -> None:
    async def tell(pilot: Pilot[None], pane: TasksPane) -> None:
        assert pane.book is not None
        asked = tasks_starting.missing_cells(scored, pane.book.missing(pane.book.shown(False)))
        assert not asked.cells and "sst2" in asked.refused[0] and "/data/glue" in asked.refused[0]

    story(scored, tell)


def test_an_empty_lab_says_what_comes_here(lab: Path) -> None:
    async def tell(pilot: Pilot[None], pane: TasksPane) -> None:
        assert "once a run has finished" in numbers(pane) and "shrunk glue" in numbers(pane)

    story(lab, tell)


def test_the_first_scores_are_asked_for_where_there_is_no_matrix_yet(lab: Path) -> None:
    run = born(lab)
    write(run.events_file, started(), evaluated(100, 4.0), finished())

    async def tell(pilot: Pilot[None], pane: TasksPane) -> None:
        assert "n scores the finished runs" in numbers(pane)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskText))

    story(lab, tell)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_how_it_looks(scored: Path, size: tuple[int, int], snap_compare: Callable[..., bool]) -> None:
    """Matrix, gap, heat and the cell's curves at three sizes."""
    app = ShrunkApp(LabSession(scored), "tasks")

    async def before(pilot: Pilot[None]) -> None:
        pane = await pane_of(pilot)
        assert pane.matrix.headings[:2] == ["cola", "sst2"] and "1 missing" in head(pane)

    assert snap_compare(app, terminal_size=size, run_before=before)
