"""The form of the Design screen: one line a setting, its value or the chips of its axis; and a line to type into."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ..design_form import FormRow

LABEL = 19


class _Line(Input):
    BINDINGS = [Binding("escape", "leave", "Leave as it was")]

    class Leave(Message):
        """Esc: what was typed is forgotten."""

    def action_leave(self) -> None:
        self.post_message(self.Leave())


class SettingList(Vertical):
    """Lines of settings above, what the chosen one means below, and the input while one is edited."""

    DEFAULT_CSS = """
    SettingList { width: 1fr; height: 1fr; }
    SettingList > OptionList { height: 1fr; border: round $panel; padding: 0; background: $background;
                               scrollbar-size-vertical: 1; }
    SettingList > OptionList:focus { border: round $primary; }
    SettingList > #setting-words { height: auto; max-height: 4; padding: 0 1; color: $text-muted; }
    SettingList > #setting-words.-error { color: $text-error; }
    SettingList > Input { display: none; height: 3; border: round $primary; }
    SettingList.-editing > Input { display: block; }
    """

    class Chosen(Message):
        """Another line is under the cursor."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class Edit(Message):
        """Enter on a line."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class Typed(Message):
        """Text was entered for a setting."""

        def __init__(self, key: str, text: str) -> None:
            super().__init__()
            self.key, self.text = key, text

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: list[FormRow] = []
        self.editing = ""

    def compose(self) -> ComposeResult:
        yield OptionList(id="setting-lines")
        yield Static("", id="setting-words", markup=False)
        yield _Line()

    @property
    def lines(self) -> OptionList:
        return self.query_one(OptionList)

    @property
    def key(self) -> str:
        """The setting under the cursor, or nothing."""
        at = self.lines.highlighted
        return self.rows[at].key if at is not None and at < len(self.rows) else ""

    def show(self, rows: Sequence[FormRow]) -> None:
        """Show these lines. The cursor stays on its setting."""
        before = self.key
        old, self.rows = self.rows, list(rows)
        if [r.key for r in old] == [r.key for r in rows] and [r.label for r in old] == [r.label for r in rows]:
            for i, (was, row) in enumerate(zip(old, rows, strict=True)):
                if was != row:
                    self.lines.replace_option_prompt_at_index(i, _prompt(row))
            return
        self.lines.clear_options()
        self.lines.add_options(Option(_prompt(row), disabled=not row.key) for row in rows)
        keys = [r.key for r in rows]
        first = next((i for i, k in enumerate(keys) if k), 0)  # a heading has no key, and cannot be chosen
        self.lines.highlighted = keys.index(before) if before and before in keys else first

    def say(self, text: str, *, error: bool = False) -> None:
        words = self.query_one("#setting-words", Static)
        words.set_class(error, "-error")
        words.update(text)

    # ------------------------------------------------------------------ editing

    def edit(self, key: str, text: str) -> None:
        """Open the input on a setting."""
        self.editing = key
        line = self.query_one(_Line)
        line.border_title = key
        line.value = text
        line.cursor_position = len(text)
        self.add_class("-editing")
        line.focus()

    def done(self) -> None:
        """Close the input."""
        self.editing = ""
        self.remove_class("-editing")
        self.lines.focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Typed(self.editing, event.value))

    @on(_Line.Leave)
    def _left(self) -> None:
        key = self.editing
        self.done()
        self.post_message(self.Chosen(key))

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.post_message(self.Chosen(self.key))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if self.key:
            self.post_message(self.Edit(self.key))


def _prompt(row: FormRow) -> Content:
    if not row.key:
        return Content.styled(row.label, "bold")
    label = f" {row.label:<{LABEL}} "
    if row.chips:
        parts: list[Content | tuple[str, str]] = [Content(label)]
        for chip in row.chips:
            parts += [(f"[{chip}]", "bold $accent"), Content(" ")]
        return Content.assemble(*parts)
    return Content.assemble(label, (row.value, "dim" if row.silent else "bold"))
