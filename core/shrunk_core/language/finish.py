"""From a draft to the splits of a corpus: duplicates and documents beyond the mix are left out, the rest is copied."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config.language_spec import CorpusSpec
from ..record.events import Event
from .draft import Draft
from .duplicates import EXACT, NEAR, mark_duplicates
from .mixture import BINS, second_places, thresholds, wanted_words
from .split import SPLITS

Progress = Callable[..., Iterator[Event]]
_BLOCK = 100_000
"""Documents looked at together."""


@dataclass
class _Block:
    """Some documents of a split: rows, and where each one's units begin (one more than documents)."""

    rows: np.ndarray
    starts: np.ndarray


def finish(
    draft: Draft, corpus: CorpusSpec, pattern: Sequence[int], splits: Sequence[str], progress: Progress
) -> Generator[Event, None, dict[str, Any]]:
    """Write `SPLIT.txt` for each of `splits` beside the draft; returns their counts for the manifest.

    pattern: train words of each source that a control should have; ().
    """
    marks: dict[str, np.ndarray] = {}
    if corpus.duplicates != "keep":
        for done, steps, marked in mark_duplicates(draft, corpus.duplicates, corpus.near_share):
            marks = marked
            yield from progress("duplicates", done, steps, "passes", always=True)
    histogram = np.zeros((len(corpus.sources), BINS), dtype=np.int64)
    for block in _blocks(draft, "train"):
        words = _words(draft, "train", block, marks)
        np.add.at(histogram, (block.rows["source"], second_places(block.rows["place"])), words)
    available = histogram.sum(axis=1).tolist()
    wanted = wanted_words(available, corpus.weights, pattern, corpus.train_words)
    cuts = None if wanted is None else thresholds(histogram, wanted)
    counts: dict[str, Any] = {}
    for split in splits:
        # A size is of the train split alone; a mix is one of all splits.
        of_split = cuts if split == "train" or corpus.weights else None
        text = draft.folder / f"{split}.txt"
        counts[split] = _count(draft, split, marks, of_split, len(corpus.sources))
        if not marks and of_split is None:
            os.rename(draft.text(split), text)
        else:
            yield from progress("mix", SPLITS.index(split), len(SPLITS), "splits", always=True)
            _copy(draft, split, marks, of_split, text)
    return {
        "splits": counts,
        "duplicates": {
            "exact": sum(int((m == EXACT).sum()) for m in marks.values()),
            "near": sum(int((m == NEAR).sum()) for m in marks.values()),
            "exact_by_split": {s: int((m == EXACT).sum()) for s, m in marks.items()},
            "near_by_split": {s: int((m == NEAR).sum()) for s, m in marks.items()},
        },
    }


def _blocks(draft: Draft, split: str) -> Iterator[_Block]:
    documents = draft.documents(split)
    start = 0
    for at in range(0, len(documents), _BLOCK):
        rows = np.asarray(documents[at : at + _BLOCK])
        starts = np.concatenate([[0], np.cumsum(rows["units"], dtype=np.int64)]) + start
        start = int(starts[-1])
        yield _Block(rows, starts)


def _stay(marks: dict[str, np.ndarray], split: str, block: _Block) -> np.ndarray:
    """bool [units of the block]: not a duplicate."""
    first, last = int(block.starts[0]), int(block.starts[-1])
    return marks[split][first:last] == 0 if marks else np.ones(last - first, dtype=bool)


def _words(draft: Draft, split: str, block: _Block, marks: dict[str, np.ndarray]) -> np.ndarray:
    """int64 [documents]: words of the units that stay."""
    first, last = int(block.starts[0]), int(block.starts[-1])
    words = np.asarray(draft.column(split, "words")[first:last]).astype(np.int64) * _stay(marks, split, block)
    return np.add.reduceat(words, block.starts[:-1] - first)  # every kept document has a unit


def _chosen(block: _Block, cuts: np.ndarray | None) -> np.ndarray:
    """bool [documents]: within the mix."""
    if cuts is None:
        return np.ones(len(block.rows), dtype=bool)
    return second_places(block.rows["place"]) < cuts[block.rows["source"]]


def _count(
    draft: Draft, split: str, marks: dict[str, np.ndarray], cuts: np.ndarray | None, sources: int
) -> dict[str, Any]:
    documents = units = words = beyond = 0
    by_source = np.zeros(sources, dtype=np.int64)
    for block in _blocks(draft, split):
        chosen = _chosen(block, cuts)
        stay = _stay(marks, split, block)
        of_document = np.add.reduceat(stay.astype(np.int64), block.starts[:-1] - block.starts[0])
        here = _words(draft, split, block, marks) * chosen
        documents += int(((of_document > 0) & chosen).sum())
        units += int((of_document * chosen).sum())
        words += int(here.sum())
        beyond += int((~chosen).sum())
        np.add.at(by_source, block.rows["source"], here)
    return {
        "documents": documents,
        "units": units,
        "words": words,
        "documents_beyond_mix": beyond,
        "words_by_source": by_source.tolist(),
    }


def _copy(draft: Draft, split: str, marks: dict[str, np.ndarray], cuts: np.ndarray | None, target: Path) -> None:
    """Copy the units that stay of the documents that stay; a document without units vanishes."""
    with (
        open(draft.text(split), encoding="utf-8", newline="\n") as lines,
        open(target, "w", encoding="utf-8", newline="\n") as out,
    ):
        for block in _blocks(draft, split):
            chosen = _chosen(block, cuts).tolist()
            stay = _stay(marks, split, block).tolist()
            at = 0
            for wanted, n in zip(chosen, block.rows["units"].tolist(), strict=True):
                units = [next(lines) for _ in range(n)]
                next(lines)  # the blank line
                if wanted:
                    kept = [unit for unit, stays in zip(units, stay[at : at + n], strict=True) if stays]
                    if kept:
                        out.write("".join(kept) + "\n")
                at += n
