"""How an event and a spec.json become rows of the base tables."""

from __future__ import annotations

import json
import types
import typing
from functools import cache
from typing import Any

from ..errors import RunError
from ..record.celldir import read_cell
from ..record.events import Evaluated, Event, Step, encode
from ..record.lab_events import HardwareSampled
from ..record.rundir import RunDir, read_spec
from ..record.status import QueueWord
from .logs import FoundLog
from .schema import COSTS, EVALUATION_FIELDS, FLOPS_TYPE, HARDWARE_FIELDS, STEP_FIELDS, run_spec_columns, spec_columns

Row = tuple[Any, ...]


def step_row(event: Step, run_id: str, seq: int, segment: int) -> Row:
    return (run_id, seq, segment, *(getattr(event, name) for name, _ in STEP_FIELDS))


def evaluation_row(event: Evaluated, run_id: str, seq: int, segment: int) -> Row:
    return (run_id, seq, segment, *(getattr(event, name) for name, _ in EVALUATION_FIELDS))


def hardware_row(event: HardwareSampled, source: str, seq: int) -> Row:
    """A row of `raw.hardware`; the device as a whole has no run."""
    values = {name: getattr(event, name) for name, _ in HARDWARE_FIELDS} | {"run_id": event.run_id or None}
    return (source, seq, *values.values())


def is_well_formed(event: Event) -> bool:
    """True if every field has the type that its class declares and fits its column.

    Our own writers make no others. A line of somebody else's that is valid JSON and yet no row is left out like a
    damaged one, so that it cannot keep the rest of the lab out of the index.
    """
    if not (isinstance(event.logged_at, float | int) and 0 <= event.logged_at <= LATEST):
        return False
    return all(_fits(name, getattr(event, name), accepted) for name, accepted in _accepted(type(event)).items())


LATEST = 1e11
"""Seconds since 1970 beyond which a time is a mistake, and no TIMESTAMP."""


@cache
def _accepted(event: type[Event]) -> dict[str, tuple[type, ...]]:
    """Python types of each field of an event class."""
    return {name: _python_types(hint) for name, hint in typing.get_type_hints(event).items() if name != "kind"}


def _python_types(hint: Any) -> tuple[type, ...]:
    if isinstance(hint, types.UnionType):
        return tuple(t for part in typing.get_args(hint) for t in _python_types(part))
    origin = typing.get_origin(hint) or hint
    return (int, float) if origin is float else (origin,)


def _fits(name: str, value: Any, accepted: tuple[type, ...]) -> bool:
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
        return False
    if isinstance(value, int):
        return abs(value) < (2**126 if name == "flops" else 2**63)
    if isinstance(value, str):
        return _is_text(value)
    return True


def _is_text(value: str) -> bool:
    """False for half a surrogate pair, which JSON can spell and UTF-8 cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_OWN_COLUMNS = {"kind", "attempt", "update", "message", "reason", "run_id", "logged_at", "v"}


def event_row(event: Event, source: str, run_id: str | None, seq: int, segment: int | None) -> Row:
    """A row of `raw.events`; of an unknown kind, what can be told of it."""
    body = json.loads(encode(event))
    message = body.get("message") or body.get("reason") or ""
    rest = {k: v for k, v in sorted(body.items()) if k not in _OWN_COLUMNS}
    attempt, update = (_whole(body.get(name)) for name in ("attempt", "update"))
    text = message if isinstance(message, str) and _is_text(message) else ""
    return (source, run_id, seq, segment, body["kind"], attempt, update, text, json.dumps(rest), event.logged_at)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and abs(value) < 2**63 else None


def queue_row(run_id: str, word: QueueWord) -> Row:
    """A row of `raw.queue_words`, which `ingest.queue_words` reads back."""
    worker = word.worker
    process = (None, None, None) if worker is None else (worker.host, worker.pid, worker.started_at)
    return (run_id, word.state, word.status, word.reason, word.logged_at, *process)


def spec_row(log: FoundLog) -> Row:
    """The row of `raw.run_specs` for a run; RunError when its spec.json cannot be used."""
    path = log.path.parent / "spec.json"
    try:
        file = read_spec(RunDir(log.path.parent))
    except UnicodeDecodeError as problem:
        raise RunError(f"{path} cannot be read ({problem})") from None
    if file.run_id != log.source:
        raise RunError(f"{path} is of run {file.run_id}, not of the folder it lies in")
    spec = file.spec
    values = {
        "run_id": file.run_id,
        "name": file.name,
        "grid": file.grid,
        "seed": spec.seed,
        "corpus_fingerprint": spec.corpus_fingerprint,
        "tokenizer_fingerprint": spec.tokenizer_fingerprint,
        "evaluation_id": spec.evaluation_id,
        **{name: file.costs.get(name) for name in COSTS},
        **{c.name: getattr(getattr(spec, c.section), c.field) for c in spec_columns()},
    }
    for name, sql_type in run_spec_columns():
        value = values[name]
        if not _fits(name if not name.startswith("flops") else "flops", value, _SQL[sql_type]):
            raise RunError(f"{path}: {name} is {value!r}, which is no {sql_type}")
    return tuple(list(v) if isinstance(v, tuple) else v for v in (values[name] for name, _ in run_spec_columns()))


def cell_row(log: FoundLog) -> Row:
    """The row of `raw.cells` for a downstream cell; RunError when its spec.json cannot be used."""
    cell = read_cell(RunDir(log.path.parent))
    if cell.job_id != log.source:
        raise RunError(f"{log.path.parent / 'spec.json'} is of cell {cell.job_id}, not of the folder it lies in")
    settings = cell.finetune.described if cell.finetune else cell.pairs.method if cell.pairs else ""
    return (
        cell.job_id,
        cell.run_id,
        cell.cell_id,
        cell.comparison,
        cell.checkpoint,
        cell.task.name,
        cell.filtered,
        cell.seed,
        settings,
        cell.task.average,
    )


_SQL: dict[str, tuple[type, ...]] = {
    "BIGINT": (int,),
    FLOPS_TYPE: (int,),
    "DOUBLE": (int, float),
    "VARCHAR": (str,),
    "BOOLEAN": (bool,),
    "VARCHAR[]": (tuple,),
    "DOUBLE[]": (tuple,),
}
"""Python types that a column of `raw.run_specs` takes."""
