"""A lab whose folder has gone (a disk that was taken away, a rename) never comes back empty by what somebody writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from shrunk_core.config.lab import init_lab
from shrunk_core.engine.desk import Desk
from shrunk_core.errors import ShrunkError
from shrunk_core.record.journal import open_journal
from shrunk_core.record.lock import FileLock
from shrunk_core.record.rundir import write_atomically
from shrunk_core.store.store import open_store
from shrunk_core.train.checkpoint import Progress, save


@pytest.mark.parametrize(
    "write",
    [
        lambda lab: write_atomically(lab / ".shrunk" / "supervisor.json", "{}"),
        lambda lab: FileLock(lab / ".shrunk" / "index.lock"),
        lambda lab: open_journal(lab),
        lambda lab: Desk(lab).put({"kind": "stop"}),
        lambda lab: save(lab / "runs" / "0" / "checkpoints", Progress(update=1), {}),
        lambda lab: open_store(lab).refresh(force=True),
    ],
    ids=["file", "lock", "journal", "request", "checkpoint", "index"],
)
def test_writers_do_not_make_it_anew(tmp_path: Path, write: Callable[[Path], object]) -> None:
    lab = init_lab(tmp_path / "lab")
    lab.rename(tmp_path / "away")
    with pytest.raises((OSError, ShrunkError)):
        write(lab)
    assert not lab.exists()
    (tmp_path / "away").rename(lab)
    assert (lab / "shrunk.toml").exists()
