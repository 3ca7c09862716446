"""What the lab's journals say of runs and grids, folded event by event: of every matter the latest word by its clock."""

from __future__ import annotations

from dataclasses import replace

from ..record.events import Event, GridSubmitted, RunDequeued, RunLaunched, RunQueued, RunReaped
from ..record.lab_events import Alert, AlertEnded, RunArchived, RunDeleted, RunNoted, RunPrioritised, RunTagged
from ..record.status import fold_queue
from .standing import Standing


class JournalWords:
    """Folds journal events into the standings that it shares with its owner. Journals are read file by file, so events
    come in no order of time."""

    def __init__(self, standings: dict[str, Standing]) -> None:
        self.standings = standings
        self.grids: dict[str, GridSubmitted] = {}
        self.alerts: dict[tuple[str, str], Alert] = {}
        self.ended: dict[tuple[str, str], float] = {}
        """When an alert, named by run and kind, ended last."""
        self.said: dict[tuple[str, str], float] = {}
        """When people last said something, by run and matter."""

    def note(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case GridSubmitted():
                known = self.grids.get(event.grid)
                if known is None or known.logged_at <= event.logged_at:
                    self.grids[event.grid] = event
            case RunQueued() | RunLaunched() | RunReaped() | RunDequeued() | RunDeleted():
                standing = self._standing(event.run_id)
                word = fold_queue(standing.queue, event)
                if word is standing.queue:
                    return
                grid = event.grid if isinstance(event, RunQueued) else standing.grid
                known = not isinstance(event, RunDeleted)
                self.standings[event.run_id] = replace(standing, queue=word, grid=grid, known=known)
            case RunPrioritised() if self._latest(event):
                self.standings[event.run_id] = replace(self._standing(event.run_id), priority=event.priority)
            case RunNoted() if self._latest(event):
                self.standings[event.run_id] = replace(self._standing(event.run_id), note=event.text)
            case RunArchived() if self._latest(event):
                self.standings[event.run_id] = replace(self._standing(event.run_id), archived=event.archived)
            case RunTagged():
                self._tag(event)
            case Alert():
                known = self.alerts.get((event.run_id, event.alert))
                if known is None or known.logged_at <= event.logged_at:
                    self.alerts[event.run_id, event.alert] = event
            case AlertEnded():
                key = event.run_id, event.alert
                self.ended[key] = max(event.logged_at, self.ended.get(key, 0.0))

    def open_alerts(self) -> list[Alert]:
        """Alerts that stand, oldest first."""
        found = [a for key, a in self.alerts.items() if self.ended.get(key, 0.0) < a.logged_at]
        return sorted(found, key=lambda a: a.logged_at)

    def _standing(self, run_id: str) -> Standing:
        return self.standings.get(run_id, Standing())

    def _latest(self, event: RunPrioritised | RunNoted | RunArchived) -> bool:
        key = event.run_id, event.kind
        if event.logged_at < self.said.get(key, 0.0):
            return False
        self.said[key] = event.logged_at
        return True

    def _tag(self, event: RunTagged) -> None:
        """Each tag by its own clock: of two people's words on one tag the later stands, whichever file is read first."""
        tags = set(self._standing(event.run_id).tags)
        for word, on in [(t, False) for t in event.removed] + [(t, True) for t in event.added]:
            key = event.run_id, f"tag {word}"
            if event.logged_at >= self.said.get(key, 0.0):
                self.said[key] = event.logged_at
                tags = tags | {word} if on else tags - {word}
        self.standings[event.run_id] = replace(self._standing(event.run_id), tags=frozenset(tags))
