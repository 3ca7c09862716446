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
    1/sqrt(E) for embeddings that serve as output weights; `sinusoidal` as `scaled`, with positions that start as
    sinusoids and are trained on; `paper` Xavier-normal matrices and every other vector .01, the LayerNorm after E -> H
    included (a quirk of its code). LayerNorms start at 1 and 0.

    With random positions a tiny model stays at the unigram loss until it has learnt from the data alone that position
    i + 1 is the neighbour of i. Sinusoids say so from the first update: shifting by k is one rotation for every i.
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
            model.encoder.embeddings.position.weight.copy_(
                sinusoids(model.spec.max_positions, model.spec.embedding_size)
            )


def sinusoids(positions: int, width: int) -> torch.Tensor:
    """Position embeddings (P, E) of Vaswani et al. 2017, section 3.5, scaled to a root mean square of 1/sqrt(E).

    That is the size of the token embeddings of `scaled`, so that the first LayerNorm sees both alike.
    """
    index = torch.arange(positions)[:, None].float()
    rates = torch.exp(-math.log(10000.0) * torch.arange(0, width, 2).float() / width)
    table = torch.zeros(positions, width)
    table[:, 0::2] = torch.sin(index * rates)
    table[:, 1::2] = torch.cos(index * rates[: width // 2])
    return table * math.sqrt(2.0 / width)
