"""Loss curves of several runs as one scene: what is drawn over what, against what, and bands over seeds. For threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .curves import LOSS_FIELDS, CurveStore, Table
from .picture import Line, Scene
from .raster import mean_band

AXES = ("update", "tokens", "flops", "elapsed")
AXIS_TITLES = {"update": "updates", "tokens": "tokens", "flops": "FLOPs (paper)", "elapsed": "seconds at work"}
AXIS_NAMES = {"update": "update", "tokens": "tokens", "flops": "FLOPs", "elapsed": "second"}
SMOOTHINGS = (0, 5, 21, 101)
SETTINGS_BUT_SEED = "seeds"
"""The grouping that takes runs together which differ in nothing but their seed."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How the overlay is drawn. what: `validation` or `train`; x: one of `AXES`.

    bands: empty for a line a run; `SETTINGS_BUT_SEED`, or the name of a setting: mean and spread of each group.
    """

    what: str = "validation"
    x: str = "update"
    log_x: bool = False
    log_y: bool = False
    smoothing: int = 21
    bands: str = ""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A run to draw: its number gives colour and sign, `values` are its settings by name."""

    run_id: str
    label: str
    number: int
    values: Mapping[str, Any]
    front: bool = False


def overlay(curves: CurveStore, runs: Sequence[Drawn], look: Look) -> Scene:
    """Read what is new of these runs and make the scene. Runs without a point have no line."""
    lines, baselines = [], set()
    for run in runs:
        steps, evaluations = curves.get(run.run_id, LOSS_FIELDS if look.what == "train" else None)
        table = steps if look.what == "train" else evaluations
        x, y = table.finite(look.x, "loss") if len(table) else (np.empty(0), np.empty(0))
        lines.append(Line(key=run.run_id, label=run.label, number=run.number, x=x, y=y,
                          version=(table.version, look.x), front=run.front))  # fmt: skip
        baselines |= _baseline(evaluations)
    kind = "training loss" if look.what == "train" else "validation loss"
    title = f"{kind}, nats, by {AXIS_TITLES[look.x]}"
    if look.smoothing > 1 and look.what == "train":
        title += f", mean of {look.smoothing}"
    if look.bands:
        lines = banded(lines, runs, look.bands)
        title += f"; mean and sd by {look.bands}" if look.bands != SETTINGS_BUT_SEED else "; mean and sd over seeds"
    there = [line for line in lines if len(line.x)]
    rules = tuple((b, "unigram") for b in sorted(baselines)) if len(baselines) == 1 and look.what != "train" else ()
    return Scene(
        title=title,
        lines=tuple(there),
        rules=rules,
        x_name=AXIS_NAMES[look.x],
        log_x=look.log_x,
        log_y=look.log_y,
        clip=look.what == "train",
        smoothing=look.smoothing if look.what == "train" else 0,
        empty="no evaluation yet: w shows the training loss" if look.what == "validation" else "no update yet",
    )


def _baseline(evaluations: Table) -> set[float]:
    if not len(evaluations):
        return set()
    return {round(float(evaluations.columns["unigram_loss"][-1]), 4)}


def banded(lines: Sequence[Line], runs: Sequence[Drawn], by: str) -> list[Line]:
    """One line a group: its mean, with a band of one standard deviation where it has several runs."""
    groups: dict[Any, list[int]] = {}
    for i, run in enumerate(runs):
        if len(lines[i].x):
            groups.setdefault(group_of(run.values, by), []).append(i)
    out = []
    for key, members in groups.items():
        parts = [lines[i] for i in members]
        label = shared_label([runs[i].label for i in members]) if by == SETTINGS_BUT_SEED else f"{by} {key}"
        x, mean, low, high = mean_band([(part.x, part.y) for part in parts])
        if not len(x):
            continue
        version = tuple(part.version for part in parts)
        many = len(parts) > 1
        out.append(Line(key=f"{by} {key}", label=f"{label} (n={len(parts)})", number=parts[0].number, x=x, y=mean,
                        version=version, low=low if many else None, high=high if many else None,
                        front=any(part.front for part in parts)))  # fmt: skip
    return out


def group_of(values: Mapping[str, Any], by: str) -> Any:
    """What runs of one group share."""
    if by != SETTINGS_BUT_SEED:
        return values.get(by)
    return tuple(sorted((k, str(v)) for k, v in values.items() if k.partition(".")[0] in ("model", "train", "corpus",
                                                                                         "tokenizer")))  # fmt: skip


def shared_label(labels: Sequence[str]) -> str:
    """The words that all labels share, in order; the first label when they share none."""
    words = [label.split() for label in labels]
    kept = [w for w in words[0] if all(w in other for other in words[1:])]
    return " ".join(kept) or labels[0]


def varying(values: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of settings in which these runs differ, shortest spelling only, `seed` left out."""
    names = [
        n for n in (values[0] if values else {}) if n.partition(".")[0] in ("model", "train", "corpus", "tokenizer")
    ]
    differ = [n for n in names if "." in n and len({str(v.get(n)) for v in values}) > 1]
    return [n.partition(".")[2] if values[0].get(n.partition(".")[2]) == values[0].get(n) else n for n in differ]
