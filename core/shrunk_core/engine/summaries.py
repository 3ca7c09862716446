"""Folded standings on disk, so that saying where a thousand runs stand takes no reading of a thousand logs.

`.shrunk/standings.json` holds, for every log, how far it was read and what followed from it. It is a convenience: anybody
may remove it, a broken one or one of another version counts as absent, and what it says of a log is believed only while
the log still has, right before that offset, the bytes it had then. Written whole by rename by whoever has read much that
is not in it; readers of a lab that they cannot write use what is there.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import __version__
from ..record.events import Evaluated, GridSubmitted, decode, encode
from ..record.lab_events import Alert
from ..record.rundir import Process, SpecFile, write_atomically
from ..record.status import LogWord, QueueWord
from .standing import Standing

FILE = "standings.json"
FORMAT = 1
"""Raised whenever the same events fold to something else."""

TAIL_BYTES = 256
"""So much of a log, right before an offset, tells whether it still is the log that was read."""


@dataclass(frozen=True)
class Place:
    """How far a log is read. offset: after the last whole line; size, mtime_ns: of the file when that was read;
    tail: digest of the bytes before the offset, empty while nobody needs it."""

    offset: int = 0
    size: int = -1
    mtime_ns: int = 0
    tail: str = ""


@dataclass(frozen=True)
class Brief:
    """What a list of runs says of a spec. stamp: size and time of the spec file that it was read from."""

    run_id: str
    name: str
    grid: str
    updates: int
    tokens_per_update: int
    stamp: tuple[int, int] = (0, 0)


@dataclass
class Summaries:
    """Everything in the file. places: by the log's path in the lab, journals included; the rest as `Watch` has it."""

    places: dict[str, Place] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    briefs: dict[str, Brief] = field(default_factory=dict)
    grids: list[GridSubmitted] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    ended: dict[tuple[str, str], float] = field(default_factory=dict)
    said: dict[tuple[str, str], float] = field(default_factory=dict)


def brief_of(spec: SpecFile, stamp: tuple[int, int] = (0, 0)) -> Brief:
    """The short form of a spec."""
    train = spec.spec.train
    return Brief(spec.run_id, spec.name, spec.grid, train.updates, train.batch_size * train.sequence_length, stamp)


def tail_digest(path: str, offset: int) -> str:
    """Digest of the bytes right before an offset of a file; empty when they are not there."""
    length = min(offset, TAIL_BYTES)
    try:
        with open(path, "rb") as file:
            file.seek(offset - length)
            data = file.read(length)
    except OSError:
        return ""
    return hashlib.blake2b(data, digest_size=12).hexdigest() if len(data) == length else ""


def read_summaries(lab: Path, run_ids: set[str] | None = None) -> Summaries:
    """What is kept, empty when nothing is or it cannot be used. run_ids: take only these runs."""
    try:
        body = json.loads((lab / ".shrunk" / FILE).read_bytes())
        if body["schema"] != SCHEMA:
            return Summaries()
        runs = body["runs"] if run_ids is None else [entry for entry in body["runs"] if entry[0] in run_ids]
        return Summaries(
            places={path: Place(*place) for path, place in body["places"].items()},
            standings={run_id: _standing(packed) for run_id, packed, _ in runs},
            briefs={run_id: _brief(brief) for run_id, _, brief in runs if brief},
            grids=[e for e in map(decode, body["grids"]) if isinstance(e, GridSubmitted)],
            alerts=[Alert(**dict(zip(_ALERT, packed, strict=True))) for packed in body["alerts"]],
            ended={(run, what): at for run, what, at in body["ended"]},
            said={(run, what): at for run, what, at in body["said"]},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Summaries()


def write_summaries(lab: Path, kept: Summaries) -> None:
    """Replace what is kept. OSError where the lab cannot be written."""
    body = {
        "schema": SCHEMA,
        "places": {path: [p.offset, p.size, p.mtime_ns, p.tail] for path, p in kept.places.items()},
        "runs": [
            [run_id, _packed(standing), _packed(kept.briefs.get(run_id))] for run_id, standing in kept.standings.items()
        ],
        "grids": [encode(grid) for grid in kept.grids],
        "alerts": [_packed(alert) for alert in kept.alerts],
        "ended": [[*key, at] for key, at in kept.ended.items()],
        "said": [[*key, at] for key, at in kept.said.items()],
    }
    write_atomically(lab / ".shrunk" / FILE, json.dumps(body, separators=(",", ":")))


@functools.cache
def _names(cls: type) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(cls))


_STANDING, _LOG, _QUEUE, _EVALUATED, _ALERT = map(_names, (Standing, LogWord, QueueWord, Evaluated, Alert))
_PROCESS, _BRIEF, _PLACE = map(_names, (Process, Brief, Place))
SCHEMA = (
    f"{FORMAT} {__version__} "
    + hashlib.blake2b(
        repr((_STANDING, _LOG, _QUEUE, _EVALUATED, _ALERT, _PROCESS, _BRIEF, _PLACE)).encode(), digest_size=8
    ).hexdigest()
)
"""Names everything that gives the packed lists their meaning."""


def _packed(value: Any) -> Any:
    """A value as JSON has it: dataclasses as lists of their fields, in order."""
    if dataclasses.is_dataclass(value):
        return [_packed(getattr(value, name)) for name in _names(type(value))]
    return sorted(value) if isinstance(value, frozenset) else value


def _brief(packed: list[Any]) -> Brief:
    run_id, name, grid, updates, tokens_per_update, stamp = packed
    return Brief(run_id, name, grid, updates, tokens_per_update, tuple(stamp))


def _standing(packed: list[Any]) -> Standing:
    body = dict(zip(_STANDING, packed, strict=True))
    log, queue = dict(zip(_LOG, body["log"], strict=True)), dict(zip(_QUEUE, body["queue"], strict=True))
    for word in (log, queue):
        word["worker"] = word["worker"] and Process(**dict(zip(_PROCESS, word["worker"], strict=True)))
    body["log"], body["queue"], body["tags"] = LogWord(**log), QueueWord(**queue), frozenset(body["tags"])
    body["evaluated"] = body["evaluated"] and Evaluated(**dict(zip(_EVALUATED, body["evaluated"], strict=True)))
    return Standing(**body)
