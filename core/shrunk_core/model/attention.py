"""Self-attention of all heads: torch's fused kernel on GPUs, our own on CPUs.

torch's fused CPU kernel knows no dropout, and at 128 tokens is slower than the plain products besides. Ours keeps the
probabilities and the mask, and its backward pass is written out: three products fewer copies than autograd makes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .noise import Noise, scale
from .product import bmm


def attend(
    qkv_BSX: Tensor, heads: int, *, blocked_B1SS: Tensor | None, causal: bool, dropout: float, noise: Noise
) -> Tensor:
    """softmax(Q K' / sqrt(D)) V of every head, (B, S, H), from queries, keys and values in one tensor (B, S, 3H).

    blocked_B1SS: True where a query may not look (it broadcasts), None where it may look everywhere. causal: nor ahead.
    """
    batch, length, width = qkv_BSX.shape
    size = width // 3 // heads
    if qkv_BSX.device.type == "cpu":
        keep = noise.keep((batch * heads, length, length), dropout, qkv_BSX.dtype) if dropout else None
        factor = scale(dropout) if dropout else 1.0
        return _Attention.apply(qkv_BSX, heads, blocked_B1SS, causal, keep, factor)  # type: ignore[return-value]
    query, key, value = qkv_BSX.view(batch, length, 3, heads, size).permute(2, 0, 3, 1, 4).unbind(0)
    allowed = None if blocked_B1SS is None else ~blocked_B1SS
    if allowed is not None and causal:
        allowed = allowed & torch.ones(length, length, dtype=torch.bool, device=allowed.device).tril()
    mixed = F.scaled_dot_product_attention(
        query, key, value, attn_mask=allowed, dropout_p=dropout, is_causal=causal and allowed is None
    )
    return mixed.transpose(1, 2).reshape(batch, length, width // 3)


class _Attention(torch.autograd.Function):
    """The products of all heads of a batch as one batched product each; N = B * A. factor: of what dropout keeps."""

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    def forward(
        ctx: Any,
        qkv_BSX: Tensor,
        heads: int,
        blocked_B1SS: Tensor | None,
        causal: bool,
        keep_NSS: Tensor | None,
        factor: float,
    ) -> Tensor:
        batch, length, width = qkv_BSX.shape
        size = width // 3 // heads
        by_head = qkv_BSX.view(batch, length, 3, heads, size).permute(2, 0, 3, 1, 4)
        split = by_head.clone(memory_format=torch.contiguous_format).view(3, -1, length, size)
        query, key, value = split.unbind(0)
        query.mul_(size**-0.5)  # here and at the values a factor costs a fraction of what it does at S x S weights
        value.mul_(factor)
        scores = bmm(query, key.transpose(1, 2))
        if blocked_B1SS is not None:
            scores.view(batch, heads, length, length).masked_fill_(blocked_B1SS, -torch.inf)
        if causal:
            ahead = torch.ones(length, length, dtype=torch.bool).triu(1)
            scores.masked_fill_(ahead, -torch.inf)
        probabilities = torch.softmax(scores, -1)
        dropped = probabilities if keep_NSS is None else torch.mul(probabilities, keep_NSS, out=scores)
        mixed = bmm(dropped, value)
        ctx.heads, ctx.factor = heads, factor
        ctx.save_for_backward(split, probabilities, dropped, keep_NSS)
        return mixed.view(batch, heads, length, size).transpose(1, 2).reshape(batch, length, heads * size)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        split, probabilities, dropped, keep_NSS = ctx.saved_tensors
        query, key, value = split.unbind(0)
        _, many, length, size = split.shape
        batch, heads = many // ctx.heads, ctx.heads
        grad_NSD = grads[0].view(batch, length, heads, size).transpose(1, 2).reshape(many, length, size)
        result = torch.empty_like(split)
        bmm(dropped.transpose(1, 2), grad_NSD, result[2]).mul_(ctx.factor)
        grad_NSS = bmm(grad_NSD, value.transpose(1, 2))
        if keep_NSS is not None:
            grad_NSS *= keep_NSS
        grad_NSS = torch.ops.aten._softmax_backward_data(grad_NSS, probabilities, -1, grad_NSS.dtype)
        bmm(grad_NSS, key, result[0]).mul_(size**-0.5)
        bmm(grad_NSS.transpose(1, 2), query, result[1])
        whole = (
            result.view(3, batch, heads, length, size).permute(1, 3, 0, 2, 4).reshape(batch, length, 3 * heads * size)
        )
        return whole, None, None, None, None, None
