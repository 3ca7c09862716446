"""Grids with real supervisors and workers: finish, crash, interrupt, detach, take over."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from shrunk_core.config.lab import init_lab
from shrunk_core.engine.desk import Desk
from shrunk_core.engine.watch import Watch, read_standings
from shrunk_core.record.eventlog import read_events
from shrunk_core.record.events import Evaluated, Failed, Finished, Resumed, Started, Step
from shrunk_core.record.rundir import RunDir, read_spec, run_dir, run_dirs
from shrunk_core.record.status import RunStatus
from shrunk_core.store.store import open_store
from shrunk_core.train import checkpoint

from tests.conftest import end_supervisor
from tests.engine.conftest import give_language
from tests.tiny import command, kill, shrunk, wait_for, write_grid


def only_run(lab: Path, grid: str = "tiny") -> RunDir:
    """The one run of a grid."""
    (run,) = (r for r in run_dirs(lab) if read_spec(r).grid == grid)
    return run


def rows_of(lab: Path, grid: str) -> list[dict[str, Any]]:
    """What `status` says of a grid."""
    return json.loads(shrunk("status", grid, "--lab", lab, "--format", "json").stdout)


def losses(lab: Path, run: RunDir) -> dict[int, float]:
    """Training loss by update as the view gives it: each update once, or the test fails."""
    store = open_store(lab)
    store.refresh(force=True)
    rows = store.query("select update, loss from steps where run_id = ? order by update", params=[run.run_id]).rows
    store.close()
    assert len({u for u, _ in rows}) == len(rows)
    return dict(rows)


def final_weights(run: RunDir) -> dict[str, torch.Tensor]:
    update = checkpoint.saved_updates(run.checkpoints)[-1]
    return checkpoint.load(run.checkpoints, update)[1]["model"]


def assert_same_run(broken: Path, whole: Path) -> None:
    """Bit-identical weights, training losses and evaluations."""
    one, other = only_run(broken), only_run(whole)
    assert one.run_id == other.run_id
    assert losses(broken, one) == losses(whole, other)
    a, b = final_weights(one), final_weights(other)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)
    evaluations = [
        {(e.split, e.update): e.loss for e in read_events(r.events_file) if isinstance(e, Evaluated)}
        for r in (one, other)
    ]
    assert evaluations[0] == evaluations[1]


UPDATES, EVERY = 700, 70
"""Of the run that is broken in several ways, and between two of its checkpoints."""


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, language: Path) -> Path:
    """A lab whose only run was never disturbed."""
    base = tmp_path_factory.mktemp("whole")
    folder = give_language(init_lab(base / "lab"), language)
    (folder / "shrunk.toml").write_text("idle_seconds = 0.2\nslots = 1\n")
    done = shrunk("run", write_grid(base, updates=UPDATES, evaluate_every=EVERY), "--lab", folder)
    assert done.returncode == 0, done.stderr
    end_supervisor(folder)
    return folder


broken = pytest.mark.xdist_group("broken")
"""Tests that compare with `whole`: one process makes it for all of them."""
on_served = pytest.mark.xdist_group("served")


def start_and_wait(lab: Path, grid: Path, updates: int) -> RunDir:
    """Hand a one-run grid over and return once its log has that many updates."""
    done = shrunk("run", grid, "--lab", lab, "--detach")
    assert done.returncode == 0, done.stderr
    run = only_run(lab, grid.stem)
    wait_for(lambda: sum(isinstance(e, Step) for e in read_events(run.events_file)) >= updates, f"{updates} updates")
    return run


def worker_pid(run: RunDir) -> int:
    return [e for e in read_events(run.events_file) if isinstance(e, (Started, Resumed))][-1].pid


@on_served
def test_a_grid_finishes_and_is_found_again(served: Path, tmp_path: Path) -> None:
    lab, axes = served, "hidden_size = [8, 16]"
    grid = write_grid(tmp_path, axes=axes, seeds="[0, 1]")
    grid.write_text(grid.read_text().replace("top:100", "top:90"))  # a corpus that nobody has built
    done = shrunk("run", grid, "--lab", lab)
    assert done.returncode == 0, done.stderr
    assert "corpus" in done.stderr
    assert "4 finished" in done.stderr
    rows = rows_of(lab, "tiny")
    assert [r["status"] for r in rows] == ["finished"] * 4
    assert all(r["update"] == r["updates"] == 60 for r in rows)
    evaluation_ids = {
        e.evaluation_id for r in rows for e in read_events(run_dir(lab, r["run_id"]).events_file)
        if isinstance(e, Evaluated) and e.split == "validation"
    }  # fmt: skip
    assert len(evaluation_ids) == 1
    before = {r["run_id"]: run_dir(lab, r["run_id"]).events_file.read_bytes() for r in rows}
    grid.write_text(grid.read_text().replace("[0, 1]", "[0, 1, 2]"))
    again = shrunk("run", grid, "--lab", lab)
    assert again.returncode == 0
    assert "2 runs to train" in again.stderr
    assert all((lab / "runs" / i / "events.jsonl").read_bytes() == log for i, log in before.items())


@on_served
def test_the_model_folder_gives_the_runs_own_loss(served: Path, tmp_path: Path) -> None:
    """AutoTokenizer's mask is ours, and the loss over the masked validation tokens is the logged one."""
    import numpy as np
    import shrunk_core.hf  # noqa: F401
    from shrunk_core.engine.worker import read_language
    from shrunk_core.language.packing import MASK, PAD
    from shrunk_core.train.masking import mask_for_evaluation
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    lab = served
    grid = write_grid(tmp_path, name="models", axes='embedding_size = [8]\ntie = ["projected"]\nnorm = ["post", "pre"]')
    assert shrunk("run", grid, "--lab", lab).returncode == 0
    runs = [r for r in run_dirs(lab) if read_spec(r).grid == "models"]
    for run in runs:
        spec = read_spec(run).spec
        model = AutoModelForMaskedLM.from_pretrained(run.model).eval()
        tokenizer = AutoTokenizer.from_pretrained(run.model)
        assert tokenizer.mask_token_id == MASK
        rows = read_language(spec, lab).validation
        ids = rows.batch(np.arange(len(rows)))
        assert len(rows) < 256
        masked = mask_for_evaluation(ids, evaluation_id=spec.evaluation_id, block=0, padding_in_loss=False)
        with torch.no_grad():
            logits = model(
                input_ids=torch.from_numpy(masked.inputs), attention_mask=torch.from_numpy(ids != PAD).long()
            ).logits
        scored = torch.from_numpy(masked.scored)
        loss = torch.nn.functional.cross_entropy(logits[scored], torch.from_numpy(ids)[scored]).item()
        finished = next(e for e in read_events(run.events_file) if isinstance(e, Finished))
        assert loss == pytest.approx(finished.best_loss, rel=1e-5)
    kinds = {json.loads((r.model / "config.json").read_text())["model_type"] for r in runs}
    assert kinds == {"electra", "shrunk"}


