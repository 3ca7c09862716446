"""Checkpoints: a folder `update-<n>` that is there whole or not at all, and which of them are kept.

Policy: the latest `keep_checkpoints` and the best one (lowest validation loss so far); older ones are removed after a
newer one is safe.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import RunError

STATE_FILE = "state.pt"
META_FILE = "meta.json"
FULL_BYTES = 1 << 20
"""A disk with less room than this counts as full when torch could not write and does not say why."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where training stands. `evaluated`: last update whose validation loss (`last_loss`) is logged, 0 for none yet;
    `best_*`: the lowest so far; `seconds`: spent in updates, over all attempts; `micro_batch`: 0 unless memory ran out and
    it was halved; `waited`: evaluations since the loss last fell by `patience_gain`; `decayed`: decay points done.
    """

    update: int = 0
    evaluated: int = 0
    last_loss: float | None = None
    best_update: int = 0
    best_loss: float | None = None
    seconds: float = 0.0
    micro_batch: int = 0
    waited: int = 0
    decayed: int = 0


def folder_of(checkpoints: Path, update: int) -> Path:
    return checkpoints / f"update-{update:09d}"


def saved_updates(checkpoints: Path) -> list[int]:
    """Updates of all whole checkpoints, ascending."""
    return sorted(int(p.name.removeprefix("update-")) for p in checkpoints.glob("update-*") if p.is_dir())


def save(checkpoints: Path, progress: Progress, state: dict[str, Any]) -> int:
    """Write one checkpoint and return its size in bytes. RunError on a full disk, with nothing half-written left."""
    final = folder_of(checkpoints, progress.update)
    temporary = checkpoints / f".new-{progress.update}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        checkpoints.mkdir(exist_ok=True)  # not what is above: a lab that has gone must not come back empty
        temporary.mkdir()
        torch.save(state, temporary / STATE_FILE)
        (temporary / META_FILE).write_text(json.dumps(asdict(progress)))
        for path in temporary.iterdir():
            _sync(path)
        shutil.rmtree(final, ignore_errors=True)  # left by an attempt whose later rows were superseded
        os.replace(temporary, final)
        _sync(checkpoints)
    except (OSError, RuntimeError) as problem:  # torch reports a full disk as RuntimeError
        full = isinstance(problem, RuntimeError) and shutil.disk_usage(checkpoints.parent).free < FULL_BYTES
        shutil.rmtree(temporary, ignore_errors=True)
        raise RunError(
            f"cannot write the checkpoint {final}: {problem}. Make space and start the grid again: it goes on from "
            "the last whole checkpoint."
        ) from (OSError(errno.ENOSPC, str(problem)) if full else problem)
    return sum(p.stat().st_size for p in final.iterdir())


def prune(checkpoints: Path, keep: int, best_update: int) -> None:
    """Remove all but the latest `keep` checkpoints and the best one, and what a killed writer left."""
    updates = saved_updates(checkpoints)
    for update in updates[:-keep]:
        if update != best_update:
            shutil.rmtree(folder_of(checkpoints, update), ignore_errors=True)
    for stale in checkpoints.glob(".new-*"):
        shutil.rmtree(stale, ignore_errors=True)


def load(checkpoints: Path, update: int) -> tuple[Progress, dict[str, Any]]:
    """One checkpoint. RunError when it cannot be read."""
    folder = folder_of(checkpoints, update)
    try:
        progress = Progress(**json.loads((folder / META_FILE).read_text()))
        return progress, torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True)
    except Exception as problem:
        raise RunError(f"the checkpoint {folder} cannot be read: {problem}") from problem


def load_latest(checkpoints: Path) -> tuple[Progress, dict[str, Any]] | None:
    """The latest checkpoint that can be read, or None: a damaged one is passed over for the one before."""
    for update in reversed(saved_updates(checkpoints)):
        try:
            return load(checkpoints, update)
        except RunError:
            continue
    return None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
