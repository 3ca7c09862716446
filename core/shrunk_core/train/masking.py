"""Random choices of training as functions of (seed, update): row order, masks. Nothing to save, nothing to restore.

Everything comes from numpy's counter-based Philox on the CPU, keyed by seed and purpose and counted by update, so that a
resumed run, another micro-batch or another device sees the same choices.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from ..language.packing import EOS, MASK, NUM_SPECIAL, PAD

EVALUATION_SHARE = 0.15
"""Share of tokens masked in evaluation, whatever the training share: losses of all runs are over the same tokens."""

EVALUATION_BLOCK = 256
"""Rows that share one counter of the evaluation's generator; fixed, so that the batch size changes nothing."""


def generator(purpose: str, seed: int | str, count: int) -> np.random.Generator:
    """The generator of one purpose ("order", "masks"), seed and count (an update, an epoch, a block of rows)."""
    key = np.frombuffer(hashlib.sha256(f"{purpose}:{seed}".encode()).digest()[:16], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, count], dtype=np.uint64)))


class RowOrder:
    """Which rows an update trains on: the concatenation of one random permutation of all rows an epoch."""

    def __init__(self, num_rows: int, seed: int) -> None:
        self.num_rows, self.seed = num_rows, seed
        self._epoch, self._permutation = -1, np.empty(0, dtype=np.int64)

    def rows(self, update: int, batch_size: int) -> np.ndarray:
        """Row numbers [batch_size] of an update, which counts from 1."""
        start = (update - 1) * batch_size
        parts, wanted = [], batch_size
        while wanted:
            epoch, at = divmod(start, self.num_rows)
            if epoch != self._epoch:
                self._permutation = generator("order", self.seed, epoch).permutation(self.num_rows)
                self._epoch = epoch
            part = self._permutation[at : at + wanted]
            parts.append(part)
            start, wanted = start + len(part), wanted - len(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class Masked:
    """A batch ready for the model.

    inputs, targets: int64 [B, S], what each position shows and what it has to predict; scored: bool [B, S], where the
    loss is taken.
    """

    inputs: np.ndarray
    targets: np.ndarray
    scored: np.ndarray


def next_tokens(ids: np.ndarray) -> Masked:
    """Causal training and evaluation: every position predicts the next; scored where that is a token or `</s>`."""
    targets = np.full_like(ids, PAD)
    targets[:, :-1] = ids[:, 1:]
    return Masked(ids, targets, (targets >= NUM_SPECIAL) | (targets == EOS))


def mask_for_training(
    ids: np.ndarray,
    *,
    seed: int,
    update: int,
    share: float,
    masking: str,
    vocab_size: int,
    padding_in_loss: bool,
    word_starts: np.ndarray | None = None,
) -> Masked:
    """Select each token that is not special with probability `share` and replace it by the rule `masking`.

    `80/10/10`: of the selected 80 % become `<mask>`, 10 % a random token, 10 % stay. `100/0/0`: all become `<mask>`.
    `whole-word`: as 80/10/10, but the pieces of a word share the lot of its first; word_starts (bool [V]) tells pieces that
    begin a word. A token's chance of being selected stays `share`.
    padding_in_loss adds the padding positions, unmasked, to the scored ones (a quirk of the paper).
    """
    random = generator("masks", seed, update)
    draw = random.random(ids.shape, dtype=np.float32)
    if masking == "whole-word":
        assert word_starts is not None
        begins = word_starts[ids] | (ids < NUM_SPECIAL)
        begins[:, 1:] |= ids[:, :-1] < NUM_SPECIAL
        first = np.maximum.accumulate(np.where(begins, np.arange(ids.shape[1]), 0), axis=1)
        draw = np.take_along_axis(draw, first, axis=1)
    selected = (draw < share) & (ids >= NUM_SPECIAL)
    if masking == "100/0/0":
        inputs = np.where(selected, MASK, ids)
    else:
        inputs = np.where(selected & (draw < 0.8 * share), MASK, ids)
        strange = selected & (draw >= 0.9 * share)
        inputs[strange] = random.integers(NUM_SPECIAL, vocab_size, size=int(strange.sum()))
    return Masked(inputs, ids, selected | (ids == PAD) if padding_in_loss else selected)


def mask_for_evaluation(ids: np.ndarray, *, evaluation_id: str, block: int, padding_in_loss: bool) -> Masked:
    """Masks of one block of EVALUATION_BLOCK rows: every scored token becomes `<mask>`. No seed of a run enters."""
    draw = generator("evaluation", evaluation_id, block).random(ids.shape, dtype=np.float32)
    selected = (draw < EVALUATION_SHARE) & (ids >= NUM_SPECIAL)
    return Masked(np.where(selected, MASK, ids), ids, selected | (ids == PAD) if padding_in_loss else selected)