@broken
def test_a_killed_worker_resumes_bit_for_bit(lab: Path, tmp_path: Path, whole: Path) -> None:
    run = start_and_wait(lab, write_grid(tmp_path, updates=UPDATES, evaluate_every=EVERY), 60)
    for wanted in (100, 350):
        wait_for(
            lambda n=wanted: (
                max((e.update for e in read_events(run.events_file) if isinstance(e, Step)), default=0) > n
            ),
            "updates",
        )
        kill(worker_pid(run))
        attempts = sum(isinstance(e, (Started, Resumed)) for e in read_events(run.events_file))
        wait_for(
            lambda n=attempts: (
                sum(isinstance(e, (Started, Resumed)) for e in read_events(run.events_file)) > n
                or any(isinstance(e, Finished) for e in read_events(run.events_file))
            ),
            "another attempt",
        )
    wait_for(lambda: any(isinstance(e, Finished) for e in read_events(run.events_file)), "the end")
    assert sum(isinstance(e, Resumed) for e in read_events(run.events_file)) >= 1
    assert_same_run(lab, whole)


@broken
def test_a_torn_line_is_cut_and_the_run_goes_on(lab: Path, tmp_path: Path, whole: Path) -> None:
    grid = write_grid(tmp_path, updates=UPDATES, evaluate_every=EVERY)
    run = start_and_wait(lab, grid, 60)
    kill(json.loads(Desk(lab).owner.read_text())["pid"])  # nobody may restart the worker before the line is torn
    kill(worker_pid(run))
    wait_for(lambda: not Desk(lab).serving(), "the supervisor's death")
    time.sleep(0.2)
    with open(run.events_file, "ab") as log:
        log.write(b'{"v":1,"kind":"step","update":99')
    done = shrunk("run", grid, "--lab", lab)
    assert done.returncode == 0, done.stderr
    assert b'99{"' not in run.events_file.read_bytes()
    assert_same_run(lab, whole)


