"""The masked-language-model head, and the loss at scored positions only.

At these sizes logits over all positions are most of the work of a step. The head is therefore given the hidden states
of the scored tokens alone (M of B * S, about 15 %), and the loss works through them in chunks that stay in cache.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config.spec import ModelSpec
from .encoder import Encoder
from .product import Linear, linear, mm, widened

CHUNK_BYTES = 20 << 20
"""Logits that exist at once on a CPU: what several runs side by side have of the last cache; 275 rows of 19,000 in fp32."""

LOG2_E = math.log2(math.e)

SUMS = (1e-20, 1e20)
"""Sums of numerators that leave room in fp32, upwards and downwards, for products with them and with their reciprocals."""

LEAST_ROWS = 64
"""Fewer rows make products slow, whatever the cache."""

DEVICE_CHUNK = 8192
"""The same on a GPU: 8192 x 19,000 in bf16 are 311 MB."""


class MaskedLanguageModel(nn.Module):
    """Encoder and head. `tie` decides the head: H -> H -> V with a matrix of its own or the embedding, or H -> E -> V."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = Encoder(spec)
        features = spec.embedding_size if spec.tie == "projected" else spec.hidden_size
        self.head = Linear(spec.hidden_size, features)
        self.head_norm = nn.LayerNorm(features, eps=spec.layer_norm_eps)
        self.decoder = nn.Parameter(torch.empty(spec.vocab_size, features)) if spec.tie == "none" else None
        self.decoder_bias = nn.Parameter(torch.zeros(spec.vocab_size))

    @property
    def decoder_weight(self) -> Tensor:
        """Output matrix, (V, H) or (V, E)."""
        return self.encoder.embeddings.token.weight if self.decoder is None else self.decoder

    def features(self, hidden_MH: Tensor) -> Tensor:
        """What the decoder multiplies: hidden states of scored tokens, transformed, (M, H) or (M, E)."""
        return self.head_norm(F.gelu(self.head(hidden_MH)))

    def forward(self, ids_BS: Tensor, real_BS: Tensor | None = None) -> Tensor:
        """Logits at every position, (B, S, V): for export, tests and single sentences, not for training."""
        return linear(self.features(self.encoder(ids_BS, real_BS)), self.decoder_weight, self.decoder_bias)

    def loss_sum(
        self,
        ids_BS: Tensor,
        real_BS: Tensor | None,
        scored_M: Tensor,
        targets_M: Tensor,
        weights_M: Tensor | None = None,
    ) -> Tensor:
        """Summed cross-entropy in nats over scored tokens.

        scored_M: their positions in the flattened batch (int64). targets_M: the tokens that belong there. weights_M: 1,
        or 0 for entries that only fill M up to a fixed number; None when there are none of those.
        """
        hidden = self.encoder(ids_BS, real_BS).flatten(0, 1).index_select(0, scored_M)
        return chunked_cross_entropy(
            self.features(hidden), self.decoder_weight, self.decoder_bias, targets_M, weights_M
        )

    def token_losses(self, ids_BS: Tensor, real_BS: Tensor | None, scored_M: Tensor, targets_M: Tensor) -> Tensor:
        """Cross-entropy of each scored token in nats, (M,), without gradients."""
        with torch.no_grad():
            hidden = self.encoder(ids_BS, real_BS).flatten(0, 1).index_select(0, scored_M)
            features = self.features(hidden).float()
            return torch.cat(
                [
                    F.cross_entropy(
                        F.linear(features[part], self.decoder_weight, self.decoder_bias),
                        targets_M[part],
                        reduction="none",
                    )
                    for part in chunks(features, len(self.decoder_bias))
                ]
                or [hidden.new_zeros(0)]
            )


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Linear layer and softmax cross-entropy in one: gradients are made in the forward pass, a chunk of logits at a time.

    The logits of a chunk become numerators e of the softmax and then their own gradient e - sum(e) [target], in one buffer
    that stays in cache. What that gradient lacks, the factor 1 / sum(e) of each row, goes to the small sides of the products.
    The sum is that of `F.cross_entropy(F.linear(x, weight, bias), targets, reduction="sum")` up to the order of addition.
    `operands` is the type that the three products multiply in; sums over chunks are fp32.
    """

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def forward(
        ctx: Any,
        features_MD: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor,
        targets_M: Tensor,
        weights_M: Tensor | None,
        operands: torch.dtype,
    ) -> Tensor:
        total = bias_V.new_zeros(())
        features, matrix = features_MD.to(operands), weight_VD.to(operands)
        grad_features = torch.empty_like(features)
        grad_weight, grad_bias = torch.zeros_like(weight_VD), torch.zeros_like(bias_V)
        for part in chunks(features, len(bias_V)):
            x, target = features[part], targets_M[part, None]
            gradient, sums, losses = _numerators(x, matrix, bias_V, target)
            gradient.view(-1)[_positions(target, len(bias_V))] -= sums[:, 0].to(operands)
            factor = sums.reciprocal_()
            if weights_M is not None:
                weight = weights_M[part, None]
                losses = losses * weight
                factor = factor * weight
            total += losses.sum()
            factor = factor.to(operands)
            mm(gradient, matrix, grad_features[part]).mul_(factor)
            if operands == grad_weight.dtype:
                grad_weight.addmm_(gradient.t(), x * factor)
            else:
                grad_weight += mm(gradient.t(), x * factor)
            grad_bias += mm(gradient.t(), factor)[:, 0]
        ctx.save_for_backward(grad_features.to(features_MD.dtype), grad_weight, grad_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        scaled = [gradient.mul_(grads[0]) for gradient in ctx.saved_tensors]  # they are nobody else's
        return (*scaled, None, None, None)


def chunks(features_MD: Tensor, columns: int) -> list[slice]:
    """Even parts of M rows, each with at most so many logits that they stay in cache (on a GPU, in bounds)."""
    most = DEVICE_CHUNK
    if features_MD.device.type == "cpu":
        most = max(LEAST_ROWS, CHUNK_BYTES // (columns * features_MD.element_size()))
    count = -(-len(features_MD) // most)
    bounds = [len(features_MD) * i // max(1, count) for i in range(count + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(bounds)]


def _logits(x_MD: Tensor, weight_VD: Tensor, bias_V: Tensor) -> Tensor:
    """x @ weight.T + bias, (M, V). oneDNN adds the bias while it writes; `addmm` first copies it into every row."""
    if widened(x_MD):
        return torch.addmm(bias_V, x_MD.float(), weight_VD.float().t()).to(x_MD.dtype)
    bias = bias_V.to(x_MD.dtype)
    if x_MD.device.type == "cpu" and torch.backends.mkldnn.is_available():
        return torch.ops.mkldnn._linear_pointwise(x_MD, weight_VD, bias, "none", [], "")
    return torch.addmm(bias, x_MD, weight_VD.t())


def _positions(target_M1: Tensor, columns: int) -> Tensor:
    """Where each row's target is in the flattened matrix, (M,)."""
    return torch.arange(len(target_M1), device=target_M1.device) * columns + target_M1[:, 0]


