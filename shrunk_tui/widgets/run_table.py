"""The table of runs: thousands of lines cost what is on the screen; a line is drawn again only when it changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ..columns import BY_NAME, Column, status_sign
from ..marks import colour_of, glyph_of
from ..run_rows import Listed, Order

SPACE = 2
MARGIN = 4
"""Signs before the name: in the chart, marked, status."""
PROGRESS_CELLS = 8


class RunTable(ScrollView, can_focus=True):
    """Shows `Listed` lines. The cursor stays on its run when lines come, go or move."""

    BINDINGS = [
        Binding("up,k", "cursor(-1)", "Up", show=False),
        Binding("down,j", "cursor(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "cursor(-1000000)", "First", show=False),
        Binding("end,G", "cursor(1000000)", "Last", show=False),
    ]
    DEFAULT_CSS = """
    RunTable { width: 1fr; height: 1fr; border: round $panel; overflow-x: hidden; scrollbar-size-vertical: 1; }
    RunTable:focus { border: round $primary; }
    """

    class Moved(Message):
        """The cursor is on another run (or on none)."""

    class Opened(Message):
        """A run was chosen with the mouse (a second click on it)."""

    class HeaderClicked(Message):
        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.ascii = ascii_only
        self.lines: list[Listed] = []
        self.columns: list[str] = []
        self.order = Order()
        self.numbers: Mapping[str, int] = {}
        """Colours of the runs that are in the chart, by run id."""
        self.marked: set[str] = set()
        self.cursor = ""
        """run_id of the cursor's line."""
        self._layout: list[tuple[Column, int]] = []
        self.wanted_width = 0
        """Cells that all chosen columns with something in them would take."""
        self._texts: dict[str, tuple[Mapping[str, Any], dict[str, str]]] = {}
        """What a run's values look like, for as long as they are the same values."""
        self._shown: dict[int, tuple[Any, ...]] = {}

    # ------------------------------------------------------------------ data

    def show(self, lines: Sequence[Listed], columns: Sequence[str], order: Order) -> None:
        """Show these lines; only those that look other than before are drawn."""
        anew = len(lines) != len(self.lines) or list(columns) != self.columns or order != self.order
        self.lines, self.columns, self.order = list(lines), list(columns), order
        runs = self.run_ids()
        for run_id in self._texts.keys() - set(runs):
            del self._texts[run_id]
        was = self.cursor
        if self.cursor not in runs:
            self.cursor = runs[0] if runs else ""
        layout = self._lay_out()
        anew = anew or [w for _, w in layout] != [w for _, w in self._layout]
        self._layout = layout
        self.virtual_size = Size(self.size.width, len(self.lines) + 1)
        self._refresh_lines(anew)
        if was != self.cursor:
            self.post_message(self.Moved())

    def paint(self, numbers: Mapping[str, int], marked: set[str]) -> None:
        """Which runs are in the chart, under which number, and which are marked."""
        self.numbers, self.marked = dict(numbers), set(marked)
        self._refresh_lines(False)

    def run_ids(self) -> list[str]:
        return [line.row.run_id for line in self.lines if line.row is not None]

    def _refresh_lines(self, anew: bool) -> None:
        if anew:
            self._shown.clear()
            self.refresh()
            return
        top = int(self.scroll_offset.y)
        for y in range(self.size.height):
            content = self._content(y, top)
            if self._shown.get(y) != content:
                self.refresh(Region(0, y, self.size.width, 1))

    def _content(self, y: int, top: int) -> tuple[Any, ...]:
        """What decides the look of a screen line."""
        if y == 0:
            return ("header", self.order)
        at = top + y - 1
        if at >= len(self.lines):
            return ("blank",)
        line = self.lines[at]
        if line.row is None:
            return ("heading", line.heading)
        run_id = line.row.run_id
        cells = tuple(self._text(column, line) for column, _ in self._layout)
        return (run_id, line.row.status.status, cells, run_id == self.cursor, self.numbers.get(run_id),
                run_id in self.marked, self.has_focus)  # fmt: skip

    # ------------------------------------------------------------------ layout

    def _text(self, column: Column, line: Listed) -> str:
        assert line.row is not None
        kept = self._texts.get(line.row.run_id)
        if kept is None or kept[0] is not line.values:
            kept = self._texts[line.row.run_id] = (line.values, {})
        if column.name not in kept[1]:
            value = line.values.get(column.name)
            known = (
                self._bar(value or 0.0) if column.name == "progress" else "-" if value is None else column.show(value)
            )
            kept[1][column.name] = known
        return kept[1][column.name]

    def _bar(self, share: float) -> str:
        if share >= 1.0:
            return "100%".rjust(PROGRESS_CELLS + 5)
        full = int(share * PROGRESS_CELLS)
        on, off = ("=", ".") if self.ascii else ("━", "╌")
        return f"{on * full}{off * (PROGRESS_CELLS - full)} {share:4.0%}"

    def _widths(self) -> dict[str, int]:
        """The widest cell of each chosen column that says something of any run."""
        chosen = [BY_NAME[c] for c in self.columns if c in BY_NAME] or [BY_NAME["name"]]
        runs = [line for line in self.lines if line.row is not None]
        said = [c for c in chosen if any(line.values.get(c.name) not in (None, "") for line in runs)] or chosen
        return {
            c.name: max(max((cell_len(self._text(c, line)) for line in runs), default=1), len(c.title) + 1)
            for c in said
        }

    def _lay_out(self) -> list[tuple[Column, int]]:
        """Columns and widths that fit: columns of least worth go first, then the name gets what is left."""
        widths = self._widths()
        self.wanted_width = MARGIN + sum(width + SPACE for width in widths.values())
        kept = [BY_NAME[c] for c in widths]
        room = self.size.width - MARGIN
        narrowest = {c.name: min(widths[c.name], 22) if c.name == "name" else widths[c.name] for c in kept}
        while len(kept) > 1 and sum(narrowest[c.name] + SPACE for c in kept) > room:
            kept.remove(min(kept, key=lambda c: c.worth))
        spare = room - sum(narrowest[c.name] + SPACE for c in kept)
        return [
            (c, min(widths[c.name], narrowest[c.name] + max(0, spare)) if c.name == "name" else narrowest[c.name])
            for c in kept
        ]

    def on_resize(self) -> None:
        self._layout = self._lay_out()
        self.virtual_size = Size(self.size.width, len(self.lines) + 1)
        self._shown.clear()
        self.refresh()

    def watch_has_focus(self, value: bool) -> None:
        super().watch_has_focus(value)
        self._refresh_lines(False)

    # ------------------------------------------------------------------ drawing

    def render_line(self, y: int) -> Strip:
        top = int(self.scroll_offset.y)
        self._shown[y] = self._content(y, top)
        base, width = self.rich_style, self.size.width
        if y == 0:
            return Strip(self._header(base)).adjust_cell_length(width, base)
        at = top + y - 1
        if at >= len(self.lines):
            return Strip.blank(width, base)
        line = self.lines[at]
        if line.row is None:
            style = base + Style(bold=True, dim=True)
            return Strip([Segment(line.heading, style)]).adjust_cell_length(width, base)
        return Strip(self._run(line, base)).adjust_cell_length(width, base)

    def _header(self, base: Style) -> list[Segment]:
        out = [Segment("    ", base)]
        arrow = {False: "^" if self.ascii else "▲", True: "v" if self.ascii else "▼"}
        for column, width in self._layout:
            sorting = column.name == self.order.column
            title = column.title + (arrow[self.order.descending] if sorting else "")
            text = title.rjust(width) if column.right else title.ljust(width)
            out.append(Segment(set_cell_size(text, width) + " " * SPACE, base + Style(bold=True, underline=sorting)))
        return out

    def _run(self, line: Listed, base: Style) -> list[Segment]:
        assert line.row is not None
        run_id, status = line.row.run_id, line.row.status.status
        dark = self.app.current_theme.dark
        here = run_id == self.cursor
        style = base + (Style(reverse=True) if here and self.has_focus else Style(underline=here or None))
        sign_style = style
        if status in ("failed", "running"):
            theme = self.app.theme_variables
            sign_style = style + Style(color=theme["error" if status == "failed" else "success"], bold=True)
        number = self.numbers.get(run_id)
        mark = " " if number is None else glyph_of(number, self.ascii)
        mark_style = (
            base if number is None else base + Style(color="rgb({},{},{})".format(*colour_of(number, dark)), bold=True)
        )
        pin = ("*" if self.ascii else "✓") if run_id in self.marked else " "
        out = [
            Segment(mark, mark_style),
            Segment(pin, base + Style(bold=True)),
            Segment(status_sign(status, self.ascii), sign_style),
            Segment(" ", style),
        ]
        for column, width in self._layout:
            text = self._text(column, line)
            if cell_len(text) > width:
                text = text[: max(0, width - 1)] + ("~" if self.ascii else "…")
            padded = text.rjust(width) if column.right else text
            out.append(Segment(set_cell_size(padded, width) + " " * SPACE, style))
        return out

    # ------------------------------------------------------------------ cursor

    def action_cursor(self, by: int) -> None:
        runs = self.run_ids()
        if not runs:
            return
        at = runs.index(self.cursor) if self.cursor in runs else 0
        self.put_cursor(runs[max(0, min(len(runs) - 1, at + by))])

    def action_page(self, by: int) -> None:
        self.action_cursor(by * max(1, self.size.height - 2))

    def put_cursor(self, run_id: str) -> None:
        """Move the cursor to a run and bring it into view."""
        if run_id not in self.run_ids():
            return
        moved, self.cursor = run_id != self.cursor, run_id
        at = next(i for i, line in enumerate(self.lines) if line.row is not None and line.row.run_id == run_id)
        top, room = int(self.scroll_offset.y), max(1, self.size.height - 1)
        if at == 1 and self.lines[0].row is None:
            at = 0  # with the heading above the first run
        if at < top or at >= top + room:
            self.scroll_to(y=at if at < top else at - room + 1, animate=False)
        self._refresh_lines(False)
        if moved:
            self.post_message(self.Moved())

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            at = 4
            for column, width in self._layout:
                if at <= offset.x < at + width + SPACE:
                    self.post_message(self.HeaderClicked(column.name))
                at += width + SPACE
            return
        line = int(self.scroll_offset.y) + offset.y - 1
        if line < len(self.lines) and (row := self.lines[line].row) is not None:
            if event.chain >= 2:
                self.post_message(self.Opened())
            self.put_cursor(row.run_id)