@broken
def test_ctrl_c_stops_with_a_checkpoint_and_the_same_command_goes_on(lab: Path, tmp_path: Path, whole: Path) -> None:
    grid = write_grid(tmp_path, updates=UPDATES, evaluate_every=EVERY)
    process = subprocess.Popen(
        command("run", grid, "--lab", lab),
        stderr=subprocess.PIPE,
        text=True,
        # a shell starts its background jobs, and with them perhaps this test, with SIGINT ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(lambda: len(run_dirs(lab)) == 1, "the run")
    run = only_run(lab)
    wait_for(lambda: any(isinstance(e, Step) for e in read_events(run.events_file)), "an update")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "checkpoint" in said
    assert read_standings(lab)[run.run_id].status(time.time()).status == "stopped"
    assert checkpoint.saved_updates(run.checkpoints)
    done = shrunk("run", grid, "--lab", lab)
    assert done.returncode == 0, done.stderr
    assert_same_run(lab, whole)


@on_served
def test_closing_the_terminal_changes_nothing(served: Path, tmp_path: Path) -> None:
    """The client sits in a terminal of its own, which is closed: training goes on, `attach` finds it."""
    lab, grid = served, write_grid(tmp_path, name="terminal", updates=600, evaluate_every=300, seeds="[10]")
    master, slave = pty.openpty()
    client = subprocess.Popen(
        command("run", grid, "--lab", lab), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    wait_for(lambda: any(read_spec(r).grid == "terminal" for r in run_dirs(lab)), "the run")
    run = only_run(lab, "terminal")
    wait_for(lambda: any(isinstance(e, Step) for e in read_events(run.events_file)), "an update")
    os.close(master)
    client.send_signal(signal.SIGHUP)
    client.wait(timeout=30)
    assert Desk(lab).serving()
    attached = shrunk("attach", "--lab", lab)
    assert attached.returncode == 0, attached.stderr
    assert read_standings(lab)[run.run_id].status(time.time()).status == "finished"


def test_a_new_supervisor_takes_over_live_workers(lab: Path, tmp_path: Path) -> None:
    grid = write_grid(tmp_path, updates=1000, evaluate_every=500)
    run = start_and_wait(lab, grid, 20)
    kill(json.loads(Desk(lab).owner.read_text())["pid"])
    wait_for(lambda: not Desk(lab).serving(), "the supervisor's death")
    done = shrunk("run", grid, "--lab", lab)
    assert done.returncode == 0, done.stderr
    attempts = [e for e in read_events(run.events_file) if isinstance(e, (Started, Resumed))]
    assert len(attempts) == 1


def test_sigterm_sends_workers_home_with_checkpoints(lab: Path, tmp_path: Path) -> None:
    run = start_and_wait(lab, write_grid(tmp_path, updates=4000, evaluate_every=2000), 20)
    began = time.monotonic()
    end_supervisor(lab)
    assert time.monotonic() - began < 10
    watch = Watch(lab)
    watch.look()
    assert watch.status(run.run_id) == RunStatus(status="queued", reason="interrupted")
    assert checkpoint.saved_updates(run.checkpoints)


@on_served
def test_stop_takes_queued_and_running_runs(served: Path, tmp_path: Path) -> None:
    lab, grid = served, write_grid(tmp_path, name="stopped", updates=4000, evaluate_every=2000, seeds="[20, 21, 22]")
    assert shrunk("run", grid, "--lab", lab, "--detach", "--slots", "1").returncode == 0
    wait_for(lambda: any(r["update"] > 5 for r in rows_of(lab, "stopped")), "an update")
    first, *waiting = rows_of(lab, "stopped")
    assert (first["status"], first["place"]) == ("running", None)
    assert [(r["status"], r["place"]) for r in waiting] == [("queued", 1), ("queued", 2)]
    done = shrunk("stop", "stopped", "--lab", lab)
    assert done.stdout.count("stopping") == 3
    wait_for(lambda: {r["status"] for r in rows_of(lab, "stopped")} == {"stopped"}, "all stopped", 10)


@on_served
def test_a_data_error_fails_every_run_with_one_message(served: Path, tmp_path: Path) -> None:
    lab, grid = served, write_grid(tmp_path, name="large", axes="hidden_size = [8, 16]")
    grid.write_text(grid.read_text().replace("vocab_size = 300", "vocab_size = 5000"))
    done = shrunk("run", grid, "--lab", lab)
    assert done.returncode == 1
    rows = rows_of(lab, "large")
    assert {r["status"] for r in rows} == {"failed"}
    assert len({r["reason"] for r in rows}) == 1
    assert "vocab_size" in rows[0]["reason"]


@on_served
def test_a_run_that_breaks_keeps_its_last_good_checkpoint_and_says_where(served: Path, tmp_path: Path) -> None:
    """With epsilon 0 the first step divides 0 by 0 where a weight had no gradient: a finite loss, weights that are none."""
    grid = write_grid(tmp_path, name="breaks", train="adam_eps = 0.0\ncheckpoint_every = 1")
    assert shrunk("run", grid, "--lab", served).returncode == 1
    run = only_run(served, "breaks")
    events = list(read_events(run.events_file))
    (end,) = [e for e in events if isinstance(e, Failed)]
    assert end.cause == "non-finite"
    for words in ("update 1", "learning rate", "gradient norm", "no checkpoint yet"):
        assert words in end.message
    assert not list(run.checkpoints.glob("update-*"))


@on_served
def test_sql_answers_while_runs_train(served: Path, tmp_path: Path) -> None:
    lab, grid = served, write_grid(tmp_path, name="questions", updates=4000, evaluate_every=2000, seeds="[30]")
    run = start_and_wait(lab, grid, 20)
    query = f"select count(*) as n, max(update) as u from steps where run_id = '{run.run_id}'"
    for _ in range(3):
        asked = shrunk("sql", query, "--lab", lab, "--format", "json")
        assert asked.returncode == 0, asked.stderr
        (row,) = json.loads(asked.stdout)
        assert row["n"] == row["u"] > 0
    assert read_standings(lab)[run.run_id].status(time.time()).status == "running"


@on_served
def test_a_second_supervisor_says_who_serves(served: Path, tmp_path: Path) -> None:
    start_and_wait(served, write_grid(tmp_path, name="twice", updates=4000, evaluate_every=2000, seeds="[40]"), 5)
    second = subprocess.run(
        [sys.executable, "-P", "-m", "shrunk_core.engine.supervisor", str(served)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 3
    assert "served by" in second.stderr


def test_a_lab_served_from_another_host_is_refused(lab: Path, tmp_path: Path) -> None:
    Desk(lab).owner.write_text(json.dumps({"host": "elsewhere", "pid": 7, "started_at": 0.0, "heartbeat": time.time()}))
    done = shrunk("run", write_grid(tmp_path), "--lab", lab)
    assert done.returncode == 3
    assert "elsewhere" in done.stderr
    Desk(lab).owner.unlink()
