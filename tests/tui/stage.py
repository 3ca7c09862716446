"""A lab to look at: two grids with curves that are always the same, and an app on it with a fixed size."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from shrunk_core.record.events import Failed, GridSubmitted
from store_lab import T0, born, evaluated, finished, started, step, write
from textual.app import App
from textual.pilot import Pilot

from shrunk_tui.app import ShrunkApp
from shrunk_tui.session import LabSession
from shrunk_tui.widgets.live_chart import LiveChart
from shrunk_tui.widgets.run_table import RunTable


def fill(lab: Path) -> list[str]:
    """Five runs: four of a grid (one of them running, one failed), one of another. Their ids, in the grid's order."""
    ids = []
    for number, hidden in enumerate((32, 64, 128, 256)):
        run = born(lab, name=f"H{hidden}", grid="width", hidden_size=hidden, num_heads=2)
        ids.append(run.run_id)
        updates = 40 if hidden >= 128 else 100
        write(run.events_file, started(at=T0))
        for update in range(1, updates + 1):
            loss = 3 + 3 / (number + 1) + 2 * math.exp(-update / 20)
            write(run.events_file, step(update, loss=loss + 0.1 * math.sin(update), at=T0 + update))
            if update % 20 == 0:
                write(run.events_file, evaluated(update, loss=loss, at=T0 + update))
        if hidden == 256:
            write(
                run.events_file, Failed(attempt=1, update=40, cause="non-finite", message="loss is nan", logged_at=T0)
            )
        if updates == 100:
            write(run.events_file, finished(at=T0 + 101))
    write(
        lab / "journal" / "hand.jsonl",
        GridSubmitted(grid="width", run_ids=tuple(ids), names=("H32", "H64", "H128", "H256"), toml="", logged_at=T0),
    )
    ids.append(born(lab, name="alone", grid="other", hidden_size=48, num_heads=2).run_id)
    return ids


def play(lab: Path, story: Callable[[ShrunkApp, Pilot[None]], Awaitable[None]], *, size: tuple[int, int] = (120, 40),
         start: str = "runs", **options: bool) -> None:  # fmt: skip
    """Run a story on an app that shows the lab, once its first rows are there."""

    async def body() -> None:
        app = ShrunkApp(LabSession(lab, **options), start)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.session.looked and app.pane is not None)
            await settle(pilot)
            await story(app, pilot)

    asyncio.run(body())


async def until(pilot: Pilot[Any], condition: Callable[[], bool], seconds: float = 40.0) -> None:
    """Wait until something holds."""
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError("waited in vain")


async def at_rest(pilot: Pilot[Any]) -> None:
    """Wait until no thread is at work for the screens; one whose answer is no longer wanted is not."""
    await until(pilot, lambda: all(worker.is_finished for worker in pilot.app.workers))


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until nothing is under way: no thread at work, no message waiting."""
    app = pilot.app
    for _ in range(400):
        await pilot.pause(0.02)
        if not app.workers or all(w.is_finished for w in app.workers):
            break
    await pilot.pause(0.05)


def table(app: ShrunkApp) -> RunTable:
    return app.query_one("#runs-table", RunTable)


def listed(app: ShrunkApp) -> list[str]:
    """Names of the runs in the table, in order."""
    return [line.row.spec.name for line in table(app).lines if line.row is not None]


def screen_text(app: App[Any]) -> str:
    """What stands on the screen, as text."""
    return "\n".join("".join(s.text for s in line) for line in app.screen._compositor.render_strips())


def legend(chart: LiveChart) -> str:
    assert chart.picture is not None
    return "".join(map(chr, chart.picture.codes[-3:].ravel().tolist()))
