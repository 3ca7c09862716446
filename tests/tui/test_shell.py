"""The shell: tabs by keys, help, palette, what is kept, what is not loaded."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from shrunk_core.errors import ConfigError
from store_lab import born, evaluated, finished, started, step, write
from textual.widgets import Input
from typer.testing import CliRunner

from shrunk_tui.app import ShrunkApp
from shrunk_tui.cli.app import app as command_line
from shrunk_tui.cli.start import plain_call
from shrunk_tui.screens.help import HelpScreen
from shrunk_tui.screens.tabs import TABS
from shrunk_tui.session import LabSession
from shrunk_tui.state import ViewState
from shrunk_tui.welcome import WelcomeApp
from shrunk_tui.widgets.key_bar import KeyBar

from .stage import screen_text, settle, until


def app_of(lab: Path, start: str = "", **options: bool) -> ShrunkApp:
    return ShrunkApp(LabSession(lab, **options), start)


def test_every_tab_opens_by_its_key_and_comes_back(lab: Path) -> None:
    run = born(lab, name="small")
    write(run.events_file, started(), step(50), evaluated(50), finished(50))

    async def story() -> None:
        app = app_of(lab)
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            assert app.pane is not None and app.pane.id == "pane-runs"
            for tab in TABS:
                app.go(tab.name) if app.focused else await pilot.press(tab.key)
                await settle(pilot)
                assert app.pane.id == f"pane-{tab.name}"
            await pilot.press("ctrl+pagedown")
            await settle(pilot)
            assert app.pane.id == "pane-runs"
            app.go("sql")
            await pilot.pause()
        again = app_of(lab)
        async with again.run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            assert again.pane is not None and again.pane.id == "pane-sql"

    asyncio.run(story())


def test_help_names_the_headless_twin(lab: Path) -> None:
    async def story() -> None:
        app = app_of(lab)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            app.action_help()
            await settle(pilot)
            assert isinstance(app.screen, HelpScreen)
            assert "shrunk status" in str(app.screen.page())
            await pilot.press("escape")
            await settle(pilot)
            assert not isinstance(app.screen, HelpScreen)

    asyncio.run(story())


def test_every_screen_names_its_commands_and_their_help_names_the_screen() -> None:
    for tab in TABS:
        pane = tab.load()
        twins = re.findall(r"shrunk ([a-z-]+)", pane.twin)
        assert twins, f"{pane.title} names no command"
        for name in twins:
            found = CliRunner().invoke(command_line, [name, "--help"])
            assert found.exit_code == 0 and f"{tab.key}, {tab.title}" in " ".join(found.output.split()), (
                name,
                tab.title,
            )


def test_palette_finds_actions_and_runs_by_name(lab: Path) -> None:
    run = born(lab, name="small")
    write(run.events_file, started(), step(50), evaluated(50), finished(50))

    async def story() -> None:
        app = app_of(lab, "runs")
        async with app.run_test(size=(100, 30)) as pilot:
            await until(pilot, lambda: app.session.looked)
            await pilot.press("ctrl+p")
            await pilot.press(*"open run small")
            await until(pilot, lambda: "Open run small" in screen_text(app))
            await pilot.press("enter")
            await until(pilot, lambda: app.pane is not None and app.pane.id == "pane-run")
            await settle(pilot)
            assert run.run_id in screen_text(app)

    asyncio.run(story())


def test_the_mouse_does_what_keys_do(lab: Path) -> None:
    born(lab, name="small")

    async def story() -> None:
        app = app_of(lab, "runs")
        async with app.run_test(size=(100, 30)) as pilot:
            await until(pilot, lambda: app.session.looked)
            await settle(pilot)
            bar = app.query_one(KeyBar)
            y, x = next((y, x) for y, line in enumerate(bar._lines) for x, key in line if key.text == "Filter")
            await pilot.click(KeyBar, offset=(x + 1, y))
            await settle(pilot)
            assert app.focused is not None and app.focused.id == "runs-filter"
            await pilot.press("escape")
            await pilot.click("#tab-bar", offset=(12, 0))
            await settle(pilot)
            assert app.pane is not None and app.pane.id == "pane-design"

    asyncio.run(story())


def test_where_there_is_no_lab_one_is_offered(tmp_path: Path) -> None:
    async def story() -> None:
        app = WelcomeApp(tmp_path)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "Play the demo" in screen_text(app) and "Make a lab" in screen_text(app))
            await pilot.press("down", "enter")
            await until(pilot, lambda: app.query_one(Input).value == str(tmp_path / "mylab"))
            await pilot.press("enter")
            await settle(pilot)
        assert app.return_value == ("lab", tmp_path / "mylab")

    asyncio.run(story())


def test_a_pipe_gets_the_help_and_replay_asks_for_a_terminal(lab: Path) -> None:
    found = CliRunner().invoke(command_line, [])
    assert found.exit_code == 0 and "replay" in found.output and "--read-only" in found.output
    run = born(lab, name="small")
    refused = CliRunner().invoke(command_line, ["replay", run.run_id, "--lab", str(lab)])
    assert isinstance(refused.exception, ConfigError) and "needs a terminal" in str(refused.exception)


def test_only_the_plain_call_opens_the_screens_without_the_parser() -> None:
    assert plain_call([]) == {"lab": None, "read_only": False, "ascii_only": False}
    assert plain_call(["--ascii", "--lab", "x", "--read-only"]) == {
        "lab": Path("x"), "read_only": True, "ascii_only": True,
    }  # fmt: skip
    assert plain_call(["--lab=y"]) == {"lab": Path("y"), "read_only": False, "ascii_only": False}
    for other in (["status"], ["--help"], ["--lab"], ["--lab", "--ascii"], ["--lab", "x", "status"], ["--version"]):
        assert plain_call(other) is None, other


def test_view_state_survives_what_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "ui.json"
    state = ViewState(path)
    state.set("runs.filter", "best")
    state.save()
    assert ViewState(path).get("runs.filter", "") == "best"
    assert ViewState(path).get("runs.filter", 3) == 3, "a value of another type is not taken"
    path.write_text("{broken")
    assert ViewState(path).get("runs.filter", "") == ""
    ViewState(tmp_path / "gone" / "no" / "ui.json").save()
