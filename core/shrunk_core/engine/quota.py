"""Checkpoints within the lab's quota (`checkpoint_gigabytes`): which go first is one rule, stated here.

1. Of finished runs those that are neither the best nor the last; 2. of finished runs the last, where it is not the best;
3. of unfinished runs those that are neither the last good one nor the best so far. Within each the oldest first, and no
more than the quota asks for. The last good one of an unfinished run stays, and so does the best of a finished one unless
a person says `--best` (then it goes last, and only where `model/` holds its weights). A checkpoint that an unfinished
downstream cell names stays as well.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import RunError
from ..record.cell_events import CellFinished
from ..record.celldir import read_cell
from ..record.eventlog import read_events
from ..record.rundir import RunDir, cell_dirs, read_spec, run_dirs
from .watch import Watch


@dataclass(frozen=True, kw_only=True)
class Spent:
    """A checkpoint that may go. order: the number of its rule; saved_at: seconds since 1970."""

    path: Path
    num_bytes: int
    order: int
    saved_at: float
    why: str


WHY = {
    1: "of a finished run, neither best nor last",
    2: "the last of a finished run, not the best",
    3: "of an unfinished run, neither best nor the last good one",
    4: "the best of a finished run, whose model/ stays",
}


def beyond_quota(lab: Path, watch: Watch, quota: float, *, best: bool = False) -> tuple[list[Spent], int]:
    """What has to go so that all checkpoints hold at most `quota` bytes, and how many bytes are then still too much.

    best: the best ones of finished runs may go as well.
    """
    held, spent = 0, []
    for run in run_dirs(lab):
        sizes = {p: _size(p) for p in sorted(run.checkpoints.glob("update-*"))}
        held += sum(sizes.values())
        if sizes:
            finished = watch.standing(run.run_id).log.state == "finished"
            spent += [
                Spent(path=p, num_bytes=sizes[p], order=order, saved_at=_mtime(p), why=WHY[order])
                for p, order in rank(run, list(sizes), finished=finished).items()
                if order < 4 or best
            ]
    going: list[Spent] = []
    for piece in sorted(spent, key=lambda s: (s.order, s.saved_at)):
        if held <= quota:
            break
        going.append(piece)
        held -= piece.num_bytes
    return going, max(0, int(held - quota))


def rank(run: RunDir, saved: list[Path], *, finished: bool) -> dict[Path, int]:
    """The rule of each checkpoint of a run that may go at all. saved: all of them, oldest update first."""
    wanted = _wanted(run)
    free = [p for p in saved if p.name not in wanted]
    if finished:
        best, last = _best_of_finished(run), saved[-1].name
        order = {p: 4 if p.name == best else 2 if p.name == last else 1 for p in free}
        return {p: o for p, o in order.items() if o < 4 or (run.model / "model.safetensors").exists()}
    good = next((p for p in reversed(saved) if _is_good(p)), None)
    if good is None:
        return {}
    best = _best_so_far(good)
    return {p: 3 for p in free if p != good and p.name != best}


def _wanted(run: RunDir) -> set[str]:
    """Checkpoints that downstream cells still need."""
    wanted = set()
    for cell in cell_dirs(run):
        try:
            which = read_cell(cell).checkpoint
            if which in ("best", "untrained") or any(
                isinstance(e, CellFinished) for e in read_events(cell.events_file)
            ):
                continue
            update = read_spec(run).spec.train.updates if which == "final" else int(which)
            wanted.add(f"update-{update:09d}")
        except (RunError, ValueError):
            continue
    return wanted


def _is_good(checkpoint: Path) -> bool:
    """True unless a look tells that it cannot be read: torch writes a zip, whose end says that it is whole."""
    return (checkpoint / "meta.json").exists() and zipfile.is_zipfile(checkpoint / "state.pt")


def _best_so_far(checkpoint: Path) -> str:
    try:
        return f"update-{json.loads((checkpoint / 'meta.json').read_text())['best_update']:09d}"
    except (OSError, ValueError, KeyError):
        return ""


def _best_of_finished(run: RunDir) -> str:
    """The checkpoint that the model was written from, as the notes beside it say."""
    try:
        return f"update-{json.loads((run.model / 'shrunk.json').read_text())['update']:09d}"
    except (OSError, ValueError, KeyError):
        return ""


def _size(folder: Path) -> int:
    try:
        return sum(p.lstat().st_size for p in folder.iterdir())
    except FileNotFoundError:  # pruned by its worker meanwhile
        return 0


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
