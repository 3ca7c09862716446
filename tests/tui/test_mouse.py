"""Everything by the mouse alone: the tabs, a setting of a grid, a query and its chart. Runs is in `test_runs_screen`."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import ContentSwitcher, Input, OptionList

from shrunk_tui.app import ShrunkApp
from shrunk_tui.screens.design import DesignPane
from shrunk_tui.screens.iso import IsoScreen
from shrunk_tui.screens.sql import SqlPane
from shrunk_tui.screens.tabs import TABS
from shrunk_tui.widgets.answer_table import AnswerTable
from shrunk_tui.widgets.key_bar import KeyBar
from shrunk_tui.widgets.live_chart import LiveChart
from shrunk_tui.widgets.tab_bar import TabBar

from .stage import fill, play, screen_text, settle, until


async def click_key(app: ShrunkApp, pilot: Pilot[None], text: str) -> None:
    """Click on a key at the bottom by what it is said to do."""
    bar = app.query_one(KeyBar)
    y, x = next((y, x) for y, line in enumerate(bar._lines) for x, key in line if key.text == text)
    await pilot.click(KeyBar, offset=(x + 1, y))
    await settle(pilot)


async def click_text(app: ShrunkApp, pilot: Pilot[None], text: str) -> None:
    """Click on the first place of the screen where a text stands."""
    y, line = next((y, line) for y, line in enumerate(screen_text(app).splitlines()) if text in line)
    await pilot.click(offset=(line.index(text) + 1, y))
    await settle(pilot)


@pytest.mark.parametrize("size", [(80, 24), (60, 24)], ids=["whole", "short names"])
def test_every_tab_is_brought_to_the_front_by_a_click(lab: Path, size: tuple[int, int]) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        for tab in (*TABS[1:], TABS[0]):
            start, end, _ = next(span for span in app.query_one(TabBar)._spans if span[2] == tab.name)
            await pilot.click(TabBar, offset=((start + end) // 2, 0))
            await settle(pilot)
            assert app.pane is not None and app.pane.id == f"pane-{tab.name}"
            assert f"[{tab.key} " in screen_text(app).splitlines()[0]

    play(lab, story, size=size)


def test_a_setting_is_chosen_edited_and_taken_over_by_clicks(lab: Path) -> None:
    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        pane = app.pane
        assert isinstance(pane, DesignPane)
        await until(pilot, lambda: pane.preview is not None and bool(pane.rows))
        await click_text(app, pilot, " hidden_size")
        assert pane.form.editing == "model.hidden_size", "a click on a setting edits it"
        line = pane.form.query_one(Input)
        assert line.has_focus
        await pilot.press("ctrl+u", *"32, 64", "enter")  # what is typed is typed
        await until(pilot, lambda: len(pane.rows) == 2)
        assert "[32] [64]" in screen_text(app)
        await click_key(app, pilot, "Iso")
        assert isinstance(app.screen, IsoScreen)
        await pilot.press("escape")
        await click_text(app, pilot, "H64 ")
        assert pane.table.has_focus and pane.table.cursor == 1

    play(lab, story, start="design")


def test_a_query_is_asked_and_drawn_by_clicks(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        pane = app.pane
        assert isinstance(pane, SqlPane)
        await until(pilot, lambda: pane.catalog is not None)
        await click_text(app, pilot, "best_perplexity")
        assert pane.editor.has_focus and pane.editor.cursor_location[0] == 1
        pane.editor.text = (
            'select s."update", s.loss, name from steps s join runs using (run_id) order by name, s."update"'
        )
        await click_key(app, pilot, "Run")
        await until(pilot, lambda: pane.answer is not None)
        await pilot.click(AnswerTable, offset=(4, 4))
        await settle(pilot)
        assert app.query_one(AnswerTable).has_focus
        await click_key(app, pilot, "Plot")
        await until(pilot, lambda: pane.query_one("#sql-answer", ContentSwitcher).current == "sql-chart")
        chart = app.query_one("#sql-chart", LiveChart)
        await until(pilot, lambda: chart.picture is not None)
        await click_key(app, pilot, "Group")
        chooser = app.screen.query_one(OptionList)
        await pilot.click(chooser, offset=(3, 1))
        await settle(pilot)
        assert not isinstance(app.screen.focused, OptionList), "a click chooses"

    play(lab, story, start="sql")
