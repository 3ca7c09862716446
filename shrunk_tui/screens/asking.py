"""Small questions over a screen: a line of text, a yes or no, one of a list, several of a list."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import ScrollableContainer, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Input, OptionList, SelectionList, Static
from textual.widgets.option_list import Option
from textual.widgets.selection_list import Selection

CSS = """
{0} { align: center middle; }
{0} > Vertical, {0} > ScrollableContainer { width: 90%; max-width: {1}; height: auto; max-height: 90%; padding: 0 1;
    background: $surface; border: round $primary; }
{0} OptionList, {0} SelectionList { height: auto; max-height: 18; border: none; }
{0} .hint { color: $text-muted; }
"""


def _css(name: str, width: int) -> str:
    return CSS.replace("{0}", name).replace("{1}", str(width))


class AskText(ModalScreen[str | None]):
    """A line of text, or None when the question is left with esc."""

    BINDINGS = [Binding("escape", "dismiss(None)", "Leave")]
    DEFAULT_CSS = _css("AskText", 70)

    def __init__(self, question: str, value: str = "", hint: str = "") -> None:
        super().__init__()
        self.question, self.value, self.hint = question, value, hint

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self.question, markup=False)
            yield Input(self.value)
            yield Static(f"{self.hint}  enter: done  esc: leave".strip(), classes="hint", markup=False)

    @on(Input.Submitted)
    def _done(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)


class Confirm(ModalScreen[bool]):
    """Yes or no; enter does not confirm by itself, since nothing here can be undone."""

    BINDINGS = [Binding("y", "dismiss(True)", "Yes"), Binding("n,escape", "dismiss(False)", "No")]
    DEFAULT_CSS = _css("Confirm", 76)

    def __init__(self, question: str, consequence: str = "") -> None:
        super().__init__()
        self.question, self.consequence = question, consequence

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self.question, markup=False)
            if self.consequence:
                yield Static(self.consequence, classes="hint", markup=False)
            yield Static("y: yes   n or esc: no", classes="hint")


class Choose(ModalScreen[str | None]):
    """One of a list."""

    BINDINGS = [Binding("escape", "dismiss(None)", "Leave")]
    DEFAULT_CSS = _css("Choose", 60)

    def __init__(self, question: str, choices: Sequence[tuple[str, str]], now: str = "") -> None:
        """choices: value and what stands there; now: the value that holds at present."""
        super().__init__()
        self.question, self.choices, self.now = question, list(choices), now

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self.question, markup=False)
            yield OptionList(*(Option(Content(text), id=f"o{i}") for i, (_, text) in enumerate(self.choices)))

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        values = [value for value, _ in self.choices]
        options.highlighted = values.index(self.now) if self.now in values else 0
        options.focus()

    @on(OptionList.OptionSelected)
    def _done(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self.choices[event.option_index][0])


class Boxes(SelectionList[str]):
    """A list with boxes in which only what is chosen has a cross: Textual's tells them apart by colour alone."""

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        at = self.scroll_offset.y + y
        if at >= self.option_count or self.get_option_at_index(at).value in self.selected:
            return strip
        left, inner, *rest = strip
        return Strip([left, Segment(" " * len(inner.text), inner.style), *rest])


class ChooseSeveral(ModalScreen[list[str] | None]):
    """Several of a list: space puts in and takes out, enter is done."""

    BINDINGS = [Binding("escape", "dismiss(None)", "Leave"), Binding("enter", "done", "Done", priority=True)]
    DEFAULT_CSS = _css("ChooseSeveral", 60)

    def __init__(self, question: str, choices: Sequence[tuple[str, str]], chosen: Sequence[str]) -> None:
        super().__init__()
        self.question, self.choices, self.chosen = question, list(choices), set(chosen)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self.question, markup=False)
            yield Boxes(*(Selection(Content(t), v, v in self.chosen) for v, t in self.choices))
            yield Static("space: in or out  enter: done  esc: leave", classes="hint")

    def on_mount(self) -> None:
        self.query_one(SelectionList).focus()

    def action_done(self) -> None:
        picked = set(self.query_one(SelectionList).selected)
        self.dismiss([value for value, _ in self.choices if value in picked])


class Page(ModalScreen[None]):
    """Text to read. wide: its lines are not folded; arrows go to what does not fit."""

    BINDINGS = [Binding("escape,q,enter", "dismiss(None)", "Close")]
    DEFAULT_CSS = _css("Page", 150) + "Page.-wide #page { width: auto; text-wrap: nowrap; }"

    def __init__(self, text: str | Content, *, wide: bool = False) -> None:
        super().__init__(classes="-wide" if wide else "")
        self.text = text

    def compose(self) -> ComposeResult:
        with ScrollableContainer():
            yield Static(self.text, markup=False, id="page")

    def on_mount(self) -> None:
        self.query_one(ScrollableContainer).focus()
