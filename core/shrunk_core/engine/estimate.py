"""How long a run will take, before it runs: executed FLOPs over what this machine's matrix product reaches now."""

from __future__ import annotations

import functools
import hashlib
import json
import time

import numpy as np

from ..config.spec import ModelSpec, RunSpec, TrainSpec, to_plain
from ..cost import flops_per_update
from .hardware import gpus, resolve_precision
from .machine import Machine

EFFICIENCY = 0.6
"""Share of the plain matrix product's speed that a training step reached: .54 to .75 of numpy's on one AVX2 core, from
(H 64, L 2) to (256, 4)."""

SLOW_FLOPS_PER_SECOND = 5e9
"""What training reaches on a core that is slower than any we know of."""

SECONDS_PER_KERNEL = 35e-6
"""Cost of one small tensor operation beside its arithmetic; a block makes about 60 of them, the rest of a step 80."""


def speed_digest(spec: RunSpec) -> str:
    """12 hex digits for everything in a run's settings that decides its speed on a device: what was measured of one run
    holds for all that share it. Corpus, seed and schedule are not in it."""
    train = spec.train
    what = [
        to_plain(spec)["model"], train.batch_size, train.sequence_length, train.micro_batch, train.precision,
        train.objective, train.mask_share, train.padding_in_loss,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]


@functools.cache
def matmul_flops_per_second() -> float:
    """fp32 speed of one core on a 256 x 256 x 256 product, best of a few; takes about 30 ms, once.

    In CPU time of this thread and by it alone, so that neither other people's load nor threads beside it change it: on a
    busy machine the library's own threads wait for each other by spinning, which once made a hundredth of the speed.
    """
    from threadpoolctl import threadpool_limits

    a = np.random.default_rng(0).random((256, 256), dtype=np.float32)
    best = float("inf")
    with threadpool_limits(1, "blas"):
        for _ in range(8):
            start = time.thread_time()
            for _ in range(8):
                np.matmul(a, a)
            best = min(best, time.thread_time() - start)
    return 8 * 2 * 256**3 / best


def seconds_per_update(model: ModelSpec, train: TrainSpec, machine: Machine | None = None) -> float:
    """Seconds of an update of a run with a core or device to itself, from what `shrunk bench` measured on this machine.

    Without measurements a rough guess of one CPU core: its matrix product, timed now, and a price of each kernel.
    """
    if machine is not None:
        device = planned_device(train.device)
        precision = resolve_precision(train.precision, train.device)
        measured = machine.seconds_per_update(model, train, precision, device)
        if measured:
            return measured
    arithmetic = flops_per_update(model, train, "executed") / (EFFICIENCY * matmul_flops_per_second())
    return arithmetic + SECONDS_PER_KERNEL * (60 * model.num_layers + 80)


def estimated_seconds(model: ModelSpec, train: TrainSpec, machine: Machine | None = None) -> float:
    """Seconds of training, evaluation and start apart: the budget where it is minutes, else updates times their price."""
    return 60 * train.minutes if train.minutes else train.updates * seconds_per_update(model, train, machine)


def surely_shorter(model: ModelSpec, train: TrainSpec, seconds: float) -> bool:
    """True if training takes less than so long even on a slow core: an answer that costs no measurement."""
    arithmetic = flops_per_update(model, train, "executed") / SLOW_FLOPS_PER_SECOND
    kernels = 10 * SECONDS_PER_KERNEL * (60 * model.num_layers + 80)
    return not train.minutes and train.updates * (arithmetic + kernels) < seconds


def planned_device(device: str) -> str:
    """`cpu` or `cuda`: where a run with this setting would train here."""
    return "cpu" if device == "cpu" or (device == "auto" and not gpus()) else "cuda"
