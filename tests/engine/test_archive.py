"""A lab in one file: trained here, taken in elsewhere, under another host's name; and everything that may go wrong."""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
import zstandard
from shrunk_core.config.lab import init_lab
from shrunk_core.engine.archive import export_archive
from shrunk_core.engine.notebook import archive as put_away
from shrunk_core.engine.notebook import note, tag
from shrunk_core.engine.unarchive import import_archive
from shrunk_core.engine.watch import read_standings
from shrunk_core.errors import BusyError, ConfigError, DataError
from shrunk_core.record.eventlog import read_events
from shrunk_core.record.events import Finished, Left, Resumed, Step
from shrunk_core.record.journal import open_journal, read_journal
from shrunk_core.record.lab_events import Alert, HardwareSampled
from shrunk_core.record.lock import FileLock
from shrunk_core.record.rundir import read_spec, run_dirs
from shrunk_core.store.store import open_store

from tests.conftest import end_supervisor
from tests.engine.conftest import give_language
from tests.tiny import command, shrunk, wait_for, write_grid

pytestmark = pytest.mark.xdist_group("archive")
"""One process trains what all of them pack."""


def rows(lab: Path, query: str) -> list[tuple[object, ...]]:
    store = open_store(lab)
    store.refresh(force=True)
    found = store.query(query).rows
    store.close()
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, language: Path) -> Path:
    """A lab with a trained grid of two shapes, tagged and noted, its grid file beside it."""
    folder = tmp_path_factory.mktemp("trained")
    lab = give_language(init_lab(folder / "lab"), language)
    (lab / "shrunk.toml").write_text("idle_seconds = 0.2\nslots = 2\n")
    grid = write_grid(folder, updates=40, evaluate_every=20, axes="hidden_size = [8, 16]")
    done = shrunk("run", grid, "--lab", lab)
    assert done.returncode == 0, done.stderr
    end_supervisor(lab)
    first, second = (r.run_id for r in run_dirs(lab))
    tag(lab, [first], ["paper"])
    note(lab, second, "the wide one")
    put_away(lab, [second])
    journal = open_journal(lab, ".samples.jsonl")
    for power in (100.0, 200.0):
        journal.append(HardwareSampled(device="GPU-1", run_id=first, seconds=1800.0, power_watts=power))
    journal.close()
    words = open_journal(lab)
    for name in (read_spec(run_dirs(lab)[0]).grid, "a grid of nobody"):
        words.append(Alert(alert="grid-finished", severity="info", grid=name, message="2 finished"))
    words.close()
    return lab


ELSEWHERE = """
import socket, sys
socket.gethostname = lambda: "elsewhere"
sys.argv[0] = "shrunk"
from shrunk_tui.cli.app import main
main()
"""


