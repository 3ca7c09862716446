"""The budget of a grid: hours of wall time since it was handed over, or FLOPs of its runs since then."""

from __future__ import annotations

from dataclasses import dataclass

from ..record.queue_events import GridSubmitted


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a grid has spent since it was handed over: wall hours, and FLOPs in the counting `paper`."""

    hours: float
    flops: float


def exceeded(grid: GridSubmitted, spent: Spent) -> str:
    """Why a grid has to stop, in words; empty while it may go on. A budget of 0 is none."""
    if grid.hours and spent.hours >= grid.hours:
        return f"the budget of {grid.hours:g} hours is spent"
    if grid.flops and spent.flops >= grid.flops:
        return f"the budget of {grid.flops:.3g} FLOPs (paper) is spent"
    return ""
