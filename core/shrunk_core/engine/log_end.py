"""A run's standing from the end of its log: the first look at a long log reads no more of it than decides.

So a lab of hundreds of long runs opens at once. Every later look reads new bytes only, from the offset given here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..record.events import RUN_EVENTS, Evaluated, Event, MemoryReported, NewerVersion, decode
from .standing import Standing, fold

TAIL_BYTES = 32_768
"""First stretch that is read from a log's end; longer ones follow until one holds what decides the run's standing."""

FURTHER_BYTES = 64 * TAIL_BYTES
"""How far back a last validation loss, or what a worker said of its memory, is looked for."""

DECIDING = (b'"kind":"started"', b'"kind":"resumed"', b'"kind":"left"', b'"kind":"finished"', b'"kind":"failed"')
STEP = b'"kind":"step"'
MEASURING = (STEP, b'"kind":"started"', b'"kind":"resumed"')
"""Events that say how many updates are done."""
LAST_OF = tuple(f'"kind":"{cls.kind}"'.encode() for cls in RUN_EVENTS if cls is not Evaluated)
HEAD_BYTES = 24
"""The kind stands within so many bytes of a line's beginning."""


def standing_from_end(path: Path, standing: Standing) -> tuple[Standing, int]:
    """A run's standing from the end of its log, and the offset after the last whole line.

    Only as much is read as decides: back to the last event that starts or ends an attempt and to one that says how many
    updates are done. Of each kind the last event is folded, in the order of the log. FileNotFoundError without a log.
    """
    length = TAIL_BYTES
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        while True:
            start = max(0, size - length)
            file.seek(start)
            data = file.read(size - start)
            if start:
                data = data[data.find(b"\n") + 1 :]
            if start == 0 or (any(kind in data for kind in DECIDING) and any(kind in data for kind in MEASURING)):
                break
            length *= 8
        end = data.rfind(b"\n") + 1
        offset = size - (len(data) - end)
        found = [_last_line(data, end, kind) for kind in LAST_OF]
        for _, line in sorted(item for item in found if item is not None):
            for event in decoded([line]):
                standing = fold(standing, event)
        evaluated, memory = _last_validation(data, end), standing.memory
        working = standing.log.state == "running"
        if start and (evaluated is None or (working and not memory)):
            file.seek(max(0, size - FURTHER_BYTES))
            data = file.read(size - file.tell())
            end = data.rfind(b"\n") + 1
            evaluated = evaluated or _last_validation(data, end)
            if working and not memory and (line := _last_line(data, end, b'"kind":"memory"')) is not None:
                memory = next(
                    (e.device_bytes or e.rss_bytes for e in decoded([line[1]]) if isinstance(e, MemoryReported)), 0
                )
    return replace(standing, evaluated=evaluated or standing.evaluated, memory=memory), offset


def decoded(lines: list[bytes]) -> Iterator[Event]:
    """The events of log lines; what this version cannot read is left out, as `shrunk doctor` tells in full."""
    for line in lines:
        with contextlib.suppress(ValueError, NewerVersion):
            yield decode(line)


def without_followed_steps(lines: list[bytes]) -> list[bytes]:
    """Of updates in a row the last line only, which says where the run stands after all of them."""
    step = [STEP in line[:HEAD_BYTES] for line in lines]
    return [
        line for line, this, following in zip(lines, step, [*step[1:], False], strict=True) if not (this and following)
    ]


def _last_line(data: bytes, end: int, kind: bytes) -> tuple[int, bytes] | None:
    """The last whole line of a kind before `end`, with its place."""
    at = end
    while (at := data.rfind(kind, 0, at)) >= 0:
        start = data.rfind(b"\n", 0, at) + 1
        if at - start < HEAD_BYTES:
            return start, data[start : data.find(b"\n", at)]
    return None


def _last_validation(data: bytes, end: int) -> Evaluated | None:
    """The last evaluation on the validation split before `end`."""
    while (found := _last_line(data, end, b'"kind":"evaluated"')) is not None:
        end = found[0]
        for event in decoded([found[1]]):
            if isinstance(event, Evaluated) and event.split == "validation":
                return event
    return None
