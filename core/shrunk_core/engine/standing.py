"""Where every run of a lab stands, read from its logs: last words, progress, last losses. No database.

`Watch` keeps byte offsets, so that a second look reads new bytes only; the supervisor, `status` and live views use it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..record.cell_events import CellEpoch, CellStarted
from ..record.eventlog import read_new
from ..record.events import (
    Evaluated,
    Event,
    Failed,
    GridSubmitted,
    MemoryReported,
    NewerVersion,
    Resumed,
    RunDequeued,
    RunLaunched,
    RunQueued,
    RunReaped,
    Started,
    Step,
    decode,
)
from ..record.journal import is_sample_file, journal_files
from ..record.lab_events import Alert, AlertEnded, RunArchived, RunNoted, RunPrioritised, RunTagged
from ..record.rundir import RunDir, cell_dirs, is_cell, parent_of, run_dirs
from ..record.status import LogWord, QueueWord, RunStatus, alive_or_none, derive_status, fold_log, fold_queue


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
        alive = self.log.state == "running" and self.log.worker is not None and self.log.worker.alive()
        launched = alive_or_none(self.queue)
        return derive_status(self.log, self.queue, worker_alive=alive, launched_alive=launched, now=now)


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


class Watch:
    """Follows all logs of a lab. `look()` reads what is new and returns it, each event with the run it belongs to."""

    def __init__(self, lab: Path, run_ids: set[str] | None = None, *, cells: bool = False) -> None:
        """run_ids: follow only these runs' logs (journals are always followed). cells: follow their child jobs too,
        under the ids `RUN/CELL`; without it journals' words about child jobs are passed over."""
        self.lab, self.run_ids, self.cells = lab, run_ids, cells
        self.standings: dict[str, Standing] = {}
        self.grids: dict[str, GridSubmitted] = {}
        self.alerts: dict[tuple[str, str], Alert] = {}
        self._alerts_ended: dict[tuple[str, str], float] = {}
        self._said: dict[tuple[str, str], float] = {}
        self._offsets: dict[Path, int] = {}
        self._children: dict[str, tuple[int, list[RunDir]]] = {}

    def look(self) -> list[tuple[str, Event]]:
        """New events as (run_id, event), journals first with the run_id they name or an empty one."""
        news: list[tuple[str, Event]] = []
        for path in journal_files(self.lab):
            if is_sample_file(path):
                continue  # megabytes of measurements, which say nothing of where a run stands
            for event in self._new(path):
                news.append((getattr(event, "run_id", ""), event))
                self._note(event)
        chosen = self.run_ids
        runs = run_dirs(self.lab) if chosen is None else [RunDir(self.lab / "runs" / r) for r in sorted(chosen)]
        for run in runs:
            for event in self._new(run.events_file):
                news.append((run.run_id, event))
                self.standings[run.run_id] = fold(self.standings.get(run.run_id, Standing()), event)
            if not self.standing(run.run_id).known and run.spec_file.exists():
                self.standings[run.run_id] = replace(self.standing(run.run_id), known=True)
        if self.cells:
            news += [item for run in runs for item in self._look_at_cells(run)]
        return news

    def _look_at_cells(self, run: RunDir) -> list[tuple[str, Event]]:
        """News of a run's child jobs. Finished ones say nothing more; the folder is listed only when it has changed."""
        try:
            changed = run.downstream.stat().st_mtime_ns
        except FileNotFoundError:
            return []
        known = self._children.get(run.run_id)
        # a listing within a clock tick of the folder's last change may have missed a child: list again next time
        if known is None or known[0] != changed or time.time_ns() - changed < 2_000_000_000:
            known = self._children[run.run_id] = (changed, cell_dirs(run))
        news: list[tuple[str, Event]] = []
        for cell in known[1]:
            standing = self.standings.get(cell.run_id, Standing())
            if standing.log.state == "finished":
                continue
            standing = replace(standing, known=True)
            for event in self._new(cell.events_file):
                news.append((cell.run_id, event))
                standing = fold(standing, event)
            self.standings[cell.run_id] = standing
        return news

    def status(self, run_id: str) -> RunStatus:
        return self.standings.get(run_id, Standing()).status(time.time())

    def _note(self, event: Event) -> None:
        """Fold one journal event. Journals are read file by file, so of what people say the latest by its clock stands."""
        match event:
            case GridSubmitted():
                known = self.grids.get(event.grid)
                if known is None or known.logged_at <= event.logged_at:
                    self.grids[event.grid] = event
            case RunQueued() | RunLaunched() | RunReaped() | RunDequeued():
                if is_cell(event.run_id) and not self._follows(event.run_id):
                    return
                standing = self.standing(event.run_id)
                if isinstance(event, RunQueued) and event.logged_at >= standing.queue.logged_at:
                    standing = replace(standing, grid=event.grid)
                self.standings[event.run_id] = replace(standing, queue=fold_queue(standing.queue, event), known=True)
            case RunPrioritised() if self._latest(event):
                self.standings[event.run_id] = replace(self.standing(event.run_id), priority=event.priority)
            case RunNoted() if self._latest(event):
                self.standings[event.run_id] = replace(self.standing(event.run_id), note=event.text)
            case RunArchived() if self._latest(event):
                self.standings[event.run_id] = replace(self.standing(event.run_id), archived=event.archived)
            case RunTagged():
                self._tag(event)
            case Alert():
                known = self.alerts.get((event.run_id, event.alert))
                if known is None or known.logged_at <= event.logged_at:
                    self.alerts[event.run_id, event.alert] = event
            case AlertEnded():
                key = event.run_id, event.alert
                self._alerts_ended[key] = max(event.logged_at, self._alerts_ended.get(key, 0.0))

    def open_alerts(self) -> list[Alert]:
        """Alerts that stand, oldest first."""
        found = [a for key, a in self.alerts.items() if self._alerts_ended.get(key, 0.0) < a.logged_at]
        return sorted(found, key=lambda a: a.logged_at)

    def standing(self, run_id: str) -> Standing:
        """Where a run stands; an empty one for a run that nothing is known of."""
        return self.standings.get(run_id, Standing())

    def _latest(self, event: RunPrioritised | RunNoted | RunArchived) -> bool:
        key = event.run_id, event.kind
        if event.logged_at < self._said.get(key, 0.0):
            return False
        self._said[key] = event.logged_at
        return True

    def _tag(self, event: RunTagged) -> None:
        """Each tag by its own clock: of two people's words on one tag the later stands, whichever file is read first."""
        tags = set(self.standing(event.run_id).tags)
        for word, on in [(t, False) for t in event.removed] + [(t, True) for t in event.added]:
            key = event.run_id, f"tag {word}"
            if event.logged_at >= self._said.get(key, 0.0):
                self._said[key] = event.logged_at
                tags = tags | {word} if on else tags - {word}
        self.standings[event.run_id] = replace(self.standing(event.run_id), tags=frozenset(tags))

    def _follows(self, cell_id: str) -> bool:
        return self.cells and (self.run_ids is None or parent_of(cell_id) in self.run_ids)

    def _new(self, path: Path) -> list[Event]:
        offset = self._offsets.get(path, 0)
        try:
            if path.stat().st_size == offset:
                return []
        except FileNotFoundError:
            return []
        lines, self._offsets[path] = read_new(path, offset)
        events = []
        for line in lines:
            try:
                events.append(decode(line))
            except (ValueError, NewerVersion):  # `doctor` names them; a live view goes on with what it can read
                continue
        return events


def read_standings(lab: Path) -> dict[str, Standing]:
    """Where every run of the lab stands now."""
    watch = Watch(lab)
    watch.look()
    return watch.standings
