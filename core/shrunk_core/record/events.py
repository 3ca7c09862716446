"""The event vocabulary: the only thing that crosses the process boundary.

An event is one line of JSON: `{"v": 1, "kind": "step", "logged_at": 1760000000.123, ...fields}`. `logged_at` is
seconds since 1970 in UTC. A reader keeps what it does not know (`Unknown`) and refuses nothing but a newer `v`.

Rows of a run are ordered by its log. A `Resumed(from_update=u)` supersedes every earlier row of a larger update: the
views hide those, so that after any number of crashes nothing is lost and nothing is doubled. Wall-clock fields
(`tokens_per_second`, `seconds`, `logged_at`) are of the attempt that wrote them.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any, ClassVar

from .cell_events import CELL_EVENTS
from .event_base import Attempt, Event
from .lab_events import LAB_EVENTS
from .queue_events import (
    GridSubmitted,
    RunDequeued,
    RunLaunched,
    RunQueued,
    RunReaped,
    SupervisorStarted,
    SupervisorStopped,
)
from .study_events import STUDY_EVENTS

VERSION = 1


# ---------------------------------------------------------------- a run's own log, written by its worker


@dataclass(frozen=True, kw_only=True)
class Started(Attempt):
    """A worker has taken the run up for the first time."""

    kind: ClassVar[str] = "started"
    num_params: int
    unigram_loss: float
    train_tokens: int


@dataclass(frozen=True, kw_only=True)
class Resumed(Attempt):
    """A later worker has taken the run up from its checkpoint; rows after `from_update` are superseded."""

    kind: ClassVar[str] = "resumed"
    from_update: int


@dataclass(frozen=True, kw_only=True)
class Step(Event):
    """One update. `tokens` and `flops` are totals since the run's first update, `flops` in the counting `paper`.

    `loss` is the mean over this update's scored tokens in nats, before the update; `grad_norm` before clipping.
    """

    kind: ClassVar[str] = "step"
    attempt: int
    update: int
    tokens: int
    flops: int
    loss: float
    learning_rate: float
    grad_norm: float
    tokens_per_second: float


@dataclass(frozen=True, kw_only=True)
class Evaluated(Event):
    """Loss over a whole split with every scored token masked: mean nats, n, and a standard error clustered by sequence.

    split: `validation`, `test`, or `decayed`: the validation split scored by a decayed copy of a `wsd` run at an earlier
    budget, which `update`, `tokens` and `flops` name. With objective `clm` every next token is scored and nothing masked.

    `unigram_loss` is the cross-entropy of the train split's add-one unigram on the same tokens; `unigram_stderr` is of
    the paired difference `unigram_loss - loss`, clustered in the same way.
    """

    kind: ClassVar[str] = "evaluated"
    attempt: int
    update: int
    tokens: int
    flops: int
    split: str
    evaluation_id: str
    loss: float
    loss_stderr: float
    num_masked_tokens: int
    num_sequences: int
    unigram_loss: float
    unigram_stderr: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Event):
    """A checkpoint is on disk; every event up to its update was synced before. `best`: lowest validation loss so far."""

    kind: ClassVar[str] = "checkpoint-saved"
    attempt: int
    update: int
    path: str
    best: bool
    num_bytes: int


@dataclass(frozen=True, kw_only=True)
class Noted(Event):
    """Something a person should know that is no failure: a micro-batch was halved, a setting fell back."""

    kind: ClassVar[str] = "noted"
    attempt: int
    update: int
    message: str


@dataclass(frozen=True, kw_only=True)
class Left(Event):
    """The worker left before the end, on request, with a checkpoint. `reason`: `stop`, `pause`, `cancel` or `signal`."""

    kind: ClassVar[str] = "left"
    attempt: int
    update: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class MemoryReported(Event):
    """The most memory the worker has held so far, by its own count: process ids of NVML mean nothing in containers.

    device_bytes: reserved on its GPU, the CUDA context apart, 0 on the CPU; rss_bytes: resident memory.
    """

    kind: ClassVar[str] = "memory"
    attempt: int
    update: int
    device_bytes: int
    rss_bytes: int


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    """The run has spent its budget, was evaluated on validation and test, and its `model/` is written."""

    kind: ClassVar[str] = "finished"
    attempt: int
    update: int
    tokens: int
    flops: int
    best_update: int
    best_loss: float
    final_loss: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """The run cannot go on. `cause`: `non-finite`, `out-of-memory`, `data`, `disk`, `error`."""

    kind: ClassVar[str] = "failed"
    attempt: int
    update: int
    cause: str
    message: str


# ---------------------------------------------------------------- the lab's journals


@dataclass(frozen=True, kw_only=True)
class CorpusProgress(Event):
    """How far a corpus or tokenizer is. `stage`: `vocabulary`, `filter`, `duplicates`, `mix`, `tokenizer`, `tokens`;
    `total` 0 when unknown. `message`, while filtering: text a second, time left, kept share so far.
    """

    kind: ClassVar[str] = "corpus-progress"
    fingerprint: str
    stage: str
    done: int
    total: int
    unit: str
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class CorpusBuilt(Event):
    """A corpus is on disk; the counts of its manifest."""

    kind: ClassVar[str] = "corpus-built"
    fingerprint: str
    sources: tuple[str, ...]
    vocabulary: str
    vocabulary_words: int
    unit: str
    max_oov: float
    documents: int
    units_seen: int
    units_kept: int
    words_seen: int
    words_kept: int
    seconds: float
    filter: str = "vocabulary"
    evaluation_from: str = ""
    train_words: int = 0
    validation_units: int = 0
    validation_words: int = 0


@dataclass(frozen=True, kw_only=True)
class TokenizerBuilt(Event):
    """A tokenizer is trained and the three splits are tokenized with it."""

    kind: ClassVar[str] = "tokenizer-built"
    fingerprint: str
    corpus_fingerprint: str
    tokenizer_kind: str
    vocab_size: int
    train_tokens: int
    validation_tokens: int
    test_tokens: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Unknown(Event):
    """An event of a kind that this version does not know; kept as it was."""

    kind: ClassVar[str] = "unknown"
    name: str
    fields: dict[str, Any]


RUN_EVENTS: tuple[type[Event], ...] = (
    Started,
    Resumed,
    Step,
    Evaluated,
    CheckpointSaved,
    Noted,
    MemoryReported,
    Left,
    Finished,
    Failed,
)
JOURNAL_EVENTS: tuple[type[Event], ...] = (
    SupervisorStarted,
    SupervisorStopped,
    GridSubmitted,
    RunQueued,
    RunLaunched,
    RunReaped,
    RunDequeued,
    CorpusProgress,
    CorpusBuilt,
    TokenizerBuilt,
    *LAB_EVENTS,
    *STUDY_EVENTS,
)
KINDS: dict[str, type[Event]] = {c.kind: c for c in RUN_EVENTS + CELL_EVENTS + JOURNAL_EVENTS}
_FIELDS: dict[str, frozenset[str]] = {k: frozenset(f.name for f in dataclasses.fields(c)) for k, c in KINDS.items()}


class NewerVersion(ValueError):
    """A log line of a version that this program is too old for."""


def encode(event: Event) -> str:
    """One line of JSON without the newline. Non-finite numbers become the strings "nan", "inf", "-inf"."""
    body: dict[str, Any] = {"v": VERSION, "kind": event.kind}
    if isinstance(event, Unknown):
        body["kind"] = event.name
        body.update(event.fields)
        body["logged_at"] = event.logged_at
    else:
        for name in _FIELDS[event.kind]:
            body[name] = _plain(getattr(event, name))
    return json.dumps(body, separators=(",", ":"), allow_nan=False)


def decode(line: str | bytes) -> Event:
    """The event of one line. ValueError for what is not an event, NewerVersion for one we are too old to read.

    Fields that this version does not know are dropped; a missing field of a known kind is a ValueError.
    """
    body = json.loads(line)
    if not isinstance(body, dict) or "kind" not in body:
        raise ValueError("not an event")
    if body.get("v", 0) > VERSION:
        raise NewerVersion(f"event of version {body['v']}; this program reads up to {VERSION}")
    kind = body["kind"]
    cls = KINDS.get(kind)
    if cls is None:
        fields = {k: v for k, v in body.items() if k not in ("v", "kind", "logged_at")}
        return Unknown(name=kind, fields=fields, logged_at=float(body.get("logged_at", 0.0)))
    known = _FIELDS[kind]
    try:
        return cls(**{k: v if v.__class__ in _AS_THEY_ARE else _value(v) for k, v in body.items() if k in known})
    except TypeError as problem:
        raise ValueError(f"{kind}: {problem}") from None


_AS_THEY_ARE = (int, float)
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, str) and value in _NON_FINITE:
        return _NON_FINITE[value]
    return value
