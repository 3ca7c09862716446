"""Terminals that show few colours or none, or a light ground: what colours say is said by signs and words too."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.color import Color, ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as Ground
from textual.filter import LineFilter
from textual.pilot import Pilot

from shrunk_tui.app import ShrunkApp
from shrunk_tui.marks import LIGHT_PALETTE, PALETTE
from shrunk_tui.session import LabSession
from shrunk_tui.themes import LIGHT

from .stage import fill, legend, play, screen_text, settle, table, until

Snap = Callable[..., bool]
SIZE = (100, 30)


class SixteenColours(LineFilter):
    """What a terminal of sixteen colours makes of ours."""

    def apply(self, segments: list[Segment], background: Ground) -> list[Segment]:
        return [Segment(text, style and self._poorer(style), control) for text, style, control in segments]

    @staticmethod
    def _poorer(style: Style) -> Style:
        def near(colour: Color | None) -> Color | None:
            if colour is None or colour.is_default:
                return colour
            return Color.from_triplet(colour.downgrade(ColorSystem.STANDARD).get_truecolor())

        return style + Style(color=near(style.color), bgcolor=near(style.bgcolor))


async def said(app: ShrunkApp, pilot: Pilot[None]) -> None:
    """The standing of every run, its curve and the place of the cursor, without a look at a colour."""
    await until(pilot, lambda: "validation loss" in screen_text(app))
    await settle(pilot)
    text = screen_text(app)
    lines = {
        name: next(line for line in text.splitlines() if re.search(rf"\b{name}\b", line))
        for name in ("H32", "H128", "H256")
    }
    assert "✓" in lines["H32"] and "✗" in lines["H256"]
    assert not set("✓✗") & set(lines["H128"]), "neither finished nor failed"
    assert "[1 Runs]" in text
    names = [run.split()[0] for run in re.findall(r"[●■▲◆] (\S+)", legend(app.query_one("#runs-chart")))]  # type: ignore[arg-type]
    assert len(names) >= 2 and len(set(names)) == len(names), "a sign for each curve"


def under_cursor(app: ShrunkApp) -> Style:
    """How the name of the run under the cursor is written."""
    [row] = [
        n for n, line in enumerate(table(app).lines) if line.row is not None and line.row.run_id == table(app).cursor
    ]
    y = table(app).content_region.y + 1 + row
    strip = app.screen._compositor.render_strips()[y]
    return next(s.style for s in strip if s.text.strip().startswith(("✓ H32", "H32")) and s.style is not None)


def test_without_colours(lab: Path, monkeypatch: pytest.MonkeyPatch, snap_compare: Snap) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    fill(lab)
    app = ShrunkApp(LabSession(lab, stage=True), "runs")
    assert app.no_color

    async def ready(pilot: Pilot[None]) -> None:
        await said(app, pilot)
        strips = app.screen._compositor.render_strips()
        for style in (s.style for strip in strips for s in app_filtered(app, list(strip))):
            for colour in (style.color, style.bgcolor) if style else ():
                if colour is not None and colour.triplet is not None:
                    red, green, blue = colour.triplet
                    assert max(red, green, blue) - min(red, green, blue) <= 1, "grey"

    assert snap_compare(app, terminal_size=SIZE, run_before=ready)


def app_filtered(app: ShrunkApp, segments: list[Segment]) -> list[Segment]:
    for one in app._filters:
        if one.enabled:
            segments = one.apply(segments, app.screen.background_colors[1])
    return segments


def test_with_sixteen_colours(lab: Path, snap_compare: Snap) -> None:
    fill(lab)
    app = ShrunkApp(LabSession(lab, stage=True), "runs")
    app._filters.append(SixteenColours())

    async def ready(pilot: Pilot[None]) -> None:
        await said(app, pilot)

    assert snap_compare(app, terminal_size=SIZE, run_before=ready)


def test_in_the_light_theme(lab: Path, snap_compare: Snap) -> None:
    fill(lab)
    session = LabSession(lab, stage=True)
    session.state.set("app.theme", LIGHT.name)
    app = ShrunkApp(session, "runs")

    async def ready(pilot: Pilot[None]) -> None:
        await said(app, pilot)
        used = {s.style.color.triplet for strip in app.screen._compositor.render_strips() for s in strip
                if s.style and s.style.color and s.style.color.triplet}  # fmt: skip
        assert {LIGHT_PALETTE[0], LIGHT_PALETTE[1]} <= used
        assert not {PALETTE[0], PALETTE[1]} & used, "colours for a dark ground"

    assert snap_compare(app, terminal_size=SIZE, run_before=ready)


def test_the_place_of_the_cursor_and_of_the_focus_need_no_colour(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        assert table(app).has_focus and under_cursor(app).reverse
        await pilot.press("tab")
        await settle(pilot)
        assert not table(app).has_focus and under_cursor(app).underline and not under_cursor(app).reverse

    play(lab, story)


def test_a_terminal_of_sixteen_colours_is_sent_no_others(lab: Path) -> None:
    """The real thing, under a pseudo-terminal: TERM=xterm without COLORTERM."""
    fill(lab)
    pid, fd = pty.fork()
    if pid == 0:
        for name in ("COLORTERM", "NO_COLOR", "TERM_PROGRAM", "TEXTUAL_COLOR_SYSTEM"):
            os.environ.pop(name, None)
        os.environ |= {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        command = [sys.executable, "-P", "-m", "shrunk_tui.cli.start", "--lab", str(lab)]
        os.execv(command[0], command)
    text, until_ = b"", time.monotonic() + 40
    try:
        while b"H256" not in text and time.monotonic() < until_:
            if select.select([fd], [], [], 0.2)[0]:
                text += os.read(fd, 65536)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)
    assert b"H256" in text
    codes = re.findall(rb"\x1b\[([0-9;]*)m", text)
    assert any(re.search(rb"(^|;)[39][0-7](;|$)", code) for code in codes), "colours, of the sixteen"
    assert not [code for code in codes if re.search(rb"[34]8;[25]", code)]


def test_chosen_and_not_chosen_columns_differ_by_a_sign(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        await pilot.press("c")
        await settle(pilot)
        lines = screen_text(app).splitlines()
        assert "X" in next(line for line in lines if "FLOPs (flops)" in line)
        assert "X" not in next(line for line in lines if "id (run_id)" in line)

    play(lab, story)
