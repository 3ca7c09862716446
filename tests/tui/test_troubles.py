"""What goes wrong around a lab: words with what to do, never a traceback; and a terminal that changes its size."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest
from shrunk_core.errors import StoreError
from shrunk_core.record.events import GridSubmitted, RunQueued, encode
from store_lab import T0, born, evaluated, started, step, write
from textual.pilot import Pilot

from shrunk_tui import session as sessions
from shrunk_tui.app import ShrunkApp
from shrunk_tui.watcher import Watcher
from shrunk_tui.widgets.banner import Banner
from shrunk_tui.widgets.live_chart import LiveChart

from .stage import fill, play, screen_text, settle, table, until

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "TROUBLE_SECONDS", 0.1)
    monkeypatch.setattr(sessions, "IDLE_FASTEST", 0.1)


def banner(app: ShrunkApp) -> str:
    return "\n".join(app.query_one(Banner).words.values())


def test_a_full_disk_is_said_and_taken_back_when_there_is_room(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(lab)
    room = [12_000_000]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12, room[0]))

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "only 12 MB left" in banner(app))
        await pilot.pause(0.05)
        assert "shrunk doctor" in screen_text(app), "it says what to do"
        room[0] = 10**11
        await until(pilot, lambda: "MB left" not in banner(app))

    play(lab, story)


def test_a_dead_supervisor_is_said_with_the_key_that_starts_one(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = born(lab, name="waiting", grid="g")
    write(lab / "journal" / "hand.jsonl",
          GridSubmitted(grid="g", run_ids=(run.run_id,), names=("waiting",), toml="", logged_at=T0),
          RunQueued(run_id=run.run_id, grid="g", reason="new", logged_at=T0))  # fmt: skip
    (lab / ".shrunk" / "supervisor.log").write_text("fine\nkilled by signal 9\n")
    asked: list[Path] = []
    monkeypatch.setattr("shrunk_core.engine.client.start_supervisor", lambda desk: asked.append(desk.lab))

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "No supervisor serves this lab: 1 in the queue wait" in banner(app))
        assert "killed by signal 9" in banner(app)
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: asked == [lab])

    play(lab, story)


def test_a_log_that_cannot_be_read_is_words_and_the_watch_goes_on(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(lab)
    real, broken = Watcher.look, [False]

    def look(self: Watcher) -> object:
        if broken[0]:
            raise StoreError("journal/x.jsonl was written by a newer shrunk-tui.")
        return real(self)

    monkeypatch.setattr(Watcher, "look", look)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        broken[0] = True
        await until(pilot, lambda: "newer shrunk-tui" in banner(app))
        broken[0] = False
        await until(pilot, lambda: banner(app) == "" or "newer" not in banner(app))
        assert len(app.session.rows) == 5

    play(lab, story)


@pytest.mark.slow
def test_resized_again_and_again_while_every_curve_grows(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes from one cell to a wall, on every screen, while logs are written: what is drawn fits, nothing breaks."""
    runs = [born(lab, seed=i, name=f"live{i}", grid="live") for i in range(6)]
    for run in runs:
        write(run.events_file, started(at=time.time()), step(1), evaluated(1))
    over = threading.Event()

    def learn() -> None:
        update = 1
        while not over.wait(0.005):
            update += 1
            for run in runs:
                with open(run.events_file, "a") as file:
                    file.write(encode(step(update, 6 - update / (update + 300), at=time.time())) + "\n")
                    if update % 10 == 0:
                        file.write(encode(evaluated(update, 6 - update / (update + 300), at=time.time())) + "\n")

    rng = random.Random(4)
    writer = threading.Thread(target=learn)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        writer.start()
        try:
            for key in "1321674512":
                app.go({"1": "runs", "2": "design", "3": "run", "4": "scaling", "5": "tasks", "6": "sql",
                        "7": "system"}[key])  # fmt: skip
                for _ in range(4):
                    await pilot.resize_terminal(rng.choice((1, 12, 40, 80, 120, 200)), rng.choice((1, 6, 24, 40, 60)))
                    await pilot.pause(0.02)
                    for chart in app.query(LiveChart):
                        if chart.has_focus:
                            chart.action_zoom(0.6)
            app.go("runs")
            await pilot.resize_terminal(100, 30)
        finally:
            over.set()
            writer.join()
        await settle(pilot)
        chart = app.query_one("#runs-chart", LiveChart)
        await until(pilot, lambda: chart.picture is not None and chart.picture.codes.shape[1] == chart.size.width)
        assert chart.picture is not None and chart.picture.codes.shape[0] == chart.size.height
        assert "live0" in screen_text(app) and "? Help" in screen_text(app)
        assert all(len(line) <= 100 for line in screen_text(app).splitlines())
        assert app.focused is table(app)

    play(lab, story)
