"""A table of text cells with a cursor: what is not on the screen costs nothing, columns of least worth give way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

SPACE = 2


@dataclass(frozen=True, kw_only=True)
class Heading:
    """One column. worth: which give way first when there is no room (the smallest); right: numbers."""

    title: str
    right: bool = False
    worth: int = 10


@dataclass(frozen=True, kw_only=True)
class Cells:
    """One row. tone: "" usual, "dim", "error", "success": a colour of the theme beside the words that say the same."""

    cells: tuple[str, ...]
    tone: str = ""


class PlainTable(ScrollView, can_focus=True):
    """Shows `Cells`. The cursor stays on its row number when rows change."""

    BINDINGS = [
        Binding("up,k", "cursor(-1)", "Up", show=False),
        Binding("down,j", "cursor(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "cursor(-1000000)", "First", show=False),
        Binding("end", "cursor(1000000)", "Last", show=False),
    ]
    DEFAULT_CSS = """
    PlainTable { width: 1fr; height: 1fr; border: round $panel; overflow-x: hidden; scrollbar-size-vertical: 1; }
    PlainTable:focus { border: round $primary; }
    """

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, table: PlainTable) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> PlainTable:
            return self.table

    def __init__(self, headings: Sequence[Heading], *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.headings = list(headings)
        self.ascii = ascii_only
        self.rows: list[Cells] = []
        self.cursor = 0
        self.empty = ""
        """What stands there when there are no rows."""
        self._layout: list[tuple[int, int]] = []

    def show(self, rows: Sequence[Cells], headings: Sequence[Heading] | None = None) -> None:
        """Show these rows; nothing is drawn when they are the ones that are shown."""
        if list(rows) == self.rows and (headings is None or list(headings) == self.headings):
            return
        self.rows = list(rows)
        self.headings = list(headings) if headings is not None else self.headings
        self.cursor = max(0, min(self.cursor, len(self.rows) - 1))
        self._lay_out()
        self.refresh()

    def _lay_out(self) -> None:
        """Columns and widths that fit. Columns that are empty in every row are left out."""
        widths = [
            max([cell_len(h.title), *(cell_len(r.cells[i]) for r in self.rows)]) for i, h in enumerate(self.headings)
        ]
        kept = [i for i in range(len(self.headings)) if not self.rows or any(r.cells[i] for r in self.rows)]
        room = self.size.width
        while len(kept) > 1 and sum(widths[i] + SPACE for i in kept) - SPACE > room:
            over = sum(widths[i] + SPACE for i in kept) - SPACE - room
            last = kept[-1]
            if not self.headings[last].right and widths[last] - over >= 12:
                widths[last] -= over  # text at the end is cut before a number is left out
                break
            kept.remove(min(kept, key=lambda i: self.headings[i].worth))
        self._layout = [(i, min(widths[i], max(1, room))) for i in kept]
        self.virtual_size = Size(room, len(self.rows) + 1)

    def on_resize(self) -> None:
        self._lay_out()
        self.refresh()

    def watch_has_focus(self, value: bool) -> None:
        super().watch_has_focus(value)
        self.refresh()

    # ------------------------------------------------------------------ drawing

    def render_line(self, y: int) -> Strip:
        base, width = self.rich_style, self.size.width
        if y == 0:
            bold = base + Style(bold=True)
            texts = [h.title for h in self.headings]
            return Strip(self._segments(texts, bold)).adjust_cell_length(width, bold)
        at = int(self.scroll_offset.y) + y - 1
        if not self.rows and y == 1 and self.empty:
            return Strip([Segment(self.empty, base + Style(dim=True))]).adjust_cell_length(width, base)
        if at >= len(self.rows):
            return Strip.blank(width, base)
        row = self.rows[at]
        style = base
        if row.tone == "dim":
            style += Style(dim=True)
        elif row.tone:
            style += Style(color=self.app.theme_variables[row.tone])
        if at == self.cursor:
            style += Style(reverse=True) if self.has_focus else Style(underline=True)
        return Strip(self._segments(row.cells, style)).adjust_cell_length(width, style if at == self.cursor else base)

    def _segments(self, texts: Sequence[str], style: Style) -> list[Segment]:
        out = []
        for i, width in self._layout:
            text = texts[i]
            if cell_len(text) > width:
                text = set_cell_size(text, max(0, width - 1)) + ("~" if self.ascii else "…")
            text = " " * max(0, width - cell_len(text)) + text if self.headings[i].right else text
            out.append(Segment(set_cell_size(text, width) + " " * SPACE, style))
        return out

    # ------------------------------------------------------------------ cursor

    def action_cursor(self, by: int) -> None:
        self.put_cursor(self.cursor + by)

    def action_page(self, by: int) -> None:
        self.put_cursor(self.cursor + by * max(1, self.size.height - 2))

    def put_cursor(self, row: int) -> None:
        """Move the cursor and bring it into view."""
        row = max(0, min(row, len(self.rows) - 1))
        moved, self.cursor = row != self.cursor, row
        top, room = int(self.scroll_offset.y), max(1, self.size.height - 1)
        if row < top or row >= top + room:
            self.scroll_to(y=row if row < top else row - room + 1, animate=False)
        self.refresh()
        if moved:
            self.post_message(self.Moved(self))

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is not None and at.y > 0:
            self.put_cursor(int(self.scroll_offset.y) + at.y - 1)
