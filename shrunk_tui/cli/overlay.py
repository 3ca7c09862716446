"""A reference beside a fit: the same x, and the same axis only where its losses mean the same."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from shrunk_core.errors import ConfigError
from shrunk_core.store import queries
from shrunk_core.store.store import Store

from . import references

if TYPE_CHECKING:
    from ..scaling_charts import Overlay
    from .fitting import Fitted

_AXES = {"flops": "flops", "n": "params", "d": "tokens", "updates": "update"}


def overlay_of(store: Store, name: str, fitted: Fitted) -> Overlay:
    """The reference's points for a fit's chart. ConfigError when it has no such x, or its FLOPs are counted otherwise."""
    if fitted.y != "loss":
        raise ConfigError("--reference goes with losses: the fit is of " + fitted.y)
    used = fitted.used
    one_a_run = len(used) == len(set(used.values("run_id")))
    return reference_overlay(
        store, name, fitted.x, used.counting, used.evaluation_id, set(used.values("run_id")), last_only=one_a_run
    )


def reference_overlay(
    store: Store, name: str, x: str, counting: str, evaluation_id: str, run_ids: Collection[str], *, last_only: bool
) -> Overlay:
    """A reference beside these runs of the lab; x: flops (in `counting`), tokens, params or updates.

    last_only: one point a run, as theirs.
    """
    from ..scaling_charts import Overlay

    found = references.read(store, name)
    axis = _AXES.get(x, x)
    if axis == "flops" and found.counting and counting and found.counting != counting:
        raise ConfigError(
            f"the FLOPs of reference {name} are counted as `{found.counting}`, those of the chart as `{counting}`: take "
            f"--counting {found.counting}, or --x tokens or params"
        )
    at, losses = found.xy(axis, last_only)
    if not at:
        raise ConfigError(f"reference {name} says nothing of {axis}: choose another --x")
    same = found.comparable(_runs(store, run_ids), evaluation_id)
    why = ""
    if not same:
        why = f"{name} has an axis of its own: " + (
            "its losses count padding" if found.padding else "its losses are of another evaluation set"
        )
    return Overlay(label=name, x=at, y=losses, same_scale=same, why=why)


def _runs(store: Store, run_ids: Collection[str]) -> list[dict[str, object]]:
    table = queries.runs_table(store)
    rows = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    return [row for row in rows if row["run_id"] in run_ids]
