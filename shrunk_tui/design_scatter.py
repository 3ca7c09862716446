"""The planned runs of a grid as points in parameters x FLOPs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .format import count, flops
from .picture import Line, Scene

KINDS = (("to train", 0), ("exists", 1), ("under the cursor", 2))


def _label(kind: str, points: Sequence[tuple[float, float]]) -> str:
    """A group's name; of the one run under the cursor, where it is."""
    if kind != "under the cursor" or not points:
        return f"{kind} ({len(points)})"
    return f"{kind}: {count(points[0][0])} parameters, {flops(points[0][1])} FLOPs"


def scatter(rows: Sequence[dict[str, Any]], cursor: int, counting: str) -> Scene:
    """One point a run, both axes logarithmic. Impossible runs have no place and are left out."""
    groups: dict[str, list[tuple[float, float]]] = {kind: [] for kind, _ in KINDS}
    for number, row in enumerate(rows):
        if row["problem"]:
            continue
        kind = "under the cursor" if number == cursor else "exists" if row["status"] else "to train"
        groups[kind].append((row["num_params"], row["flops_total"]))
    lines = []
    for kind, number in KINDS:
        points = np.array(sorted(groups[kind]), dtype=float).reshape(-1, 2)
        lines.append(
            Line(
                key=kind, label=_label(kind, groups[kind]), number=number, x=points[:, 0], y=points[:, 1], points=True,
                version=tuple(groups[kind]), front=kind == "under the cursor",
            )
        )  # fmt: skip
    return Scene(
        title=f"FLOPs of a run ({counting}) against parameters",
        lines=tuple(line for line in lines if len(line.x)),
        values=False,
        x_name="parameters",
        log_x=True,
        log_y=True,
        empty="no run that is possible",
    )
