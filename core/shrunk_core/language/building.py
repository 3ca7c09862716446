"""Folders that are either whole or absent, and built by one process at a time."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `target` when the block ends well and vanishes when it does not.

    The caller holds the lock of `target`, so whatever a killed predecessor left behind is removed first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{target.name}.*.tmp"):
        shutil.rmtree(stale, ignore_errors=True)
    folder = target.parent / f".{target.name}.{os.getpid()}.tmp"
    folder.mkdir()
    try:
        yield folder
        for file in folder.rglob("*"):
            if file.is_file():
                sync(file)
        sync(folder)
        os.rename(folder, target)
        sync(target.parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextlib.contextmanager
def continued_folder(target: Path) -> Iterator[Path]:
    """Like `new_folder`, but what an interrupted builder left is there again, and stays when the block is interrupted.

    It vanishes when the disk is full or cannot be written to, and the block itself removes it when it refuses.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(".*.partial"):
        if stale.name != _partial(target).name and time.time() - stale.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(stale, ignore_errors=True)
    folder = _partial(target)
    folder.mkdir(exist_ok=True)
    try:
        yield folder
        for file in folder.rglob("*"):
            if file.is_file():
                sync(file)
        sync(folder)
        os.rename(folder, target)
        sync(target.parent)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _partial(target: Path) -> Path:
    return target.parent / f".{target.name}.partial"


@contextlib.contextmanager
def disk_errors(lab: Path) -> Iterator[None]:
    """A full or read-only disk becomes a DataError that says what to do."""
    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(lab).free if lab.exists() else 0
            raise DataError(
                f"the disk of {lab} is full ({free / 1e6:.0f} MB free): {problem.strerror}. Nothing half-made is left; "
                "make space and run the same command again."
            ) from problem
        if problem.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise DataError(f"cannot write to {lab}: {problem.strerror} ({problem.filename})") from problem
        raise


_STALE_SECONDS = 30 * 86400
"""A half-built folder that nobody continued for so long is removed by the next builder."""


def write_json(path: Path, value: Any, indent: int | None = 2) -> None:
    """Replace a JSON file in one step, so that a reader sees the old or the new one. Without indent it is written fast."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        new.write_text(json.dumps(value, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(new, path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Wait until a file or a folder's list of files is on the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
