"""The planned runs of a grid as points in parameters x FLOPs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .picture import Line, Scene

KINDS = (("to train", 0), ("exists", 1), ("under the cursor", 2))


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
                key=kind, label=kind, number=number, x=points[:, 0], y=points[:, 1], points=True,
                version=tuple(groups[kind]), front=kind == "under the cursor",
            )
        )  # fmt: skip
    return Scene(
        title=f"FLOPs of a run ({counting}) against parameters",
        lines=tuple(line for line in lines if len(line.x)),
        log_x=True,
        log_y=True,
        empty="no run that is possible",
    )
