"""The index among real processes: killed refreshers, two at once, strangers in lab.duckdb, a disk that is full."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from shrunk_core.errors import StoreError  # noqa: E402
from shrunk_core.store import publish  # noqa: E402
from shrunk_core.store.store import open_store  # noqa: E402
from store_lab import born, started, step, write  # noqa: E402 # pyright: ignore[reportMissingImports]

KILLS = 20
RUNS = 4

REFRESHER = """
import sys
from pathlib import Path
from shrunk_core.store.store import open_store
store = open_store(Path(sys.argv[1]))
print("up", flush=True)
while True:
    store.refresh(force=True)
"""

WRITER = """
import sys, time
from pathlib import Path
from shrunk_core.record.eventlog import EventWriter
from store_lab import evaluated, resumed, step
logs = [EventWriter(p) for p in sorted(Path(sys.argv[1]).glob("runs/*/events.jsonl"))]
updates = int(sys.argv[2])
for update in range(1, updates + 1):
    for log in logs:
        log.append(step(update))
        if update % 10 == 0:
            log.append(evaluated(update))
        if update % 50 == 0:
            log.append(resumed(update // 50 + 1, update - 5))
            log.append(*(step(u, 4.0, 2) for u in range(update - 4, update + 1)))
    time.sleep(0.004)
"""

STRANGER = """
import sys, time
import duckdb
con = duckdb.connect(sys.argv[1])
con.execute("set wal_autocheckpoint = '1GB'")
con.execute("delete from raw.steps")
con.execute("create table mine as select range as n from range(100000)")
print("written", flush=True)
time.sleep(60)
"""


@pytest.fixture
def lab(tmp_path):
    folder = tmp_path / "lab"
    folder.mkdir()
    for seed in range(RUNS):
        write(born(folder, seed=seed).events_file, started())
    return folder


def child(code, *args, **options):
    root = Path(__file__).parents[2]
    paths = [str(root / "core"), str(root / "tests" / "unit")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    argv = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def stop(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()


def check_every_event_once(lab, updates):
    store = open_store(lab)
    store.refresh(force=True)
    lines = sum(p.read_bytes().count(b"\n") for p in lab.glob("runs/*/events.jsonl"))
    counted = (
        "select (select count(*) from raw.steps) + (select count(*) from raw.evaluations) + count(*) from raw.events"
    )
    assert store.query(counted).rows == [(lines,)]
    doubled = "select count(*) from (select run_id, seq from raw.steps group by all having count(*) > 1)"
    assert store.query(doubled).rows == [(0,)]
    per_run = "select count(*), count(distinct update), min(update), max(update) from steps group by run_id"
    assert store.query(per_run).rows == [(updates, updates, 1, updates)] * RUNS
    taken_back = "select count(*) from steps where update % 50 in (46, 47, 48, 49, 0) and loss <> 4.0"
    assert store.query(taken_back).rows == [(0,)]
    store.close()


def test_refreshers_killed_at_random_moments_lose_and_double_nothing(lab):
    rng = random.Random(20261123)
    updates = 1200
    writer = child(WRITER, lab, updates)
    try:
        for _ in range(KILLS):
            refresher = child(REFRESHER, lab)
            assert refresher.stdout is not None
            refresher.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.25))
            stop(refresher)
        _, problem = writer.communicate(timeout=60)
        assert writer.returncode == 0, problem
    finally:
        stop(writer)
    check_every_event_once(lab, updates)


def test_two_refreshers_at_once_take_turns(lab):
    updates = 300
    writer = child(WRITER, lab, updates)
    refreshers = [child(REFRESHER, lab) for _ in range(2)]
    store = open_store(lab)
    try:
        while writer.poll() is None:
            store.query("select count(*) from runs")
            time.sleep(0.02)
        assert all(r.poll() is None for r in refreshers), [
            r.communicate()[1] for r in refreshers if r.poll() is not None
        ]
    finally:
        store.close()
        for process in (*refreshers, writer):
            stop(process)
    check_every_event_once(lab, updates)


def test_a_stranger_killed_while_writing_harms_nobody(lab):
    store = open_store(lab)
    run = sorted(lab.glob("runs/*/events.jsonl"))[0]
    write(run, step(1))
    store.refresh(force=True)
    os.chmod(lab / "lab.duckdb", 0o644)
    stranger = child(STRANGER, (lab / "lab.duckdb"))
    assert stranger.stdout is not None
    assert stranger.stdout.readline() == "written\n"
    assert store.query("select count(*) from steps").rows == [(1,)], "while he has it open"
    stop(stranger)
    write(run, step(2))
    assert store.refresh(force=True).published
    assert store.query("select count(*) from steps").rows == [(2,)]
    con = duckdb.connect(str(lab / "lab.duckdb"), read_only=True)
    assert con.execute("select count(*) from steps").fetchall() == [(2,)]
    assert ("mine",) not in con.execute("select table_name from duckdb_tables()").fetchall()
    con.close()
    store.close()


def test_a_stranger_who_left_a_log_beside_the_copy_is_forgotten(lab):
    open_store(lab).refresh(force=True)
    os.chmod(lab / "lab.duckdb", 0o644)
    stranger = child(STRANGER, (lab / "lab.duckdb"))
    assert stranger.stdout is not None
    stranger.stdout.readline()
    stop(stranger)
    copy = publish.current(lab)
    assert copy is not None and copy.with_name("lab.duckdb.wal").exists()
    assert open_store(lab).query("select count(*) from runs").rows == [(RUNS,)]
    con = duckdb.connect(str(lab / "lab.duckdb"), read_only=True)
    assert con.execute("select count(*) from runs").fetchall() == [(RUNS,)]
    con.close()


FULL = """
import resource, sys
from pathlib import Path
from shrunk_core.errors import StoreError
from shrunk_core.store.store import open_store
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    open_store(Path(sys.argv[1])).refresh(force=True)
except StoreError as problem:
    print("refused:", problem)
"""


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_a_disk_that_fills_up_loses_nothing(lab, share):
    """No file may grow past a share of the index: refused with a reason, the old copy readable, the next one whole."""
    store = open_store(lab)
    write(sorted(lab.glob("runs/*/events.jsonl"))[0], step(1))
    store.refresh(force=True)
    size = (lab / ".shrunk" / "index.duckdb").stat().st_size
    for path in lab.glob("runs/*/events.jsonl"):
        write(path, *(step(u, u * 0.37 % 1) for u in range(2, 8_000)))
    process = child(FULL, lab, int(size * share))
    out, problem = process.communicate(timeout=60)
    assert out.startswith("refused: the index of"), (out, problem)
    con = duckdb.connect(str(lab / "lab.duckdb"), read_only=True)
    assert con.execute("select count(*) from steps").fetchall() == [(1,)]
    con.close()
    assert store.refresh(force=True).published
    assert store.query("select count(*) from steps").rows == [(RUNS * 7_998 + 1,)]
    store.close()


def test_an_index_opened_by_another_program_is_named_and_kept(lab):
    open_store(lab).refresh()
    path = lab / ".shrunk" / "index.duckdb"
    other = child(STRANGER, path)
    assert other.stdout is not None
    other.stdout.readline()
    try:
        with pytest.raises(StoreError, match="Could not set lock"):
            open_store(lab).refresh()
        assert path.exists()
    finally:
        stop(other)
