"""What this machine does: updates of synthetic tokens, timed shape by shape, and the matrix product's ceiling beside them.

`python -P -m shrunk_core.train.measure`, with a job as JSON on standard input, prints one line of JSON a shape. A process of
its own, because measuring needs torch, and because several at once are how packing is measured.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from typing import Any

import numpy as np
import torch

from ..config.spec import CorpusSpec, ModelSpec, RunSpec, TokenizerSpec, TrainSpec
from ..language.packing import NUM_SPECIAL
from ..model.heads import MaskedLanguageModel
from ..model.init import initialise
from .arithmetic import AUTOCAST, set_up
from .masking import Masked, mask_for_training, next_tokens
from .runtime import Runtime, choose_execution, device_name, pick_device
from .update import Updater

WARM_UP = 3


def main() -> int:
    job = json.load(sys.stdin)
    torch.set_num_threads(job["threads"])
    device = pick_device(job["device"])
    set_up(job["precision"], device)
    ceiling = matmul_flops_per_second(job["precision"], device)
    for shape in job["shapes"]:
        print(json.dumps(measure(shape, job, device) | {"matmul_flops_per_second": ceiling}), flush=True)
    return 0


def measure(shape: dict[str, Any], job: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Median seconds of an update: `seconds` of wall time, `cpu_seconds` of this process, and how many were timed.

    They are timed for job["seconds"] after a warm-up, which takes `start_seconds` (compiling, recording graphs).
    """
    model_spec = ModelSpec(**shape["model"])
    train = TrainSpec(**shape["train"], precision=job["precision"])
    spec = RunSpec(
        model=model_spec, train=train, corpus=CorpusSpec(sources=("embedded:kjv",)), tokenizer=TokenizerSpec(), seed=0,
        corpus_fingerprint="", tokenizer_fingerprint="",
    )  # fmt: skip
    model = MaskedLanguageModel(model_spec)
    initialise(model, "bert", 0)
    runtime = Runtime(
        device=device,
        threads=job["threads"],
        micro_batch=shape["micro_batch"],
        execution=job["execution"] or choose_execution(job["precision"], device),
    )
    updater = Updater(spec, model.to(device).train(), runtime, padded=False)
    ids = np.random.default_rng(0).integers(
        NUM_SPECIAL, model_spec.vocab_size, (train.batch_size, train.sequence_length), dtype=np.int64
    )
    start = time.perf_counter()
    start_seconds, until = 0.0, math.inf
    wall: list[float] = []
    cpu: list[float] = []
    update = 0
    while update < WARM_UP + 3 or time.time() < until:
        update += 1
        began = time.perf_counter(), time.process_time()
        updater.run(update, _batch(ids, update, model_spec, train), 1e-4, lambda: False)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if update == WARM_UP:
            start_seconds, until = time.perf_counter() - start, time.time() + job["seconds"]
        if update > WARM_UP:
            wall.append(time.perf_counter() - began[0])
            cpu.append(time.process_time() - began[1])
    return {
        "start_seconds": start_seconds,
        "seconds": statistics.median(wall),
        "cpu_seconds": statistics.median(cpu),
        "updates": len(wall),
        "execution": runtime.execution,
        "device_name": device_name(device),
    }


def _batch(ids: np.ndarray, update: int, model: ModelSpec, train: TrainSpec) -> Masked:
    if train.objective == "clm":
        return next_tokens(ids)
    return mask_for_training(
        ids, seed=0, update=update, share=train.mask_share, masking=train.masking, vocab_size=model.vocab_size,
        padding_in_loss=False,
    )  # fmt: skip


def matmul_flops_per_second(precision: str, device: torch.device) -> float:
    """The ceiling: one large square product in this precision, best of several, by one process alone on its threads."""
    size = 1024 if device.type == "cpu" else 8192
    kind = AUTOCAST.get(precision, torch.float32)
    a = torch.randn(size, size, device=device, dtype=kind)
    best = float("inf")
    for _ in range(6):
        began = time.process_time() if device.type == "cpu" else time.perf_counter()
        torch.mm(a, a)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        now = time.process_time() if device.type == "cpu" else time.perf_counter()
        best = min(best, now - began)
    return 2 * size**3 / best


if __name__ == "__main__":
    sys.exit(main())
