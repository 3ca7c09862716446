"""A reference beside a fit: the same x, and the same axis only where its losses mean the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shrunk_core.errors import ConfigError
from shrunk_core.store import queries
from shrunk_core.store.store import Store

from . import references
from .points import Points

if TYPE_CHECKING:
    from ..scaling_charts import Overlay
    from .fitting import Fitted

_AXES = {"flops": "flops", "n": "params", "d": "tokens", "params": "params", "tokens": "tokens"}


def overlay_of(store: Store, name: str, fitted: Fitted) -> Overlay:
    """The reference's points for a fit's chart. ConfigError when it has no such x, or its FLOPs are counted otherwise."""
    if fitted.y != "loss":
        raise ConfigError("--reference goes with losses: the fit is of " + fitted.y)
    return reference_overlay(
        store, name, fitted.x, fitted.used, last_only=len(fitted.used) == len(set(fitted.used.trained()))
    )


def reference_overlay(store: Store, name: str, x: str, points: Points, *, last_only: bool) -> Overlay:
    """points: the lab's rows that it is drawn beside. last_only: one point a run, as theirs."""
    from ..scaling_charts import Overlay

    found = references.read(store, name)
    axis = _AXES.get(x, x)
    if axis == "flops" and found.counting and points.counting and found.counting != points.counting:
        raise ConfigError(
            f"the FLOPs of reference {name} are counted as `{found.counting}`, those of the chart as "
            f"`{points.counting}`: take --counting {found.counting}, or --x tokens or params"
        )
    at, losses = found.xy(axis, last_only)
    if not at:
        raise ConfigError(f"reference {name} says nothing of {axis}: choose another --x")
    same = found.comparable(_runs(store, points), points.evaluation_id)
    why = ""
    if not same:
        why = f"{name} has an axis of its own: " + (
            "its losses count padding" if found.padding else "its losses are of another evaluation set"
        )
    return Overlay(label=name, x=at, y=losses, same_scale=same, why=why)


def _runs(store: Store, points: Points) -> list[dict[str, object]]:
    table = queries.runs_table(store)
    wanted = set(points.values("run_id")) if points.has("run_id") else set()
    rows = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    return [row for row in rows if row["run_id"] in wanted]