def elsewhere(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command on a machine of another name."""
    return subprocess.run(
        [sys.executable, "-P", "-c", ELSEWHERE, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def test_a_lab_opens_elsewhere_with_everything_that_was_asked_for(trained: Path, tmp_path: Path) -> None:
    packed = tmp_path / "lab.tar.zst"
    done = shrunk("export", "--archive", packed, "--with", "all", "--lab", trained, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runs"] == 2
    other = init_lab(tmp_path / "there" / "second lab")
    (other / "shrunk.toml").write_text("idle_seconds = 0.2\nslots = 1\n")
    taken = elsewhere("import", "archive", packed, "--lab", other)
    assert taken.returncode == 0, taken.stderr
    assert taken.stdout.split() == [r.run_id for r in run_dirs(trained)]
    assert "2 runs from" in taken.stderr

    status = elsewhere("status", "tiny", "--lab", other, "--format", "json")
    assert [r["status"] for r in json.loads(status.stdout)] == ["finished", "finished"]
    for query in (
        "select run_id, name, status, best_loss, tags, note, archived, energy_wh from runs order by 1",
        "select run_id, update, loss from steps order by 1, 2",
        "select * exclude (logged_at) from evaluations order by all",
        "select fingerprint, units_kept, vocabulary from corpora order by 1",
        "select fingerprint, vocab_size, train_tokens from tokenizers order by 1",
        "select grid, run_id, name, place from grids order by all",
    ):
        assert rows(other, query) == rows(trained, query), query
    assert rows(other, "select round(energy_wh, 3) from runs where energy_wh is not null") == [(150.0,)]
    plot = elsewhere("plot", "tiny", "--x", "updates", "--lab", other)
    assert plot.returncode == 0 and "nats" in plot.stdout, plot.stderr
    fit = elsewhere("fit", "power", "--lab", other)
    assert fit.returncode in (0, 1) and "Traceback" not in fit.stderr  # two runs make no law

    (tmp_path / "there" / "text.txt").write_bytes((trained.parent / "text.txt").read_bytes())
    shutil.copy(trained.parent / "tiny.toml", tmp_path / "there")
    again = elsewhere("run", tmp_path / "there" / "tiny.toml", "--lab", other)
    assert again.returncode == 0, again.stderr
    ends = [e for r in run_dirs(other) for e in read_events(r.events_file) if isinstance(e, Finished)]
    assert len(ends) == 2  # found, not trained again
    for run in run_dirs(trained):
        there = other / "runs" / run.run_id
        assert (there / "model" / "model.safetensors").read_bytes() == (run.model / "model.safetensors").read_bytes()
        assert {p.name for p in (there / "checkpoints").iterdir()} == {p.name for p in run.checkpoints.iterdir()}
    end_supervisor(other)


def test_results_come_first_models_later_and_twice_is_once(trained: Path, tmp_path: Path) -> None:
    small, large = tmp_path / "small.tar.zst", tmp_path / "large.tar.zst"
    assert export_archive(trained, small).num_bytes < export_archive(trained, large, parts=["models"]).num_bytes
    other = init_lab(tmp_path / "other")
    first = import_archive(other, small)
    assert (len(first.runs), first.known, first.languages) == (2, [], 0)
    assert not any(r.model.exists() for r in run_dirs(other)) and not list((other / "corpora").iterdir())
    second = import_archive(other, large)
    assert (second.runs, len(second.known), second.added, second.languages, second.events) == ([], 2, 2, 2, 0)
    assert all(r.model.exists() for r in run_dirs(other))
    third = import_archive(other, large)
    assert (third.runs, third.added, third.languages, third.events) == ([], 0, 0, 0)
    back = import_archive(trained, large)  # where it came from
    assert (back.runs, back.added, back.events) == ([], 0, 0)
    assert not (other / ".shrunk" / "import").exists()


def test_some_runs_bring_what_is_about_them_only(trained: Path, tmp_path: Path) -> None:
    first, second = (r.run_id for r in run_dirs(trained))
    done = shrunk("export", second, "--archive", tmp_path / "one.tar.zst", "--lab", trained)
    assert done.returncode == 0, done.stderr
    other = init_lab(tmp_path / "other")
    assert import_archive(other, tmp_path / "one.tar.zst").runs == [second]
    told = list(read_journal(other))
    about = {run_id for e in told if (run_id := getattr(e, "run_id", ""))}
    assert about == {second} and first not in about
    assert {e.grid for e in told if isinstance(e, Alert) and not e.run_id} == {read_spec(run_dirs(trained)[0]).grid}
    assert rows(other, "select note, archived, energy_wh from runs") == [("the wide one", True, None)]


def test_what_was_under_way_is_stopped_there_and_can_go_on(tmp_path: Path, language: Path) -> None:
    """Exported while it trains: the log ends with a whole line, and a checkpoint is never newer than the log."""
    lab, other = give_language(init_lab(tmp_path / "lab"), language), init_lab(tmp_path / "other")
    for folder in (lab, other):
        (folder / "shrunk.toml").write_text("idle_seconds = 0.2\nslots = 1\n")
    grid = write_grid(tmp_path, updates=400, evaluate_every=100, seeds="[0, 1]", train="checkpoint_every = 20")
    try:
        assert shrunk("run", grid, "--lab", lab, "--detach").returncode == 0
        wait_for(lambda: any(s.update > 50 for s in read_standings(lab).values()), "updates")
        export_archive(lab, tmp_path / "live.tar.zst", parts=["checkpoints"])
        assert "running" in {s.status(time.time()).status for s in read_standings(lab).values()}
        taken = import_archive(other, tmp_path / "live.tar.zst")
        assert len(taken.runs) == 2
        standings = read_standings(other)
        assert {s.status(time.time()).status for s in standings.values()} == {"stopped"}
        run = next(r for r in run_dirs(other) if r.events_file.exists())
        left = [e for e in read_events(run.events_file) if isinstance(e, Left)]
        assert [e.reason for e in left] == ["import"]
        saved = max(int(p.name.removeprefix("update-")) for p in run.checkpoints.iterdir())
        assert saved <= max(e.update for e in read_events(run.events_file) if isinstance(e, Step))
        assert shrunk("resume", run.run_id, "--lab", other).returncode == 0
        wait_for(lambda: read_standings(other)[run.run_id].log.state == "finished", "the end there")
        (resumed,) = (e for e in read_events(run.events_file) if isinstance(e, Resumed))
        assert resumed.from_update == saved
        wait_for(lambda: read_standings(lab)[run.run_id].log.state == "finished", "the end here", 120)
        query = f"select update, loss from steps where run_id = '{run.run_id}' order by 1"
        assert rows(other, query) == rows(lab, query)
        with pytest.raises(DataError, match="went on differently"):
            export_archive(lab, tmp_path / "later.tar.zst")
            import_archive(other, tmp_path / "later.tar.zst")
    finally:
        end_supervisor(lab)
        end_supervisor(other)


def test_a_killed_import_leaves_nothing_half_and_is_finished_by_the_next(trained: Path, tmp_path: Path) -> None:
    packed = tmp_path / "lab.tar.zst"
    export_archive(trained, packed, parts=["corpora", "models", "checkpoints"])
    other = init_lab(tmp_path / "other")
    rng = random.Random(3)
    for _ in range(4):
        process = subprocess.Popen(command("import", "archive", packed, "--lab", other), stderr=subprocess.DEVNULL)
        wait_for(lambda p=process: (other / ".shrunk" / "import").exists() or p.poll() is not None, "its beginning")
        time.sleep(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for run in run_dirs(other):
            assert any(isinstance(e, Finished) for e in read_events(run.events_file)) and run.model.is_dir()
    import_archive(other, packed)
    query = "select run_id, status, best_loss, tags, note, energy_wh from runs order by 1"
    assert rows(other, query) == rows(trained, query)


def repack(
    source: Path,
    target: Path,
    change: dict[str, bytes | None] | None = None,
    added: dict[str, bytes] | None = None,
) -> None:
    """An archive with members changed, left out (None) or put in after the head."""
    change = change or {}
    with (
        tarfile.open(fileobj=io.BytesIO(zstandard.ZstdDecompressor().stream_reader(source.read_bytes()).read())) as old,
        open(target, "wb") as file,
        zstandard.ZstdCompressor().stream_writer(file) as packed,
        tarfile.open(fileobj=packed, mode="w|") as new,
    ):
        for number, member in enumerate(old):
            data = change.get(member.name, old.extractfile(member).read())  # pyright: ignore
            if data is not None:
                member.size = len(data)
                new.addfile(member, io.BytesIO(data))
            for name, data in (added or {}).items() if number == 0 else ():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                new.addfile(info, io.BytesIO(data))


def test_what_is_no_whole_archive_is_refused_and_nothing_changes(trained: Path, tmp_path: Path) -> None:
    packed, bad = tmp_path / "lab.tar.zst", tmp_path / "bad.tar.zst"
    export_archive(trained, packed)
    other = init_lab(tmp_path / "other")
    before = sorted(p.relative_to(other) for p in other.rglob("*"))
    first = run_dirs(trained)[0]
    log = f"runs/{first.run_id}/events.jsonl"
    whole = packed.read_bytes()
    cases: list[tuple[str, object]] = [
        ("cut off", lambda: bad.write_bytes(whole[: len(whole) // 2])),
        ("its end is missing", lambda: repack(packed, bad, {"contents.json": None})),
        ("is not what was exported", lambda: repack(packed, bad, {log: b"{}\n"})),
        ("does not belong", lambda: repack(packed, bad, added={"../../evil": b"x"})),
        ("does not belong", lambda: repack(packed, bad, added={"/etc/evil": b"x"})),
        ("does not belong", lambda: repack(packed, bad, added={"shrunk.toml": b"notify = 'rm -rf ~'"})),
        ("does not belong", lambda: repack(packed, bad, added={f"runs/{first.run_id}/.hidden": b"x"})),
        ("newer", lambda: repack(packed, bad, {"archive.json": b'{"v": 99, "kind": "shrunk-archive"}'})),
        ("no archive", lambda: repack(packed, bad, {"archive.json": b'{"v": 1}'})),
        ("no archive", lambda: bad.write_text("hello")),
        ("empty", lambda: bad.write_bytes(zstandard.compress(b"\0" * 10240))),
    ]
    for words, make in cases:
        make()  # pyright: ignore
        with pytest.raises(DataError, match=words):
            import_archive(other, bad)
        assert sorted(p.relative_to(other) for p in other.rglob("*") if p.name != "import.lock") == before
    with pytest.raises(DataError, match="no file"):
        import_archive(other, tmp_path / "nowhere")


def test_other_content_of_the_same_name_is_refused_by_name(trained: Path, tmp_path: Path) -> None:
    packed = tmp_path / "lab.tar.zst"
    export_archive(trained, packed, parts=["corpora"])
    other = init_lab(tmp_path / "other")
    import_archive(other, packed)
    run = run_dirs(other)[0]
    log = run.events_file.read_bytes()
    changed = re.sub(
        rb'"update":(\d+)', rb'"update":1\1', log, count=1
    )  # which updates have events is a matter of speed
    assert changed != log
    run.events_file.write_bytes(changed)
    (tokenizer,) = (other / "tokenizers").glob("[!.]*/tokenizer.json")
    tokenizer.write_text(tokenizer.read_text() + " ")
    with pytest.raises(DataError) as refused:
        import_archive(other, packed)
    assert f"runs/{run.run_id} went on differently" in str(refused.value)
    assert "tokenizer.json is another one here" in str(refused.value)


def test_two_at_once_and_a_target_that_exists(trained: Path, tmp_path: Path) -> None:
    packed = tmp_path / "lab.tar.zst"
    export_archive(trained, packed)
    with pytest.raises(ConfigError, match="exists already"):
        export_archive(trained, packed)
    export_archive(trained, packed, replace=True)
    with pytest.raises(Exception, match="cannot write"):
        export_archive(trained, tmp_path / "no folder" / "lab.tar.zst")
    assert os.listdir(tmp_path) == ["lab.tar.zst"]
    other = init_lab(tmp_path / "other")
    lock = FileLock(other / ".shrunk" / "import.lock")
    assert lock.take()
    with pytest.raises(BusyError):
        import_archive(other, packed)
    lock.release()


def test_wrong_words_are_answered(trained: Path, tmp_path: Path) -> None:
    for words, said in (
        (["export"], "say what to write"),
        (["export", "--parquet", tmp_path / "a", "--archive", tmp_path / "b"], "say what to write"),
        (["export", "tiny", "--parquet", tmp_path / "a"], "of --archive"),
        (["export", "nobody", "--archive", tmp_path / "b"], "no run or grid `nobody`"),
        (["import", "archive", tmp_path / "b", "--name", "x"], "not of an archive"),
    ):
        done = shrunk(*words, "--lab", trained)
        assert done.returncode == 2 and said in done.stderr, done.stderr
