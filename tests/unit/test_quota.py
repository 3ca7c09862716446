"""Which checkpoints go first, which never, and a supervisor that holds to the quota."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shrunk_core.config.lab import LabSettings, init_lab
from shrunk_core.engine.alerts import Alerts
from shrunk_core.engine.garbage import collect, find_garbage
from shrunk_core.engine.quota import beyond_quota
from shrunk_core.engine.watch import Watch
from shrunk_core.record.rundir import RunDir
from store_lab import born, finished, started, write
from typer.testing import CliRunner

from shrunk_tui.cli.app import app

SIZE = 10_000


def checkpoint(run: RunDir, update: int, *, best: int = 0, at: float = 0.0, whole: bool = True) -> Path:
    folder = run.checkpoints / f"update-{update:09d}"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"update": update, "best_update": best}))
    state = folder / "state.pt"
    with zipfile.ZipFile(state, "w") as file:
        file.writestr("data", b"")
    room = SIZE - state.stat().st_size - (folder / "meta.json").stat().st_size
    with zipfile.ZipFile(state, "w") as file:
        file.writestr("data", b"x" * room)
    if not whole:
        os.truncate(state, state.stat().st_size // 2)
    os.utime(folder, (at or update, at or update))
    return folder


def done_run(lab: Path, seed: int, updates: list[int], best: int) -> RunDir:
    run = born(lab, seed=seed, name=f"run {seed}")
    write(run.events_file, started(), finished())
    for update in updates:
        checkpoint(run, update, best=best)
    run.model.mkdir()
    (run.model / "shrunk.json").write_text(json.dumps({"update": best}))
    (run.model / "model.safetensors").write_bytes(b"weights")
    return run


def stopped_run(lab: Path, seed: int, updates: list[int], best: int) -> RunDir:
    run = born(lab, seed=seed, name=f"run {seed}")
    write(run.events_file, started(pid=1, process_started_at=1.0))  # its worker is long dead
    for update in updates:
        checkpoint(run, update, best=best)
    return run


def going(lab: Path, keep: float, best: bool = False) -> tuple[list[tuple[str, int]], int]:
    watch = Watch(lab)
    watch.look()
    pieces, too_much = beyond_quota(lab, watch, keep * SIZE, best=best)
    return [(p.path.parents[1].name, int(p.path.name[7:])) for p in pieces], round(too_much / SIZE)


def test_the_order_is_the_stated_one(tmp_path: Path) -> None:
    lab = init_lab(tmp_path / "lab")
    done, stopped = done_run(lab, 0, [10, 20, 30, 40], best=20), stopped_run(lab, 1, [5, 15, 25, 35], best=15)
    d, s = done.run_id, stopped.run_id
    assert going(lab, 8) == ([], 0)
    assert going(lab, 7) == ([(d, 10)], 0)
    assert going(lab, 5) == ([(d, 10), (d, 30), (d, 40)], 0)
    assert going(lab, 0) == ([(d, 10), (d, 30), (d, 40), (s, 5), (s, 25)], 3)
    assert going(lab, 0, best=True) == ([(d, 10), (d, 30), (d, 40), (s, 5), (s, 25), (d, 20)], 2)
    (done.model / "model.safetensors").unlink()  # without its weights the best one is all that is left of the run
    assert (d, 20) not in going(lab, 0, best=True)[0]


def test_a_damaged_last_checkpoint_is_not_the_last_good_one(tmp_path: Path) -> None:
    lab = init_lab(tmp_path / "lab")
    run = stopped_run(lab, 0, [10, 20], best=10)
    checkpoint(run, 30, best=10, whole=False)
    assert going(lab, 0) == ([(run.run_id, 30)], 2)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.booleans(), st.sets(st.integers(1, 9), min_size=1), st.integers(0, 8)), max_size=4),
    st.floats(0, 20),
)
def test_whatever_there_is_the_good_and_the_best_stay(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[bool, set[int], int]], keep: float
) -> None:
    lab = init_lab(tmp_path_factory.mktemp("quota") / "lab")
    held, must = 0, set()
    for seed, (is_done, updates, pick) in enumerate(runs):
        saved = sorted(updates)
        best = saved[pick % len(saved)]
        run = (done_run if is_done else stopped_run)(lab, seed, saved, best)
        must |= {(run.run_id, best)} | (set() if is_done else {(run.run_id, saved[-1])})
        held += len(saved)
    gone, too_much = going(lab, keep)
    assert not must & set(gone) and len(set(gone)) == len(gone)
    assert held - len(gone) <= keep or (len(must) == held - len(gone) and too_much >= 0)
    assert not gone or held - len(gone) + 1 > keep  # no more than the quota asks for


def test_gc_shows_it_and_does_it(tmp_path: Path) -> None:
    lab = init_lab(tmp_path / "lab")
    run = done_run(lab, 0, [10, 20, 30], best=20)
    gc = CliRunner()

    def ask(*words: str) -> list[dict[str, object]]:
        done = gc.invoke(app, ["gc", *words, "--lab", str(lab), "--format", "json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    quota = str(2 * SIZE / 1e9)
    assert ask("--dry-run") == []
    (row,) = ask("--dry-run", "--quota", quota)
    assert str(row["path"]).endswith("update-000000010") and "neither best nor last" in str(row["why"])
    assert len(list(run.checkpoints.iterdir())) == 3
    text = (lab / "shrunk.toml").read_text().replace("checkpoint_gigabytes = 0.0", f"checkpoint_gigabytes = {quota}")
    (lab / "shrunk.toml").write_text(text)
    ask()
    assert sorted(p.name for p in run.checkpoints.iterdir()) == ["update-000000020", "update-000000030"]
    ask("--quota", "0", "--best")
    assert list(run.checkpoints.iterdir()) == [] and run.model.exists()
    collect(find_garbage(lab, quota=0.0))
    assert run.events_file.exists()


def test_a_quota_that_cannot_be_met_is_an_alert_once() -> None:
    alerts = Alerts(LabSettings())
    (alert,) = alerts.quota(1.0, 5 * 10**8)
    assert "0.50 GB more than checkpoint_gigabytes = 1" in alert.message  # type: ignore[attr-defined]
    assert alerts.quota(1.0, 5 * 10**8) == []
    assert [e.kind for e in alerts.quota(1.0, 0)] == ["alert-ended"]
