"""How long a run will take, before it runs: executed FLOPs over what this machine's matrix product reaches now."""

from __future__ import annotations

import functools
import time

import numpy as np

from ..config.spec import ModelSpec, TrainSpec
from ..cost import flops_per_update

EFFICIENCY = 0.45
"""Share of the plain matrix product's speed that a training step of these shapes reached on one AVX-512 core."""

SECONDS_PER_KERNEL = 35e-6
"""Cost of one small tensor operation beside its arithmetic; a block makes about 60 of them, the rest of a step 80."""


@functools.cache
def matmul_flops_per_second() -> float:
    """fp32 speed of one core on a 256 x 256 x 256 product, best of a few; takes about 30 ms, once.

    In CPU time, so that neither other people's load nor the number of BLAS threads changes it.
    """
    a = np.random.default_rng(0).random((256, 256), dtype=np.float32)
    best = float("inf")
    for _ in range(8):
        start = time.process_time()
        for _ in range(8):
            np.matmul(a, a)
        best = min(best, time.process_time() - start)
    return 8 * 2 * 256**3 / best


def estimated_seconds(model: ModelSpec, train: TrainSpec) -> float:
    """Rough seconds of training on one CPU core, evaluation and start apart. An estimate, not a measurement."""
    arithmetic = flops_per_update(model, train, "executed") / (EFFICIENCY * matmul_flops_per_second())
    return train.updates * (arithmetic + SECONDS_PER_KERNEL * (60 * model.num_layers + 80))
