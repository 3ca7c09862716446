"""A SQL editor: highlighting, and a list of what could stand at the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual import events, on
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, TextArea
from textual.widgets.option_list import Option

if TYPE_CHECKING:
    from shrunk_core.store.completion import Catalog, Name

SIGNS = {"view": "V", "column": "c", "function": "f", "keyword": "k"}
MOST_SHOWN = 8


class Suggestions(OptionList, can_focus=False):
    """The list over the editor. The keys are the editor's."""

    DEFAULT_CSS = """
    Suggestions { display: none; overlay: screen; constrain: inside inflect; width: auto; min-width: 24; max-width: 76;
                  height: auto; max-height: 8; border: none; padding: 0; background: $panel; scrollbar-size-vertical: 1; }
    Suggestions.-open { display: block; }
    """


class SqlEditor(TextArea):
    """Tab takes the suggestion, Up and Down choose, Esc closes the list and then leaves the editor."""

    BINDINGS = [
        Binding("ctrl+at,ctrl+space", "suggest", "Complete", key_display="^space", show=False),
    ]
    DEFAULT_CSS = """
    SqlEditor { height: 1fr; border: round $panel; padding: 0; }
    SqlEditor:focus { border: round $primary; }
    """

    class Left(Message):
        """Esc was pressed with no list open: the focus should go elsewhere."""

    def __init__(self, text: str, *, id: str | None = None) -> None:
        super().__init__(
            text, language="sql", theme="css", soft_wrap=True, tab_behavior="focus", show_line_numbers=False,
            highlight_cursor_line=False,  # with 16 colours or none its ground is the colour of a comment
            id=id,
        )  # fmt: skip
        self.catalog: Catalog | None = None
        self.suggestions = Suggestions()
        self._names: list[Name] = []
        self._typing = False

    def on_mount(self) -> None:
        self.screen.mount(self.suggestions)
        self._take_theme()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._take_theme())

    def _take_theme(self) -> None:
        """Colours of the highlighting that suit the ground, and can be read as shades of grey too."""
        self.theme = "vscode_dark" if self.app.current_theme.dark else "github_light"

    # ------------------------------------------------------------------ suggestions

    @property
    def is_open(self) -> bool:
        return self.suggestions.has_class("-open")

    def close(self) -> None:
        self.suggestions.remove_class("-open")

    def action_suggest(self) -> None:
        """Show what could stand here, even with nothing typed yet."""
        self._suggest(asked=True)

    def _offset(self) -> int:
        """The cursor's place in the text."""
        row, column = self.cursor_location
        return sum(len(line) + 1 for line in self.document.lines[:row]) + column

    def _suggest(self, *, asked: bool = False) -> None:
        from shrunk_core.store.completion import complete, word_before

        if self.catalog is None:
            return
        at = self._offset()
        word = word_before(self.text, at)
        self._names = complete(self.text, at, self.catalog)
        if not self._names or not (asked or word or self.text[:at].endswith(".")):
            self.close()
            return
        width = max(cell_len(n.text) for n in self._names)
        self.suggestions.clear_options()
        self.suggestions.add_options(
            Option(Content.assemble(f"{SIGNS[n.kind]} {n.text:<{width}} ", (n.note.split("\n")[0][:60], "dim")))
            for n in self._names
        )
        self.suggestions.highlighted = 0
        place = self.cursor_screen_offset
        self.suggestions.styles.offset = (max(0, place.x - len(word) - 2), place.y + 1)
        self.suggestions.add_class("-open")

    def _take(self) -> None:
        from shrunk_core.store.completion import word_before

        chosen = self._names[self.suggestions.highlighted or 0]
        word = word_before(self.text, self._offset())
        row, column = self.cursor_location
        self.close()
        self.replace(chosen.text, (row, column - len(word)), (row, column))

    @on(TextArea.Changed)
    def _changed(self) -> None:
        if self._typing and self.has_focus:
            self._suggest()
        else:
            self.close()
        self._typing = False

    @on(TextArea.SelectionChanged)
    def _moved(self) -> None:
        if self.is_open and not self._typing:
            self.close()

    def on_blur(self) -> None:
        self.close()

    async def _on_key(self, event: events.Key) -> None:
        self._typing = event.is_printable or event.key in ("backspace", "ctrl+h")
        if self.is_open and event.key in ("tab", "up", "down", "escape"):
            event.stop()
            event.prevent_default()
            if event.key == "tab":
                self._take()
            elif event.key == "escape":
                self.close()
            else:
                (self.suggestions.action_cursor_up if event.key == "up" else self.suggestions.action_cursor_down)()
            return
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self.post_message(self.Left())
            return
        await super()._on_key(event)
