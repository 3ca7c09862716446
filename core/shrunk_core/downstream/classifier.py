"""The encoder with a head for a task: sentence or pair to scores of labels, or to one number."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config.spec import ModelSpec
from ..model.encoder import Encoder

HEAD_STD = 0.02


class Classifier(nn.Module):
    """Encoder, pooling, and RoBERTa's head: dropout, H -> H, tanh, dropout, H -> outputs."""

    def __init__(self, spec: ModelSpec, outputs: int, *, pooling: str, dropout: float) -> None:
        super().__init__()
        self.encoder = Encoder(spec)
        self.pooling = pooling
        self.dense = nn.Linear(spec.hidden_size, spec.hidden_size)
        self.out = nn.Linear(spec.hidden_size, outputs)
        self.dropout = dropout

    def start(self, encoder: dict[str, Tensor], seed: int) -> None:
        """Weights before fine-tuning: the checkpoint's encoder, and a head drawn from `seed` (normal .02, biases 0)."""
        self.encoder.load_state_dict(encoder)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for layer in (self.dense, self.out):
                layer.weight.normal_(0.0, HEAD_STD, generator=generator)
                layer.bias.zero_()

    def forward(self, ids_BS: Tensor, real_BS: Tensor | None) -> Tensor:
        """(B, outputs). real_BS: True at real tokens; None when nothing is padded."""
        hidden = self.encoder(ids_BS, real_BS)
        if self.pooling == "first":
            pooled = hidden[:, 0]
        elif real_BS is None:
            pooled = hidden.mean(1)
        else:
            weight = real_BS.to(hidden.dtype)
            pooled = torch.bmm(weight[:, None, :], hidden).squeeze(1) / weight.sum(1, keepdim=True)
        return self.out(self._drop(torch.tanh(self.dense(self._drop(pooled)))))

    def _drop(self, x_BH: Tensor) -> Tensor:
        return self.encoder.noise.drop(x_BH, self.dropout) if self.dropout and self.training else x_BH


def loss_of(outputs_BO: Tensor, labels_B: Tensor) -> Tensor:
    """Mean cross-entropy of label numbers, or mean squared error of real labels."""
    if labels_B.is_floating_point():
        return F.mse_loss(outputs_BO.float().squeeze(1), labels_B)
    return F.cross_entropy(outputs_BO.float(), labels_B)
