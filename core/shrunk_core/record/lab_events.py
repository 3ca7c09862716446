"""What a lab's journals say beside queueing: priorities, tags, notes, alerts, and what the machine did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .event_base import Event

ALERTS = (
    "non-finite", "divergence", "stall", "slow", "disk", "unwritable", "quota", "no-room", "failed", "budget",
    "run-finished", "grid-finished",
)  # fmt: skip
"""What an alert may be about."""


@dataclass(frozen=True, kw_only=True)
class RunPrioritised(Event):
    """A run's place in the queue was changed: larger goes first, 0 is where everything begins."""

    kind: ClassVar[str] = "run-prioritised"
    run_id: str
    priority: int


@dataclass(frozen=True, kw_only=True)
class RunTagged(Event):
    """Tags of a run were changed: `removed` first, then `added`."""

    kind: ClassVar[str] = "run-tagged"
    run_id: str
    added: tuple[str, ...]
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunNoted(Event):
    """A person's note on a run, whole: the latest one stands, an empty one takes it away."""

    kind: ClassVar[str] = "run-noted"
    run_id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class RunArchived(Event):
    """A run was put out of the way of lists and views of work, or brought back."""

    kind: ClassVar[str] = "run-archived"
    run_id: str
    archived: bool


@dataclass(frozen=True, kw_only=True)
class RunDeleted(Event):
    """A run's folder was removed by a person; `num_bytes` is what it held."""

    kind: ClassVar[str] = "run-deleted"
    run_id: str
    grid: str
    name: str
    num_bytes: int


@dataclass(frozen=True, kw_only=True)
class Alert(Event):
    """Something a person should look at. `alert`: one of `ALERTS`; `run_id` empty when it is about the lab or a grid.

    `severity`: `info`, `warning` or `error`. An alert that lasts stands until an `AlertEnded` of the same run and name.
    """

    kind: ClassVar[str] = "alert"
    alert: str
    severity: str
    message: str
    run_id: str = ""
    grid: str = ""


@dataclass(frozen=True, kw_only=True)
class AlertEnded(Event):
    """What an alert said is no longer so."""

    kind: ClassVar[str] = "alert-ended"
    alert: str
    run_id: str = ""


@dataclass(frozen=True, kw_only=True)
class HardwareSampled(Event):
    """One device at one moment, as a whole (`run_id` empty) or the part of it that one run uses.

    device: a GPU's UUID, a MIG slice's UUID, or `cpu`. utilisation: busy share of the device, 0 to 1; memory in bytes;
    power in watts; clocks in MHz. Of a run on a GPU: `memory_used` is what its worker reported, `power_watts` its share
    of the card's power, which is split equally between the runs on the card. cpu_percent: 100 is one core; rss_bytes:
    resident memory. seconds: since the sample before, so that `power_watts * seconds` is energy. Unknown is None.
    """

    kind: ClassVar[str] = "hardware"
    device: str
    name: str = ""
    run_id: str = ""
    seconds: float = 0.0
    utilisation: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    power_watts: float | None = None
    temperature_c: float | None = None
    clock_mhz: float | None = None
    cpu_percent: float | None = None
    rss_bytes: int | None = None
    disk_free: int | None = None


LAB_EVENTS: tuple[type[Event], ...] = (
    RunPrioritised,
    RunTagged,
    RunNoted,
    RunArchived,
    RunDeleted,
    Alert,
    AlertEnded,
    HardwareSampled,
)
