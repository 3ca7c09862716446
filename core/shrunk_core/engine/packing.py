"""Several runs on one device: which one the next run takes, how many slots there are, what was learnt of a shape."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.spec import RunSpec
from ..cost import memory_bytes
from ..errors import ConfigError
from ..record.events import Step
from ..record.rundir import is_cell
from .estimate import speed_digest
from .hardware import CPU, cores
from .machine import read_machine
from .plan import micro_batch
from .slots import MOST_ON_A_CARD, Card, Guest, choose, reading_of

if TYPE_CHECKING:
    from .service import Supervisor

WARM_SECONDS = 1.0
"""A run's first updates that do not count: kernels are chosen, graphs recorded, caches filled."""

MEASURED_SECONDS = 2.0
"""Runs that have shared a device for so long, unchanged, have a throughput worth remembering."""


def needs_of(spec: RunSpec) -> int:
    """Bytes that a run is thought to need on its device."""
    train = spec.train
    at_once = micro_batch(train.micro_batch, train.batch_size, train.sequence_length)
    return memory_bytes(spec.model, at_once, train.sequence_length, train.mask_share)


def shape_of(spec: RunSpec, device_name: str) -> str:
    """A name for everything that decides a run's speed on a device of this machine."""
    return f"{socket.gethostname()} {device_name} {speed_digest(spec)}"


def devices_for(supervisor: Supervisor, wanted: str) -> tuple[str, ...]:
    """Devices that a run may take, by its setting `device`. ConfigError for a card that is not there."""
    cards = supervisor.devices
    if wanted == CPU or not cards:
        return (CPU,)
    number = wanted.removeprefix("cuda:")
    if not number.isdigit():
        return cards
    if int(number) >= len(cards):
        raise ConfigError(f'device = "{wanted}": there are {len(cards)} GPUs here, counted from 0')
    return (cards[int(number)],)


def cards(supervisor: Supervisor, run_id: str) -> list[Card]:
    """The devices that a run may take, with their last readings, our runs on them, and how many of it they take well."""
    spec = supervisor.spec_of(run_id).spec
    readings = supervisor.duties.monitor.latest
    found = []
    for device in devices_for(supervisor, spec.train.device):
        jobs = [job for job in supervisor.jobs() if (job.device or CPU) == device and job.run_id]
        standings = [supervisor.watch.standing(job.run_id) for job in jobs]
        said = next((s.device_uuid for s in standings if s.device_uuid), "")
        guests = tuple(
            Guest(needs=needs_of(supervisor.spec_of(job.run_id).spec), reported=standing.memory)
            for job, standing in zip(jobs, standings, strict=True)
        )
        reading = reading_of(device, readings, said)
        name = reading.name if reading and reading.name else device
        at_once = worth_it(supervisor, spec, device, name) if supervisor.auto else MOST_ON_A_CARD
        if device == CPU and not supervisor.auto:
            at_once = len(supervisor.slots)
        found.append(Card(device=device, reading=reading, guests=guests, at_once=at_once))
    return found


