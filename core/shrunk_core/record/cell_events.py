"""Events of a downstream cell: one task, one checkpoint of a run, one seed. Written by the cell's worker to its own log.

A cell is a child of a run: its id is `RUN/CELL`, its folder `runs/<run_id>/downstream/<cell_id>/`. `Noted`, `Left`,
`Failed` and `CheckpointSaved` are those of runs. Numbers that a killed worker's successor writes again are the same
numbers; readers keep the last of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .event_base import Attempt, Event


@dataclass(frozen=True, kw_only=True)
class CellStarted(Attempt):
    """A worker has taken the cell up, for the first time (`from_update` 0) or from its last whole epoch."""

    kind: ClassVar[str] = "cell-started"
    from_update: int


@dataclass(frozen=True, kw_only=True)
class CellData(Event):
    """What the cell is trained on and scored on, before anything trains: one event a split.

    split: `train`, `selection` (cut from train) or a scored split. labels and kept are parallel: examples per label
    after the vocabulary filter; seen: examples of the split before it. A task with real-valued labels has one label "".
    """

    kind: ClassVar[str] = "cell-data"
    attempt: int
    split: str
    seen: int
    labels: tuple[str, ...]
    kept: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class CellStep(Event):
    """Mean training loss over the updates since the last such event; `learning_rate` of the last of them."""

    kind: ClassVar[str] = "cell-step"
    attempt: int
    trial: int
    update: int
    loss: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class CellEpoch(Event):
    """Scores after an epoch, in the task's first metric. trial: which of the learning rates, from 0.

    score: on the first scored split; NaN while the model is being chosen on the selection slice, because nothing may be
    chosen on the rows that are reported. selection: on the slice, NaN without one.
    """

    kind: ClassVar[str] = "cell-epoch"
    attempt: int
    trial: int
    epoch: int
    update: int
    learning_rate: float
    loss: float
    score: float
    selection: float
    examples_per_second: float


@dataclass(frozen=True, kw_only=True)
class CellScored(Event):
    """One number of the result. group: a paradigm or phenomenon of minimal pairs, "" for the task as a whole.

    stderr: bootstrap standard error over the n examples; place: 0 for the task's first metric, then 1, 2 ...
    """

    kind: ClassVar[str] = "cell-scored"
    attempt: int
    split: str
    group: str
    metric: str
    place: int
    value: float
    stderr: float
    n: int
    epoch: int
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class CellFinished(Event):
    """The cell is scored and its predictions are on disk. epoch: of the weights that were scored."""

    kind: ClassVar[str] = "cell-finished"
    attempt: int
    update: int
    epoch: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class GainMeasured(Event):
    """Pre-trained minus untrained on the same task, settings and examples, paired by seed; written by a finishing cell.

    low, high: 95 % over seeds and examples together. seeds: pairs there were when it was measured; the event with most
    seeds, then the latest, stands. comparison: digest of everything that the paired cells share.
    """

    kind: ClassVar[str] = "gain-measured"
    attempt: int
    comparison: str
    checkpoint: str
    task: str
    split: str
    metric: str
    place: int
    pretrained: float
    untrained: float
    gain: float
    low: float
    high: float
    seeds: int
    n: int


CELL_EVENTS: tuple[type[Event], ...] = (
    CellStarted,
    CellData,
    CellStep,
    CellEpoch,
    CellScored,
    CellFinished,
    GainMeasured,
)
