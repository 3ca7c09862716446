"""What the supervisor says of itself, of the grids that are handed to it, and of the runs that wait and work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .event_base import Event


@dataclass(frozen=True, kw_only=True)
class SupervisorStarted(Event):
    """A supervisor serves the lab."""

    kind: ClassVar[str] = "supervisor-started"
    host: str
    pid: int
    slots: int


@dataclass(frozen=True, kw_only=True)
class SupervisorStopped(Event):
    """The supervisor has left. `reason`: `idle` or `signal`."""

    kind: ClassVar[str] = "supervisor-stopped"
    host: str
    pid: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class GridSubmitted(Event):
    """A grid was handed over. `run_ids` holds all of its runs, finished ones included, `toml` the file as it was.

    order: `longest`, `shortest`, `breadth` or `grid`. hours, flops: budget of this submission, 0 for none; flops_before:
    what its runs had spent when it was handed over (counting `paper`).
    """

    kind: ClassVar[str] = "grid-submitted"
    grid: str
    run_ids: tuple[str, ...]
    names: tuple[str, ...]
    toml: str
    order: str = "longest"
    hours: float = 0.0
    flops: float = 0.0
    flops_before: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RunQueued(Event):
    """A run waits for a slot. `reason`: `submitted`, `resumed`, `retry`, `worker-died`, `worker-lost` (with
    its host), `interrupted` (by the supervisor's end), `out-of-memory`, `disk`."""

    kind: ClassVar[str] = "run-queued"
    run_id: str
    grid: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RunLaunched(Event):
    """A worker process was started for a run on a slot. `device`: what it computes on, a GPU's UUID or `cpu`."""

    kind: ClassVar[str] = "run-launched"
    run_id: str
    pid: int
    slot: str
    host: str = ""
    process_started_at: float = 0.0
    device: str = ""


@dataclass(frozen=True, kw_only=True)
class RunReaped(Event):
    """A worker process ended. `returncode` is negative for a signal; None when it was adopted and cannot be waited on."""

    kind: ClassVar[str] = "run-reaped"
    run_id: str
    pid: int
    returncode: int | None


@dataclass(frozen=True, kw_only=True)
class RunDequeued(Event):
    """A run left the queue without a worker. `status`: `stopped`, `paused`, `cancelled` or `failed`; `message`: why."""

    kind: ClassVar[str] = "run-dequeued"
    run_id: str
    status: str
    message: str
