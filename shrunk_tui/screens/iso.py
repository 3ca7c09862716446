"""The iso helper: shapes of one size, or of one price, as values that vary together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ..format import count, flops
from ..widgets.plain_table import Cells, Heading, PlainTable

if TYPE_CHECKING:
    from shrunk_core.config.document import GridDocument
    from shrunk_core.config.iso import Shape
    from shrunk_core.engine.preview import Preview

KINDS = (
    ("params", "the same parameters: a width for each depth"),
    ("flops", "the same FLOPs for the same updates: a width for each depth"),
    ("tokens", "the same FLOPs for the shapes of this grid: updates for each"),
)
HEADINGS = (
    Heading(title="shape", worth=99),
    Heading(title="params", right=True),
    Heading(title="updates", right=True),
    Heading(title="tokens", right=True),
    Heading(title="tokens a param", right=True, worth=5),
    Heading(title="FLOPs", right=True),
    Heading(title="off", right=True),
)
SYMBOLS = {"embedding_size": "E", "hidden_size": "H", "intermediate_size": "I", "num_layers": "L"}


class IsoScreen(ModalScreen["GridDocument | None"]):
    """Kind above, target and depths below it, what comes of them as a table; enter puts it into the grid."""

    BINDINGS = [
        Binding("escape", "dismiss(None)", "Leave"),
        Binding("ctrl+s,f5", "take", "Put into the grid", priority=True),
    ]
    DEFAULT_CSS = """
    IsoScreen { align: center middle; }
    IsoScreen > Vertical { width: 96%; max-width: 110; height: 90%; max-height: 34; padding: 0 1; background: $surface;
                           border: round $primary; }
    IsoScreen OptionList { height: 5; border: round $panel; }
    IsoScreen OptionList:focus { border: round $primary; }
    IsoScreen Input { height: 3; border: round $panel; }
    IsoScreen Input:focus { border: round $primary; }
    IsoScreen #iso-words { height: auto; max-height: 3; color: $text-muted; }
    """

    def __init__(self, document: GridDocument, preview: Preview, counting: str) -> None:
        super().__init__()
        self.document, self.counting = document, counting
        self.points = [run.point for run in preview.runs if not run.problem]
        self.costs = [run.costs for run in preview.runs if not run.problem]
        self.shapes: list[Shape] = []

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Shapes of one size or one price"
            yield OptionList(*(Option(words, id=kind) for kind, words in KINDS))
            yield Input(id="iso-target")
            yield Input("1, 2, 3, 4, 6, 8", id="iso-depths")
            yield PlainTable(HEADINGS, id="iso-table")
            yield Static("", id="iso-words", markup=False)

    def on_mount(self) -> None:
        self.query_one("#iso-target", Input).border_title = "target"
        self.query_one("#iso-depths", Input).border_title = "num_layers"
        options = self.query_one(OptionList)
        options.highlighted = 0
        options.focus()

    @property
    def kind(self) -> str:
        return KINDS[self.query_one(OptionList).highlighted or 0][0]

    @on(OptionList.OptionHighlighted)
    def _kind_chosen(self) -> None:
        """Propose the middle of what the grid has now."""
        if not self.points:
            return
        middle = len(self.points) // 2
        params = sorted(c["num_params"] for c in self.costs)[middle]
        spent = sorted(
            c[f"flops_{self.counting}"] * p.train.updates * p.train.batch_size
            for c, p in zip(self.costs, self.points, strict=True)
        )[middle]
        target = self.query_one("#iso-target", Input)
        target.border_title = "parameters" if self.kind == "params" else f"FLOPs of a run ({self.counting})"
        target.value = f"{_rounded(params if self.kind == 'params' else spent):g}".replace("e+", "e")
        self.query_one("#iso-depths", Input).display = self.kind != "tokens"
        self._solve()

    @on(OptionList.OptionSelected)
    def _kind_taken(self) -> None:
        self.query_one("#iso-target", Input).focus()

    @on(Input.Changed)
    def _changed(self) -> None:
        self._solve()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_take()

    def _solve(self) -> None:
        from shrunk_core.errors import ShrunkError

        words = self.query_one("#iso-words", Static)
        try:
            self.shapes = self._shapes()
        except (ShrunkError, ValueError) as problem:
            self.shapes = []
            words.update(str(problem))
        else:
            words.update(
                "enter or f5 puts these into the grid; esc leaves" if self.shapes else "no shape comes near this target"
            )
        self.query_one(PlainTable).show([_cells(s) for s in self.shapes])

    def _shapes(self) -> list[Shape]:
        from shrunk_core.config.iso import Free, iso_flops, iso_params, same_flops

        target = float(self.query_one("#iso-target", Input).value.replace("_", "").replace(",", ""))
        base = self.points[0]
        if self.kind == "tokens":
            models = list(dict.fromkeys(p.model for p in self.points))
            return same_flops(models, base.train, target, self.counting)
        text = self.query_one("#iso-depths", Input).value
        depths = tuple(int(part) for part in text.split(",") if part.strip())
        ratio = base.model.intermediate_size / base.model.hidden_size
        free = Free(ladder=depths, ratio=ratio, square=base.model.tie == "full")
        solve = iso_params if self.kind == "params" else iso_flops
        return solve(base.model, base.train, free, target, self.counting)

    def action_take(self) -> None:
        """Put what is listed into the grid and leave."""
        if not self.shapes:
            return
        document = self.document
        if self.kind == "tokens":
            target = float(self.query_one("#iso-target", Input).value.replace("_", "").replace(",", ""))
            document = document.with_value("train.flops", target).with_value("train.counting", self.counting)
        else:
            for key in SYMBOLS:  # an axis of its own and the coupled values would set the same key twice
                if document.axis(f"model.{key}") is not None:
                    document = document.without(f"model.{key}")
            document = document.with_axis("shape", [_entry(s.values, document) for s in self.shapes])
        self.dismiss(document)


def _entry(values: dict[str, int], document: GridDocument) -> dict[str, Any]:
    """The coupled values of one shape; a size that the file derives from another stays derived."""
    return {k: v for k, v in values.items() if not isinstance(document.value(f"model.{k}"), str)}


def _cells(shape: Shape) -> Cells:
    model = shape.model
    values = shape.values or {k: getattr(model, k) for k in SYMBOLS}
    return Cells(
        cells=(
            " ".join(f"{SYMBOLS[k]}{v}" for k, v in values.items()),
            count(shape.params),
            f"{shape.updates:,}",
            count(shape.tokens),
            f"{shape.tokens / shape.params:.1f}",
            flops(shape.flops),
            f"{shape.off:+.1%}",
        ),
        tone="dim" if abs(shape.off) > 0.1 else "",
    )


def _rounded(value: float) -> float:
    """Two significant digits: a target for people."""
    digits = 1 - math.floor(math.log10(value))
    return round(value, digits)
