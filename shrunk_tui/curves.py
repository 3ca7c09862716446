"""The logs of runs as arrays for charts: read once, then only what was appended. For threads; no Textual.

Of a log only whole lines count, and a `resumed` event takes back what came after its update, as in the views.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from shrunk_core.record.eventlog import read_new

from .step_lines import columns_of, number, parse

X_FIELDS = ("update", "tokens", "flops", "elapsed")
STEP_FIELDS = (*X_FIELDS, "loss", "learning_rate", "grad_norm", "tokens_per_second")
LOSS_FIELDS = (*X_FIELDS, "loss")
EVALUATION_FIELDS = (*X_FIELDS, "loss", "loss_stderr", "unigram_loss")

_STEP = b'"kind":"step"'
_HEAD = 24
"""The kind stands within so many bytes of a line's beginning."""


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, in order of updates; `version` changes with every row. elapsed: seconds at work."""

    columns: dict[str, np.ndarray]
    version: tuple[str, int, int]

    def __len__(self) -> int:
        return len(self.columns["update"])

    def finite(self, x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
        """Two columns without the rows where one of them is not finite."""
        a, b = self.columns[x], self.columns[y]
        good = np.isfinite(a) & np.isfinite(b)
        return (a, b) if good.all() else (a[good], b[good])


class Growing:
    """Rows that are appended, as arrays with room to spare."""

    def __init__(self, fields: tuple[str, ...], name: str) -> None:
        self.fields, self.name = fields, name
        self.size = self.epoch = 0
        self._room = {f: np.empty(256, dtype=np.float64 if f == "elapsed" else np.float32) for f in fields}
        for field in ("update", "tokens", "flops"):
            self._room[field] = np.empty(256, dtype=np.float64)

    def extend(self, rows: Mapping[str, Sequence[float] | np.ndarray]) -> None:
        more = len(rows["update"])
        need = self.size + more
        if need > len(self._room["update"]):
            room = max(need, 2 * len(self._room["update"]))
            self._room = {f: np.concatenate([a[: self.size], np.empty(room - self.size, a.dtype)])
                          for f, a in self._room.items()}  # fmt: skip
        for field in self.fields:
            self._room[field][self.size : need] = rows[field]
        self.size = need

    def cut(self, update: int) -> None:
        """Take back every row of a larger update. What was handed out stays as it was."""
        keep = int(np.searchsorted(self._room["update"][: self.size], update, side="right"))
        if keep < self.size:
            self._room = {f: a.copy() for f, a in self._room.items()}
            self.size, self.epoch = keep, self.epoch + 1

    def table(self) -> Table:
        return Table({f: a[: self.size] for f, a in self._room.items()}, (self.name, self.epoch, self.size))


class RunCurves:
    """One run's curves. `read()` takes in what is new; `steps` and `evaluations` are the tables so far."""

    def __init__(self, log: Path, step_fields: tuple[str, ...] | None = None) -> None:
        """step_fields: columns of steps to keep; None: evaluations only, which costs a tenth."""
        self.log, self.step_fields = log, step_fields
        self._offset = 0
        self._steps = Growing(step_fields or LOSS_FIELDS, "steps")
        self._evaluations = Growing(EVALUATION_FIELDS, "evaluations")
        self._began = self._worked = self._last = 0.0

    def read(self) -> bool:
        """Read on; True if there was something new."""
        lines, self._offset = read_new(self.log, self._offset)
        if lines:
            self._absorb(lines)
        return bool(lines)

    @property
    def steps(self) -> Table:
        return self._steps.table()

    @property
    def evaluations(self) -> Table:
        return self._evaluations.table()

    def _absorb(self, lines: list[bytes]) -> None:
        steps: list[bytes] = []
        for line in lines:
            if _STEP in line[:_HEAD]:
                steps.append(line)
                continue
            for body in parse([line]):
                kind = body.get("kind")
                if kind == "step":  # somebody else's spelling
                    steps.append(line)
                elif kind in ("started", "resumed"):
                    self._take(steps)
                    self._attempt(body)
                elif kind == "evaluated" and body.get("split") == "validation":
                    self._last = max(self._last, float(body["logged_at"]))
                    body["elapsed"] = self._worked + body["logged_at"] - self._began
                    self._evaluations.cut(
                        body["update"] - 1
                    )  # evaluated again at the same update: the later one stands
                    self._evaluations.extend({f: [number(body.get(f))] for f in EVALUATION_FIELDS})
        self._take(steps)

    def _attempt(self, body: dict[str, Any]) -> None:
        """A worker takes the run up: the clock goes on where the last one left, rows after its start are void."""
        self._worked += max(0.0, self._last - self._began) if self._began else 0.0
        self._began = self._last = float(body["logged_at"])
        if body["kind"] == "resumed":
            self._steps.cut(body["from_update"])
            self._evaluations.cut(body["from_update"])

    def _take(self, lines: list[bytes]) -> None:
        """Take in updates of one attempt."""
        wanted = [] if self.step_fields is None else [f for f in self._steps.fields if f != "elapsed"]
        rows = columns_of(lines if wanted else lines[-1:], [*wanted, "logged_at"])
        lines.clear()
        if not len(rows["logged_at"]):
            return
        self._last = max(self._last, float(rows["logged_at"][-1]))
        if wanted:
            rows["elapsed"] = rows.pop("logged_at") + (self._worked - self._began)
            self._steps.extend(rows)


class CurveStore:
    """The curves of a lab's runs, by run id, shared by the screens. Methods may be called from several threads."""

    def __init__(self, lab: Path) -> None:
        self.lab = lab
        self._curves: dict[tuple[str, tuple[str, ...] | None], RunCurves] = {}
        self._guard = threading.Lock()

    def get(self, run_id: str, step_fields: tuple[str, ...] | None = None) -> tuple[Table, Table]:
        """Steps and evaluations of a run as they are on disk now."""
        with self._guard:
            key = (run_id, step_fields)
            curves = self._curves.get(key)
            if curves is None:
                curves = self._curves[key] = RunCurves(self.lab / "runs" / run_id / "events.jsonl", step_fields)
            curves.read()
            return curves.steps, curves.evaluations

    def keep(self, run_ids: Iterable[str]) -> None:
        """Forget all other runs: memory follows what is looked at."""
        wanted = set(run_ids)
        with self._guard:
            for key in [k for k in self._curves if k[0] not in wanted]:
                del self._curves[key]
