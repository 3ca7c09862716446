"""What can be said of a run in a table: every column's value, look and worth when there is little room."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .format import count, duration, flops, number

if TYPE_CHECKING:
    from .watcher import Row

SIGNS = {
    "running": "▶", "queued": "…", "paused": "‖", "finished": "✓", "failed": "✗", "stopped": "■", "cancelled": "∅",
}  # fmt: skip
ASCII_SIGNS = {
    "running": ">", "queued": ".", "paused": "=", "finished": "+", "failed": "X", "stopped": "#", "cancelled": "-",
}  # fmt: skip
SECTIONS = ("model", "train", "corpus", "tokenizer")


def status_sign(status: str, ascii_only: bool) -> str:
    return (ASCII_SIGNS if ascii_only else SIGNS).get(status, "?")


def values_of(row: Row) -> dict[str, Any]:
    """Everything known of a run by name: settings (`hidden_size`, `train.learning_rate` ...), costs, progress."""
    spec, standing = row.spec.spec, row.standing
    out: dict[str, Any] = {}
    for section in SECTIONS:
        part = getattr(spec, section)
        for name in part.__dataclass_fields__:
            value = getattr(part, name)
            out[f"{section}.{name}"] = value
            out.setdefault(name, value)
    train = spec.train
    sequences = train.updates * train.batch_size
    loss = standing.evaluated.loss if standing.evaluated else standing.loss
    left = None
    if row.status.status == "running" and standing.tokens_per_second:
        left = (train.updates - standing.update) * train.batch_size * train.sequence_length / standing.tokens_per_second
    out |= {
        "run_id": row.run_id,
        "name": row.spec.name,
        "grid": row.spec.grid,
        "status": row.status.status,
        "reason": row.status.reason,
        "seed": spec.seed,
        "shape": shape_of(row),
        "num_params": row.spec.costs.get("num_params"),
        "embedding_params": row.spec.costs.get("embedding_params"),
        "flops": row.spec.costs.get("flops_paper", 0) * sequences,
        "tokens": sequences * train.sequence_length,
        "update": standing.update,
        "progress": standing.update / train.updates if train.updates else 0.0,
        "loss": loss,
        "train_loss": standing.loss,
        "perplexity": math.exp(min(loss, 700.0)) if loss is not None and math.isfinite(loss) else None,
        "gain": standing.evaluated.unigram_loss - standing.evaluated.loss if standing.evaluated else None,
        "tokens_per_second": standing.tokens_per_second if row.status.status == "running" else None,
        "seconds_left": left,
        "tags": " ".join(row.tags),
        "note": row.note,
        "archived": row.standing.archived,
    }
    return out


def shape_of(row: Row) -> str:
    model = row.spec.spec.model
    return f"E{model.embedding_size} H{model.hidden_size} I{model.intermediate_size} A{model.num_heads} L{model.num_layers}"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. worth: columns of less worth go first when the table is narrow. right: numbers stand to the right."""

    name: str
    title: str
    show: Callable[[Any], str]
    worth: int
    right: bool = True
    shown: bool = True


def _text(value: Any) -> str:
    return "-" if value in (None, "") else str(value)


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


COLUMNS: tuple[Column, ...] = (
    Column(name="name", title="run", show=_text, worth=100, right=False),
    Column(name="shape", title="shape", show=_text, worth=30, right=False),
    Column(name="num_params", title="params", show=count, worth=60),
    Column(name="flops", title="FLOPs", show=flops, worth=50),
    Column(name="loss", title="loss", show=_loss, worth=95),
    Column(name="perplexity", title="ppl", show=number, worth=40),
    Column(name="tokens_per_second", title="tok/s", show=count, worth=55),
    Column(name="progress", title="progress", show=lambda v: f"{v:.0%}", worth=90),
    Column(name="seconds_left", title="left", show=duration, worth=70),
    Column(name="tags", title="tags", show=_text, worth=35, right=False),
    Column(name="run_id", title="id", show=_text, worth=10, right=False, shown=False),
    Column(name="status", title="status", show=_text, worth=20, right=False, shown=False),
    Column(name="gain", title="gain", show=_loss, worth=20, shown=False),
    Column(name="train_loss", title="train", show=_loss, worth=20, shown=False),
    Column(name="update", title="update", show=_text, worth=20, shown=False),
    Column(name="updates", title="updates", show=_text, worth=20, shown=False),
    Column(name="tokens", title="tokens", show=count, worth=20, shown=False),
    Column(name="seed", title="seed", show=_text, worth=20, shown=False),
    Column(name="embedding_size", title="E", show=_text, worth=20, shown=False),
    Column(name="hidden_size", title="H", show=_text, worth=20, shown=False),
    Column(name="intermediate_size", title="I", show=_text, worth=20, shown=False),
    Column(name="num_heads", title="A", show=_text, worth=20, shown=False),
    Column(name="num_layers", title="L", show=_text, worth=20, shown=False),
    Column(name="vocab_size", title="V", show=_text, worth=20, shown=False),
    Column(name="learning_rate", title="lr", show=number, worth=20, shown=False),
    Column(name="note", title="note", show=_text, worth=25, right=False, shown=False),
)
BY_NAME: Mapping[str, Column] = {c.name: c for c in COLUMNS}
DEFAULT = [c.name for c in COLUMNS if c.shown]
