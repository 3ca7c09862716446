"""The rules of supervision that need no process: order, endings, budgets, alerts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.config.lab import LabSettings
from shrunk_core.config.spec import ModelSpec, TrainSpec
from shrunk_core.engine.alerts import WINDOW, Alerts
from shrunk_core.engine.budget import Spent, exceeded
from shrunk_core.engine.estimate import surely_shorter
from shrunk_core.engine.queue import Place, Queue
from shrunk_core.engine.retries import Ending, judge
from shrunk_core.record.events import Failed, Step
from shrunk_core.record.lab_events import Alert, AlertEnded
from shrunk_core.record.queue_events import GridSubmitted
from shrunk_core.record.status import LogWord

SETTINGS = LabSettings()


def test_priority_first_then_the_earlier_grid_then_its_order() -> None:
    queue = Queue()
    queue.add(Place(run_id="short", submitted_at=1, seconds=1, number=0))
    queue.add(Place(run_id="long", submitted_at=1, seconds=9, number=1))
    queue.add(Place(run_id="later grid", submitted_at=2, seconds=99))
    queue.add(Place(run_id="urgent", submitted_at=3, priority=1))
    queue.add(Place(run_id="held", submitted_at=0), until=50.0)
    assert queue.ready(10.0) == ["urgent", "long", "short", "later grid"]
    assert queue.ready(50.0)[:2] == ["urgent", "held"]


def test_breadth_first_takes_every_shape_once_before_any_twice() -> None:
    queue = Queue()
    for number, (shape, seed) in enumerate([("a", 0), ("a", 1), ("b", 0), ("b", 1)]):
        queue.add(Place(run_id=f"{shape}{seed}", order="breadth", seed=seed, number=number))
    assert queue.in_order() == ["a0", "b0", "a1", "b1"]


@pytest.mark.parametrize(
    ("ending", "act", "reason"),
    [
        (Ending(code=0, word=LogWord(state="finished"), spoke=True), "leave", ""),
        (Ending(code=0, word=LogWord(state="left"), spoke=True), "leave", ""),
        (Ending(code=1, word=LogWord(state="failed"), spoke=True, cause="non-finite"), "leave", ""),
        (Ending(code=1, word=LogWord(state="failed"), spoke=True, cause="data"), "leave", ""),
        (Ending(code=1, word=LogWord(state="failed"), spoke=True, cause="disk"), "requeue", "disk"),
        (Ending(code=1, word=LogWord(state="failed"), spoke=True, cause="out-of-memory"), "requeue", "out-of-memory"),
        (Ending(code=1, word=LogWord(state="failed"), spoke=True, cause="out-of-memory", failures=3), "leave", ""),
        (Ending(code=1, word=LogWord(state="failed"), spoke=False, tail="no module"), "fail", ""),
        (Ending(code=3, word=LogWord(state="running"), spoke=False), "leave", ""),
        (Ending(code=-9, word=LogWord(state="running"), spoke=False), "requeue", "worker-died"),
        (Ending(code=None, word=LogWord(state="running"), spoke=False), "requeue", "worker-died"),
        (Ending(code=-9, word=LogWord(state="running"), spoke=False, deaths=4), "fail", ""),
    ],
)
def test_what_becomes_of_a_run(ending: Ending, act: str, reason: str) -> None:
    verdict = judge(ending, SETTINGS)
    assert (verdict.act, verdict.reason) == (act, reason)
    if ending.tail:
        assert ending.tail in verdict.message


@given(st.integers(1, 10_000))
def test_without_a_limit_and_without_backoff_a_killed_run_always_starts_at_once(deaths: int) -> None:
    verdict = judge(
        Ending(code=-9, word=LogWord(), spoke=False, deaths=deaths), LabSettings(retries=-1, retry_seconds=0)
    )
    assert (verdict.act, verdict.seconds) == ("requeue", 0.0)


def test_a_budget_says_which_of_its_parts_is_spent() -> None:
    grid = GridSubmitted(grid="g", run_ids=(), names=(), toml="", hours=8, flops=1e17)
    assert exceeded(grid, Spent(hours=7.9, flops=9e16)) == ""
    assert "8 hours" in exceeded(grid, Spent(hours=8, flops=0))
    assert "1e+17 FLOPs" in exceeded(grid, Spent(hours=0, flops=1e17))
    assert exceeded(GridSubmitted(grid="g", run_ids=(), names=(), toml=""), Spent(hours=1e9, flops=1e30)) == ""


# ---------------------------------------------------------------- alerts


def step(update: int, loss: float, at: float = 1.0, speed: float = 100.0) -> Step:
    return Step(
        attempt=1, update=update, tokens=update, flops=update, loss=loss, learning_rate=0.1, grad_norm=1.0,
        tokens_per_second=speed, logged_at=at,
    )  # fmt: skip


def feed(alerts: Alerts, losses: list[float], start: int = 0) -> list[Any]:
    return [e for i, loss in enumerate(losses, start + 1) for e in alerts.news("r", step(i, loss))]


def test_divergence_is_a_rise_over_a_window_told_once_and_taken_back() -> None:
    alerts = Alerts(SETTINGS)
    assert feed(alerts, [3.0] * WINDOW + [9.0]) == []  # one bad update is none
    (alert,) = feed(alerts, [5.0] * WINDOW, WINDOW + 1)
    assert isinstance(alert, Alert) and alert.alert == "divergence" and "nats above" in alert.message
    assert feed(alerts, [3.4] * WINDOW, 2 * WINDOW + 1) == []  # under the limit, but not by much: it may come back
    (ended,) = feed(alerts, [3.0] * WINDOW, 3 * WINDOW + 1)
    assert isinstance(ended, AlertEnded)


def test_silence_is_a_stall_until_the_run_speaks() -> None:
    alerts = Alerts(SETTINGS)
    alerts.news("r", step(1, 3.0, at=1000.0))
    assert alerts.look({"r": 0.0}, 1000.0 + 599, None) == []
    (alert,) = alerts.look({"r": 0.0}, 1000.0 + 601, None)
    assert isinstance(alert, Alert) and alert.alert == "stall"
    assert alerts.look({"r": 0.0}, 1000.0 + 700, None) == []
    assert [e.kind for e in alerts.news("r", step(2, 3.0, at=1800.0))] == ["alert-ended"]


def test_slow_and_disk_and_non_finite() -> None:
    alerts = Alerts(SETTINGS)
    feed(alerts, [3.0] * WINDOW)
    assert [a.alert for a in alerts.look({"r": 1000.0}, 2.0, None) if isinstance(a, Alert)] == ["slow"]
    assert [a.alert for a in alerts.look({}, 2.0, 1 << 20) if isinstance(a, Alert)] == ["disk"]
    failed = Failed(attempt=1, update=60, cause="non-finite", message="loss nan")
    (alert,) = alerts.news("r", failed)
    assert isinstance(alert, Alert) and (alert.alert, alert.severity) == ("non-finite", "error")


def test_a_run_that_is_surely_short_needs_no_measurement() -> None:
    tiny = ModelSpec(embedding_size=16, hidden_size=16, intermediate_size=32, num_heads=2, num_layers=1, vocab_size=300)
    train = TrainSpec(updates=400, batch_size=8, sequence_length=16)
    assert surely_shorter(tiny, train, 600.0)
    assert not surely_shorter(tiny, dataclasses.replace(train, updates=1_000_000), 600.0)
    assert not surely_shorter(tiny, dataclasses.replace(train, minutes=1.0), 600.0)
    big = ModelSpec(hidden_size=768, num_heads=12, intermediate_size=3072, num_layers=12)
    assert not surely_shorter(big, TrainSpec(updates=400, batch_size=64, sequence_length=128), 600.0)
