"""Events of the lab's journals about what was made of its runs: kept fits, and other people's curves to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .event_base import Event


@dataclass(frozen=True, kw_only=True)
class FitSaved(Event):
    """A fit was kept under a name. params, intervals: by symbol, empty where the points cannot tell; intervals are 95 %.

    `reason` says why the points cannot tell; `break_point` and its interval are of `broken`, None elsewhere.
    """

    kind: ClassVar[str] = "fit-saved"
    name: str
    command: str
    form: str
    x: str
    y: str
    counting: str
    frontier: str
    evaluation_id: str
    loss_function: str
    points: int
    runs: int
    clusters: int
    bootstrap: int
    params: dict[str, float]
    intervals: dict[str, list[float | None]]
    break_point: float | None
    break_low: float | None
    break_high: float | None
    test_one_law: float | None
    objective: float
    r2: float | None
    aic: float | None
    bic: float | None
    identifiable: bool
    reason: str
    warnings: tuple[str, ...]
    shrunk_version: str


@dataclass(frozen=True, kw_only=True)
class ReferenceImported(Event):
    """Somebody else's learning curves were taken in, to be drawn beside the lab's. Its runs precede it in the log.

    `padding_in_loss`: its losses count padding positions. `evaluation_id` is set where its losses are of the lab's own
    evaluation set, and empty where they compare with nothing.
    """

    kind: ClassVar[str] = "reference-imported"
    reference: str
    source: str
    citation: str
    flops_counting: str
    padding_in_loss: bool
    evaluation_id: str
    runs: int
    points: int


@dataclass(frozen=True, kw_only=True)
class ReferenceRun(Event):
    """One run of a reference: its shape where it is known (0 elsewhere), and its curve as lists of equal length.

    num_params, embedding_params: 0 where unknown. tokens, flops: 0 at every point where unknown.
    """

    kind: ClassVar[str] = "reference-run"
    reference: str
    name: str
    seed: int
    tie: str
    embedding_size: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_layers: int
    num_params: int
    embedding_params: int
    updates: tuple[int, ...]
    tokens: tuple[int, ...]
    flops: tuple[float, ...]
    losses: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ReferenceRemoved(Event):
    """A reference is no longer shown."""

    kind: ClassVar[str] = "reference-removed"
    reference: str


STUDY_EVENTS: tuple[type[Event], ...] = (FitSaved, ReferenceImported, ReferenceRun, ReferenceRemoved)
