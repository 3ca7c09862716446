"""Files of learning curves as runs of a reference: the paper's result file, a trainer_state.json, any CSV."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shrunk_core.analysis.paper_table import CITATION, paper_runs
from shrunk_core.errors import ConfigError, DataError

from .points import SHAPE, Points, loose, pair, unknown
from .points_csv import csv_points

SETTABLE = (*SHAPE, "num_params", "embedding_params", "seed", "tie", "tokens_per_update")
"""What --set may say of all runs of a file."""

_PAPER_MAP = (
    "run=run_name", "loss=eval/loss", "update=eval/updates", "flops=FLOPS Hoffman total", "n=Total parameters",
    "num_heads=num_attention_heads", "num_layers=num_hidden_layers",
)  # fmt: skip
_PAPER_TOKENS = 256 * 128
"""Token slots of one update: 256 sequences of 128."""


@dataclass(frozen=True, kw_only=True)
class ImportedRun:
    """One run: its curve as columns of equal length (0 where unknown), and what is known of it (`about`)."""

    name: str
    updates: tuple[int, ...]
    tokens: tuple[int, ...]
    flops: tuple[float, ...]
    losses: tuple[float, ...]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What a file holds. counting: of its FLOPs, "" where the file does not say."""

    name: str
    source: Path
    runs: tuple[ImportedRun, ...]
    counting: str = ""
    padding: bool = False
    citation: str = ""


def paper_curves(path: Path, maps: Sequence[str], sets: Sequence[str]) -> Imported:
    """The learning curves of Deshpande et al. 2023 as their authors wrote them. DataError when the file is another one."""
    if maps or sets:
        raise ConfigError("--map and --set are of other files: the columns of the paper's are known")
    try:
        points = csv_points(path, _PAPER_MAP)
    except ConfigError as problem:
        if not path.is_file():
            raise
        raise DataError(
            f"{path} is not the paper's result file: {problem}. `shrunk import csv` reads any file"
        ) from None
    known = {run.name: run for run in paper_runs()}
    strangers = sorted(set(points.texts("run")) - known.keys())
    if strangers:
        raise DataError(
            f"{path}: {', '.join(strangers[:5])} are no runs of the paper; `shrunk import csv` reads any file"
        )
    embedding = {
        str(row["run"]): int(row["Embedding parameters"]) for row in points.rows if row.get("Embedding parameters")
    }
    runs = []
    for one in _by_run(points, {"tokens_per_update": _PAPER_TOKENS}):
        about = dict(one.about) | {"tie": known[one.name].tie, "embedding_params": embedding.get(one.name, 0)}
        runs.append(ImportedRun(**{**one.__dict__, "about": about}))
    return Imported(name="paper", source=path, runs=tuple(runs), counting="paper", padding=True, citation=CITATION)


def any_csv(path: Path, maps: Sequence[str], sets: Sequence[str]) -> Imported:
    """A row an evaluation: a run, a loss or perplexity, and at least one of flops, d, n and update."""
    points = csv_points(path, maps)
    if not points.has("run"):
        raise ConfigError(f"{path}: say which column names the run, --map run=COLUMN")
    if not any(map(points.has, ("flops", "d", "n", "update"))):
        raise ConfigError(f"{path}: a curve needs an axis, so map one of flops, d, n and update")
    return Imported(name=path.stem, source=path, runs=_by_run(points, _constants(sets)))


def trainer_state(path: Path, maps: Sequence[str], sets: Sequence[str]) -> Imported:
    """One run from Hugging Face's trainer_state.json: every entry of log_history with an eval_loss.

    FLOPs are its `total_flos` in proportion to the steps: 6 N tokens without embeddings, Kaplan's count. Tokens are
    `num_input_tokens_seen` where it was logged, else tokens_per_update times the step where that is given.
    """
    if maps:
        raise ConfigError("--map is of `csv`: the keys of a trainer_state.json are known")
    try:
        state = json.loads(path.read_text())
        history = [entry for entry in state["log_history"] if "eval_loss" in entry]
    except FileNotFoundError:
        raise ConfigError(f"{path}: No such file") from None
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{path} is no trainer_state.json: {problem}") from None
    if not history:
        raise DataError(f"{path}: no entry of log_history has an eval_loss; was the run evaluated?")
    constants = _constants(sets)
    each = constants.pop("tokens_per_update", 0)
    last = max(int(state.get("global_step") or 0), *(int(entry["step"]) for entry in history))
    total = float(state.get("total_flos") or 0.0)
    bad = [entry["step"] for entry in history if not math.isfinite(float(entry["eval_loss"]))]
    if bad:
        raise DataError(f"{path}: eval_loss is not finite at step {', '.join(map(str, bad[:5]))}")
    run = ImportedRun(
        name=path.parent.name or path.stem,
        updates=tuple(int(entry["step"]) for entry in history),
        tokens=tuple(int(entry.get("num_input_tokens_seen") or each * int(entry["step"])) for entry in history),
        flops=tuple(total * int(entry["step"]) / last for entry in history),
        losses=tuple(float(entry["eval_loss"]) for entry in history),
        about=constants,
    )
    return Imported(name=run.name, source=path, runs=(run,), counting="kaplan" if total else "")


def _constants(sets: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in sets:
        name, value = pair(text, "--set", "NAME=VALUE")
        if name not in SETTABLE:
            raise unknown("--set", name, SETTABLE, "what may be said of a reference")
        number = loose(value)
        if name != "tie" and not (isinstance(number, int) and number >= 0):
            raise ConfigError(f"--set {name}={value}: a whole number is needed")
        found[name] = value if name == "tie" else number
    return found


def _by_run(points: Points, constants: Mapping[str, Any]) -> tuple[ImportedRun, ...]:
    """Rows grouped by run and seed, in the order of the file."""
    each = constants.get("tokens_per_update", 0)
    if points.has("loss") and not ("perplexity" in points.mapped and "loss" not in points.mapped):
        losses = points.numbers("loss")
    elif points.has("perplexity"):
        losses = [math.log(value) if value > 0 else math.nan for value in points.numbers("perplexity")]
    else:
        losses = points.numbers("loss")  # says what is missing
    bad = [points.places[i] for i, value in enumerate(losses) if not math.isfinite(value)]
    if bad:
        raise DataError(f"{points.source}: the loss is not finite in {', '.join(bad[:5])}; leave these rows out")
    nothing = [0.0] * len(points)
    updates, flops = (points.numbers(name) if points.has(name) else nothing for name in ("update", "flops"))
    tokens = points.numbers("d") if points.has("d") else [each * update for update in updates]
    groups: dict[str, list[int]] = {}
    for i, run in enumerate(points.trained()):
        groups.setdefault(run, []).append(i)
    runs = []
    for rows in groups.values():
        rows.sort(key=lambda i: (updates[i], flops[i], tokens[i]))
        first = points.rows[rows[0]]
        about = {name: first[name] for name in (*SHAPE, "tie", "seed") if points.has(name) and first[name] != ""}
        about |= {"num_params": first["n"]} if points.has("n") else {}
        about |= {name: value for name, value in constants.items() if name != "tokens_per_update"}
        runs.append(
            ImportedRun(
                name=str(first["run"]).strip(),
                updates=tuple(int(updates[i]) for i in rows),
                tokens=tuple(int(tokens[i]) for i in rows),
                flops=tuple(float(flops[i]) for i in rows),
                losses=tuple(losses[i] for i in rows),
                about=about,
            )
        )
    return tuple(runs)
