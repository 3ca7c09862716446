"""Which device a run takes and how many it takes at once: rules, and a supervisor on cards that NVML's trace tells of."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nvml_trace import C1, C2, GB, A, B, made_trace
from shrunk_core.config.lab import LabSettings, init_lab, read_settings
from shrunk_core.engine import machine, packing
from shrunk_core.engine import service as serving
from shrunk_core.engine.hardware import Gpu, devices_of, list_gpus, match, visible_names
from shrunk_core.engine.machine import Machine
from shrunk_core.engine.monitor import HostSampler, Monitor, NvmlSampler
from shrunk_core.engine.packing import Learner, needs_of, shape_of
from shrunk_core.engine.service import Supervisor
from shrunk_core.engine.slots import (
    CONTEXT_BYTES,
    MOST_ON_A_CARD,
    RESERVE_SHARE,
    Card,
    Experience,
    Guest,
    choose,
    reading_of,
    runs_at_once,
)
from shrunk_core.record.events import MemoryReported
from shrunk_core.record.lab_events import HardwareSampled
from shrunk_core.record.rundir import run_dir, this_process, write_spec
from store_lab import COSTS, spec, started, step, write

SETTINGS = LabSettings()


def reading(device: str = "GPU-a", used: int = 0, busy: float = 0.0, total: int = 80 * GB) -> HardwareSampled:
    return HardwareSampled(device=device, memory_used=used, memory_total=total, utilisation=busy)


# ---------------------------------------------------------------- which device


def test_a_run_takes_the_emptiest_card_with_room() -> None:
    full = Card(device="GPU-a", reading=reading(used=4 * GB), guests=(Guest(needs=3 * GB), Guest(needs=70 * GB)))
    one = Card(device="GPU-b", reading=reading("GPU-b", used=3 * GB), guests=(Guest(needs=3 * GB),))
    assert choose([full, one], 2 * GB, SETTINGS) == "GPU-b"
    assert choose([full, dataclasses.replace(one, at_once=1)], 2 * GB, SETTINGS) is None
    assert choose([full], 10 * GB, SETTINGS) is None


def test_other_peoples_cards_are_left_alone_and_the_reason_is_told() -> None:
    filled = Card(device="GPU-a", reading=reading(used=50 * GB))
    assert choose([filled], GB, SETTINGS) is None
    assert "other people hold 50.0 of 80.0 GiB" in filled.refusal(GB, SETTINGS)
    assert "90% busy" in Card(device="GPU-a", reading=reading(busy=0.9)).refusal(GB, SETTINGS)
    # the same load is no reason when it is our own
    ours = Card(device="GPU-a", reading=reading(used=50 * GB, busy=0.9), guests=(Guest(needs=GB, reported=50 * GB),))
    assert ours.others == 0 and choose([ours], GB, SETTINGS) == "GPU-a"


def test_a_workers_own_report_tells_its_memory_from_other_peoples() -> None:
    card = Card(
        device="GPU-a", reading=reading(used=30 * GB + CONTEXT_BYTES), guests=(Guest(needs=GB, reported=10 * GB),)
    )
    assert card.others == 20 * GB


def test_what_fits_nowhere_is_tried_alone_rather_than_never() -> None:
    assert choose([Card(device="GPU-a", reading=reading())], 200 * GB, SETTINGS) == "GPU-a"
    assert (
        choose([Card(device="GPU-a", reading=reading(used=20 * GB))], 70 * GB, SETTINGS) is None
    )  # it may yet have room
    host = Card(device="cpu", reading=reading("cpu", used=70 * GB))
    assert choose([host], 20 * GB, SETTINGS) == "cpu"
    busy = dataclasses.replace(host, guests=(Guest(needs=GB),))
    assert choose([busy], 20 * GB, SETTINGS) is None and choose([busy], GB, SETTINGS) == "cpu"


@given(
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 100), st.lists(st.integers(1, 40), max_size=4)), max_size=4),
    st.integers(1, 60),
    st.integers(1, 4),
)
def test_a_card_that_is_chosen_has_room_and_is_nobody_elses(
    cards: list[tuple[int, int, list[int]]], needs: int, at_once: int
) -> None:
    there = [
        Card(
            device=f"GPU-{i}",
            reading=reading(f"GPU-{i}", used=used * GB, busy=busy / 100),
            guests=tuple(Guest(needs=g * GB) for g in guests),
            at_once=at_once,
        )
        for i, (used, busy, guests) in enumerate(cards)
    ]
    chosen = choose(there, needs * GB, SETTINGS)
    for card in there:
        assert (card.refusal(needs * GB, SETTINGS) == "") <= (chosen is not None)
        if card.device == chosen and card.reading and card.reading.utilisation is not None:
            assert card.others <= SETTINGS.others_memory * 80 * GB
            assert card.guests or card.reading.utilisation <= SETTINGS.others_utilisation
            assert len(card.guests) < at_once
            if card.guests or card.others:
                assert card.others + card.reserved + needs * GB + CONTEXT_BYTES <= 80 * GB * (1 - RESERVE_SHARE)


# ---------------------------------------------------------------- matching


def test_a_reading_is_matched_by_uuid_and_never_by_number() -> None:
    readings = [reading("GPU-aaaa"), reading("GPU-aabb"), reading("MIG-cc")]
    assert reading_of("GPU-aabb", readings) is readings[1]
    assert reading_of("MIG-cc", readings) is readings[2]
    assert reading_of("0", readings) is None
    assert reading_of("0", readings, said="GPU-aaaa") is readings[0]
    assert reading_of("0", readings, said="GPU-cc") is readings[2]  # torch says GPU- of a slice as well
    # what cannot be read takes one run
    assert choose([Card(device="0")], GB, SETTINGS) == "0"
    assert choose([Card(device="0", guests=(Guest(needs=GB),))], GB, SETTINGS) is None


FOUND = tuple(
    Gpu(index=i, name="card", uuid=f"GPU-{c * 4}", memory_total=GB, capability=(9, 0)) for i, c in enumerate("abc")
)


@pytest.mark.parametrize(
    ("visible", "order", "asked", "expected"),
    [
        (None, "", [], ("GPU-aaaa", "GPU-bbbb", "GPU-cccc")),
        ("GPU-bb,GPU-cccc", "", [], ("GPU-bbbb", "GPU-cccc")),
        ("2,0", "PCI_BUS_ID", [], ("GPU-cccc", "GPU-aaaa")),
        ("0,1", "", ["cccc", "aaaa"], ("GPU-cccc", "GPU-aaaa")),  # CUDA counts the fastest first, NVML does not
        ("0,1", "", [], ("0", "1")),  # nobody can tell: passed on as they are
        ("1,-1,0", "PCI_BUS_ID", [], ("GPU-bbbb",)),  # as CUDA reads it: nothing after the first that is none
        ("", "", [], ()),
        ("-1", "", [], ()),
        ("NoDevFiles", "", [], ()),
    ],
)
def test_cuda_visible_devices(visible: str | None, order: str, asked: list[str], expected: tuple[str, ...]) -> None:
    environment = {"CUDA_DEVICE_ORDER": order} | ({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    found = FOUND if visible is None or visible_names(visible) else ()
    assert devices_of(found, environment, lambda: asked) == expected


def test_the_only_card_needs_no_question() -> None:
    def never() -> list[str]:
        raise AssertionError("CUDA was asked")

    assert devices_of(FOUND[:1], {"CUDA_VISIBLE_DEVICES": "0"}, never) == ("GPU-aaaa",)
    assert match("AAAA", ["GPU-aaaa", "GPU-aabb"]) == "GPU-aaaa"
    assert match("", ["GPU-aaaa"]) == ""


def test_of_a_card_in_mig_mode_the_slices_are_given() -> None:
    trace = made_trace()
    trace.nvmlInit()
    found = list_gpus(trace)
    assert [g.uuid for g in found] == [A, B, C1, C2]
    assert [g.memory_total // GB for g in found] == [80, 80, 40, 40]
    assert {g.capability for g in found} == {(9, 0)}
    assert (found[0].part_of, found[2].part_of == found[3].part_of != "") == ("", True)
    assert devices_of(found, {"CUDA_VISIBLE_DEVICES": f"{C2},GPU-aaaaaaaa"}, list) == (C2, A)


# ---------------------------------------------------------------- how many at once


def test_one_more_run_is_tried_as_long_as_the_last_one_paid() -> None:
    assert runs_at_once({}) == 1
    assert runs_at_once({1: 100.0}) == 2
    assert runs_at_once({1: 100.0, 2: 90.0}) == 3
    assert runs_at_once({1: 100.0, 2: 90.0, 3: 60.0}) == 2
    assert runs_at_once({1: 100.0, 2: 52.0}) == 1


def test_where_to_begin_is_known_from_a_measurement_or_the_cores() -> None:
    assert runs_at_once({}, first=8) == 8
    assert runs_at_once({1: 100.0}, first=8) == 8
    assert runs_at_once({8: 50.0, 1: 100.0}, first=8) == 9
    assert runs_at_once({8: 10.0, 1: 100.0}, first=8) == 2  # eight were no gain: up again from one
    assert runs_at_once({}, first=64, most=4) == 4
    assert runs_at_once({4: 30.0, 3: 39.0, 1: 100.0}, first=4, most=4) == 3  # the fourth was not worth it
    assert runs_at_once({2: 100.0, 1: 190.0}, first=2, most=2) == 1  # a second single-threaded run brought nothing


@given(
    st.dictionaries(st.integers(1, 20), st.floats(0.1, 1e6), max_size=12),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_the_number_is_possible_and_settles(speeds: dict[int, float], first: int, most: int) -> None:
    """Whatever was measured: between 1 and `most`; and measuring what it asks for ends, near the best of all that were."""
    table = dict(speeds)
    for _ in range(40):
        k = runs_at_once(table, first, most)
        assert 1 <= k <= most
        if k in table:
            break
        table[k] = speeds.get(k, 1e4 / k**2)
    possible = {k: k * v for k, v in table.items() if k <= most}
    if first <= most and max(table, default=0) <= most:
        assert k in table and possible[k] * 1.1 * 1.0000001 >= max(possible.values())


def test_what_was_measured_is_remembered_and_a_disturbed_measurement_is_not(tmp_path: Path) -> None:
    file = tmp_path / ".shrunk" / "packing.json"
    one = Experience(file)
    one.learn("shape", 1, 100.0)
    one.learn("shape", 1, 40.0)
    one.learn("shape", 2, 90.0)
    assert Experience(file).speeds == {"shape": {1: 100.0, 2: 90.0}}
    assert Experience(file).at_once("shape") == 3
    one.learn("shape", 1, 120.0)
    assert Experience(file).speeds["shape"][1] == 120.0
    file.write_text("torn {")
    assert Experience(file).speeds == {}


# ---------------------------------------------------------------- a supervisor on such cards


class Recorder:
    """A launcher that starts nothing and remembers which run got which device."""

    def __init__(self) -> None:
        self.given: dict[str, str] = {}
        self.threads: set[int] = set()

    def start(self, module: str, arguments: list[str], *, threads: int, device: str, log: Path) -> Any:
        self.given[Path(arguments[0]).name] = device
        self.threads.add(threads)
        return SimpleNamespace(pid=1, process=this_process(), poll=lambda: None, signal=lambda number: None)

    def ready(self) -> bool:
        return True


Serve = Callable[..., tuple[Supervisor, Recorder]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    lab = init_lab(tmp_path / "lab")
    monkeypatch.setattr(serving, "is_built", lambda lab, spec: True)
    made: list[Supervisor] = []

    def make(trace: Any = None, devices: tuple[str, ...] = (), slots: int = 0) -> tuple[Supervisor, Recorder]:
        monkeypatch.setattr(serving, "worker_devices", lambda: devices)
        launcher = Recorder()
        supervisor = Supervisor(lab, read_settings(lab), launcher, slots)  # type: ignore[arg-type]
        if trace is not None:
            supervisor.duties.monitor = Monitor([HostSampler(lab), NvmlSampler(trace)])
            supervisor.duties.monitor.sample([])
        made.append(supervisor)
        return supervisor, launcher

    yield make
    for supervisor in made:
        supervisor.journal.close()
        supervisor.duties.close(supervisor)


def queue(supervisor: Supervisor, seeds: range, device: str = "auto") -> list[str]:
    ids = []
    for seed in seeds:
        one = spec(seed, hidden_size=64)
        one = dataclasses.replace(one, train=dataclasses.replace(one.train, device=device))
        write_spec(supervisor.lab, one, name=f"run {seed}", grid="grid", costs=COSTS)
        supervisor.enqueue(one.run_id, "submitted")
        ids.append(one.run_id)
    return ids


def fill(supervisor: Supervisor, times: int = 8) -> None:
    for _ in range(times):
        supervisor._fill()


def speak(supervisor: Supervisor, run_id: str, device_uuid: str, memory: int, begun: float = 1e9) -> None:
    """The log of a worker that trains on a device and reports what it holds."""
    first = dataclasses.replace(started(), device_uuid=device_uuid)
    write(run_dir(supervisor.lab, run_id).events_file, first,
          MemoryReported(attempt=1, update=1, device_bytes=memory, rss_bytes=GB))  # fmt: skip
    supervisor.watch.look()


def test_runs_get_free_cards_and_slices_and_wait_for_the_rest(serve: Serve) -> None:
    supervisor, launcher = serve(made_trace(), (A, B, C1, C2))
    queue(supervisor, range(5))
    fill(supervisor)
    assert sorted(launcher.given.values()) == sorted([A, C1, C2])  # B is other people's
    assert len(supervisor.queue) == 2 and launcher.threads == {1}


def test_a_card_that_others_fill_takes_no_further_run_and_the_reason_is_an_alert(serve: Serve) -> None:
    trace = made_trace()
    supervisor, launcher = serve(trace, (A, B))
    (first,) = queue(supervisor, range(1))
    fill(supervisor)
    speak(supervisor, first, A.replace("GPU-", "GPU-"), 2 * GB)
    name = next(r.name for r in supervisor.duties.monitor.latest if r.device == A)
    supervisor.experience.learn(shape_of(supervisor.spec_of(first).spec, name), 1, 1000.0)  # two are worth a try
    trace.at = 8.0
    supervisor.duties.monitor.sample([])
    (second,) = queue(supervisor, range(1, 2))
    fill(supervisor)
    assert launcher.given[second] == A
    trace.at = 14.0  # 60 GB of somebody else's have come
    supervisor.duties.monitor.sample([])
    supervisor.experience.learn(shape_of(supervisor.spec_of(first).spec, name), 2, 900.0)
    (third,) = queue(supervisor, range(2, 3))
    fill(supervisor)
    assert third not in launcher.given
    why = packing.why_waiting(supervisor, third)
    assert f"of 80.0 GiB of {A}" in why and f"of 80.0 GiB of {B}" in why


def test_nothing_is_given_away_before_the_first_reading(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = made_trace()
    monkeypatch.setattr("shrunk_core.engine.duties.NvmlSampler", lambda: NvmlSampler(trace))
    supervisor, launcher = serve(None, (B,))
    queue(supervisor, range(1))
    fill(supervisor)
    assert launcher.given == {}


def test_processor_and_cards_have_slots_of_their_own(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "cores", lambda: 2)
    supervisor, launcher = serve(made_trace(), (A, B))
    on_cards = queue(supervisor, range(2))
    on_host = queue(supervisor, range(2, 5), device="cpu")
    named = queue(supervisor, range(5, 6), device="cuda:1")
    missing = queue(supervisor, range(6, 7), device="cuda:7")
    fill(supervisor, 12)
    assert [launcher.given.get(r) for r in on_cards] == [A, None]
    assert sorted(launcher.given.get(r, "waits") for r in on_host) == ["", "", "waits"]  # two cores, two single threads
    assert named[0] not in launcher.given
    supervisor.watch.look()
    status = supervisor.watch.status(missing[0])
    assert status.status == "failed" and "there are 2 GPUs here" in status.reason


def test_on_the_processor_the_memory_of_the_host_counts(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor, launcher = serve(slots=4)
    host = HardwareSampled(device="cpu", memory_used=GB, memory_total=2 * GB)
    supervisor.duties.monitor.latest = [host]
    monkeypatch.setattr(packing, "needs_of", lambda spec: 300 << 20)
    queue(supervisor, range(4))
    fill(supervisor)
    assert len(launcher.given) == 1  # 2 GB less 5 %, of which others hold 1: room for one of 600 MB
    supervisor.duties.monitor.latest = [dataclasses.replace(host, memory_total=8 * GB)]
    fill(supervisor)
    assert len(launcher.given) == 4


def bench(lab: Path, device: str, speeds: dict[int, float]) -> None:
    """What `shrunk bench` would have kept: one shape, so many runs at once, tokens per second of all together."""
    machine.remember(lab, [
        machine.Measurement(model={"hidden_size": 64}, train={"batch_size": 4}, precision="fp32", device=device,
                            device_name="x", execution="eager", packed=k, mps=False, seconds=1, cpu_seconds=1, updates=9,
                            tokens_per_second=total, utilisation=0.1, matmul_flops_per_second=1e9, measured_at=1.0)
        for k, total in speeds.items()
    ])  # fmt: skip


def test_what_bench_measured_is_where_the_supervisor_begins(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "prices", {})  # one shape is too few for prices, and not what this is about
    supervisor, launcher = serve(made_trace(), (A,))
    bench(supervisor.lab, "cuda", {1: 100.0, 2: 180.0, 4: 300.0, 8: 290.0})
    queue(supervisor, range(6))
    fill(supervisor, 12)
    assert list(launcher.given.values()) == [A] * 4
    bench(supervisor.lab, "cpu", {1: 100.0, 3: 120.0, 8: 110.0})
    monkeypatch.setattr(packing, "cores", lambda: 8)
    queue(supervisor, range(6, 14), device="cpu")
    fill(supervisor, 20)
    assert list(launcher.given.values()).count("") == 3


def test_speeds_are_learnt_from_the_first_updates_of_runs_that_share(serve: Serve) -> None:
    supervisor, launcher = serve(made_trace(), (A,))
    name = next(r.name for r in supervisor.duties.monitor.latest if r.device == A)
    one, two = queue(supervisor, range(2))
    fill(supervisor)
    assert list(launcher.given) == [one]  # nothing is known: one alone
    learner, shape = Learner(), shape_of(supervisor.spec_of(one).spec, name)

    def hear(run_id: str, begin: float, seconds: float, speed: float) -> None:
        for i in range(int(seconds * 10)):
            learner.hear(run_id, dataclasses.replace(step(i, at=begin + i / 10), tokens_per_second=speed))

    at = supervisor.jobs()[0].launched_at
    hear(one, at + 1, 1.0, 10.0)  # the first second of updates is slower and counts for nothing
    learner.look(supervisor)
    assert supervisor.experience.speeds == {}
    hear(one, at + 2, 3.0, 1000.0)
    learner.look(supervisor)
    assert supervisor.experience.speeds == {shape: {1: 1000.0}}
    fill(supervisor)
    assert list(launcher.given) == [one, two]  # so a second is tried
    at = max(j.launched_at for j in supervisor.jobs())
    hear(one, at + 0.5, 4.0, 700.0)
    hear(two, at + 2, 1.0, 600.0)
    learner.look(supervisor)
    assert supervisor.experience.speeds[shape].keys() == {1}  # the other was not heard for long enough
    hear(two, at + 3, 3.0, 600.0)
    learner.look(supervisor)
    assert supervisor.experience.speeds[shape][2] == 700.0
    assert json.loads((supervisor.lab / ".shrunk" / "packing.json").read_text())[shape]["1"] == 1000.0
    assert packing.expected_speed(supervisor, one) == 700.0
    assert packing.worth_it(supervisor, supervisor.spec_of(one).spec, A, name) == 3
    assert supervisor.experience.at_once(shape, most=MOST_ON_A_CARD) == 3


def test_needs_are_estimated_before_anything_is_measured() -> None:
    small, large = (needs_of(spec(0, hidden_size=h, intermediate_size=4 * h)) for h in (64, 512))
    assert 0 < small < large
