"""Loss and perplexity of a split, beside the unigram baseline on the same masked tokens, with n and standard errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..language.packing import EOS, NUM_SPECIAL, PAD, PackedRows
from ..model.heads import MaskedLanguageModel
from .masking import EVALUATION_BLOCK, EVALUATION_SHARE, Masked, mask_for_evaluation, next_tokens


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Mean cross-entropy in nats over all scored tokens of a split; `exp(loss)` is the perplexity.

    loss_stderr: standard error clustered by sequence. unigram_stderr: of the paired difference `unigram_loss - loss`.
    """

    loss: float
    loss_stderr: float
    unigram_loss: float
    unigram_stderr: float
    num_masked_tokens: int
    num_sequences: int


def unigram_log_probabilities(
    counts: np.ndarray, rows: PackedRows, padding_in_loss: bool, objective: str = "mlm"
) -> np.ndarray:
    """Add-one unigram of the train split, log p [V], over what is scored: tokens that are not special.

    Causal models also predict `</s>`. With padding in the loss the baseline knows of padding too: each pad counts fully,
    each token by the masked share.
    """
    weights = counts.astype(np.float64) + 1.0
    ends = weights[EOS]
    weights[:NUM_SPECIAL] = 0.0
    if objective == "clm":
        weights[EOS] = ends
    if padding_in_loss:
        pads = len(rows) * (rows.sequence_length - 1) - rows.num_tokens
        weights *= EVALUATION_SHARE
        weights[PAD] = pads + 1.0
    with np.errstate(divide="ignore"):
        return np.log(weights / weights.sum())


def unigram_cross_entropy(
    rows: PackedRows, unigram: np.ndarray, *, evaluation_id: str, padding_in_loss: bool, objective: str = "mlm"
) -> float:
    """Mean of -log p of the unigram over the tokens that `evaluate` scores, in nats; needs no model."""
    total, count = 0.0, 0
    for batch in _batches(rows, evaluation_id, padding_in_loss, objective, EVALUATION_BLOCK):
        total -= float(unigram[batch.targets[batch.scored]].sum())
        count += int(batch.scored.sum())
    return total / count


def evaluate(
    model: MaskedLanguageModel,
    rows: PackedRows,
    unigram: np.ndarray,
    *,
    evaluation_id: str,
    padding_in_loss: bool,
    device: torch.device,
    objective: str = "mlm",
    batch_size: int = 128,
    leave: Callable[[], bool] = lambda: False,
) -> Evaluation | None:
    """Score every row of a split: with all scored tokens masked, or (`clm`) every next token.

    None when `leave()` turned true between two batches.
    """
    losses, baselines, counts = [], [], []
    training = model.training
    model.eval()
    try:
        for batch in _batches(rows, evaluation_id, padding_in_loss, objective, batch_size):
            if leave():
                return None
            flat = np.flatnonzero(batch.scored)
            targets = batch.targets.reshape(-1)[flat]
            padded = batch.inputs == PAD
            real = torch.from_numpy(~padded).to(device) if padded.any() else None
            token_losses = model.token_losses(
                torch.from_numpy(batch.inputs).to(device),
                real,
                torch.from_numpy(flat).to(device),
                torch.from_numpy(targets).to(device),
            )
            row_of, many = flat // batch.inputs.shape[1], len(batch.inputs)
            losses.append(np.bincount(row_of, token_losses.double().cpu().numpy(), minlength=many))
            baselines.append(np.bincount(row_of, -unigram[targets], minlength=many))
            counts.append(np.bincount(row_of, minlength=many))
    finally:
        model.train(training)
    loss, baseline, count = np.concatenate(losses), np.concatenate(baselines), np.concatenate(counts)
    mean, error = clustered_mean(loss, count)
    difference_error = clustered_mean(baseline - loss, count)[1]
    return Evaluation(
        loss=mean,
        loss_stderr=error,
        unigram_loss=float(baseline.sum() / count.sum()),
        unigram_stderr=difference_error,
        num_masked_tokens=int(count.sum()),
        num_sequences=len(count),
    )


def clustered_mean(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Mean per token of values summed by sequence, and its standard error with sequences as clusters.

    The linearised ratio estimator: residuals r_i = sum_i - mean * n_i, SE = sqrt(k / (k - 1) * sum r_i^2) / sum n_i
    (Cochran 1977, section 6.4). NaN for a single sequence.
    """
    total = counts.sum()
    mean = float(sums.sum() / total)
    clusters = len(sums)
    if clusters < 2:
        return mean, math.nan
    residuals = sums - mean * counts
    return mean, float(math.sqrt(clusters / (clusters - 1) * float(residuals @ residuals)) / total)


def _batches(
    rows: PackedRows, evaluation_id: str, padding_in_loss: bool, objective: str, batch_size: int
) -> Iterator[Masked]:
    """The split in batches; the masks are drawn by fixed blocks, so `batch_size` does not change them."""
    for block, start in enumerate(range(0, len(rows), EVALUATION_BLOCK)):
        ids = rows.batch(np.arange(start, min(start + EVALUATION_BLOCK, len(rows))))
        if objective == "clm":
            whole = next_tokens(ids)
        else:
            whole = mask_for_evaluation(ids, evaluation_id=evaluation_id, block=block, padding_in_loss=padding_in_loss)
        for at in range(0, len(ids), batch_size):
            part = slice(at, at + batch_size)
            yield Masked(whole.inputs[part], whole.targets[part], whole.scored[part])
