"""The one rule of a run's status: every way a run's log and the lab's journals can have spoken last."""

import dataclasses
import socket

import pytest
from shrunk_core.record.events import Failed, Finished, Left, RunDequeued, RunLaunched, RunQueued, RunReaped, Step
from shrunk_core.record.lab_events import RunDeleted
from shrunk_core.record.rundir import Process
from shrunk_core.record.status import (
    FOREIGN_SILENCE,
    LAUNCH_GRACE,
    LogWord,
    QueueWord,
    RunStatus,
    derive_status,
    fold_log,
    fold_queue,
    worker_alive,
)
from store_lab import resumed, started, step

NEW = LogWord()
HERE = Process(host=socket.gethostname(), pid=1, started_at=1.0)
RUNNING = LogWord(state="running", attempt=1, worker=HERE, logged_at=10.0)
ELSEWHERE = dataclasses.replace(RUNNING, worker=dataclasses.replace(HERE, host="elsewhere"))
SILENT = QueueWord()


def word(state, at, **other):
    return QueueWord(state=state, logged_at=at, **other)


def left(reason, at=20.0):
    return LogWord(state="left", reason=reason, attempt=1, logged_at=at)


@pytest.mark.parametrize(
    ("log", "queue", "alive", "status", "reason"),
    [
        (NEW, SILENT, False, "stopped", "not started"),
        (NEW, word("queued", 5, reason="submitted"), False, "queued", "submitted"),
        (NEW, word("launched", 990), False, "running", "starting"),
        (NEW, word("launched", 1000 - LAUNCH_GRACE - 1), False, "stopped", "worker died before its first event"),
        (NEW, word("reaped", 5, reason="exit 1"), False, "stopped", "worker died before its first event (exit 1)"),
        (NEW, word("dequeued", 5, status="cancelled", reason="by hand"), False, "cancelled", "by hand"),
        (NEW, word("dequeued", 5, status="strange"), False, "stopped", ""),
        (RUNNING, SILENT, True, "running", ""),
        (RUNNING, SILENT, False, "stopped", "worker died"),
        (RUNNING, word("launched", 9), True, "running", ""),
        (RUNNING, word("queued", 15), True, "running", ""),
        (RUNNING, word("queued", 15, reason="worker-died"), False, "queued", "worker-died"),
        (RUNNING, word("queued", 5), False, "stopped", "worker died"),
        (RUNNING, word("launched", 995), False, "running", "starting"),
        (RUNNING, word("reaped", 15, reason="exit -9"), False, "stopped", "worker died"),
        (ELSEWHERE, SILENT, True, "running", ""),
        (ELSEWHERE, SILENT, False, "stopped", "nothing is heard from its worker on elsewhere"),
        (left("stop"), SILENT, False, "stopped", "stop"),
        (left("signal"), SILENT, False, "stopped", "signal"),
        (left("pause"), word("reaped", 21), False, "paused", "pause"),
        (left("pause"), word("queued", 30, reason="retry"), False, "queued", "retry"),
        (LogWord(state="failed", reason="nan", logged_at=20), word("reaped", 21), False, "failed", "nan"),
        (LogWord(state="failed", reason="nan", logged_at=20), word("queued", 22), False, "queued", ""),
        (LogWord(state="finished", logged_at=20), word("queued", 30), False, "finished", ""),
        (LogWord(state="finished", logged_at=20), word("dequeued", 30, status="failed"), False, "finished", ""),
    ],
)
def test_the_first_rule_that_applies_wins(log, queue, alive, status, reason):
    assert derive_status(log, queue, worker_alive=alive, now=1000.0) == RunStatus(status=status, reason=reason)


@pytest.mark.parametrize(
    ("launched_alive", "age", "status", "reason"),
    [
        (True, 5 * LAUNCH_GRACE, "running", "starting"),  # a slow disk is no death
        (False, 1.0, "stopped", "worker died before its first event"),
        (None, 1.0, "running", "starting"),
        (None, LAUNCH_GRACE + 1, "stopped", "worker died before its first event"),
    ],
)
def test_a_launched_worker_is_starting_as_long_as_it_lives(launched_alive, age, status, reason):
    queue = word("launched", 1000.0 - age)
    verdict = derive_status(NEW, queue, worker_alive=False, launched_alive=launched_alive, now=1000.0)
    assert verdict == RunStatus(status=status, reason=reason)


def test_a_worker_of_another_host_lives_as_long_as_its_log_grows():
    assert worker_alive(ELSEWHERE, heard_at=1000.0, now=1000.0 + FOREIGN_SILENCE / 2)
    assert not worker_alive(ELSEWHERE, heard_at=1000.0, now=1001.0 + FOREIGN_SILENCE)
    assert not worker_alive(RUNNING, heard_at=1000.0, now=1000.0)  # pid 1 lives, but began at another time
    assert not worker_alive(left("stop"), heard_at=1000.0, now=1000.0)


def test_what_was_said_before_a_run_was_deleted_says_nothing():
    queue = fold_queue(word("reaped", 5.0), RunDeleted(run_id="r", grid="g", name="n", num_bytes=1, logged_at=6.0))
    assert queue.state == "none"
    assert fold_queue(queue, RunQueued(run_id="r", grid="g", reason="old", logged_at=5.5)) == queue
    assert fold_queue(queue, RunQueued(run_id="r", grid="g", reason="new", logged_at=7.0)).state == "queued"


def test_a_log_folds_into_its_last_word():
    log = NEW
    for event in (started(1.0), step(1, at=2.0), Left(attempt=1, update=1, reason="pause", logged_at=3.0)):
        log = fold_log(log, event)
    assert (log.state, log.reason, log.logged_at, log.attempt) == ("left", "pause", 3.0, 1)
    log = fold_log(log, resumed(2, 1, 4.0))
    assert (log.state, log.reason, log.attempt) == ("running", "", 2) and log.worker is not None
    failed = fold_log(log, Failed(attempt=2, update=1, cause="error", message="broke", logged_at=5.0))
    assert (failed.state, failed.reason) == ("failed", "broke")
    done = Finished(
        attempt=2, update=1, tokens=1, flops=1, best_update=1, best_loss=1, final_loss=1, seconds=1, logged_at=6.0
    )
    assert fold_log(log, done).state == "finished"
    assert isinstance(step(1), Step) and fold_log(log, step(2)) == log


def test_journals_fold_by_their_clocks_whatever_the_order_of_files():
    events = [
        RunQueued(run_id="r", grid="g", reason="submitted", logged_at=1.0),
        RunLaunched(run_id="r", pid=1, slot="cpu:0", logged_at=2.0),
        RunReaped(run_id="r", pid=1, returncode=-9, logged_at=3.0),
        RunDequeued(run_id="r", status="failed", message="no disk", logged_at=4.0),
    ]
    for order in (events, events[::-1], events[2:] + events[:2]):
        queue = SILENT
        for event in order:
            queue = fold_queue(queue, event)
        assert (queue.state, queue.status, queue.reason) == ("dequeued", "failed", "no disk")
    assert fold_queue(SILENT, events[2]).reason == "exit -9"
