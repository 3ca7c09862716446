"""Rows of a task as token ids, and the batches they are trained and scored in.

An example is `<s> A </s>`, or `<s> A </s> B </s>` of two sentences: units ended by `</s>`, as in pre-training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..language.packing import BOS, EOS, PAD
from ..language.tokenizer import Encoder, load_tokenizer
from ..train.masking import generator
from .rows import Rows

POOL = 64
"""Batches whose examples are sorted by length together: enough for little padding, few enough to stay random."""


@dataclass(frozen=True, eq=False)
class Examples:
    """ids: all examples one after the other; offsets: int64 [n + 1]; labels [n]."""

    ids: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    def batch(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """int64 ids [len(at), longest], padded, and the mask of real tokens, None when nothing is padded."""
        starts, lengths = self.offsets[at], self.offsets[at + 1] - self.offsets[at]
        width = int(lengths.max())
        columns = np.arange(width)
        real = columns[None, :] < lengths[:, None]
        where = np.minimum(starts[:, None] + columns[None, :], len(self.ids) - 1)
        ids = np.where(real, self.ids[where], PAD)
        return ids, None if real.all() else real


def encode_rows(rows: Rows, encoder: Encoder, max_length: int) -> Examples:
    """Examples of the rows in order, in lower case as the language is. Too long ones lose tokens of their longer sentence."""
    columns = [encoder.encode([text.lower() for text in texts]) for texts in rows.texts]
    starts = [np.cumsum(lengths) - lengths for _, lengths in columns]
    counts = np.array([lengths for _, lengths in columns])  # [1 or 2, n], each with its </s>
    fitted = _fit(counts, max_length - 1)
    pieces: list[np.ndarray] = []
    bos, eos = np.array([BOS]), np.array([EOS])
    for i in range(len(rows)):
        pieces.append(bos)
        for (ids, _), first, count, fit in zip(columns, starts, counts[:, i], fitted[:, i], strict=True):
            part = ids[first[i] : first[i] + fit]
            pieces.append(part if fit == count else np.concatenate([part[:-1], eos]))
    offsets = np.concatenate([[0], np.cumsum(1 + fitted.sum(0))]).astype(np.int64)
    return Examples(np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64), offsets, rows.labels)


def _fit(counts: np.ndarray, room: int) -> np.ndarray:
    """Lengths [1 or 2, n] cut to `room` in all, the longer sentence first until both are even."""
    if len(counts) == 1:
        return np.minimum(counts, room)
    first, second = counts
    half = room // 2
    short_first = np.minimum(first, np.maximum(room - second, room - half))
    return np.stack([short_first, np.minimum(second, room - short_first)])


def training_batches(
    lengths: np.ndarray, batch_size: int, *, seed: int, epoch: int, bucketing: bool
) -> list[np.ndarray]:
    """The batches of an epoch: places of examples, every example once, a function of (seed, epoch).

    bucketing: within pools of POOL batches examples are sorted by length, and the batches come in random order.
    """
    random = generator("fine-tuning order", seed, epoch)
    order = random.permutation(len(lengths))
    if bucketing:
        pool = POOL * batch_size
        order = np.concatenate(
            [part[np.argsort(lengths[part], kind="stable")] for part in np.split(order, range(pool, len(order), pool))]
        )
    batches = np.split(order, range(batch_size, len(order), batch_size))
    if bucketing:
        batches = [batches[i] for i in random.permutation(len(batches))]
    return batches


def scoring_batches(lengths: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """All examples once, sorted by length, so that there is hardly any padding."""
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def drawn_places(n: int, wanted: int, seed: int) -> np.ndarray:
    """Places of `wanted` of n training rows, by seed; fewer are a part of more."""
    return np.sort(generator("training rows", seed, 0).permutation(n)[:wanted])


def open_encoder(folder: Path) -> Encoder:
    """The encoder of a tokenizer folder. DataError names a folder that holds none."""
    if not folder.is_dir():
        raise DataError(f"no tokenizer in {folder}: build the corpus again (`shrunk run` does)")
    return Encoder(load_tokenizer(folder))
