"""`?`: what the screen in front is for, its keys, its headless twin."""

from __future__ import annotations

import re

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ..widgets.key_bar import shown_key
from ..widgets.live_chart import LiveChart
from .pane import Pane


class HelpScreen(ModalScreen[None]):
    """A page over the screen; any of the keys that opened or close things closes it."""

    BINDINGS = [("escape,question_mark,q,f1", "dismiss(None)", "Close")]

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll { width: 90%; max-width: 100; height: auto; max-height: 90%; padding: 1 2;
                                  background: $surface; border: round $primary; }
    """

    def __init__(self, pane: Pane | None) -> None:
        super().__init__()
        self.pane = pane

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(self.page(), id="help-page")

    def page(self) -> Content:
        """The help of the pane in front, then the keys that work everywhere."""
        parts: list[Content | tuple[str, str]] = []
        if self.pane is not None:
            words = re.sub(r"(?<!\n)\n(?!\n)", " ", self.pane.help_text.strip())  # lines as the terminal folds them
            parts += [(f"{self.pane.title}\n", "bold $primary"), Content(f"{words}\n\n")]
            if self.pane.twin:
                parts += [Content("Without the screen: "), (self.pane.twin, "bold"), Content("\n\n")]
            keys = keys_of(self.pane)
            if keys:
                parts += [("Keys here\n", "bold"), *lines_of(keys), Content("\n")]
            if self.pane.query(LiveChart):
                keys = [(shown_key(b.key_display or b.key), b.description) for b in LiveChart.BINDINGS]
                parts += [("Keys in a chart\n", "bold"), *lines_of(keys), Content("\n")]
        everywhere = [(shown_key(b.key), b.description) for _, b in self.app._bindings if b.description]
        parts += [("Keys everywhere\n", "bold"), *lines_of(everywhere)]
        parts.append(
            Content(
                "\nTab and Shift+Tab move between the parts of a screen; the mouse works everywhere. esc closes this."
            )
        )
        return Content.assemble(*parts)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()


def keys_of(pane: Pane) -> list[tuple[str, str]]:
    """All keys of a pane, those that the footer leaves out as well."""
    return [(shown_key(b.key_display or b.key), b.description) for _, b in pane._bindings if b.description]


def lines_of(keys: list[tuple[str, str]]) -> list[Content]:
    """One line a description, its keys together."""
    by_text: dict[str, list[str]] = {}
    for key, text in keys:
        by_text.setdefault(text, []).append(key)
    return [Content(f"  {' '.join(dict.fromkeys(k)):<14} {text}\n") for text, k in by_text.items()]
