"""The masked-language-model head, and the loss at scored positions only.

At these sizes logits over all positions are most of the work of a step. The head is therefore given the hidden states
of the scored tokens alone (M of B * S, about 15 %), and the loss works through them in chunks that stay in cache.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config.spec import ModelSpec
from .encoder import Encoder
from .product import Linear, linear, mm, widened

CHUNK_BYTES = 20 << 20
"""Logits that exist at once on a CPU: what several runs side by side have of the last cache; 275 rows of 19,000 in fp32."""

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

    The logits of a chunk become probabilities and then their own gradient p - 1[target], in one buffer that stays in cache.
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
        features, matrix, bias = features_MD.to(operands), weight_VD.to(operands), bias_V.to(operands)
        grad_features = torch.empty_like(features)
        grad_weight, grad_bias = torch.zeros_like(weight_VD), torch.zeros_like(bias_V)
        for part in chunks(features, len(bias)):
            x, target = features[part], targets_M[part, None]
            gradient, losses = _probabilities(x, matrix, bias, target)
            gradient.view(-1)[_positions(target, len(bias))] -= 1.0
            if weights_M is not None:
                weight = weights_M[part, None]
                losses = losses * weight
                gradient *= weight.to(operands)
            total += losses.sum()
            mm(gradient, matrix, grad_features[part])
            if operands == grad_weight.dtype:
                grad_weight.addmm_(gradient.t(), x)
            else:
                grad_weight += mm(gradient.t(), x)
            grad_bias += gradient.sum(dim=0)
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
        return torch.addmm(bias_V.float(), x_MD.float(), weight_VD.float().t()).to(x_MD.dtype)
    if x_MD.device.type == "cpu" and torch.backends.mkldnn.is_available():
        return torch.ops.mkldnn._linear_pointwise(x_MD, weight_VD, bias_V, "none", [], "")
    return torch.addmm(bias_V, x_MD, weight_VD.t())


def _positions(target_M1: Tensor, columns: int) -> Tensor:
    """Where each row's target is in the flattened matrix, (M,)."""
    return torch.arange(len(target_M1), device=target_M1.device) * columns + target_M1[:, 0]


def _probabilities(x_MD: Tensor, weight_VD: Tensor, bias_V: Tensor, target_M1: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax of the logits, (M, V), and -log p[target] of each row, (M, 1).

    On a CPU the loss is read off the probability; where that is too small for its type (a loss above 87 nats) the logits,
    which are gone by then, are made again. A GPU cannot look without being waited for.
    """
    logits = _logits(x_MD, weight_VD, bias_V)
    if logits.device.type != "cpu":
        losses = _log_loss(logits, target_M1)
        return torch.softmax(logits, 1), losses
    probabilities = torch.softmax(logits, 1, out=logits)
    chosen = probabilities.gather(1, target_M1).float()
    if bool((chosen > torch.finfo(torch.float32).tiny).all()):
        return probabilities, -chosen.log()
    return probabilities, _log_loss(_logits(x_MD, weight_VD, bias_V), target_M1)


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
