"""The masked-language-model head, and the loss at scored positions only.

At these sizes logits over all positions are most of the work of a step. The head is therefore given the hidden states
of the scored tokens alone (M of B * S, about 15 %), and the loss works through them in chunks that stay in cache.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config.spec import ModelSpec
from .encoder import Encoder

CHUNK = 256
"""Rows of logits that exist at once: 256 x 19,000 in fp32 are 19 MB, 256 x 2,000 are 2 MB (a share of L2 and L3)."""


class MaskedLanguageModel(nn.Module):
    """Encoder and head. `tie` decides the head: H -> H -> V with a matrix of its own or the embedding, or H -> E -> V."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = Encoder(spec)
        features = spec.embedding_size if spec.tie == "projected" else spec.hidden_size
        self.head = nn.Linear(spec.hidden_size, features)
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
        return F.linear(self.features(self.encoder(ids_BS, real_BS)), self.decoder_weight, self.decoder_bias)

    def loss_sum(self, ids_BS: Tensor, real_BS: Tensor | None, scored_M: Tensor, targets_M: Tensor) -> Tensor:
        """Summed cross-entropy in nats over scored tokens.

        scored_M: their positions in the flattened batch (int64). targets_M: the tokens that belong there.
        """
        hidden = self.encoder(ids_BS, real_BS).flatten(0, 1).index_select(0, scored_M)
        return chunked_cross_entropy(self.features(hidden), self.decoder_weight, self.decoder_bias, targets_M)

    def token_losses(self, ids_BS: Tensor, real_BS: Tensor | None, scored_M: Tensor, targets_M: Tensor) -> Tensor:
        """Cross-entropy of each scored token in nats, (M,), without gradients."""
        with torch.no_grad():
            hidden = self.encoder(ids_BS, real_BS).flatten(0, 1).index_select(0, scored_M)
            features = self.features(hidden).float()
            return torch.cat(
                [
                    F.cross_entropy(
                        F.linear(features[i : i + CHUNK], self.decoder_weight, self.decoder_bias),
                        targets_M[i : i + CHUNK],
                        reduction="none",
                    )
                    for i in range(0, len(targets_M), CHUNK)
                ]
                or [hidden.new_zeros(0)]
            )


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Linear layer and softmax cross-entropy in one: gradients are made in the forward pass, a chunk of logits at a time.

    The logits of a chunk are turned in place into probabilities and then into their own gradient p - 1[target], so that
    one buffer of CHUNK x V serves all chunks and is still in cache when it is multiplied back. The sum is that of
    `F.cross_entropy(F.linear(x, weight, bias), targets, reduction="sum")` up to the order of addition.
    """

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def forward(ctx: Any, features_MD: Tensor, weight_VD: Tensor, bias_V: Tensor, targets_M: Tensor) -> Tensor:
        features_MD = features_MD.float()
        total = features_MD.new_zeros(())
        grad_features = torch.empty_like(features_MD)
        grad_weight = torch.zeros_like(weight_VD)
        grad_bias = torch.zeros_like(bias_V)
        buffer = features_MD.new_empty(min(CHUNK, max(1, len(features_MD))), len(bias_V))
        for start in range(0, len(features_MD), CHUNK):
            x = features_MD[start : start + CHUNK]
            target = targets_M[start : start + CHUNK, None]
            logits = torch.addmm(bias_V, x, weight_VD.t(), out=buffer[: len(x)])
            log_sum = logits.logsumexp(dim=1, keepdim=True)
            total += (log_sum - logits.gather(1, target)).sum()
            gradient = logits.sub_(log_sum).exp_()
            gradient.scatter_add_(1, target, gradient.new_full(target.shape, -1.0))
            torch.mm(gradient, weight_VD, out=grad_features[start : start + CHUNK])
            grad_weight.addmm_(gradient.t(), x)
            grad_bias += gradient.sum(dim=0)
        ctx.save_for_backward(grad_features, grad_weight, grad_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_features, grad_weight, grad_bias = ctx.saved_tensors
        scale = grads[0]
        return grad_features * scale, grad_weight * scale, grad_bias * scale, None


def chunked_cross_entropy(features_MD: Tensor, weight_VD: Tensor, bias_V: Tensor, targets_M: Tensor) -> Tensor:
    """Summed cross-entropy of `features @ weight.T + bias` against `targets`, in nats, differentiable."""
    return _ChunkedCrossEntropy.apply(features_MD, weight_VD, bias_V, targets_M)  # type: ignore[return-value]
