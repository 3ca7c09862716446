"""Pictures of Runs and Run at three sizes and in ASCII over logs that never change, and what must be readable on them.

After a deliberate change: pytest tests/tui/test_pictures_of_screens.py --snapshot-update, and look at what changed.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from shrunk_tui.app import ShrunkApp
from shrunk_tui.session import LabSession
from shrunk_tui.widgets.live_chart import LiveChart

from .stage import fill, play, screen_text, settle, until

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ascii_only", [False, True], ids=["braille", "ascii"])
def test_runs(lab: Path, size: str, ascii_only: bool, snap_compare) -> None:
    fill(lab)
    app = ShrunkApp(LabSession(lab, ascii_only=ascii_only, stage=True), "runs")

    async def ready(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "validation loss" in screen_text(app), 20)
        await settle(pilot)
        text = screen_text(app)
        for word in ("H32", "H256", "progress", "validation loss, nats", "unigram", "Help", "Quit"):
            assert word in text, word
        if ascii_only:
            chart = app.query_one("#runs-chart").picture  # type: ignore[attr-defined]
            assert chart.codes.max() < 128

    assert snap_compare(app, terminal_size=SIZES[size], run_before=ready)


def charts_on(app: ShrunkApp) -> list[LiveChart]:
    """The charts that are on the screen."""
    return [chart for chart in app.query(LiveChart) if chart.is_on_screen and chart.size.area]


@pytest.mark.parametrize("size", SIZES)
def test_run(lab: Path, size: str, snap_compare) -> None:
    ids = fill(lab)
    app = ShrunkApp(LabSession(lab, stage=True), "runs")

    async def ready(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.session.looked and app.pane is not None, 20)
        await settle(pilot)
        app.go("run", run_id=ids[1])
        await until(pilot, lambda: ids[1] in screen_text(app) and "100/100" in screen_text(app), 20)
        await until(pilot, lambda: all(c.picture is not None and c.picture.window for c in charts_on(app)), 20)
        await settle(pilot)
        text = " ".join(screen_text(app).split())
        for word in (
            "H64",
            ids[1],
            "finished",
            "100/100",
            "perplexity",
            "loss, nats",
            "validation",
            "[settings]",
            "Diff",
        ):
            assert word in text, word
        if size != "80x24":
            for word in ("learning rate", "gradient norm", "tokens/s", "hidden_size"):
                assert word in text, word

    assert snap_compare(app, terminal_size=SIZES[size], run_before=ready)


def test_in_ascii_mode_every_sign_on_every_screen_is_ascii(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        def odd() -> set[str]:
            return {sign for sign in screen_text(app) if ord(sign) > 127}

        assert not odd()
        for key in "coD":
            await pilot.press(key)
            await settle(pilot)
            assert not odd(), key
            await pilot.press("escape")
        await pilot.press("question_mark")
        await settle(pilot)
        assert not odd(), "help"
        await pilot.press("escape")
        for name in ("design", "run", "scaling", "tasks", "sql", "system"):
            app.go(name)
            await settle(pilot)
            assert not odd(), name
            if name == "design":
                await pilot.press("i")
                await settle(pilot)
                assert not odd(), "iso"
                await pilot.press("escape")

    play(lab, story, size=(80, 24), ascii_only=True)
