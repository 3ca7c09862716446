"""A person watches real tiny trainings on the Runs screen: they finish, pause, go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from shrunk_core.config.grid import load_grid
from shrunk_core.engine.client import submit
from shrunk_core.engine.plan import make_plan
from textual.pilot import Pilot

from shrunk_tui.app import ShrunkApp
from shrunk_tui.widgets.live_chart import LiveChart
from shrunk_tui.widgets.sql_editor import SqlEditor

from ..tiny import write_grid
from .stage import listed, play, screen_text, settle, until


def statuses(app: ShrunkApp) -> set[str]:
    return {row.status.status for row in app.session.rows.values()}


@pytest.mark.slow
def test_watch_pause_and_resume(lab: Path) -> None:
    grid = write_grid(lab, updates=4000, evaluate_every=500, axes="num_layers = [1]")
    submit(lab, make_plan(lab, load_grid(grid)))

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: any((r.standing.update or 0) > 20 for r in app.session.rows.values()), 60)
        await pilot.press("p")
        await until(pilot, lambda: statuses(app) == {"paused"}, 60)
        assert "‖" in screen_text(app)
        paused_at = next(iter(app.session.rows.values())).standing.update
        await pilot.press("r")
        await until(pilot, lambda: "running" in statuses(app), 60)
        await until(pilot, lambda: statuses(app) == {"finished"}, 120)
        assert next(iter(app.session.rows.values())).standing.update == 4000 > paused_at
        await settle(pilot)
        assert "1 finished" in screen_text(app)

    play(lab, story)


@pytest.mark.slow
def test_from_a_training_to_an_answer_by_keys_alone(lab: Path) -> None:
    """Two real runs finish before one's eyes; then they are filtered, compared, asked about and drawn."""
    grid = write_grid(lab, updates=200, evaluate_every=50, axes="num_layers = [1, 2]")
    submit(lab, make_plan(lab, load_grid(grid)))

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: statuses(app) == {"finished"} and len(app.session.rows) == 2, 150)
        await settle(pilot)
        await pilot.press("slash", *"num_layers=2 and status:finished", "enter")
        await until(pilot, lambda: len(listed(app)) == 1)
        assert "1 of 2 runs" in screen_text(app)
        await pilot.press("slash", "escape", "a", "v")
        await until(pilot, lambda: "num_layers" in screen_text(app))
        page = screen_text(app)
        losses = [f"{row.standing.evaluated.loss:.3f}" for row in app.session.rows.values() if row.standing.evaluated]
        assert len(losses) == 2 and all(loss in page for loss in losses), "results of both, side by side"
        await pilot.press("escape", "6")
        await until(pilot, lambda: "What can be asked" in screen_text(app), 60)
        await pilot.press("e")
        editor = app.query_one(SqlEditor)
        editor.text = ""
        await pilot.press(
            *"select name, e.\"update\", loss from evaluations e join runs using (run_id) where split = 'validation'"
        )
        await pilot.press("f5")
        await until(pilot, lambda: "8 rows in" in screen_text(app), 60)
        await pilot.press("escape", "p")
        await until(pilot, lambda: "loss against update by name" in screen_text(app))
        chart = app.query_one("#sql-chart", LiveChart)
        await until(pilot, lambda: chart.picture is not None)
        assert chart.scene is not None and [len(line.x) for line in chart.scene.lines] == [4, 4]

    play(lab, story)
