"""The paper's vocabulary filter for tasks: an example is kept if every word that counts is in the word list.

Deshpande et al. 2023, from their code: join the sentences; drop every word that is not all lower case unless it is the
first (proper nouns); delete digits and punctuation; lower-case; drop empties and {nt, s, re, t, d, ll}; keep the example
iff all remaining words are known. It is looser than the corpus filter: a name or a number never drops an example.
"""

from __future__ import annotations

import string
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ..config.cell import TaskSpec
from .rows import Rows, TaskRows

_DELETED = str.maketrans("", "", string.digits + string.punctuation)
_PASSED_OVER = frozenset(("", "nt", "s", "re", "t", "d", "ll"))


def counted_words(*sentences: str) -> list[str]:
    """The words of an example that must be known."""
    words = " ".join(sentences).split()
    kept = [word for i, word in enumerate(words) if i == 0 or word == word.lower()]
    bare = (word.translate(_DELETED).lower() for word in kept)
    return [word for word in bare if word not in _PASSED_OVER]


def filter_rows(rows: Rows, vocabulary: Collection[str]) -> Rows:
    """The rows all of whose counted words are in the vocabulary (a set), in order."""
    kept = [all(w in vocabulary for w in counted_words(*texts)) for texts in zip(*rows.texts, strict=True)]
    return rows.take(np.flatnonzero(kept))


def filter_task(task: TaskRows, vocabulary: Collection[str]) -> TaskRows:
    """The filter on every split."""
    return TaskRows(task.task, {split: filter_rows(rows, vocabulary) for split, rows in task.splits.items()})


@dataclass(frozen=True, kw_only=True)
class Count:
    """Examples of a split: seen before the filter, kept after it, and kept per label (by label number)."""

    split: str
    seen: int
    kept: int
    labels: tuple[str, ...]
    by_label: tuple[int, ...]


def count_rows(task: TaskSpec, split: str, before: Rows, after: Rows) -> Count:
    """How many examples of a split remain."""
    if task.regression:
        labels, by_label = ("",), (len(after),)
    else:
        labels = task.labels
        by_label = tuple(int(n) for n in np.bincount(after.labels, minlength=len(labels)))
    return Count(split=split, seen=len(before), kept=len(after), labels=labels, by_label=by_label)
