"""The rules of supervision that need no process: order, endings, budgets, packing, alerts, samples and energy."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.config.lab import LabSettings
from shrunk_core.config.spec import ModelSpec, TrainSpec
from shrunk_core.engine.alerts import WINDOW, Alerts
from shrunk_core.engine.budget import Spent, exceeded
from shrunk_core.engine.estimate import surely_shorter
from shrunk_core.engine.monitor import Load, Monitor, NvmlSampler, split
from shrunk_core.engine.queue import Place, Queue
from shrunk_core.engine.retries import Ending, judge
from shrunk_core.engine.slots import CONTEXT_BYTES, Card, Guest, choose, reading_of, runs_at_once
from shrunk_core.record.events import Failed, Step
from shrunk_core.record.lab_events import Alert, AlertEnded, HardwareSampled
from shrunk_core.record.queue_events import GridSubmitted
from shrunk_core.record.status import LogWord

SETTINGS = LabSettings()
GB = 1 << 30


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


# ---------------------------------------------------------------- packing


def reading(device: str = "GPU-a", used: int = 0, busy: float = 0.0, **more: Any) -> HardwareSampled:
    return HardwareSampled(device=device, memory_used=used, memory_total=80 * GB, utilisation=busy, **more)


def test_a_run_takes_the_emptiest_card_with_room() -> None:
    full = Card(device="GPU-a", reading=reading(used=4 * GB), guests=(Guest(needs=3 * GB), Guest(needs=70 * GB)))
    one = Card(device="GPU-b", reading=reading("GPU-b", used=3 * GB), guests=(Guest(needs=3 * GB),))
    assert choose([full, one], 2 * GB, 4, SETTINGS) == "GPU-b"
    assert choose([full, one], 2 * GB, 1, SETTINGS) is None
    assert choose([full], 10 * GB, 4, SETTINGS) is None


def test_other_peoples_cards_are_left_alone() -> None:
    assert choose([Card(device="GPU-a", reading=reading(used=50 * GB))], GB, 4, SETTINGS) is None
    assert choose([Card(device="GPU-a", reading=reading(busy=0.9))], GB, 4, SETTINGS) is None
    # the same load is no reason when it is our own
    ours = Card(device="GPU-a", reading=reading(used=50 * GB, busy=0.9), guests=(Guest(needs=GB, reported=50 * GB),))
    assert ours.others == 0
    assert choose([ours], GB, 4, SETTINGS) == "GPU-a"


def test_a_workers_own_report_tells_its_memory_from_other_peoples() -> None:
    card = Card(
        device="GPU-a", reading=reading(used=30 * GB + CONTEXT_BYTES), guests=(Guest(needs=GB, reported=10 * GB),)
    )
    assert card.others == 20 * GB


def test_a_card_is_matched_by_uuid_and_never_by_number() -> None:
    readings = [reading("GPU-aaaa"), reading("GPU-aabb"), reading("MIG-cc")]
    assert reading_of("GPU-aabb", readings) is readings[1]
    assert reading_of("GPU-aab", readings) is readings[1]
    assert reading_of("GPU-aa", readings) is None  # the beginning of two
    assert reading_of("MIG-cc", readings) is readings[2]
    assert reading_of("0", readings) is None
    assert reading_of("0", readings, told="GPU-aaaa") is readings[0]
    # what cannot be read takes one run
    assert choose([Card(device="0")], GB, 8, SETTINGS) == "0"
    assert choose([Card(device="0", guests=(Guest(needs=GB),))], GB, 8, SETTINGS) is None


def test_one_more_run_is_tried_as_long_as_the_last_one_paid() -> None:
    assert runs_at_once({}) == 1
    assert runs_at_once({1: 100.0}) == 2
    assert runs_at_once({1: 100.0, 2: 90.0}) == 3
    assert runs_at_once({1: 100.0, 2: 90.0, 3: 60.0}) == 2
    assert runs_at_once({1: 100.0, 2: 52.0}) == 1


# ---------------------------------------------------------------- monitoring


class FakeNvml:
    """NVML with one card and one MIG slice, made of pynvml's own structures. It has not met a GPU."""

    def nvmlInit(self) -> None: ...

    def nvmlDeviceGetCount(self) -> int:
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return "card"

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: str) -> int:
        return 2

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: str, index: int) -> str:
        if index:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return "slice"

    def nvmlDeviceGetUUID(self, handle: str) -> str:
        return {"card": "GPU-1", "slice": "MIG-1"}[handle]

    def nvmlDeviceGetName(self, handle: str) -> bytes:
        return b"NVIDIA H200"

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> pynvml.c_nvmlMemory_t:
        return pynvml.c_nvmlMemory_t(total=140 * GB, free=138 * GB, used=2 * GB)

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> pynvml.c_nvmlUtilization_t:
        if handle == "slice":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return pynvml.c_nvmlUtilization_t(gpu=37, memory=5)

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        if handle == "slice":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return 300_000

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:
        return 41

    def nvmlDeviceGetClockInfo(self, handle: str, clock: int) -> int:
        return 1980


def test_cards_and_slices_are_read_and_what_is_refused_is_none() -> None:
    card, part = NvmlSampler(FakeNvml()).read()
    assert (card.device, card.name, card.utilisation, card.power_watts) == ("GPU-1", "NVIDIA H200", 0.37, 300.0)
    assert (card.memory_used, card.memory_total, card.temperature_c, card.clock_mhz) == (2 * GB, 140 * GB, 41.0, 1980.0)
    assert (part.device, part.utilisation, part.power_watts, part.memory_used) == ("MIG-1", None, None, 2 * GB)


def test_without_a_driver_there_are_no_readings() -> None:
    def refuse() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    assert NvmlSampler(SimpleNamespace(nvmlInit=refuse)).read() == []


def test_power_is_split_equally_and_unknown_stays_unknown() -> None:
    loads = [Load(run_id=r, device=d, pid=0, memory=m) for r, d, m in [("a", "G", GB), ("b", "G", 0), ("c", "cpu", 0)]]
    devices = [HardwareSampled(device="G", power_watts=300.0), HardwareSampled(device="cpu")]
    parts = {p.run_id: p for p in split(devices, loads, 2.0)}
    assert (parts["a"].power_watts, parts["b"].power_watts, parts["c"].power_watts) == (150.0, 150.0, None)
    assert (parts["a"].memory_used, parts["b"].memory_used) == (GB, None)


def test_a_first_sample_has_no_interval() -> None:
    monitor = Monitor([SimpleNamespace(read=lambda: [HardwareSampled(device="cpu")])])  # type: ignore[list-item]
    assert [s.seconds for s in monitor.sample([])] == [0.0]
    assert monitor.sample([])[0].seconds >= 0.0


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
    (ended,) = feed(alerts, [3.0] * WINDOW, 2 * WINDOW + 1)
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
