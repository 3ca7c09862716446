"""AdamW and the learning-rate schedules."""

from __future__ import annotations

import math

import torch
from torch import _foreach_mul_ as foreach_mul_  # pyright: ignore[reportPrivateImportUsage]
from torch import _foreach_norm as foreach_norm  # pyright: ignore[reportPrivateImportUsage]
from torch import nn

from ..config.spec import TrainSpec


def warmup_updates(train: TrainSpec) -> int:
    """Updates of linear warm-up: floor(share * updates), at most `warmup_max` when that is set, at least 1."""
    warmup = math.floor(train.warmup_share * train.updates)
    if train.warmup_max:
        warmup = min(warmup, train.warmup_max)
    return max(1, warmup)


def decay_updates(train: TrainSpec) -> int:
    """Updates of the final decay of a `wsd` budget: decay_share of it, at least 1, never into the warm-up."""
    return max(1, min(round(train.decay_share * train.updates), train.updates - warmup_updates(train)))


def learning_rate(train: TrainSpec, update: int) -> float:
    """Learning rate of an update, which counts from 1; the peak `train.learning_rate` is reached at the warm-up's end.

    `noam` is peak * sqrt(w) * min(u^-0.5, u * w^-1.5): Vaswani et al. 2017, section 5.3, scaled to the peak, as in the
    paper. `linear` and `cosine` would reach zero one update after the last.
    """
    warmup = warmup_updates(train)
    if update <= warmup:
        return train.learning_rate * update / warmup
    if train.schedule == "constant":
        return train.learning_rate
    if train.schedule == "wsd":
        return train.learning_rate * min(1.0, (train.updates + 1 - update) / decay_updates(train))
    if train.schedule == "noam":
        return train.learning_rate * math.sqrt(warmup / update)
    done = (update - warmup) / (train.updates + 1 - warmup)
    if train.schedule == "linear":
        return train.learning_rate * (1.0 - done)
    assert train.schedule == "cosine"
    return train.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def make_optimizer(model: nn.Module, train: TrainSpec, rate: torch.Tensor | None = None) -> torch.optim.AdamW:
    """Fused AdamW; weight decay on matrices that are no embeddings, or on everything with `decay_all`.

    rate: the learning rate as a tensor on a GPU, for a step that can be recorded as a CUDA graph.
    """
    decayed, plain = [], []
    embeddings = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    for parameter in model.parameters():
        matrix = parameter.dim() > 1 and id(parameter) not in embeddings
        (decayed if matrix or train.decay_all else plain).append(parameter)
    groups = [{"params": decayed, "weight_decay": train.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        [g for g in groups if g["params"]],
        lr=train.learning_rate if rate is None else rate,
        betas=(train.beta1, train.beta2),
        eps=train.adam_eps,
        fused=True,
        capturable=rate is not None,
    )


def clip_gradients(model: nn.Module, clip_norm: float) -> torch.Tensor:
    """The norm of all gradients together (a tensor, not read), after scaling them down to `clip_norm` where it is set."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack(foreach_norm(gradients)))
    if clip_norm:
        foreach_mul_(gradients, torch.clamp(clip_norm / (norm + 1e-6), max=1.0))
    return norm
