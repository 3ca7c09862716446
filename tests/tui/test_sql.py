"""The SQL screen as stories: ask, complete, stop, plot, take along."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from shrunk_core.store.query_files import history, save_query
from store_lab import born, evaluated, finished, started, step, write
from textual.pilot import Pilot
from textual.widgets import ContentSwitcher, Static

from shrunk_tui.app import ShrunkApp
from shrunk_tui.screens.asking import AskText, Choose
from shrunk_tui.screens.sql import SqlPane
from shrunk_tui.session import LabSession
from shrunk_tui.widgets.answer_table import AnswerTable
from shrunk_tui.widgets.live_chart import LiveChart

from .stage import until


@pytest.fixture
def runs(lab: Path) -> Path:
    for number, name in enumerate(("small", "large")):
        run = born(lab, seed=number, name=name)
        losses = (step(u, 5.0 - number - u / 100) for u in range(1, 101))
        write(run.events_file, started(), *losses, evaluated(100, 4.0 - number), finished())
    return lab


def story(lab: Path, tell: Callable[[Pilot[None], SqlPane], object], **options: bool) -> None:
    """Open the SQL screen on a lab and go through a story."""

    async def run() -> None:
        app = ShrunkApp(LabSession(lab, **options), "sql")
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: isinstance(app.pane, SqlPane) and app.pane.catalog is not None)
            assert isinstance(app.pane, SqlPane)
            await tell(pilot, app.pane)  # type: ignore[misc]

    asyncio.run(run())


def status(pane: SqlPane) -> str:
    return str(pane.query_one("#sql-status", Static).content)


def words(pane: SqlPane) -> str:
    return str(pane.query_one("#sql-words > Static", Static).content)


def front(pane: SqlPane) -> str | None:
    return pane.query_one("#sql-answer", ContentSwitcher).current


async def ask(pilot: Pilot[None], pane: SqlPane, query: str) -> None:
    pane.editor.text = query
    await pilot.press("f5")
    await until(pilot, lambda: " row" in status(pane) or "failed" in status(pane))


def test_what_can_be_asked_is_there_before_anything_was(runs: Path) -> None:
    async def tell(pilot: Pilot[None], pane: SqlPane) -> None:
        assert front(pane) == "sql-words"
        assert "evaluations" in words(pane) and "describe runs" in words(pane)
        await pilot.press("7", "6")  # digits change the tab: the editor does not take them
        assert "7" not in pane.editor.text

    story(runs, tell)


def test_a_query_is_typed_completed_and_answered(runs: Path) -> None:
    async def tell(pilot: Pilot[None], pane: SqlPane) -> None:
        pane.editor.text = ""
        await pilot.press("e", *"select na")
        assert pane.editor.is_open
        await pilot.press("tab", *" from ru", "tab", *" order by best_lo", "tab", "f5")
        assert pane.editor.text == "select name from runs order by best_loss"
        await until(pilot, lambda: "2 rows" in status(pane))
        table = pane.query_one(AnswerTable)
        assert [table.get_row_at(i) for i in range(2)] == [["large"], ["small"]]
        assert pane.session.state.get("sql.query", "") == pane.editor.text
        await until(pilot, lambda: bool(history(runs)))
        await pilot.press("escape")
        assert not pane.editor.has_focus

    story(runs, tell)


def test_a_wrong_query_says_what_is_wrong_and_stays(runs: Path) -> None:
    async def tell(pilot: Pilot[None], pane: SqlPane) -> None:
        await ask(pilot, pane, "select bset_loss from runs")
        assert front(pane) == "sql-words" and "best_loss" in words(pane)
        await ask(pilot, pane, "drop table runs")
        assert "read-only" in words(pane)
        await ask(pilot, pane, "select 1 as one")
        assert front(pane) == "sql-table"

    story(runs, tell)


def test_a_long_query_is_stopped_by_a_key(runs: Path) -> None:
    async def tell(pilot: Pilot[None], pane: SqlPane) -> None:
        pane.editor.text = "select count(*) from range(100000000000) a, range(100) b"
        await pilot.press("f5")
        await until(pilot, lambda: "esc stops it" in status(pane))
        await pilot.press("escape")
        await until(pilot, lambda: "stopped after" in status(pane))
        await ask(pilot, pane, "select 1 as one")

    story(runs, tell)


def test_a_million_rows_do_not_stall_the_keys(runs: Path) -> None:
    async def tell(pilot: Pilot[None], pane: SqlPane) -> None:
        await ask(pilot, pane, "select range as i, 'run ' || range % 7 as name from range(1000000)")
        assert "1,000,000 rows" in status(pane)
        table = pane.query_one(AnswerTable)
        await pilot.press("ctrl+end")
        assert table.cursor_row == 999_999

    story(runs, tell)


def test_the_answer_is_drawn_in_place_by_columns_that_are_chosen(runs: Path) -> None:
    async def tell(pilot: Pilot[None], pane: SqlPane) -> None:
        await ask(pilot, pane, "select name, s.update, s.loss, s.tokens from steps s join runs using (run_id)")
        await pilot.press("p")
        chart = lambda: pane.query_one(LiveChart)  # noqa: E731
        await until(pilot, lambda: front(pane) == "sql-chart" and chart().scene is not None)
        scene = chart().scene
        assert scene is not None and scene.title == "loss against update by name"
        assert sorted(line.label for line in scene.lines) == ["large", "small"]
        assert all(len(line.x) == 100 for line in scene.lines)
        await pilot.press("x")
        assert isinstance(pilot.app.screen, Choose)
        await pilot.press("end", "enter")
        await until(pilot, lambda: "against tokens" in (chart().scene.title if chart().scene else ""))
        await pilot.press("X")
        await until(pilot, lambda: bool(chart().scene and chart().scene.log_x))
        await pilot.press("p")
        assert front(pane) == "sql-table"

    story(runs, tell)


def test_answers_are_copied_and_written(runs: Path) -> None:
    async def tell(pilot: Pilot[None], pane: SqlPane) -> None:
        await ask(pilot, pane, "select name, best_loss from runs order by name")
        await pilot.press("C")
        assert pilot.app.clipboard == "name\tbest_loss\nlarge\t3.0\nsmall\t4.0"
        await pilot.press("c")
        await until(pilot, lambda: pilot.app.clipboard == "large")
        await pilot.press("w")
        assert isinstance(pilot.app.screen, AskText)
        await pilot.press("enter")
        file = runs / "exports" / "answer.csv"
        await until(pilot, lambda: file.exists())
        assert file.read_text() == "name,best_loss\nlarge,3.0\nsmall,4.0\n"

    story(runs, tell)


def test_queries_are_saved_and_come_back(runs: Path) -> None:
    save_query(runs, "all names", "-- who is there\nselect name from runs")

    async def tell(pilot: Pilot[None], pane: SqlPane) -> None:
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(pilot.app.screen, Choose))
        await pilot.press("enter")
        await until(pilot, lambda: "who is there" in pane.editor.text)
        await pilot.press("f4", *"mine", "enter")
        await until(pilot, lambda: (runs / "queries" / "mine.sql").exists())

    story(runs, tell)


def test_a_lab_that_is_only_looked_at_is_not_written(runs: Path) -> None:
    from shrunk_core.store.store import open_store

    open_store(runs).refresh(force=True)
    before = sorted(runs.rglob("*"))

    async def tell(pilot: Pilot[None], pane: SqlPane) -> None:
        await ask(pilot, pane, "select name from runs")
        assert "2 rows" in status(pane)
        await pilot.press("f4")
        assert not isinstance(pilot.app.screen, AskText)

    story(runs, tell, read_only=True)
    assert sorted(runs.rglob("*")) == before
