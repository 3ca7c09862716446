"""Where the loops of `kernels` stand in for torch's operations: one thread, fp32, vectors of eight numbers (AVX2).

There they save a twelfth of an update of a small model. With wider vectors torch's own operations were not found wanting;
several threads share an operation of torch's, not a loop. Numba takes half a second to load and, the first time on a
machine, some seconds to compile: workers have that behind them when they are forked.
"""

from __future__ import annotations

import functools
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@functools.cache
def load() -> ModuleType | None:
    """The compiled loops; None where torch's operations are used."""
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        return None
    try:
        from . import kernels
    except Exception as problem:  # whatever keeps numba from working here: the run goes on without it
        warnings.warn(f"loops are not compiled, updates take a little longer: {problem}", RuntimeWarning, stacklevel=2)
        return None
    return kernels


def loops(x: Tensor) -> ModuleType | None:
    """The loops, if they are for a tensor like this in this process."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or torch.get_num_threads() != 1:
        return None
    return load()


def gelu(x: Tensor) -> Tensor:
    """x Phi(x), the exact GELU."""
    if x.requires_grad and loops(x) is not None:
        return _Gelu.apply(x)  # type: ignore[return-value]
    return F.gelu(x)


class _Gelu(torch.autograd.Function):
    """Makes the derivative with the value: both come of one exponential."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y, slopes = torch.empty_like(x), torch.empty_like(x)
        _kernels().gelu(_flat(x), _flat(y), _flat(slopes))
        ctx.save_for_backward(slopes)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return ctx.saved_tensors[0].mul_(grads[0])  # it is nobody else's


class Dropped(torch.autograd.Function):
    """x times `factor` where the bits are at least `least`, else 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bits: Tensor, least: int, factor: float) -> Tensor:
        ctx.settings = bits, least, factor
        return _dropped(x, bits, least, factor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _dropped(grads[0].contiguous(), *ctx.settings), None, None, None


def _dropped(x: Tensor, bits: Tensor, least: int, factor: float) -> Tensor:
    y = torch.empty_like(x)
    _kernels().dropped(_flat(x), _flat(bits), least, factor, _flat(y))
    return y


def _kernels() -> ModuleType:
    kernels = load()
    assert kernels is not None
    return kernels


def _flat(x: Tensor) -> np.ndarray:
    return x.detach().view(-1).numpy()
