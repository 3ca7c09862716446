"""Where every run of a lab stands, read from its logs again and again: last words, progress, last losses. No database.

`Watch` keeps byte offsets, so that a second look reads new bytes only; the supervisor, `status` and the screens use it.
The first look begins from what is kept of an earlier one (`summaries`), and at a long log that nobody has read yet it
reads the end only (`log_end`).
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path

from ..record.eventlog import read_new
from ..record.events import Event
from ..record.journal import is_sample_file, journal_files
from ..record.lab_events import Alert
from ..record.rundir import CHILDREN, RunDir, cell_dirs, is_cell, parent_of, read_spec, run_dir
from ..record.status import RunStatus
from .journal_words import JournalWords
from .log_end import TAIL_BYTES, decoded, standing_from_end, without_followed_steps
from .standing import Standing, fold_all, without_log, without_words
from .summaries import Brief, Place, Summaries, brief_of, read_summaries, tail_digest, write_summaries

RESCAN_SECONDS = 30.0
"""The folder of runs is listed anew this often, and whenever it has changed."""

JUST_NOW_NS = 3_000_000_000
"""A listing so soon after a folder's change may have missed something that came within the same tick of the clock."""

KEEP_BYTES = 8 << 20
"""So much that is read and not kept makes keeping worth its while: the next one who looks reads that in 0.05 s."""

FILE_BYTES = 32 << 10
"""Opening another file for the first time costs as much as so many bytes of a file that is open."""

UNKNOWN = Standing()
"""Where a run stands that nothing is known of."""


