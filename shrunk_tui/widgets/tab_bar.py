"""The line at the top: the tabs with their keys, and which lab this is."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from ..screens.tabs import TABS


class TabBar(Widget):
    """One line. The tab in front is reversed and bracketed, so that it shows without colours too."""

    DEFAULT_CSS = """
    TabBar { height: 1; width: 1fr; background: $panel; color: $foreground; }
    """

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, tab: str) -> None:
            super().__init__()
            self.tab = tab

    def __init__(self, lab: str, note: str = "") -> None:
        super().__init__(id="tab-bar")
        self.lab, self.note, self.active = lab, note, ""
        self._spans: list[tuple[int, int, str]] = []

    def activate(self, tab: str) -> None:
        self.active = tab
        self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return 1

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        segments: list[Segment] = []
        self._spans, at = [], 0
        narrow = self.size.width < 76
        for tab in TABS:
            front = tab.name == self.active
            text = f"[{tab.key} {tab.title}]" if front else f" {tab.key} {tab.title} "
            if narrow and not front:
                text = f" {tab.key} {tab.title[:4]} "
            style = base + Style(bold=front, reverse=front)
            segments.append(Segment(text, style))
            self._spans.append((at, at + cell_len(text), tab.name))
            at += cell_len(text)
        room = self.size.width - at
        right = f"{self.lab} {self.note}".strip() + " "
        if cell_len(right) > room:
            right = self.note + " " if self.note and cell_len(self.note) < room else ""
        segments.append(Segment(right.rjust(max(0, room)), base + Style(dim=not self.note)))
        return Strip(segments).crop(0, self.size.width)

    def on_click(self, event: Click) -> None:
        for start, end, name in self._spans:
            if start <= event.x < end:
                self.post_message(self.Chosen(name))
