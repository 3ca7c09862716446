"""The keys that work now, at the bottom. It folds into as many lines as it needs, so that no key is cut off."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.dom import DOMNode
from textual.events import Click, Resize
from textual.strip import Strip
from textual.widget import Widget

MOST_LINES = 3
NAMES = {
    "question_mark": "?", "ctrl+p": "^p", "ctrl+q": "^q", "ctrl+c": "^c", "space": "space", "escape": "esc",
    "enter": "enter", "slash": "/", "full_stop": ".", "comma": ",", "plus": "+", "minus": "-", "left_square_bracket": "[",
    "right_square_bracket": "]", "less_than_sign": "<", "greater_than_sign": ">", "equals_sign": "=",
    "underscore": "_", "exclamation_mark": "!", "asterisk": "*",
}  # fmt: skip


@dataclass(frozen=True)
class Key:
    """One key as it stands in the bar, what it does, and the widget or app whose action that is."""

    key: str
    text: str
    action: str
    node: DOMNode


class KeyBar(Widget):
    """Bindings of the focused widget and its ancestors that are to be shown; a click does what the key does."""

    DEFAULT_CSS = """
    KeyBar { height: auto; width: 1fr; background: $panel; color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__(id="key-bar")
        self._keys: list[Key] = []
        self._lines: list[list[tuple[int, Key]]] = [[]]

    def compose(self) -> ComposeResult:
        return []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.update_keys())
        self.call_after_refresh(self.update_keys)

    def update_keys(self) -> None:
        """Take the bindings that are active now; the bar is laid out again only when they changed."""
        if not self.is_attached:
            return
        keys, seen = [], set()
        for node, binding, enabled, _tip in self.screen.active_bindings.values():
            if binding.show and enabled and binding.action not in seen:
                seen.add(binding.action)
                key = shown_key(binding.key_display or binding.key)
                keys.append(Key(key=key, text=binding.description, action=binding.action, node=node))
        if keys != self._keys:
            self._keys = keys
            self._fold(self.size.width or self.app.size.width)

    def on_resize(self, event: Resize) -> None:
        self._fold(event.size.width)

    def _fold(self, width: int) -> None:
        lines: list[list[tuple[int, Key]]] = [[]]
        at = 0
        for key in self._keys:
            length = cell_len(key.key) + cell_len(key.text) + 3
            if at and at + length - 1 > width:
                lines.append([])
                at = 0
            lines[-1].append((at, key))
            at += length
        was, self._lines = len(self._lines), lines
        self.styles.height = max(1, min(len(lines), MOST_LINES))
        self.refresh(layout=was != len(lines))

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        segments: list[Segment] = []
        if y < len(self._lines):
            for _, key in self._lines[y]:
                segments += [
                    Segment(key.key, base + Style(bold=True)),
                    Segment(f" {key.text}  ", base + Style(dim=True)),
                ]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    async def on_click(self, event: Click) -> None:
        if event.y < len(self._lines):
            for start, key in self._lines[event.y]:
                if start <= event.x < start + cell_len(key.key) + cell_len(key.text) + 1:
                    await self.app.run_action(key.action, key.node)
                    return


def shown_key(key: str) -> str:
    """A key as people call it."""
    key = key.split(",")[0]
    return NAMES.get(key, key.replace("ctrl+", "^"))
