"""Measuring this machine: which shapes, in which processes, and what comes of it. Needs no torch: its children do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from ..config.spec import POSITION_OFFSET, ModelSpec, TrainSpec
from ..cost import flops_per_update, micro_batch
from ..errors import RunError
from .machine import Measurement

SHAPES: tuple[tuple[int, int, int, int, int, float], ...] = (
    # hidden size, layers, vocabulary, sequence length, batch, dropout
    (16, 1, 1000, 32, 32, 0.0),
    (32, 1, 2000, 64, 32, 0.0),
    (32, 4, 2000, 128, 16, 0.0),
    (64, 2, 2000, 128, 32, 0.0),
    (64, 2, 19000, 128, 32, 0.0),
    (64, 4, 2000, 32, 64, 0.0),
    (96, 2, 8000, 64, 32, 0.1),
    (128, 2, 8000, 128, 32, 0.0),
    (128, 4, 2000, 128, 16, 0.1),
    (128, 1, 4000, 256, 16, 0.0),
    (256, 2, 8000, 128, 16, 0.0),
    (256, 4, 19000, 128, 16, 0.0),
)
"""Spread over what tiny grids hold, so that other shapes lie between them."""


def shape_of(
    hidden: int, layers: int, vocabulary: int, length: int, batch: int, dropout: float = 0.0
) -> dict[str, object]:
    """The job of one shape for the measuring process."""
    model = ModelSpec(
        embedding_size=hidden,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_heads=max(1, hidden // 32),
        num_layers=layers,
        vocab_size=vocabulary,
        max_positions=length + POSITION_OFFSET,
        dropout=dropout,
        attention_dropout=dropout,
    )
    return {
        "model": asdict(model),
        "train": {"batch_size": batch, "sequence_length": length},
        "micro_batch": micro_batch(0, batch, length),
    }


def measure(
    shapes: list[dict[str, object]],
    *,
    precision: str,
    device: str,
    packed: int = 1,
    seconds: float = 1.0,
    threads: int = 1,
    execution: str = "",
    mps: bool = False,
    base: Mapping[str, str] = os.environ,
) -> Iterator[Measurement]:
    """Measure shapes one after another, each by `packed` processes at once. RunError when a process fails.

    mps: what the measurements say of themselves; base: the environment of the processes, which decides it.
    """
    job = {"precision": precision, "device": device, "seconds": seconds, "threads": threads, "execution": execution}
    environment = dict(base, OMP_NUM_THREADS=str(threads))
    groups = [shapes] if packed == 1 else [[shape] for shape in shapes]
    for group in groups:
        text = json.dumps(job | {"shapes": group})
        children = [
            subprocess.Popen(
                [sys.executable, "-P", "-m", "shrunk_core.train.measure"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for _ in range(packed)
        ]
        for child in children:  # all have their job before anyone is waited for
            assert child.stdin is not None
            child.stdin.write(text)
            child.stdin.close()
            child.stdin = None
        outputs = []
        for child in children:
            out, errors = child.communicate()
            if child.returncode:
                last = errors.strip().splitlines()[-1:] or ["no message"]
                raise RunError(f"measuring {precision} on {device} with {packed} at once failed: {last[0]}")
            outputs.append([json.loads(line) for line in out.splitlines()])
        for number, shape in enumerate(group):
            yield _measurement(shape, [lines[number] for lines in outputs], precision, device, packed, mps)


def _measurement(
    shape: dict[str, object], found: list[dict[str, float]], precision: str, device: str, packed: int, mps: bool
) -> Measurement:
    model = ModelSpec(**shape["model"])  # type: ignore[arg-type]
    train = TrainSpec(**shape["train"])  # type: ignore[arg-type]
    rate = sum(1.0 / one["seconds"] for one in found)  # updates a second, all of them together
    ceiling = max(one["matmul_flops_per_second"] for one in found)
    return Measurement(
        model=shape["model"],  # type: ignore[arg-type]
        train=shape["train"],  # type: ignore[arg-type]
        precision=precision,
        device=device,
        device_name=str(found[0]["device_name"]),
        execution=str(found[0]["execution"]),
        packed=packed,
        mps=mps,
        seconds=sum(one["seconds"] for one in found) / len(found),
        cpu_seconds=sum(one["cpu_seconds"] for one in found) / len(found),
        updates=int(sum(one["updates"] for one in found)),
        tokens_per_second=rate * train.batch_size * train.sequence_length,
        utilisation=rate * flops_per_update(model, train, "executed") / ceiling,
        matmul_flops_per_second=ceiling,
        measured_at=time.time(),
    )
