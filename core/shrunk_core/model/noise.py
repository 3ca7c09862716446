"""Dropout masks on a CPU, cheap: 16 random bits an element from a fast generator, compared with a threshold.

torch draws a CPU's dropout masks one Mersenne-Twister number at a time, which at these sizes costs more than the matrix
products around them. On other devices torch's own dropout is used and this module only keeps its seed.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 1 << 16
"""Steps of a dropout share: .1 becomes 6554 / 65536 = .100006, and what is kept is scaled by exactly 1 / (1 - that)."""


class Noise:
    """The source of one model's dropout masks, seeded anew for every micro-batch: nothing to save, nothing to restore."""

    def __init__(self) -> None:
        self._generator = np.random.Generator(np.random.SFC64(0))

    def seed(self, seed: int, update: int, part: int, device: torch.device) -> None:
        """Start the masks of one micro-batch: functions of the run's seed, the update and the number of the micro-batch."""
        sequence = np.random.SeedSequence((seed, update, part))
        if device.type == "cpu":
            self._generator = np.random.Generator(np.random.SFC64(sequence))
        else:
            torch.cuda.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))

    def keep(self, shape: tuple[int, ...], share: float, dtype: torch.dtype) -> Tensor:
        """A mask of `shape`: 0 with probability `share`, else 1. What is kept is to be scaled by `scale(share)`."""
        count = math.prod(shape)
        words = self._generator.integers(0, 1 << 64, size=-(-count // 4), dtype=np.uint64)
        bits = torch.from_numpy(words.view(np.int16))[:count].view(shape)
        return torch.ge(bits, round(share * LEVELS) - LEVELS // 2, out=torch.empty(shape, dtype=dtype))

    def drop(self, x: Tensor, share: float) -> Tensor:
        """Dropout of x: on a CPU by a mask of ours."""
        if x.device.type != "cpu":
            return F.dropout(x, share)
        return x * self.keep(tuple(x.shape), share, x.dtype).mul_(scale(share))


def scale(share: float) -> float:
    """The factor of what a mask of this share keeps."""
    return LEVELS / (LEVELS - round(share * LEVELS))
