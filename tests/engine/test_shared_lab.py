"""A lab of a group, with two real users: each queues, stops, tags and goes on with what the other began."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from shrunk_core.config.lab import find_lab, init_lab
from shrunk_core.engine.desk import Desk
from shrunk_core.engine.watch import read_standings
from shrunk_core.record.eventlog import read_events
from shrunk_core.record.events import Finished, Resumed
from shrunk_core.record.rundir import run_dirs

from tests.conftest import end_supervisor
from tests.tiny import command, kill, wait_for, write_grid

ANN, BEN, GROUP = 51_001, 51_002, 51_000


def as_user(user: int, *words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command as another user of the group, who may read everything (the interpreter may lie in somebody's home), and
    write what the modes of files allow."""
    become = ["setpriv", f"--reuid={user}", f"--regid={GROUP}", "--clear-groups", "--bounding-set=-all,+dac_read_search",
              "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]  # fmt: skip
    return subprocess.run(
        [*become, *command(*words)], umask=0o022, cwd=folder, timeout=120, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, env=os.environ | {"HOME": str(folder)},
    )  # fmt: skip


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of Ann's group, outside pytest's own, which only its user may enter."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs the right to be other users")
    path = Path(tempfile.mkdtemp(prefix="shared-"))
    os.chown(path, ANN, GROUP)
    path.chmod(0o770)
    if as_user(ANN, "--version", folder=path).returncode:
        shutil.rmtree(path)
        pytest.skip("other users cannot be made here")
    yield path
    if (path / "lab").exists():
        end_supervisor(path / "lab")
    shutil.rmtree(path)


def test_two_people_work_in_one_lab(folder: Path) -> None:
    lab = folder / "lab"
    done = as_user(ANN, "init", lab, "--shared", folder=folder)
    assert done.returncode == 0, done.stderr
    (lab / "shrunk.toml").write_text("idle_seconds = 0.5\nslots = 1\n")
    first = write_grid(folder, name="first", updates=3000, evaluate_every=100)
    second = write_grid(folder, name="second", updates=60, seeds="[1, 2]")
    done = as_user(ANN, "run", first, "--lab", lab, "--detach", folder=folder)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: any(s.update > 100 for s in read_standings(lab).values()), "an update")
    anns = json.loads(Desk(lab).owner.read_text())["pid"]
    (long_run,) = run_dirs(lab)

    def ben(*words: str | Path) -> str:
        done = as_user(BEN, *words, "--lab", lab, folder=folder)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    assert json.loads(ben("status", "--format", "json"))[0]["status"] == "running"
    ben("run", second, "--detach")
    ben("prioritise", "second", "--priority", "3")
    assert "stopping" in ben("stop", "first")
    assert "paper" in ben("tag", "first", "--add", "paper")
    ben("note", long_run.run_id, "Ben was here")
    wait_for(lambda: {s.log.state for s in read_standings(lab).values()} == {"left", "finished"}, "Ben's runs")
    assert ben("sql", "select count(*) as n from runs", "--format", "csv").split() == ["n", "3"]
    assert "nobody" not in as_user(ANN, "sql", "from runs", "--lab", lab, folder=folder).stderr
    kill(anns)
    wait_for(lambda: not Desk(lab).serving(), "the end of Ann's supervisor")
    ben("run", first)  # on from Ann's checkpoint, by a supervisor and a worker of Ben's
    assert any(isinstance(e, Resumed) for e in read_events(long_run.events_file))
    assert sum(isinstance(e, Finished) for e in read_events(long_run.events_file)) == 1
    end_supervisor(lab)
    done = as_user(ANN, "delete", "second", "--yes", "--lab", lab, folder=folder)
    assert done.returncode == 0 and len(run_dirs(lab)) == 1, done.stderr

    owners = set()
    for path in (lab, *lab.rglob("*")):
        found = path.lstat()
        owners.add(found.st_uid)
        assert found.st_gid == GROUP, path
        if path.is_symlink() or "published" in path.parts and path.name == "lab.duckdb":
            continue  # a published copy is for nobody to write
        assert found.st_mode & stat.S_IWGRP, f"{path} {stat.filemode(found.st_mode)}"
        assert not path.is_dir() or found.st_mode & stat.S_ISGID, path
    assert {ANN, BEN} <= owners


def test_a_lab_that_is_there_is_shared_later_and_others_stay_out(folder: Path) -> None:
    lab = folder / "lab"
    assert as_user(ANN, "init", lab, folder=folder).returncode == 0
    refused = as_user(BEN, "init", lab, "--shared", folder=folder)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    seen = as_user(BEN, "status", "--lab", lab, folder=folder)  # a look needs no right to write
    assert seen.returncode == 0, seen.stderr
    assert as_user(ANN, "init", lab, "--shared", folder=folder).returncode == 0
    modes = [p.stat().st_mode for p in lab.rglob("*")]
    assert modes and all(m & stat.S_IWGRP for m in modes)


def test_the_umask_gives_up_the_groups_part_alone(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        plain = init_lab(tmp_path / "plain")
        find_lab(plain)
        assert os.umask(0o077) == 0o077
        shared = init_lab(tmp_path / "shared", shared=True)
        (shared / "file").touch()
        assert stat.S_IMODE((shared / "file").stat().st_mode) == 0o660
        os.umask(0o027)
        find_lab(shared)
        assert os.umask(0o077) == 0o007
    finally:
        os.umask(before)
