"""What becomes of a run whose worker has ended: one rule, by what its log says and how the process went."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..config.lab import LabSettings
from ..record.status import LogWord

BUSY_EXIT = 3
"""Exit code of a worker that found another one at work on its run."""

MOST_BACKOFF_SECONDS = 300.0
OUT_OF_MEMORY_RETRIES = 2
"""A run that did not fit is tried again so often, each time with fewer runs beside it."""

DISK_EXIT = 4
"""Exit code of a worker that could not even log its failure, because the disk takes nothing."""

DISK_SECONDS = 5.0
"""A run that met a disk that takes nothing is tried again when this has passed and it can be written."""


TAIL_LINES = 3
"""Of worker.log, for the message about a worker that ended without a word."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a worker ended. code: of the process, negative for a signal, None when it could not be waited on.

    word: what the run's log says last; spoke: that word is of this worker. cause: of its `Failed` event. tail: last lines
    of worker.log. deaths: workers in a row, this one included, that were killed without getting further. failures: how
    often the run has failed for this cause in a row, this time included.
    """

    code: int | None
    word: LogWord
    spoke: bool
    cause: str = ""
    tail: str = ""
    deaths: int = 1
    failures: int = 1


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`act`: `leave` (the log says it all), `requeue` after `seconds`, or `fail` with `message`. reason: of the requeue."""

    act: str
    reason: str = ""
    message: str = ""
    seconds: float = 0.0


def judge(ending: Ending, settings: LabSettings) -> Verdict:
    """The first rule that applies.

    1. The worker has logged that it finished or left: leave.
    2. It has logged a failure: out of memory is tried again twice, a full or read-only disk until it can be written, all else
       would happen again and is left to a person (a non-finite loss, bad data, an error of the program).
    3. It found another worker on the run: leave; that one has it.
    4. It met such a disk and could not log that either: again, as in 2.
    5. It exited by itself without a word (it could not even open its log): failed, with its last words.
    6. It was killed: again from its checkpoint, after a pause that doubles, `retries` times without getting further.
    """
    if ending.spoke and ending.word.state in ("finished", "left"):
        return Verdict(act="leave")
    if ending.spoke and ending.word.state == "failed":
        if ending.cause == "out-of-memory" and ending.failures <= OUT_OF_MEMORY_RETRIES:
            return Verdict(act="requeue", reason="out-of-memory", seconds=_backoff(settings, ending.failures))
        if ending.cause == "disk":
            return Verdict(act="requeue", reason="disk", seconds=DISK_SECONDS)
        return Verdict(act="leave")
    if ending.code in (0, BUSY_EXIT):
        return Verdict(act="leave")
    if ending.code == DISK_EXIT:
        return Verdict(act="requeue", reason="disk", seconds=DISK_SECONDS)
    if ending.code is not None and ending.code > 0:
        message = f"its worker exited with code {ending.code} without a word in the log. worker.log ends: {ending.tail}"
        return Verdict(act="fail", message=message)
    if 0 <= settings.retries < ending.deaths:
        how = "" if ending.code is None else f" (signal {-ending.code})"
        killer = " The system kills with 9 when memory runs out." if ending.code == -9 else ""
        message = f"its worker was killed {ending.deaths} times{how} without getting further; see worker.log.{killer}"
        return Verdict(act="fail", message=message)
    return Verdict(act="requeue", reason="worker-died", seconds=_backoff(settings, ending.deaths))


def _backoff(settings: LabSettings, times: int) -> float:
    return min(MOST_BACKOFF_SECONDS, settings.retry_seconds * 2 ** min(times - 1, 16))


def last_words(log: Path) -> str:
    """The last lines that a worker printed, in one line."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return " | ".join(line.strip() for line in lines[-TAIL_LINES:])
