"""Starting weights by name, from one generator, so that a seed means the same weights everywhere."""

from __future__ import annotations

import math

import torch
from torch import nn

from .heads import MaskedLanguageModel

BERT_STD = 0.02
PAPER_VECTOR = 0.01


def initialise(model: MaskedLanguageModel, how: str, seed: int) -> None:
    """Fill all parameters in place.

    how: `bert` normal .02 (embeddings and matrices), biases 0; `scaled` the same with 1/sqrt(fan-in) for matrices and
    1/sqrt(E) for embeddings that serve as output weights; `sinusoidal` the same with the position embeddings of Vaswani et
    al. 2017, section 3.5, at that scale (neighbours can be told apart from the first update on); `paper` Xavier-normal
    matrices and every other vector .01, the LayerNorm after E -> H included (a quirk of its code). LayerNorms start at 1 and 0.
    """
    generator = torch.Generator().manual_seed(seed)
    norms = {id(p) for m in model.modules() if isinstance(m, nn.LayerNorm) for p in m.parameters()}
    if how == "paper" and model.encoder.reduce_norm is not None:
        norms -= {id(p) for p in model.encoder.reduce_norm.parameters()}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if id(parameter) in norms:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
            elif parameter.dim() == 1:
                parameter.fill_(PAPER_VECTOR if how == "paper" else 0.0)
            elif how == "paper":
                nn.init.xavier_normal_(parameter, generator=generator)
            else:
                std = BERT_STD if how == "bert" else 1.0 / math.sqrt(parameter.shape[1])
                parameter.normal_(0.0, std, generator=generator)
        if how == "sinusoidal":
            positions = model.encoder.embeddings.position.weight
            positions.copy_(waves(*positions.shape) * math.sqrt(2.0 / positions.shape[1]))


def waves(count: int, width: int) -> torch.Tensor:
    """Sines in the even and cosines in the odd columns, of wavelengths from 2 pi to 10,000 * 2 pi: float32 [count, width]."""
    angles = torch.arange(count)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    table = torch.empty(count, width)
    table[:, 0::2] = torch.sin(angles)
    table[:, 1::2] = torch.cos(angles)[:, : width // 2]
    return table