def worth_it(supervisor: Supervisor, spec: RunSpec, device: str, name: str) -> int:
    """How many runs of a shape a device takes well: measured of this shape; until it was, what `shrunk bench` found best
    here; and without that, as many as there are cores for on the processor, one on a GPU."""
    machine = read_machine(supervisor.lab)
    if device == CPU:
        threads = supervisor.settings.threads
        most = max(1, cores() // threads)
        best = machine.slots(CPU) if threads == 1 else None
        return supervisor.experience.at_once(shape_of(spec, name), first=min(best or most, most), most=most)
    return supervisor.experience.at_once(shape_of(spec, name), first=machine.slots("cuda") or 1)


def device_for(supervisor: Supervisor, run_id: str) -> str | None:
    """The device that a run takes now, or None while it has to wait for one. A number of slots that a person chose is
    heeded as far as memory allows; otherwise a device takes as many runs of a shape as have been seen to pay."""
    return choose(cards(supervisor, run_id), needs_of(supervisor.spec_of(run_id).spec), supervisor.settings)


def why_waiting(supervisor: Supervisor, run_id: str) -> str:
    """What stands against each device that a waiting run could take."""
    needs = needs_of(supervisor.spec_of(run_id).spec)
    refusals = [card.refusal(needs, supervisor.settings) for card in cards(supervisor, run_id)]
    return "; ".join(r for r in refusals if r)


def grow_or_shrink(supervisor: Supervisor) -> None:
    """Keep one free slot as long as a device may take another run."""
    free = [name for name, job in supervisor.slots.items() if job is None]
    most = MOST_ON_A_CARD * len(supervisor.devices) + max(1, cores() // supervisor.settings.threads)
    if not free and len(supervisor.slots) < most:
        number = next(i for i in range(len(supervisor.slots) + 1) if f"slot:{i}" not in supervisor.slots)
        supervisor.slots[f"slot:{number}"] = None
    for name in free[1:]:
        if len(supervisor.slots) > len(supervisor.devices):
            del supervisor.slots[name]


@dataclass
class _Pace:
    """What was heard of a run since its company last changed: from when to when, and the sum of its speeds."""

    first: float = 0.0
    last: float = 0.0
    total: float = 0.0
    updates: int = 0

    def take(self, at: float, speed: float) -> None:
        self.first = self.first or at
        if at - self.first >= WARM_SECONDS and speed > 0:
            self.last, self.total, self.updates = at, self.total + speed, self.updates + 1

    @property
    def told(self) -> bool:
        return self.last - self.first >= WARM_SECONDS + MEASURED_SECONDS


class Learner:
    """Watches which runs share a device, and remembers the speed of a shape beside so many others from its first updates."""

    def __init__(self) -> None:
        self._together: dict[str, tuple[frozenset[str], float]] = {}
        self._paces: dict[str, _Pace] = {}
        self._news: list[tuple[str, Step]] = []

    def hear(self, run_id: str, step: Step) -> None:
        """One update of a run."""
        self._news.append((run_id, step))

    def look(self, supervisor: Supervisor) -> None:
        """Begin anew where a run came or went; remember where all that share a device were heard for long enough."""
        now = time.time()
        together: dict[str, dict[str, float]] = {}
        for job in supervisor.jobs():
            if job.run_id:
                together.setdefault(job.device or CPU, {})[job.run_id] = job.launched_at
        began: dict[str, float] = {}
        for device, launched in together.items():
            runs = frozenset(launched)
            before, since = self._together.get(device, (frozenset(), now))
            if runs != before:
                since = now if before - runs else max(launched.values())  # when it ended is known to a heartbeat only
                for run_id in runs:
                    self._paces[run_id] = _Pace()
            self._together[device] = runs, since
            began |= dict.fromkeys(runs, since)
        self._together = {d: known for d, known in self._together.items() if d in together}
        self._paces = {r: pace for r, pace in self._paces.items() if r in began}
        for run_id, step in self._news:
            if run_id in self._paces and step.logged_at >= began[run_id]:
                self._paces[run_id].take(step.logged_at, step.tokens_per_second)
        self._news.clear()
        names = {r.device: r.name for r in supervisor.duties.monitor.latest}
        for device, launched in together.items():
            if any(is_cell(r) for r in launched) or not all(self._paces[r].told for r in launched):
                continue
            for run_id in launched:
                pace, self._paces[run_id] = self._paces[run_id], _Pace()
                shape = shape_of(supervisor.spec_of(run_id).spec, names.get(device) or device)
                supervisor.experience.learn(shape, len(launched), pace.total / pace.updates)


def expected_speed(supervisor: Supervisor, run_id: str) -> float:
    """Tokens per second that this machine should reach with a run beside as many others as now: measured of its shape, or
    estimated from what `shrunk bench` measured of a run alone; 0 if neither is known."""
    job = supervisor.job_of(run_id)
    if job is None:
        return 0.0
    device = job.device or CPU
    spec = supervisor.spec_of(run_id).spec
    names = {r.device: r.name for r in supervisor.duties.monitor.latest}
    beside = sum((other.device or CPU) == device and bool(other.run_id) for other in supervisor.jobs())
    measured = supervisor.experience.speeds.get(shape_of(spec, names.get(device) or device), {}).get(beside, 0.0)
    if measured or beside > (cores() // supervisor.settings.threads if device == CPU else 1):
        return measured
    where = CPU if device == CPU else "cuda"
    train = spec.train
    seconds = read_machine(supervisor.lab).seconds_per_update(spec.model, train, train.precision, where)
    return train.batch_size * train.sequence_length / seconds if seconds else 0.0
