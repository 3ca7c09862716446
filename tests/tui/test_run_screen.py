"""The Run screen: one run's charts and panels, and another run beside it."""

from __future__ import annotations

from pathlib import Path

from shrunk_core.record.rundir import run_dir
from textual.pilot import Pilot

from shrunk_tui.app import ShrunkApp
from shrunk_tui.screens.asking import Choose
from shrunk_tui.screens.run import CHARTS, PANELS
from shrunk_tui.widgets.live_chart import LiveChart

from .stage import fill, play, screen_text, settle, until


def test_opened_from_the_table_it_shows_the_run(lab: Path) -> None:
    ids = fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await settle(pilot)
        text = screen_text(app)
        assert ids[0] in text and "finished" in text and "update 100/100" in text and "perplexity" in text
        for name in CHARTS:
            chart = app.query_one(f"#run-{name}", LiveChart)
            assert chart.picture is not None and chart.picture.window is not None, name
        assert "gradient norm" in text and "hidden_size" in text
        await pilot.press("right_square_bracket")
        await settle(pilot)
        assert ids[1] in screen_text(app)
        await pilot.press("escape")
        await settle(pilot)
        assert app.pane is not None and app.pane.title == "Runs"

    play(lab, story)


def test_panels_follow_each_other(lab: Path) -> None:
    ids = fill(lab)
    run_dir(lab, ids[3]).worker_log.write_text("Traceback: the loss is nan\n")
    (run_dir(lab, ids[3]).checkpoints / "update-20").mkdir(parents=True)
    expected = {
        "events": "FAILED at update 40: loss is nan",
        "log": "Traceback: the loss is nan",
        "checkpoints": "update-20",
        "tasks": "task",
        "settings": "hidden_size",
    }

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        app.go("run", run_id=ids[3])
        await settle(pilot)
        for _ in PANELS:
            await pilot.press("i")
            await settle(pilot)
            assert expected[app.session.state.get("run.panel", "")] in screen_text(app)

    play(lab, story, size=(200, 60))


def test_another_run_beside_it_marks_what_differs(lab: Path) -> None:
    ids = fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        app.go("run", run_id=ids[1])
        await settle(pilot)
        await pilot.press("d")
        await settle(pilot)
        assert isinstance(app.screen, Choose)
        app.screen.dismiss(ids[0])
        await settle(pilot)
        lines = [line for line in screen_text(app).splitlines() if "hidden_size" in line]
        assert any("!" in line and "64" in line and "32" in line for line in lines)

    play(lab, story, size=(200, 60))


def test_where_there_is_little_room_one_chart_at_a_time(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        for name in (*CHARTS[1:], CHARTS[0]):
            await settle(pilot)
            await pilot.press("z")
            await settle(pilot)
            await settle(pilot)  # the chart that comes to the front asks for its curve once it is laid out
            seen = [c.id for c in app.query(LiveChart) if c.is_on_screen and c.id and c.id.startswith("run-")]
            assert seen == [f"run-{name}"]

    play(lab, story, size=(80, 24), start="run")


def test_keys_work_as_soon_as_the_first_run_is_there(lab: Path) -> None:
    """While there is none, nothing that these screens act on can have the focus."""

    async def runs(app: ShrunkApp, pilot: Pilot[None]) -> None:
        assert "no runs yet" in screen_text(app) and app.focused is None
        fill(lab)
        await until(pilot, lambda: app.focused is not None)
        assert app.focused is app.query_one("#runs-table")

    play(lab, runs)

    async def run(app: ShrunkApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.focused is not None)
        assert "d Diff" in screen_text(app)

    play(lab, run, start="run")
