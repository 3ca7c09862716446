"""How an event and a spec.json become rows of the base tables."""

from __future__ import annotations

import json
from typing import Any

from ..errors import RunError
from ..record.events import Evaluated, Event, Step, encode
from ..record.rundir import RunDir, read_spec
from .logs import FoundLog
from .schema import COSTS, EVALUATION_FIELDS, STEP_FIELDS, spec_columns

Row = tuple[Any, ...]


def step_row(event: Step, run_id: str, seq: int, segment: int) -> Row:
    return (run_id, seq, segment, *(getattr(event, name) for name, _ in STEP_FIELDS))


def evaluation_row(event: Evaluated, run_id: str, seq: int, segment: int) -> Row:
    return (run_id, seq, segment, *(getattr(event, name) for name, _ in EVALUATION_FIELDS))


_OWN_COLUMNS = {"kind", "attempt", "update", "message", "reason", "run_id", "logged_at", "v"}


def event_row(event: Event, source: str, run_id: str | None, seq: int, segment: int | None) -> Row:
    body = json.loads(encode(event))
    message = body.get("message") or body.get("reason") or ""
    rest = {k: v for k, v in sorted(body.items()) if k not in _OWN_COLUMNS}
    attempt, update = body.get("attempt"), body.get("update")
    return (source, run_id, seq, segment, body["kind"], attempt, update, str(message), json.dumps(rest), event.logged_at)


def spec_row(log: FoundLog) -> Row:
    """The row of `raw.run_specs` for a run; RunError when its spec.json cannot be used."""
    file = read_spec(RunDir(log.path.parent))
    if file.run_id != log.source:
        raise RunError(f"{log.path.parent / 'spec.json'} is of run {file.run_id}, not of the folder it lies in")
    spec = file.spec
    missing = [name for name in COSTS if not isinstance(file.costs.get(name), int)]
    if missing:
        raise RunError(f"{log.path.parent / 'spec.json'} has no costs {', '.join(missing)}")
    own = (spec.seed, spec.corpus_fingerprint, spec.tokenizer_fingerprint, spec.evaluation_id)
    settings = [getattr(getattr(spec, c.section), c.field) for c in spec_columns()]
    settings = [list(value) if isinstance(value, tuple) else value for value in settings]
    return (file.run_id, file.name, file.grid, *own, *(file.costs[name] for name in COSTS), *settings)
