"""The Design screen's words: which settings the form lists, how values and axes look, what the preview's rows say. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shrunk_core.config.document import GridDocument, Setting, as_typed, settings
from shrunk_core.config.grid import BUDGETS, SHORT

from .format import count, duration, flops, several, size
from .widgets.plain_table import Cells, Heading

if TYPE_CHECKING:
    from shrunk_core.engine.preview import Preview

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Grid", ("name", "grid.mode", "grid.seeds", "grid.exclude")),
    ("Language", ("corpus.sources", "corpus.vocabulary", "corpus.unit", "corpus.min_words", "corpus.max_oov",
                  "tokenizer.vocab_size")),
    ("Shape", ("model.embedding_size", "model.hidden_size", "model.intermediate_size", "model.num_heads",
               "model.num_layers", "model.tie", "model.norm")),
    ("Training", ("train.updates", "train.tokens", "train.flops", "train.batch_size", "train.sequence_length",
                  "train.learning_rate", "train.schedule", "train.mask_share", "train.init", "train.evaluate_every")),
)  # fmt: skip
"""The settings that a study varies, in the order in which one thinks of them."""


@dataclass(frozen=True, kw_only=True)
class FormRow:
    """One line of the form. key: of the setting; "" for a heading; a label for coupled values.

    chips: the values of an axis; value: the one value otherwise; silent: the file does not name it and the default holds.
    """

    key: str
    label: str
    value: str = ""
    chips: tuple[str, ...] = ()
    silent: bool = False


def form_rows(document: GridDocument, everything: bool) -> list[FormRow]:
    """The lines of the form: the usual settings and those that the file names, or all there are."""
    known = settings()
    grouped = {key for _, keys in GROUPS for key in keys}
    homes = {"corpus": "Language", "tokenizer": "Language", "model": "Shape", "train": "Training"}
    more: dict[str, list[str]] = {}
    for key, setting in known.items():
        named = document.value(key) is not None or document.axis(key) is not None
        if key not in grouped and (everything or named):
            more.setdefault(homes.get(setting.section, "Grid"), []).append(key)
    rows = []
    for title, keys in GROUPS:
        rows.append(FormRow(key="", label=title))
        rows += [_row(document, known[key]) for key in (*keys, *more.get(title, []))]
    coupled = {k: v for k, v in document.axes().items() if k not in known}
    if coupled:
        rows.append(FormRow(key="", label="Values that vary together"))
        rows += [FormRow(key=k, label=k, chips=tuple(_coupled(v) for v in values)) for k, values in coupled.items()]
    return rows


def _row(document: GridDocument, setting: Setting) -> FormRow:
    axis, value = document.axis(setting.key), document.value(setting.key)
    label = _label(setting)
    if axis is not None:
        return FormRow(key=setting.key, label=label, chips=tuple(as_typed(setting, v) for v in axis))
    if setting.key == "grid.seeds" and value:
        return FormRow(key=setting.key, label=label, chips=tuple(map(str, value)))
    if value is not None:
        return FormRow(key=setting.key, label=label, value=as_typed(setting, value))
    other = setting.section == "train" and setting.name in BUDGETS
    other = other and any(document.value(f"train.{b}") or document.axis(f"train.{b}") for b in BUDGETS)
    default = "" if other else as_typed(setting, setting.default)
    return FormRow(key=setting.key, label=label, value=default or "-", silent=True)


def _label(setting: Setting) -> str:
    symbol = SHORT.get(setting.key.removeprefix("model."), "")
    return f"{setting.name} {symbol}".strip() if symbol and setting.section in ("model", "tokenizer") else setting.name


def _coupled(value: dict[str, Any]) -> str:
    return " ".join(f"{SHORT.get(k.removeprefix('model.'), k)}{v}" for k, v in value.items())


def typed_value(document: GridDocument, key: str) -> str:
    """What stands in the input line when a setting is edited."""
    setting = settings()[key]
    axis = document.axis(key)
    return as_typed(setting, axis if axis is not None else document.value(key))


def words_about(key: str, document: GridDocument) -> str:
    """What a setting means, its unit and choices, and how an axis is made of it."""
    setting = settings().get(key)
    if setting is None:
        return "Values that vary together: one entry is one combination. Change them in the file; del takes them out."
    parts = [setting.doc + (f" Unit: {setting.unit}." if setting.unit else "")]
    if setting.choices:
        parts.append(f"One of {', '.join(setting.choices)}: left and right change it.")
    elif setting.can_vary and setting.kind != "texts":
        parts.append("Several values with commas make an axis.")
    return " ".join(parts)


def headings(counting: str) -> list[Heading]:
    """Columns of the preview: the chosen counting's FLOPs, and beside it the other of `paper` and `executed`."""
    beside = "paper" if counting == "executed" else "executed"
    return [
        Heading(title="", worth=90),
        Heading(title="run", worth=99),
        Heading(title="params", right=True, worth=80),
        Heading(title="embed", right=True, worth=40),
        Heading(title=f"FLOPs {counting}", right=True, worth=70),
        Heading(title=f"FLOPs {beside}", right=True, worth=50),
        Heading(title="updates", right=True, worth=25),
        Heading(title="tokens", right=True, worth=30),
        Heading(title="memory", right=True, worth=45),
        Heading(title="time", right=True, worth=60),
        Heading(title="", worth=85),
    ]


MARKS = {"": ("+", "+"), "impossible": ("✗", "x"), "finished": ("✓", "v")}


def preview_cells(rows: Sequence[dict[str, Any]], counting: str, ascii_only: bool) -> list[Cells]:
    """Rows of the preview: what is new, what exists, what is impossible and why."""
    beside = "paper" if counting == "executed" else "executed"
    out = []
    for row in rows:
        state = "impossible" if row["problem"] else row["status"]
        sign = MARKS.get(state, ("▶", ">"))[ascii_only]
        if row["problem"]:
            blank = ("",) * 8
            out.append(Cells(cells=(sign, row["name"], *blank, row["problem"]), tone="error"))
            continue
        cells = (
            sign,
            row["name"],
            count(row["num_params"]),
            count(row["embedding_params"]),
            flops(row["flops_total"]),
            flops(row[f"flops_{beside}"]),
            f"{row['updates']:,}",
            count(row["tokens"]),
            size(row["memory_bytes"]),
            duration(row["seconds"]),
            state,
        )
        out.append(Cells(cells=cells, tone="dim" if state == "finished" else ""))
    return out


def totals(preview: Preview, rows: Sequence[dict[str, Any]], counting: str, slots: int) -> str:
    """One line: how many runs, what is left to train, what it costs."""
    todo = [r for r in rows if not r["problem"] and r["status"] != "finished"]
    seconds = sum(r["seconds"] for r in todo)
    parts = [several(len(rows), "run")]
    if found := sum(r["status"] == "finished" for r in rows):
        parts.append(f"{found} finished")
    if preview.impossible:
        parts.append(f"{preview.impossible} impossible")
    if preview.repeated:
        parts.append(f"{preview.repeated} the same as another, left out")
    parts.append(f"to train {len(todo)}: {flops(sum(r['flops_total'] for r in todo))} FLOPs ({counting})")
    parts.append(
        f"about {duration(max([seconds / slots, *(r['seconds'] for r in todo)]) if todo else 0)} on {slots} slots"
    )
    return ", ".join(parts)