class Watch:
    """Follows all logs of a lab. `look()` reads what is new and returns it, each event with the run it belongs to."""

    def __init__(self, lab: Path, run_ids: set[str] | None = None, *, cells: bool = False) -> None:
        """run_ids: follow only these runs' logs (journals are always followed). cells: follow their child jobs too,
        under the ids `RUN/CELL`; without it journals' words about child jobs are passed over."""
        self.lab, self.run_ids, self.cells = lab, run_ids, cells
        self.standings: dict[str, Standing] = {}
        self.words = JournalWords(self.standings)
        self.grids = self.words.grids
        self.born: dict[str, tuple[int, int]] = {}
        """Runs of the lab that were born whole, with size and time of their specs; with `run_ids`, those of them."""
        self._briefs: dict[str, Brief] = {}
        self._places: dict[str, Place] = {}
        self._children: dict[str, tuple[int, list[RunDir]]] = {}
        self._parents: set[str] = set()
        """Runs that have child jobs: the others are asked for some only when runs are listed."""
        self._runs_stamp, self._list_at = -1, 0.0
        self._unkept = 0
        self._first = True

    def look(self) -> list[tuple[str, Event]]:
        """New events as (run_id, event), journals first with the run_id they name or an empty one.

        The first look brings no news of what it takes from `summaries` or `log_end`, and of updates in a row the last only.
        """
        if self._first:
            self._recall()
        news: list[tuple[str, Event]] = []
        for path in journal_files(self.lab):
            if is_sample_file(path):
                continue  # megabytes of measurements, which say nothing of where a run stands
            for event in self._new(f"journal/{path.name}"):
                run_id = getattr(event, "run_id", "")
                news.append((run_id, event))
                if is_cell(run_id):
                    if not self._follows(run_id):
                        continue
                    self._parents.add(parent_of(run_id))
                self.words.note(event)
        listed = self._list()
        for run_id in self.born if self.run_ids is None else sorted(self.run_ids):
            if listed or self.standing(run_id).log.state != "finished":  # a finished run says nothing more
                news += self._look_at_run(run_id)
        if self.cells:
            for run_id in self.born if listed else self._parents & self.born.keys():
                news += self._look_at_cells(run_id)
        self._first = False
        return news

    def status(self, run_id: str) -> RunStatus:
        return self.standing(run_id).status(time.time())

    def standing(self, run_id: str) -> Standing:
        """Where a run stands; an empty one for a run that nothing is known of."""
        return self.standings.get(run_id, UNKNOWN)

    def open_alerts(self) -> list[Alert]:
        """Alerts that stand, oldest first."""
        return self.words.open_alerts()

    def briefs(self) -> list[Brief]:
        """The short form of every run's spec, in order of id. RunError when one cannot be read."""
        for run_id, stamp in self.born.items():
            known = self._briefs.get(run_id)
            if known is None or known.stamp != stamp:
                self._briefs[run_id] = brief_of(read_spec(run_dir(self.lab, run_id)), stamp)
                self._unkept += FILE_BYTES
        return [self._briefs[run_id] for run_id in self.born]

    # ------------------------------------------------------------------ folders

    def _list(self) -> bool:
        """Take in runs that were born and forget those that are gone; False while nothing can have changed."""
        folder, now = f"{self.lab}/runs", time.monotonic()
        try:
            stamp = os.stat(folder).st_mtime_ns
        except FileNotFoundError:
            stamp = 0
        if stamp == self._runs_stamp and now < self._list_at:
            return False
        there: dict[str, tuple[int, int]] = {}
        names = self.run_ids if self.run_ids is not None else os.listdir(folder) if stamp else []
        for name in sorted(names):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                found = os.stat(f"{folder}/{name}/spec.json")
                there[name] = found.st_size, found.st_mtime_ns
        for run_id in self.born.keys() - there.keys():
            self._start_over(run_id)
            self.standings[run_id] = replace(self.standing(run_id), known=False)
        self.born = there
        for run_id in there:
            if not (standing := self.standing(run_id)).known:
                self.standings[run_id] = replace(standing, known=True)
        self._runs_stamp = stamp
        self._list_at = now + RESCAN_SECONDS if time.time_ns() - stamp > JUST_NOW_NS else now
        return True

    def _look_at_cells(self, run_id: str) -> list[tuple[str, Event]]:
        """News of a run's child jobs. Finished ones say nothing more; the folder is listed only when it has changed."""
        try:
            changed = os.stat(f"{self.lab}/runs/{run_id}/{CHILDREN}").st_mtime_ns
        except FileNotFoundError:
            return []
        self._parents.add(run_id)
        known = self._children.get(run_id)
        if known is None or known[0] != changed or time.time_ns() - changed < JUST_NOW_NS:
            known = self._children[run_id] = (changed, cell_dirs(run_dir(self.lab, run_id)))
        news: list[tuple[str, Event]] = []
        for cell in known[1]:
            standing = self.standing(cell.run_id)
            if standing.log.state == "finished":
                continue
            events = self._new(str(cell.events_file.relative_to(self.lab)))
            self.standings[cell.run_id] = fold_all(replace(standing, known=True), events)
            news += [(cell.run_id, event) for event in events]
        return news

    # ------------------------------------------------------------------ logs

    def _look_at_run(self, run_id: str) -> list[tuple[str, Event]]:
        log = f"runs/{run_id}/events.jsonl"
        if self._first and log not in self._places:
            self._begin_at_the_end(run_id, log)
        events = self._new(log, run_id)
        if events:
            self.standings[run_id] = fold_all(self.standing(run_id), events)
        return [(run_id, event) for event in events]

    def _begin_at_the_end(self, run_id: str, log: str) -> None:
        """Of a long log that nobody has read yet, the end only."""
        path = self.lab / log
        try:
            before = path.stat()
            if before.st_size <= TAIL_BYTES:
                return
            self.standings[run_id], offset = standing_from_end(path, self.standing(run_id))
        except FileNotFoundError:
            return
        self._places[log] = Place(offset, before.st_size, before.st_mtime_ns)
        self._unkept += TAIL_BYTES + FILE_BYTES

    def _new(self, log: str, run_id: str = "") -> list[Event]:
        """Events after what is read of a log. A log that is shorter than that, or another one, is read from its start."""
        path, place = f"{self.lab}/{log}", self._places.get(log, Place())
        try:
            now = os.stat(path)
        except FileNotFoundError:
            if place.offset:
                self._start_over(run_id, log)
            return []
        if now.st_size == place.size and now.st_mtime_ns == place.mtime_ns:
            return []
        replaced = now.st_size < place.offset or (place.tail and tail_digest(path, place.offset) != place.tail)
        if replaced:
            self._start_over(run_id, log)
        start = 0 if replaced else place.offset
        lines, offset = read_new(Path(path), start)
        self._places[log] = Place(offset, now.st_size, now.st_mtime_ns)
        self._unkept += offset - start + (0 if start else FILE_BYTES)
        return list(decoded(without_followed_steps(lines) if self._first and lines else lines))

    def _start_over(self, run_id: str, log: str = "") -> None:
        """Forget what was read of a log. Of journals nothing is forgotten: each of their words has its own clock."""
        self._places.pop(log or f"runs/{run_id}/events.jsonl", None)
        if run_id:
            self.standings[run_id] = without_log(self.standing(run_id))

    def _follows(self, cell_id: str) -> bool:
        return self.cells and (self.run_ids is None or parent_of(cell_id) in self.run_ids)

    # ------------------------------------------------------------------ what is kept

    def _recall(self) -> None:
        """Begin from what an earlier look has left. Journals are read anew where child jobs matter: it has none of them."""
        kept = read_summaries(self.lab, self.run_ids)
        self._briefs = kept.briefs
        self._places = {log: place for log, place in kept.places.items() if log.startswith("runs/")}
        journals = {log: place for log, place in kept.places.items() if log not in self._places}
        sizes = {f"journal/{path.name}": path.stat().st_size for path in journal_files(self.lab)}
        if any(sizes.get(log, -1) < place.offset for log, place in journals.items()):
            # somebody has removed a journal, and with it what it said
            self.standings.update({run_id: without_words(s) for run_id, s in kept.standings.items()})
            return
        self.standings.update(kept.standings)
        self.words.ended, self.words.said = kept.ended, kept.said
        for event in (*kept.grids, *kept.alerts):
            self.words.note(event)
        if not self.cells:
            self._places |= journals

    def keep(self, least: int = KEEP_BYTES) -> None:
        """Leave what is known for the next one who looks, if at least so many bytes are not in it yet.

        A lab that cannot be written stays as it is.
        """
        if self.run_ids is not None or self._unkept < least:
            return
        self._unkept = 0
        for log, place in self._places.items():
            if not place.tail and place.offset and f"/{CHILDREN}/" not in log:
                self._places[log] = replace(place, tail=tail_digest(f"{self.lab}/{log}", place.offset))
        kept = Summaries(
            places={log: place for log, place in self._places.items() if place.tail},
            standings={run_id: s for run_id, s in self.standings.items() if not is_cell(run_id)},
            briefs=self._briefs,
            grids=list(self.grids.values()),
            alerts=list(self.words.alerts.values()),
            ended=self.words.ended,
            said=self.words.said,
        )
        with contextlib.suppress(OSError):
            write_summaries(self.lab, kept)


def read_standings(lab: Path) -> dict[str, Standing]:
    """Where every run of the lab stands now."""
    watch = Watch(lab)
    watch.look()
    return watch.standings