def _numerators(x_MD: Tensor, weight_VD: Tensor, bias_V: Tensor, target_M1: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(e, sums, losses): e / sums is the softmax of the logits, (M, V) and (M, 1); -log of it at the target, (M, 1).

    On a CPU e is 2^(logits log2(e)), the factor multiplied into x and bias beforehand and no maximum taken off: one pass over
    the logits, and torch's exp2 takes half the time of its exp. Where a sum leaves `SUMS` or a target's e what fp32 can hold
    (logits of some 40 nats and more) the logits, which are gone by then, are made again for `softmax`. A GPU cannot look
    without being waited for.
    """
    if x_MD.device.type == "cpu":
        powers = _logits(x_MD * LOG2_E, weight_VD, bias_V * LOG2_E)
        torch.exp2(powers, out=powers)
        sums = powers.sum(1, keepdim=True, dtype=torch.float32)
        chosen = powers.gather(1, target_M1).float()
        least, most = SUMS
        if bool(((chosen > torch.finfo(torch.float32).tiny) & (sums > least) & (sums < most)).all()):
            return powers, sums, sums.log() - chosen.log()
    logits = _logits(x_MD, weight_VD, bias_V)
    losses = _log_loss(logits, target_M1)
    return torch.softmax(logits, 1), torch.ones_like(losses), losses


def _log_loss(logits_MV: Tensor, target_M1: Tensor) -> Tensor:
    """log sum exp(logits) - logits[target] of each row, (M, 1)."""
    logits = logits_MV.float()
    return logits.logsumexp(dim=1, keepdim=True) - logits.gather(1, target_M1)


def chunked_cross_entropy(
    features_MD: Tensor, weight_VD: Tensor, bias_V: Tensor, targets_M: Tensor, weights_M: Tensor | None = None
) -> Tensor:
    """Summed cross-entropy of `features @ weight.T + bias` against `targets`, in nats, differentiable.

    weights_M: factor of each token's loss; 0 for tokens that only fill a batch up to a fixed size.
    """
    kind = features_MD.device.type
    operands = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    return _ChunkedCrossEntropy.apply(features_MD, weight_VD, bias_V, targets_M, weights_M, operands)  # type: ignore[return-value]
