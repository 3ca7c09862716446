"""Where one run stands: what its log and the lab's journals say of it, folded event by event. No files, no database."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import zip_longest

from ..record.cell_events import CellEpoch, CellStarted
from ..record.events import (
    Evaluated,
    Event,
    Failed,
    MemoryReported,
    Resumed,
    Started,
    Step,
)
from ..record.rundir import Process
from ..record.status import LogWord, QueueWord, RunStatus, alive_or_none, derive_status, fold_log, worker_alive


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What logs and journals say of one run. `loss` is the last training loss, `evaluated` the last validation event.

    heard_at: time of the last event of its log. cause: of its failure. memory: what its worker holds on its device, bytes.
    grid: the one it was queued for last. priority, tags, note, archived: what people said of it.
    """

    known: bool = False
    log: LogWord = field(default_factory=LogWord)
    queue: QueueWord = field(default_factory=QueueWord)
    update: int = 0
    loss: float | None = None
    tokens_per_second: float | None = None
    evaluated: Evaluated | None = None
    flops: int = 0
    heard_at: float = 0.0
    cause: str = ""
    memory: int = 0
    device_uuid: str = ""
    grid: str = ""
    priority: int = 0
    tags: frozenset[str] = frozenset()
    note: str = ""
    archived: bool = False

    def status(self, now: float) -> RunStatus:
        """The run's status, with a look at whether its worker lives."""
        alive = worker_alive(self.log, self.heard_at, now)
        launched = alive_or_none(self.queue)
        return derive_status(self.log, self.queue, worker_alive=alive, launched_alive=launched, now=now)

    @property
    def worker(self) -> Process | None:
        """The process that works on the run, if any does: the launched one until it has written, then that of the log."""
        if self.queue.state == "launched" and self.queue.logged_at > self.log.logged_at:
            return self.queue.worker
        return self.log.worker if self.log.state == "running" else None


def fold(standing: Standing, event: Event) -> Standing:
    """A run's standing after one more event of its own log."""
    standing = replace(standing, log=fold_log(standing.log, event), known=True, heard_at=event.logged_at)
    match event:
        case Step():
            return replace(
                standing,
                update=event.update,
                loss=event.loss,
                tokens_per_second=event.tokens_per_second,
                flops=event.flops,
            )
        case Started():
            return replace(standing, device_uuid=event.device_uuid, cause="", memory=0)
        case Resumed():
            return replace(
                standing,
                update=event.from_update,
                tokens_per_second=None,
                device_uuid=event.device_uuid,
                cause="",
                memory=0,
            )
        case MemoryReported():
            return replace(standing, memory=event.device_bytes or event.rss_bytes)
        case Failed():
            return replace(standing, cause=event.cause)
        case CellEpoch():
            return replace(standing, update=event.update, loss=event.loss)
        case CellStarted():
            return replace(standing, update=event.from_update, cause="", memory=0)
        case Evaluated() if event.split == "validation":
            return replace(standing, evaluated=event)
    return standing


def fold_all(standing: Standing, events: list[Event]) -> Standing:
    """After several more events. Of steps in a row only the last one is folded: it says of all of them what counts."""
    for event, following in zip_longest(events, events[1:]):
        if not (isinstance(event, Step) and isinstance(following, Step)):
            standing = fold(standing, event)
    return standing


def without_words(standing: Standing) -> Standing:
    """What only its own log says of a run."""
    return replace(standing, queue=QueueWord(), grid="", priority=0, tags=frozenset(), note="", archived=False)


def without_log(standing: Standing) -> Standing:
    """What only the journals say of a run: its log is gone, or is another one now."""
    return Standing(
        known=standing.known,
        queue=standing.queue,
        grid=standing.grid,
        priority=standing.priority,
        tags=standing.tags,
        note=standing.note,
        archived=standing.archived,
    )
