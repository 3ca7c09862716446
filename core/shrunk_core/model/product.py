"""Matrix products, in bf16 too where the processor has no units for it.

torch hands bf16 products on a CPU to oneDNN, which needs AVX-512 for them. On other processors it refuses some and
computes the rest a tenth as fast as in fp32. There the operands, rounded to bf16, are multiplied in fp32 and the result
is rounded: what the units do, at the speed of fp32, so that a run in bf16 goes on anywhere.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@functools.cache
def has_bf16_units() -> bool:
    """True if this CPU multiplies in bf16 faster than by way of fp32."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def widened(x: Tensor) -> bool:
    """True if products of such a tensor go by way of fp32."""
    return x.dtype == torch.bfloat16 and x.device.type == "cpu" and not has_bf16_units()


def mm(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """`torch.mm`."""
    if not widened(a):
        return torch.mm(a, b) if out is None else torch.mm(a, b, out=out)
    product = torch.mm(a.float(), b.float())
    return product.to(a.dtype) if out is None else out.copy_(product)


def bmm(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """`torch.bmm`."""
    if not widened(a):
        return torch.bmm(a, b) if out is None else torch.bmm(a, b, out=out)
    product = torch.bmm(a.float(), b.float())
    return product.to(a.dtype) if out is None else out.copy_(product)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`F.linear` under the autocast that is on, differentiable."""
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and not has_bf16_units():
        return _Widened.apply(x, weight, bias)  # type: ignore[return-value]
    return F.linear(x, weight, bias)


class Linear(nn.Linear):
    """`nn.Linear` by our products."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


class _Widened(torch.autograd.Function):
    """A linear layer as autocast computes it: operands, result and gradients rounded to bf16, the weight's sum in fp32."""

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        kind = torch.bfloat16
        operand, matrix = x.to(kind), weight.to(kind)
        ctx.kind = x.dtype
        ctx.save_for_backward(operand, matrix)
        return F.linear(operand.float(), matrix.float(), bias.to(kind).float()).to(kind)

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        operand, matrix = ctx.saved_tensors
        gradient = grads[0].float()
        rows = gradient.flatten(0, -2)
        of_weight = torch.mm(rows.t(), operand.flatten(0, -2).float())
        return torch.matmul(gradient, matrix.float()).to(ctx.kind), of_weight, rows.sum(0)
