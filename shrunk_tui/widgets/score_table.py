"""A matrix of scores with a cursor on a cell: numbers on a shade by rank in their column; the models stay in sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.color import Color as Shade
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

SPACE = 1
STRONGEST = 0.45
"""Share of the heat colour in a column's best cell: the number must stand out on it."""


@dataclass(frozen=True, kw_only=True)
class ScoreCell:
    """text: the number in full. heat: 0 for the column's lowest score to 1 for its highest; None for no score."""

    text: str
    heat: float | None = None


class ScoreTable(ScrollView, can_focus=True):
    """Rows with a name and cells under headings; columns that find no room are reached with the arrows."""

    BINDINGS = [
        Binding("up,k", "move(-1, 0)", "Up", show=False),
        Binding("down,j", "move(1, 0)", "Down", show=False),
        Binding("left,h", "move(0, -1)", "Left", show=False),
        Binding("right,l", "move(0, 1)", "Right", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "move(-1000000, 0)", "First", show=False),
        Binding("end", "move(1000000, 0)", "Last", show=False),
    ]
    DEFAULT_CSS = """
    ScoreTable { width: 1fr; height: 1fr; border: round $panel; overflow-x: hidden; scrollbar-size-vertical: 1; }
    ScoreTable:focus { border: round $primary; }
    """

    class Moved(Message):
        """The cursor is on another cell."""

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.ascii = ascii_only
        self.headings: list[str] = []
        self.names: list[str] = []
        self.cells: list[list[ScoreCell]] = []
        self.row, self.column = 0, 0
        self._first = 0

    def show(self, headings: Sequence[str], names: Sequence[str], cells: Sequence[Sequence[ScoreCell]]) -> None:
        """Show these; nothing is drawn when they are what is shown."""
        new = list(headings), list(names), [list(row) for row in cells]
        if new == (self.headings, self.names, self.cells):
            return
        self.headings, self.names, self.cells = new
        self.virtual_size = Size(self.size.width, len(self.names) + 1)
        self.put(self.row, self.column)
        self.refresh()

    def put(self, row: int, column: int) -> None:
        """Move the cursor to a cell and bring it into view."""
        row = max(0, min(row, len(self.names) - 1))
        column = max(0, min(column, len(self.headings) - 1))
        moved = (row, column) != (self.row, self.column)
        self.row, self.column = row, column
        top, room = int(self.scroll_offset.y), max(1, self.size.height - 1)
        if row < top or row >= top + room:
            self.scroll_to(y=row if row < top else row - room + 1, animate=False)
        self._first = min(self._first, column)
        while self._first < column and column not in self._visible():
            self._first += 1
        self.refresh()
        if moved:
            self.post_message(self.Moved())

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.names) + 1)
        self._first = 0
        self.put(self.row, self.column)

    def watch_has_focus(self, value: bool) -> None:
        super().watch_has_focus(value)
        self.refresh()

    # ------------------------------------------------------------------ drawing

    def _name_width(self) -> int:
        longest = max([cell_len("model"), *(cell_len(name) for name in self.names)])
        return min(longest, max(12, self.size.width * 2 // 5))

    def _width(self, column: int) -> int:
        return max([cell_len(self.headings[column]), *(cell_len(row[column].text) for row in self.cells)])

    def _visible(self) -> list[int]:
        """Columns from the first one shown that have room; at least one."""
        room = self.size.width - self._name_width() - 3
        out: list[int] = []
        for column in range(self._first, len(self.headings)):
            room -= self._width(column) + SPACE + 1
            if room < 0 and out:
                break
            out.append(column)
        return out

    def render_line(self, y: int) -> Strip:
        base, width = self.rich_style, self.size.width
        at = int(self.scroll_offset.y) + y - 1
        visible, name_width = self._visible(), self._name_width()
        if y == 0:
            bold = base + Style(bold=True)
            less, more = ("<", ">") if self.ascii else ("‹", "›")
            segments = [Segment(self._fit("model", name_width), bold)]
            segments.append(Segment(less if self._first else " ", bold))
            for column in visible:
                style = bold + Style(underline=column == self.column)
                segments += [Segment(" " * SPACE, base), Segment(self._right(self.headings[column], column), style)]
            hidden = bool(visible) and visible[-1] < len(self.headings) - 1
            segments.append(Segment(f" {more}" if hidden else "", bold))
            return Strip(segments).adjust_cell_length(width, base)
        if at >= len(self.names):
            return Strip.blank(width, base)
        name_style = base + Style(bold=at == self.row, underline=at == self.row and not self.has_focus)
        segments = [Segment(self._fit(self.names[at], name_width) + " ", name_style)]
        for column in visible:
            cell = self.cells[at][column]
            style = base + self._shade(cell)
            if (at, column) == (self.row, self.column):
                style += Style(reverse=True) if self.has_focus else Style(underline=True, bold=True)
            segments += [Segment(" " * SPACE, base), Segment(self._right(cell.text, column), style)]
        return Strip(segments).adjust_cell_length(width, base)

    def _shade(self, cell: ScoreCell) -> Style:
        if cell.heat is None:
            return Style(dim=True)
        theme = self.app.theme_variables
        ground = Shade.parse(theme["background"])
        red, green, blue = ground.blend(Shade.parse(theme["primary"]), STRONGEST * cell.heat).rgb
        return Style(bgcolor=Color.from_rgb(red, green, blue))

    def _fit(self, text: str, width: int) -> str:
        if cell_len(text) > width:
            return set_cell_size(text, max(0, width - 1)) + ("~" if self.ascii else "…")
        return set_cell_size(text, width)

    def _right(self, text: str, column: int) -> str:
        return " " * max(0, self._width(column) - cell_len(text)) + text + " "

    # ------------------------------------------------------------------ cursor

    def action_move(self, rows: int, columns: int) -> None:
        self.put(self.row + rows, self.column + columns)

    def action_page(self, by: int) -> None:
        self.put(self.row + by * max(1, self.size.height - 2), self.column)

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None or at.y == 0:
            return
        x, column = self._name_width() + 1, self.column
        for one in self._visible():
            if at.x >= x:
                column = one
            x += self._width(one) + SPACE + 1
        self.put(int(self.scroll_offset.y) + at.y - 1, column)
