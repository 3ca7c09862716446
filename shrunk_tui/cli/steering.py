"""`shrunk stop`, `pause`, `resume`, `retry`, `cancel`, `prioritise`: acts on runs or grids and prints what it did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from shrunk_core.config.lab import find_lab

from .output import LabOption, say
from .runs import choose

if TYPE_CHECKING:
    from shrunk_core.engine.client import Reply

RunsArgument = Annotated[list[str], typer.Argument(help="Runs (id, its beginning, or name) or grids.")]


def stop(runs: RunsArgument, lab: LabOption = None) -> None:
    """Stop runs: queued ones leave the queue, running ones leave at the next micro-batch with a checkpoint.

    `shrunk run` on the same grid goes on from there. Example: shrunk stop "width by depth"
    """
    from shrunk_core.engine.client import stop as act  # plans grids too, and imports numpy for that

    _print("stopping", act, find_lab(lab), runs)


def pause(runs: RunsArgument, lab: LabOption = None) -> None:
    """Pause runs: each leaves with a checkpoint and frees its slot; `resume` goes on from there.

    Example: shrunk pause 3f2a
    """
    from shrunk_core.engine.client import pause as act

    _print("pausing", act, find_lab(lab), runs)


def resume(runs: RunsArgument, lab: LabOption = None) -> None:
    """Queue paused and stopped runs again; they go on from their checkpoints. Example: shrunk resume "width by depth" """
    from shrunk_core.engine.client import resume as act

    _print("queued", act, find_lab(lab), runs)


def retry(runs: RunsArgument, lab: LabOption = None) -> None:
    """Queue failed, stopped and cancelled runs again, from their checkpoints where they have one.

    What made a run fail is worth a look first: `shrunk logs RUN`. Example: shrunk retry 3f2a
    """
    from shrunk_core.engine.client import retry as act

    _print("queued", act, find_lab(lab), runs)


def cancel(runs: RunsArgument, lab: LabOption = None) -> None:
    """Cancel runs that nobody wants any more; running ones leave with a checkpoint. Files stay (`shrunk delete`).

    Example: shrunk cancel "width by depth"
    """
    from shrunk_core.engine.client import cancel as act

    _print("cancelling", act, find_lab(lab), runs)


def prioritise(
    runs: RunsArgument,
    priority: Annotated[int, typer.Option("--priority", "-p", help="Larger goes first; all begin with 0.")] = 1,
    lab: LabOption = None,
) -> None:
    """Put waiting runs first in the queue (or last, with a negative priority). What runs already goes on.

    Example: shrunk prioritise 3f2a --priority 5
    """
    from shrunk_core.engine.client import prioritise as act

    _print(f"priority {priority}:", lambda folder, ids: act(folder, ids, priority), find_lab(lab), runs)


def _print(word: str, act: Callable[[Path, list[str]], Reply], folder: Path, wanted: list[str]) -> None:
    """Act, one line on stdout a run that it concerned, and on stderr what was left alone and why."""
    names = {spec.run_id: spec.name for spec in choose(folder, wanted)}
    reply = act(folder, list(names))
    for run_id in reply.done:
        print(f"{word} {run_id} {names[run_id]}")
    for run_id, why in reply.left.items():
        say(f"{run_id} {names[run_id]}: {why}; left as it is")
