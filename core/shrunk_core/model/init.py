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
    1/sqrt(E) for embeddings that serve as output weights; `paper` Xavier-normal matrices and every other vector .01, the
    LayerNorm after E -> H included (a quirk of its code); `sinusoid` is `scaled` with the learned position rows starting as
    sines and cosines of the same size. LayerNorms start at 1 and 0.
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
        if how == "sinusoid":
            position = model.encoder.embeddings.position.weight
            position.copy_(sinusoids(*position.shape))


def sinusoids(rows: int, size: int) -> torch.Tensor:
    """Position rows (P, E) of Vaswani et al. 2017, section 3.5, scaled to a standard deviation of 1 / sqrt(E).

    Neighbours start out alike and distances are readable, so that attention to the words around a mask is found early.
    """
    angle = torch.arange(rows)[:, None] * torch.exp(-math.log(10_000.0) * torch.arange(0, size, 2) / size)
    waves = torch.stack((angle.sin(), angle.cos()), dim=2).flatten(1)[:, :size]
    return waves * math.sqrt(2.0 / size)
