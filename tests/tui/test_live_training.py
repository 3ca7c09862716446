"""A person watches real tiny trainings on the Runs screen: they finish, pause, go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from shrunk_core.config.grid import load_grid
from shrunk_core.engine.client import submit
from shrunk_core.engine.plan import make_plan
from textual.pilot import Pilot

from shrunk_tui.app import ShrunkApp

from ..tiny import write_grid
from .stage import play, screen_text, settle, until


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
