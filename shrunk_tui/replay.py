"""A finished grid played again: its logs written, at their own pace or faster, into a lab that lives as long as we look.

The screens see an ordinary lab whose logs grow. Nothing of the real lab is written; no model is loaded.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from shrunk_core.config.lab import init_lab
from shrunk_core.errors import PlanError
from shrunk_core.record.eventlog import read_new
from shrunk_core.record.journal import journal_files
from shrunk_core.record.rundir import run_dirs, this_process

LONGEST_PAUSE = 2.0
"""Seconds of stage time that nothing may happen for: nights between two attempts are not replayed."""
LEFT_OUT = (b'"kind":"run-launched"', b'"kind":"run-reaped"')
"""Words about processes that are not there in a replay."""

Line = tuple[float, int, Path, bytes]


class Replay:
    """The logs of some runs as a stage lab in `folder`. `start()` plays in a thread; `play(inf)` writes all at once."""

    def __init__(self, lab: Path, run_ids: Sequence[str], folder: Path) -> None:
        self.lab, self.run_ids, self.stage = lab, set(run_ids), init_lab(folder)
        for run in run_dirs(lab):
            if run.run_id in self.run_ids:
                target = self.stage / "runs" / run.run_id
                target.mkdir(parents=True, exist_ok=True)
                (target / "spec.json").write_bytes(run.spec_file.read_bytes())
        self._stop = threading.Event()

    def lines(self) -> Iterator[Line]:
        """Every line of the logs in order of time: when, a tie-breaker, the stage file it goes to, the line."""
        sources = [(path, self.stage / "journal" / path.name, True) for path in journal_files(self.lab)]
        sources += [(self.lab / "runs" / r / "events.jsonl", self.stage / "runs" / r / "events.jsonl", False)
                    for r in sorted(self.run_ids)]  # fmt: skip
        return heapq.merge(*(self._of(number, *source) for number, source in enumerate(sources)))

    def _of(self, number: int, path: Path, target: Path, journal: bool) -> Iterator[Line]:
        me, last = this_process(), 0.0
        for line in read_new(path)[0]:
            try:
                body = json.loads(line)
                at = max(last, float(body.get("logged_at", last)))
            except (ValueError, TypeError, AttributeError):
                continue
            if journal and (line.startswith(LEFT_OUT) or not self._concerns(body)):
                continue
            if any(kind in line[:40] for kind in LEFT_OUT):
                continue
            if body.get("kind") in ("started", "resumed"):  # its worker is played by this process
                body |= {"host": me.host, "pid": me.pid, "process_started_at": me.started_at}
                line = json.dumps(body, separators=(",", ":")).encode()
            last = at
            yield at, number, target, line

    def _concerns(self, body: dict[str, object]) -> bool:
        """True for journal lines about the runs that are played."""
        named = body.get("run_ids") or [body.get("run_id")]
        return isinstance(named, list) and any(r in self.run_ids for r in named)

    def play(self, speed: float) -> None:
        """Write the lines as their times come, `speed` times as fast as they came."""
        due, before, opened = time.monotonic(), None, {}
        with contextlib.ExitStack() as stack:
            for at, _, target, line in self.lines():
                if before is not None and speed != math.inf:
                    due += min(max(0.0, at - before) / speed, LONGEST_PAUSE)
                    if self._stop.wait(max(0.0, due - time.monotonic())):
                        return
                before = at
                if target not in opened:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    opened[target] = stack.enter_context(open(target, "ab", buffering=0))
                opened[target].write(line + b"\n")

    def start(self, speed: float) -> None:
        threading.Thread(target=self.play, args=(speed,), name="replay", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()


def runs_of(lab: Path, name: str) -> list[str]:
    """Ids of the runs of a grid, of a run's name or id, or of the beginning of an id. PlanError when there are none."""
    from shrunk_core.record.rundir import read_spec

    found = []
    for run in run_dirs(lab):
        spec = read_spec(run)
        if name in (spec.grid, spec.name, spec.run_id) or (len(name) >= 3 and spec.run_id.startswith(name)):
            found.append(spec.run_id)
    if not found:
        raise PlanError(f"no run or grid `{name}` in {lab}; `shrunk status` lists them")
    return found
