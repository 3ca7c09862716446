"""`shrunk plan` and `shrunk run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from shrunk_core.config.grid import load_grid
from shrunk_core.config.lab import find_lab
from shrunk_core.engine.client import AUTO, submit
from shrunk_core.engine.plan import RunPlan, make_plan
from shrunk_core.errors import ConfigError

from ..format import count, duration, several, size
from ..format import flops as show_flops
from .follow import Followed, Outcome, follow
from .output import Counting, CountingOption, Format, FormatOption, LabOption, print_rows, say

PLAN_COLUMNS = (
    "run_id", "name", "embedding_size", "hidden_size", "intermediate_size", "num_heads", "num_layers", "vocab_size",
    "seed", "updates", "num_params", "embedding_params", "flops_counting", "flops_total", "tokens", "memory_bytes",
    "disk_bytes", "seconds", "status", "problem",
)  # fmt: skip
PLAN_TABLE = (
    "run_id", "name", "num_params", "embedding_params", "updates", "flops_total", "tokens", "memory_bytes", "seconds",
    "status", "problem",
)  # fmt: skip
GridArgument = Annotated[Path, typer.Argument(help="The grid file (TOML).")]


def plan(
    grid: GridArgument,
    lab: LabOption = None,
    counting: CountingOption = Counting.paper,
    how: FormatOption = Format.table,
) -> None:
    """List every run of a grid: shape, parameters, FLOPs, memory, estimated time, what exists and what is impossible.

    Nothing is built or trained. Exit 2 when a shape is impossible. Example: shrunk plan grid.toml --format json
    """
    planned = make_plan(find_lab(lab), load_grid(grid))
    print_plan(planned, counting.value, how)
    planned.refuse_problems()


def print_plan(planned: RunPlan, counting: str, how: Format) -> None:
    """The rows of a plan on stdout and its totals on stderr."""
    rows = [r.row(counting) for r in planned.runs]
    columns = [c for c in PLAN_TABLE if c != "problem" or any(r["problem"] for r in rows)]
    shown = {"memory_bytes": size, "seconds": duration, "num_params": count, "embedding_params": count,
             "flops_total": show_flops, "tokens": count, "status": lambda s: s or "new"}  # fmt: skip
    print_rows(rows, PLAN_COLUMNS, how, shown, columns)
    todo = [r for r in rows if r["status"] != "finished" and not r["problem"]]
    say(
        f"{len(rows)} runs, {len(rows) - len(todo)} finished or impossible; to train: "
        f"{show_flops(sum(r['flops_total'] for r in todo))} FLOPs ({counting}), "
        f"about {duration(sum(r['seconds'] for r in todo))} of one core (estimated)"
    )
    if planned.repeated:
        say(f"{planned.repeated} combinations of the axes are the same run as another one and were left out")


def run(
    grid: GridArgument,
    lab: LabOption = None,
    slots: Annotated[str, typer.Option(help="Runs at once, or auto: as many as the machine takes well.")] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Hand the grid over and return; training goes on.")] = False,
    order: Annotated[str, typer.Option(help="longest, shortest, breadth or grid; else as shrunk.toml says.")] = "",
    hours: Annotated[float, typer.Option(min=0, help="Stop the grid cleanly after so many hours; 0: never.")] = 0.0,
    flops: Annotated[float, typer.Option(min=0, help="... after so many FLOPs of its runs (paper); 0: never.")] = 0.0,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Serve the lab from here although another host seems to (it is lost).")
    ] = False,
) -> None:
    """Train what is missing of a grid and follow it to its end. Finished runs are found, not trained again.

    The lab's supervisor does the work: closing this terminal changes nothing. `d` detaches; Ctrl-C stops this grid, each
    run with a checkpoint (exit 130). Exit 1 if a run failed. Example: shrunk run grid.toml --slots 2
    """
    folder = find_lab(lab)
    planned = make_plan(folder, load_grid(grid))
    reply = submit(folder, planned, _slots(slots), order=order, hours=hours, flops=flops, take_over=take_over)
    found = len(reply["run_ids"]) - len(reply["queued"])
    to_train, at_once = several(len(reply["queued"]), "run"), several(reply["slots"], "slot")
    say(f"{planned.grid.name}: {to_train} to train on {at_once}, {found} finished or under way")
    if detach:
        say("detached: `shrunk attach` follows, `shrunk status` tells where it stands")
        return
    finish(planned, follow_plan(folder, planned))


def _slots(text: str) -> int:
    """What --slots asks for: a number, `AUTO`, or 0 for nothing. ConfigError for anything else."""
    if text == "auto":
        return AUTO
    if text and not (text.isdigit() and 0 < int(text) <= 1024):
        raise ConfigError(f"--slots {text}: write a number from 1 to 1024, or auto")
    return int(text or 0)


def follow_plan(folder: Path, planned: RunPlan) -> Outcome:
    """Follow all runs of a plan."""
    runs = [Followed(run_id=r.run_id, name=r.name, updates=r.point.train.updates) for r in planned.runs if r.spec]
    return follow(folder, runs, can_stop=True)


def finish(planned: RunPlan, outcome: Outcome) -> None:
    """Say how it ended and exit: 130 interrupted, 1 when a run failed or was stopped."""
    if outcome.how == "detached":
        say("detached; training goes on. `shrunk attach` follows it again.")
        return
    tally = {s: list(outcome.statuses.values()).count(s) for s in sorted(set(outcome.statuses.values()))}
    say(f"{planned.grid.name}: " + ", ".join(f"{n} {s}" for s, n in tally.items()))
    if outcome.how == "interrupted":
        say("interrupted; the same command goes on from the checkpoints")
        sys.exit(130)
    if set(tally) - {"finished"}:
        say("`shrunk status` and `shrunk logs RUN` tell why")
        sys.exit(1)
