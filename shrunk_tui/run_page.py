"""One run in pictures and words: its charts as scenes, its panels as text. For threads; reads files, no Textual."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .columns import BY_NAME, SECTIONS, values_of
from .curves import STEP_FIELDS, CurveStore, Table
from .format import count, duration, flops, number, size
from .overlay import AXIS_NAMES, AXIS_TITLES
from .picture import Line, Scene

if TYPE_CHECKING:
    from .watcher import Row

CHARTS = ("loss", "learning_rate", "grad_norm", "tokens_per_second")
TITLES = {
    "loss": "loss, nats",
    "learning_rate": "learning rate",
    "grad_norm": "gradient norm before clipping",
    "tokens_per_second": "tokens/s",
}
PANELS = ("settings", "events", "log", "checkpoints", "tasks")
LOG_BYTES = 65_536


@dataclass(frozen=True, kw_only=True)
class RunLook:
    """How the charts of a run are drawn."""

    x: str = "update"
    log_x: bool = False
    log_y: bool = False
    smoothing: int = 0


def run_scenes(curves: CurveStore, run_id: str, look: RunLook) -> dict[str, Scene]:
    """The four charts of a run, after reading what is new of its log."""
    steps, evaluations = curves.get(run_id, STEP_FIELDS)
    out = {}
    for name in CHARTS:
        lines = [_line(steps, name, look.x, "train" if name == "loss" else "", 1 if name == "loss" else 0)]
        rules: tuple[tuple[float, str], ...] = ()
        if name == "loss":
            lines.append(_line(evaluations, name, look.x, "validation", 0, front=True))
            if len(evaluations):
                rules = ((float(evaluations.columns["unigram_loss"][-1]), "unigram"),)
        last = "" if name == "loss" or not len(lines[0].y) else f" {lines[0].y[-1]:.4g}"
        out[name] = Scene(
            title=f"{TITLES[name]}{last}, by {AXIS_TITLES[look.x]}",
            lines=tuple(line for line in lines if len(line.x)),
            rules=rules,
            x_name=AXIS_NAMES[look.x],
            log_x=look.log_x,
            log_y=look.log_y and name != "tokens_per_second",
            smoothing=look.smoothing,
            clip=name in ("loss", "grad_norm"),
            empty="no update yet",
        )
    return out


def _line(table: Table, y: str, x: str, label: str, mark: int, front: bool = False) -> Line:
    a, b = table.finite(x, y)
    return Line(key=f"{label} {y}", label=label, number=mark, x=a, y=b, version=(table.version, x), front=front)


def headline(row: Row) -> str:
    """Where the run stands, in a line or two."""
    v = values_of(row)
    words = [v["status"] + (f" ({v['reason']})" if v["reason"] else ""), v["shape"], f"{count(v['num_params'])} parameters",
             f"{flops(v['flops'])} FLOPs", f"update {v['update']:,}/{v['updates']:,} ({v['progress']:.0%})"]  # fmt: skip
    if v["loss"] is not None:
        words.append(f"loss {v['loss']:.4f} (perplexity {number(v['perplexity'])})")
    if v["gain"] is not None:
        words.append(f"{v['gain']:+.3f} under the unigram")
    if v["tokens_per_second"]:
        words += [f"{count(v['tokens_per_second'])} tokens/s", f"{duration(v['seconds_left'])} left"]
    if v["tags"]:
        words.append(" ".join(f"#{t}" for t in v["tags"].split()))
    if v["note"]:
        words.append(f"note: {v['note']}")
    return "   ".join(words)


def settings_text(row: Row, other: Row | None) -> str:
    """All settings, section by section; beside another run's where one is chosen, differing lines marked."""
    spec = row.spec.spec
    lines = [f"{'run_id':24} {row.run_id}", f"{'grid':24} {row.spec.grid}", f"{'seed':24} {spec.seed}",
             f"{'evaluation_id':24} {spec.evaluation_id}", f"{'corpus':24} {spec.corpus_fingerprint}",
             f"{'tokenizer':24} {spec.tokenizer_fingerprint}"]  # fmt: skip
    if other is not None:
        lines = [f"beside {other.spec.name} ({other.run_id}, {other.spec.grid}); ! marks what differs", ""]
        mine, theirs = values_of(row), values_of(other)
        for name in ("seed", "num_params", "flops", "loss", "perplexity", "gain", "update"):
            show = BY_NAME[name].show if name in BY_NAME else str
            a, b = ("-" if v.get(name) is None else show(v[name]) for v in (mine, theirs))
            lines.append(f"{'!' if a != b else ' '} {name:24} {a:24} {b}")
    for section in SECTIONS:
        part = getattr(spec, section)
        rows = []
        for name in part.__dataclass_fields__:
            value = getattr(part, name)
            if other is None:
                rows.append(f"  {name:22} {plain(value)}")
                continue
            beside = getattr(getattr(other.spec.spec, section), name, None)
            rows.append(f"{'!' if value != beside else ' '} {name:24} {plain(value):24} {plain(beside)}")
        lines += ["", section, *rows]
    return "\n".join(lines)


def plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def events_text(lab: Path, run_id: str) -> str:
    """What happened to the run, newest first: everything but its updates, and the journals' word on it."""
    from shrunk_core.engine.log_end import decoded
    from shrunk_core.engine.watch import Watch
    from shrunk_core.record.eventlog import read_new

    from .cli.follow import sentence

    lines, _ = read_new(lab / "runs" / run_id / "events.jsonl")
    found = list(decoded([line for line in lines if b'"kind":"step"' not in line[:24]]))
    journal = [event for i, event in Watch(lab, set()).look() if i == run_id]
    told = []
    for event in sorted([*found, *journal], key=lambda e: e.logged_at, reverse=True):
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.logged_at))
        told.append(f"{stamp}  {sentence(event) or _named(event)}")
    return "\n".join(told) or "nothing yet"


def _named(event: object) -> str:
    """An event that has no sentence: its kind, and the field that says most."""
    kind = getattr(event, "kind", "event")
    for name in ("message", "path", "slot", "reason", "returncode", "text", "split"):
        value = getattr(event, name, None)
        if value not in (None, ""):
            return f"{kind}: {value}"
    return kind


def log_text(lab: Path, run_id: str) -> str:
    """The end of what the run's workers printed."""
    path = lab / "runs" / run_id / "worker.log"
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return f"{path} is not there: no worker has taken the run up yet"
    return text.strip() or f"{path} is empty: the workers printed nothing"


def checkpoints_text(lab: Path, run_id: str) -> str:
    """Checkpoints and the exported model: where they are and how large."""
    folder = lab / "runs" / run_id
    rows = []
    for path in sorted(folder.glob("checkpoints/*"), key=lambda p: p.stat().st_mtime, reverse=True):
        rows.append((path, "checkpoint"))
    if (folder / "model").is_dir():
        rows.append((folder / "model", "model, loads with transformers"))
    if not rows:
        return "no checkpoint yet"
    lines = []
    for path, what in rows:
        taken = sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) if path.is_dir() else path.stat().st_size
        stamp = time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))
        lines.append(f"{stamp}  {size(taken):>10}  {what:30} {path}")
    return "\n".join(lines)


def table_text(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A plain table."""
    cells = [[str(c) for c in columns], *([("-" if v is None else f"{v:.4g}" if isinstance(v, float) else str(v))
                                           for v in row] for row in rows)]  # fmt: skip
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells)
