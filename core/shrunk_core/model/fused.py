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
        kernels = load()
        assert kernels is not None
        y, slopes = torch.empty_like(x), torch.empty_like(x)
        kernels.gelu(*(part.view(-1).numpy() for part in (x.detach(), y, slopes)))
        ctx.save_for_backward(slopes)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0] * ctx.saved_tensors[0]
