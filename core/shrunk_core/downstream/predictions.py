"""What finished cells answered to every scored example, and the gains that follow from two of them. No torch."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..config.cell import CellSpec
from ..errors import RunError
from ..record.cell_events import GainMeasured
from ..record.celldir import PREDICTIONS, read_cell
from ..record.rundir import RunDir, cell_dirs, run_dir
from .gain import paired_gain


def decide(answers: np.ndarray) -> np.ndarray:
    """Label numbers of label scores [n, labels], or the numbers themselves of [n, 1]."""
    return answers.argmax(1) if answers.shape[1] > 1 else answers[:, 0].astype(np.float64)


def write_predictions(folder: RunDir, labels: dict[str, np.ndarray], answers: dict[str, np.ndarray]) -> None:
    """`predictions.npz`: for every split its labels [n] and the model's outputs [n, labels], whole or not at all."""
    arrays = {f"{split}.labels": value for split, value in labels.items()}
    arrays |= {f"{split}.answers": value for split, value in answers.items()}
    data = io.BytesIO()
    np.savez(data, **arrays)  # type: ignore[arg-type]
    temporary = folder.path / f".{PREDICTIONS}.new"
    try:
        with open(temporary, "wb") as file:
            file.write(data.getvalue())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder.path / PREDICTIONS)
    except OSError as problem:
        temporary.unlink(missing_ok=True)
        raise RunError(f"cannot write {folder.path / PREDICTIONS}: {problem.strerror}") from problem


def read_predictions(folder: RunDir, split: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Labels [n] and answers [n] (label numbers or numbers) of a scored split; None when the cell is not done."""
    try:
        with np.load(folder.path / PREDICTIONS) as arrays:
            return arrays[f"{split}.labels"], decide(arrays[f"{split}.answers"])
    except (OSError, KeyError, ValueError):
        return None


def gain_events(lab: Path, cell: CellSpec, attempt: int) -> Iterator[GainMeasured]:
    """What pre-training gains with the cells that are done now, this one included: an event a checkpoint and metric.

    Whoever of two paired cells finishes last sees the other, so that every pair is measured.
    """
    done: dict[str, dict[int, RunDir]] = {}
    for folder in cell_dirs(run_dir(lab, cell.run_id)):
        other = read_cell(folder)
        if other.comparison == cell.comparison and (folder.path / PREDICTIONS).exists():
            done.setdefault(other.checkpoint, {})[other.seed] = folder
    untrained = done.pop("untrained", {})
    for checkpoint, trained in sorted(done.items()):
        seeds = sorted(trained.keys() & untrained.keys())
        if not seeds or (cell.checkpoint not in (checkpoint, "untrained")):
            continue
        for split in cell.task.splits:
            pairs = [(read_predictions(trained[s], split), read_predictions(untrained[s], split)) for s in seeds]
            both = [(a, b) for a, b in pairs if a is not None and b is not None]
            if not both:
                continue
            labels = both[0][0][0]
            after, before = (np.stack([pair[i][1] for pair in both]) for i in (0, 1))
            for place, metric in enumerate(cell.task.metrics):
                gain = paired_gain(metric, labels, after, before)
                yield GainMeasured(
                    attempt=attempt,
                    comparison=cell.comparison,
                    checkpoint=checkpoint,
                    task=cell.task.name,
                    split=split,
                    metric=metric,
                    place=place,
                    **vars(gain),
                )
