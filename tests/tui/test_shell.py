"""The shell: tabs by keys, help, palette, what is kept, what is not loaded."""

from __future__ import annotations

import asyncio
from pathlib import Path

from store_lab import born, evaluated, finished, started, step, write

from shrunk_tui.app import ShrunkApp
from shrunk_tui.screens.help import HelpScreen
from shrunk_tui.screens.tabs import TABS
from shrunk_tui.session import LabSession


def app_of(lab: Path, start: str = "", **options: bool) -> ShrunkApp:
    return ShrunkApp(LabSession(lab, **options), start)


def test_every_tab_opens_by_its_key_and_comes_back(lab: Path) -> None:
    run = born(lab, name="small")
    write(run.events_file, started(), step(50), evaluated(50), finished(50))

    async def story() -> None:
        app = app_of(lab)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            assert app.pane is not None and app.pane.id == "pane-runs"
            for tab in TABS:
                app.go(tab.name) if app.focused else await pilot.press(tab.key)
                await pilot.pause()
                assert app.pane.id == f"pane-{tab.name}"
            await pilot.press("ctrl+pagedown")
            await pilot.pause()
            assert app.pane.id == "pane-runs"
            app.go("sql")
            await pilot.pause()
        again = app_of(lab)
        async with again.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            assert again.pane is not None and again.pane.id == "pane-sql"

    asyncio.run(story())


def test_help_names_the_headless_twin(lab: Path) -> None:
    async def story() -> None:
        app = app_of(lab)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            app.action_help()
            await pilot.pause()
            assert isinstance(app.screen, HelpScreen)
            assert "shrunk status" in str(app.screen.page())
            await pilot.press("escape")
            await pilot.pause()
            assert not isinstance(app.screen, HelpScreen)

    asyncio.run(story())
