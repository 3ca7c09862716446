"""What `shrunk` shows where there is no lab: make one, or see everything at work."""

from __future__ import annotations

from pathlib import Path

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from .ascii_look import AsciiSigns
from .themes import DARK, THEMES
from .widgets.key_bar import KeyBar

WORDS = """\
shrunk trains grids of tiny language models and reads scaling laws off them. All of it lives in a lab, which is a folder;
there is none here or above."""

CHOICES = (
    ("demo", "Play the demo", "trains seven tiny models on the King James text, a few minutes; the lab is ./{demo}"),
    ("lab", "Make a lab", "an empty one; then the Design screen makes the first grid"),
    ("open", "Open a lab", "that is somewhere else"),
)


class WelcomeApp(App[tuple[str, Path] | None]):
    """Returns what to do (`demo`, `lab`, `open`) and the folder, or None when left."""

    BINDINGS = [Binding("q,ctrl+q,escape", "quit", "Quit")]
    CSS = """
    VerticalScroll { padding: 1 2; }
    #words { margin-bottom: 1; }
    OptionList { height: auto; border: round $primary; max-width: 110; }
    Input { max-width: 110; display: none; margin-top: 1; }
    Input.-shown { display: block; }
    """

    def __init__(self, here: Path, ascii_only: bool = False) -> None:
        super().__init__()
        if ascii_only:
            self._filters.append(AsciiSigns())
        self.here = here
        self.choice = ""
        for theme in THEMES:
            self.register_theme(theme)

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(WORDS, id="words", markup=False)
            yield OptionList(
                *(
                    Option(Content.assemble((f"{name}\n", "bold"), f"  {text.format(demo='demo')}"), id=key)
                    for key, name, text in CHOICES
                )
            )
            yield Input()
            yield Static("", id="problem", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self.theme = DARK.name
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.choice = event.option.id or ""
        bar = self.query_one(Input)
        bar.value = str(self.here / {"demo": "demo", "lab": "mylab", "open": ""}[self.choice])
        bar.add_class("-shown")
        bar.border_title = "folder of the lab; enter goes on"
        bar.focus()

    @on(Input.Submitted)
    def _done(self, event: Input.Submitted) -> None:
        folder = Path(event.value).expanduser()
        if self.choice == "open" and not (folder / "shrunk.toml").is_file():
            self.query_one("#problem", Static).update(f"{folder} is no lab: it has no shrunk.toml")
            return
        self.exit((self.choice, folder))

    async def action_quit(self) -> None:
        bar = self.query_one(Input)
        if bar.has_focus:
            bar.remove_class("-shown")
            self.query_one(OptionList).focus()
        else:
            self.exit(None)
