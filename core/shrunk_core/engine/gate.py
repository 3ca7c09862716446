"""When a downstream cell may start: its checkpoint has to be there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..record.celldir import read_cell
from ..record.rundir import parent_of, run_dir
from ..record.status import WORKER_DIED, RunStatus


@dataclass(frozen=True, kw_only=True)
class Gate:
    """open: the cell may start now. refusal: why it never will, "" while that is not known."""

    open: bool = False
    refusal: str = ""


def gate_of(lab: Path, job_id: str, parent: RunStatus, *, under_way: bool) -> Gate:
    """Whether a cell's checkpoint is there.

    The untrained checkpoint needs no run; a numbered one needs its folder; `best` and `final` need the finished run.
    under_way: the run is queued or in a slot, whatever its log says at this moment.
    """
    checkpoint = read_cell(run_dir(lab, job_id)).checkpoint
    run_id = parent_of(job_id)
    run = run_dir(lab, run_id)
    if checkpoint == "untrained":
        return Gate(open=True)
    if checkpoint.isdigit() and (run.checkpoints / f"update-{int(checkpoint):09d}").is_dir():
        return Gate(open=True)
    if parent.status == "finished":
        if checkpoint.isdigit():
            return Gate(refusal=f"run {run_id} has kept no checkpoint of update {checkpoint} (train.keep_checkpoints)")
        return Gate(open=True)
    if under_way or parent.status in ("queued", "running") or parent.reason.startswith(WORKER_DIED):
        return Gate()
    why = f": {parent.reason}" if parent.reason else ""
    return Gate(refusal=f"run {run_id} is {parent.status}{why}; its checkpoint `{checkpoint}` needs the finished run")
