"""What a lab can do without: half-written files of killed processes, corpora that no run uses, spent checkpoints."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..record.lock import is_locked
from ..record.rundir import read_spec, run_dirs
from .desk import Desk
from .quota import beyond_quota
from .unarchive import STAGE
from .watch import Watch

STALE_SECONDS = 3600.0
"""A temporary file that nobody has touched for so long belongs to no living process."""


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """One file or folder that may go, what it holds, and why nobody needs it."""

    path: Path
    num_bytes: int
    why: str


def find_garbage(
    lab: Path, *, checkpoints: bool = False, quota: float | None = None, best: bool = False
) -> list[Garbage]:
    """Everything that may go. Of a run that is queued or running nothing but checkpoints beyond the quota; no log, no
    model, no tag.

    checkpoints: also the checkpoints of finished runs, all but the best and the last. quota: bytes that all checkpoints
    may hold together; what goes is the rule of `quota`. best: the best checkpoints of finished runs may go too.
    """
    watch = Watch(lab)
    watch.look()
    found = [*_stale(lab), *_unused(lab)]
    for run in run_dirs(lab):
        status = watch.status(run.run_id).status
        if status in ("queued", "running"):
            continue
        found += [_one(p, "half-written checkpoint") for p in run.checkpoints.glob(".new-*")]
        if checkpoints and status == "finished":
            saved = sorted(run.checkpoints.glob("update-*"))
            keep = {saved[-1].name, *_best(run.model)} if saved else set()
            found += [_one(p, "checkpoint of a finished run") for p in saved if p.name not in keep]
    if quota is not None:
        going, _ = beyond_quota(lab, watch, quota, best=best)
        known = {piece.path for piece in found}
        found += [_one(s.path, f"beyond the quota: {s.why}") for s in going if s.path not in known]
    return found


def collect(found: list[Garbage]) -> None:
    """Remove it."""
    for piece in found:
        if piece.path.is_dir():
            shutil.rmtree(piece.path, ignore_errors=True)
        else:
            piece.path.unlink(missing_ok=True)


def _stale(lab: Path) -> Iterator[Garbage]:
    """Answers that nobody fetched, temporary files, and folders of runs that were never born."""
    before = time.time() - STALE_SECONDS
    desk = Desk(lab)
    for path in [*desk.replies.glob("*.json"), *lab.glob("runs/*/.*.[0-9]*"), *desk.private.glob(".*.[0-9]*")]:
        if path.stat().st_mtime < before:
            yield _one(path, "left by a process that is gone")
    stage = desk.private / STAGE
    if stage.is_dir() and not is_locked(stage.with_suffix(".lock")):
        yield _one(stage, "an import that was killed")
    for folder in lab.glob("runs/*"):
        if folder.is_dir() and not (folder / "spec.json").exists() and folder.stat().st_mtime < before:
            yield _one(folder, "no run: it has no spec.json")


def _unused(lab: Path) -> Iterator[Garbage]:
    """Corpora and tokenizers that no run of the lab names, unless a supervisor serves and may be building for a run."""
    if Desk(lab).serving():
        return
    specs = [read_spec(run).spec for run in run_dirs(lab)]
    corpora = {s.corpus_fingerprint for s in specs}
    tokenizers = {s.tokenizer_fingerprint for s in specs}
    for folder, used in ((lab / "corpora", corpora), (lab / "tokenizers", tokenizers)):
        for path in sorted(folder.glob("*")):
            if path.is_dir() and path.name not in used:
                yield _one(path, "no run of this lab uses it")


def _best(model: Path) -> set[str]:
    """The checkpoint that the model was written from, as the notes beside it say."""
    try:
        return {f"update-{json.loads((model / 'shrunk.json').read_text())['update']:09d}"}
    except (OSError, ValueError, KeyError):
        return set()


def _one(path: Path, why: str) -> Garbage:
    if path.is_dir():
        size = sum(p.lstat().st_size for p in path.rglob("*") if not p.is_dir())
    else:
        size = path.lstat().st_size
    return Garbage(path=path, num_bytes=size, why=why)
