"""Which rows of learning curves are of weights that were still warming up, or short of the end of their schedule.

Such losses are not what the same budget would give to a run planned for it: its learning rate would have come down.
"""

from __future__ import annotations

from dataclasses import dataclass

from shrunk_core.errors import ConfigError, FitError

from .points import Points


@dataclass(frozen=True, kw_only=True)
class Marks:
    """One value a row, or None where the points do not say."""

    warming_up: list[bool] | None
    unfinished: list[bool] | None

    @property
    def known(self) -> bool:
        return self.warming_up is not None or self.unfinished is not None

    def said(self) -> list[str]:
        """How many rows are marked, in words; nothing without any."""
        count = len(self.warming_up or self.unfinished or ())
        kinds = ((self.warming_up, "in warm-up"), (self.unfinished, "of an unfinished schedule"))
        found = [f"{sum(marks)} of {count} points are {what}" for marks, what in kinds if marks and any(marks)]
        return ["; ".join(found) + ": --finished-only leaves them out"] if found else []


def marks(points: Points) -> Marks:
    """`update` against `warmup`, the last update of the warm-up, and `updates`, the whole schedule's."""
    done = points.numbers("update") if points.has("update") else None

    def against(name: str, ends: bool) -> list[bool] | None:
        if done is None or not points.has(name):
            return None
        limits = points.numbers(name)
        return [at < limit if ends else at <= limit for at, limit in zip(done, limits, strict=True)]

    return Marks(warming_up=against("warmup", False), unfinished=against("updates", True))


def finished(points: Points) -> Points:
    """The rows that are not marked. ConfigError where the points cannot tell; FitError when none is left."""
    found = marks(points)
    if not found.known:
        raise ConfigError(
            f"--finished-only: {points.source} says of no row where its schedule ends: map `update`, and `updates` (the whole "
            "schedule) or `warmup` (its last update)"
        )
    blank = [False] * len(points)
    pairs = zip(found.warming_up or blank, found.unfinished or blank, strict=True)
    kept = [i for i, pair in enumerate(pairs) if not any(pair)]
    if not kept:
        raise FitError("no rows are left once warm-up and unfinished rows are out: keep them, and read the warnings")
    return points.take(kept)
