"""The encoder: embeddings of size E, a layer E -> H where the shape has one, and L transformer blocks.

With the same weights it computes what Hugging Face computes: `RobertaModel` (`tie = "full"`, post), its pre-layer-norm
sibling (`norm = "pre"`) and `ElectraModel` (`tie = "projected"`, post), to rounding. Queries, keys and values are one
matrix here, which is one product instead of three.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config.spec import POSITION_OFFSET, ModelSpec
from .attention import attend
from .noise import Noise
from .product import Linear

PAD_ID = 1


class Embeddings(nn.Module):
    """Sum of token, position and type embedding, LayerNorm, dropout: ids_BS -> x_BSE.

    Positions count real tokens from pad_id + 1 = 2, as RoBERTa's; padding has position 1. All tokens are of type 0 in
    pre-training; the second type row exists so that parameter counts and checkpoints are RoBERTa's.
    """

    def __init__(self, spec: ModelSpec, noise: Noise) -> None:
        super().__init__()
        self.noise, self.dropout = noise, spec.dropout
        self.token = nn.Embedding(spec.vocab_size, spec.embedding_size, padding_idx=PAD_ID)
        self.position = nn.Embedding(spec.max_positions, spec.embedding_size, padding_idx=PAD_ID)
        self.token_type = nn.Embedding(2, spec.embedding_size)
        self.norm = nn.LayerNorm(spec.embedding_size, eps=spec.layer_norm_eps)

    def forward(self, ids_BS: Tensor, real_BS: Tensor | None) -> Tensor:
        if real_BS is None:
            length = ids_BS.shape[1]
            positions = self.position.weight[POSITION_OFFSET : POSITION_OFFSET + length]
        else:
            real = real_BS.long()
            positions = self.position(torch.cumsum(real, dim=1) * real + PAD_ID)
        x_BSE = self.norm(self.token(ids_BS) + (positions + self.token_type.weight[0]))
        return self.noise.drop(x_BSE, self.dropout) if self.dropout and self.training else x_BSE


class Block(nn.Module):
    """One transformer block, x_BSH -> x_BSH: attention and feed-forward, LayerNorm after or before each, GELU."""

    def __init__(self, spec: ModelSpec, noise: Noise) -> None:
        super().__init__()
        self.noise = noise
        hidden = spec.hidden_size
        self.pre = spec.norm == "pre"
        self.heads = spec.fixed_heads or spec.num_heads
        self.causal, self.dropout, self.attention_dropout = spec.causal, spec.dropout, spec.attention_dropout
        self.attention_norm = nn.LayerNorm(hidden, eps=spec.layer_norm_eps)
        self.query_key_value = Linear(hidden, 3 * hidden)
        self.attention_out = Linear(hidden, hidden)
        self.feed_forward_norm = nn.LayerNorm(hidden, eps=spec.layer_norm_eps)
        self.feed_forward_in = Linear(hidden, spec.intermediate_size)
        self.feed_forward_out = Linear(spec.intermediate_size, hidden)

    def forward(self, x_BSH: Tensor, blocked_B11S: Tensor | None) -> Tensor:
        if self.pre:
            x_BSH = x_BSH + self.attend(self.attention_norm(x_BSH), blocked_B11S)
            return x_BSH + self.feed_forward(self.feed_forward_norm(x_BSH))
        x_BSH = self.attention_norm(x_BSH + self.attend(x_BSH, blocked_B11S))
        return self.feed_forward_norm(x_BSH + self.feed_forward(x_BSH))

    def attend(self, x_BSH: Tensor, blocked_B11S: Tensor | None) -> Tensor:
        mixed = attend(
            self.query_key_value(x_BSH),
            self.heads,
            blocked_B1SS=blocked_B11S,
            causal=self.causal,
            dropout=self.attention_dropout if self.training else 0.0,
            noise=self.noise,
        )
        return self._drop(self.attention_out(mixed))

    def feed_forward(self, x_BSH: Tensor) -> Tensor:
        return self._drop(self.feed_forward_out(F.gelu(self.feed_forward_in(x_BSH))))

    def _drop(self, x_BSH: Tensor) -> Tensor:
        return self.noise.drop(x_BSH, self.dropout) if self.dropout and self.training else x_BSH


class Encoder(nn.Module):
    """Token ids to hidden states: ids_BS -> x_BSH."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.noise = Noise()
        self.embeddings = Embeddings(spec, self.noise)
        self.reduce = None if spec.tie == "full" else Linear(spec.embedding_size, spec.hidden_size)
        self.reduce_norm = nn.LayerNorm(spec.hidden_size, eps=spec.layer_norm_eps) if spec.tie == "none" else None
        self.blocks = nn.ModuleList(Block(spec, self.noise) for _ in range(spec.num_layers))
        self.final_norm = nn.LayerNorm(spec.hidden_size, eps=spec.layer_norm_eps) if spec.norm == "pre" else None

    def forward(self, ids_BS: Tensor, real_BS: Tensor | None = None) -> Tensor:
        """real_BS: True at real tokens, False at padding (which nothing attends to); None when there is no padding."""
        x = self.embeddings(ids_BS, real_BS)
        if self.reduce is not None:
            x = self.reduce(x)
        if self.reduce_norm is not None:
            x = self.reduce_norm(x)
        blocked_B11S = None if real_BS is None else ~real_BS[:, None, None, :]
        for block in self.blocks:
            x = block(x, blocked_B11S)
        return x if self.final_norm is None else self.final_norm(x)
