"""Several runs on one GPU: which card the next run takes, how many slots there are, what was learnt of a shape."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING

from ..config.spec import RunSpec, to_plain
from ..cost import memory_bytes
from ..record.rundir import is_cell
from .plan import micro_batch
from .slots import MOST_ON_A_CARD, Card, Guest, choose, reading_of

if TYPE_CHECKING:
    from .service import Supervisor

SETTLED_SECONDS = 6.0
"""Runs that have shared a device for so long, unchanged, have a throughput worth remembering."""


def needs_of(spec: RunSpec) -> int:
    """Bytes that a run is thought to need on its device."""
    train = spec.train
    at_once = micro_batch(train.micro_batch, train.batch_size, train.sequence_length)
    return memory_bytes(spec.model, at_once, train.sequence_length, train.mask_share)


def shape_of(spec: RunSpec, device_name: str) -> str:
    """A name for everything that decides a run's speed on a device."""
    train = spec.train
    what = [to_plain(spec)["model"], train.batch_size, train.sequence_length, train.micro_batch, train.precision]
    return f"{device_name} {hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]}"


def cards(supervisor: Supervisor) -> list[Card]:
    """Our devices with their last readings and our runs on them."""
    readings = supervisor.duties.monitor.latest
    found = []
    for device in supervisor.devices:
        jobs = [job for job in supervisor.jobs() if job.device == device and job.run_id]
        standings = [supervisor.watch.standing(job.run_id) for job in jobs]
        told = next((s.device_uuid for s in standings if s.device_uuid), "")
        guests = tuple(
            Guest(needs=needs_of(supervisor.spec_of(job.run_id).spec), reported=standing.memory)
            for job, standing in zip(jobs, standings, strict=True)
        )
        found.append(Card(device=device, reading=reading_of(device, readings, told), guests=guests))
    return found


def device_for(supervisor: Supervisor, run_id: str) -> str | None:
    """The card that a run takes now, or None while it has to wait for one. A number of slots that a person chose is
    heeded as far as memory allows; otherwise a card takes as many runs of a shape as have been seen to pay."""
    spec = supervisor.spec_of(run_id).spec
    there = cards(supervisor)
    name = next((c.reading.name for c in there if c.reading), "")
    at_once = supervisor.experience.at_once(shape_of(spec, name)) if supervisor.auto else MOST_ON_A_CARD
    return choose(there, needs_of(spec), at_once, supervisor.settings)


def grow_or_shrink(supervisor: Supervisor) -> None:
    """Keep one free slot as long as a card may take another run."""
    free = [name for name, job in supervisor.slots.items() if job is None]
    if not free and len(supervisor.slots) < MOST_ON_A_CARD * len(supervisor.devices):
        number = next(i for i in range(len(supervisor.slots) + 1) if f"slot:{i}" not in supervisor.slots)
        supervisor.slots[f"slot:{number}"] = None
    for name in free[1:]:
        if len(supervisor.slots) > len(supervisor.devices):
            del supervisor.slots[name]


class Learner:
    """Watches which runs share a device, and remembers the speed of a shape once they have settled."""

    def __init__(self) -> None:
        self._together: dict[str, tuple[frozenset[str], float]] = {}

    def look(self, supervisor: Supervisor) -> None:
        names = {r.device: r.name for r in supervisor.duties.monitor.latest}
        by_device: dict[str, set[str]] = {}
        for job in supervisor.jobs():
            if job.run_id:
                by_device.setdefault(job.device, set()).add(job.run_id)
        now = time.time()
        for device, runs in by_device.items():
            before, since = self._together.get(device, (frozenset(), now))
            if before != runs:
                self._together[device] = (frozenset(runs), now)
            elif now - since > SETTLED_SECONDS and not any(is_cell(r) for r in runs):
                for run_id in runs:
                    standing = supervisor.watch.standing(run_id)
                    if standing.tokens_per_second and standing.heard_at > since + SETTLED_SECONDS / 2:
                        spec = supervisor.spec_of(run_id).spec
                        shape = shape_of(spec, names.get(device, "cpu"))
                        supervisor.experience.learn(shape, len(runs), standing.tokens_per_second)


def expected_speed(supervisor: Supervisor, run_id: str) -> float:
    """Tokens per second that this lab has measured of the run's shape beside as many others as now; 0 if it has not."""
    job = supervisor.job_of(run_id)
    if job is None:
        return 0.0
    names = {r.device: r.name for r in supervisor.duties.monitor.latest}
    beside = sum(other.device == job.device and bool(other.run_id) for other in supervisor.jobs())
    shape = shape_of(supervisor.spec_of(run_id).spec, names.get(job.device, "cpu"))
    return supervisor.experience.speeds.get(shape, {}).get(beside, 0.0)
