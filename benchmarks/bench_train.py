"""Training speed against the Hugging Face Trainer: the same model, data and masks, one process tree, interleaved repeats.

    python benchmarks/bench_train.py [--json] [--shapes 64x2,128x2,256x4] [--repeats 5] [--device cpu|cuda]
    python benchmarks/bench_train.py --check curves|memory|pair

Where `accelerate` is not installed, and with it the Trainer, its own steps are made by hand with the same model (forward with
labels, backward, clipping, fused AdamW, schedule): a little less work than the Trainer does. `against` says which it was.

Batch 32 x 128, vocabulary 19,000, dropout .1, tied output weights, post-norm: `RobertaForMaskedLM`. Ratios are of process
CPU time on a CPU (wall time beside them), of wall time on a GPU. The floor is every matrix product of an update alone, same
shapes, same thread: by the kernels that our update uses (`floor_share_fp32`) and by the ones that torch takes when nobody
says anything (`floor_share_fp32_torch`; above 1 where those leave part of the processor idle).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
sys.path.insert(0, str(Path(__file__).parent.parent / "core"))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from shrunk_core.config.spec import CorpusSpec, ModelSpec, RunSpec, TokenizerSpec, TrainSpec  # noqa: E402
from shrunk_core.language.packing import NUM_SPECIAL  # noqa: E402
from shrunk_core.model.export import from_hugging_face  # noqa: E402
from shrunk_core.model.heads import MaskedLanguageModel  # noqa: E402
from shrunk_core.train.arithmetic import keep_freed_memory, onednn_products, set_up  # noqa: E402
from shrunk_core.train.masking import Masked, mask_for_training  # noqa: E402
from shrunk_core.train.runtime import Runtime, choose_execution, device_name  # noqa: E402
from shrunk_core.train.update import Updater  # noqa: E402

BATCH, LENGTH, VOCABULARY = 32, 128, 19_000
WITH_TRAINER = importlib.util.find_spec("accelerate") is not None
TOKENS = BATCH * LENGTH


def model_spec(hidden: int, layers: int, dropout: float = 0.1) -> ModelSpec:
    return ModelSpec(
        embedding_size=hidden, hidden_size=hidden, intermediate_size=4 * hidden, num_heads=max(2, hidden // 32),
        num_layers=layers, tie="full", norm="post", dropout=dropout, attention_dropout=dropout, vocab_size=VOCABULARY,
        max_positions=LENGTH + 2,
    )  # fmt: skip


def run_spec(model: ModelSpec, precision: str) -> RunSpec:
    train = TrainSpec(batch_size=BATCH, sequence_length=LENGTH, precision=precision, weight_decay=0.0)
    return RunSpec(
        model=model, train=train, corpus=CorpusSpec(sources=("embedded:kjv",)), tokenizer=TokenizerSpec(), seed=0,
        corpus_fingerprint="0" * 12, tokenizer_fingerprint="0" * 12,
    )  # fmt: skip


def batches(count: int) -> list[Masked]:
    """Zipf-like tokens, masked as in training."""
    rng = np.random.default_rng(0)
    ranks = rng.random((count, BATCH, LENGTH))
    ids = (NUM_SPECIAL + (VOCABULARY - NUM_SPECIAL) ** ranks - 1).astype(np.int64)
    ids[:, :, 0] = 0
    settings = {"seed": 0, "share": 0.15, "masking": "80/10/10", "vocab_size": VOCABULARY, "padding_in_loss": False}
    return [mask_for_training(ids[i], update=i + 1, **settings) for i in range(count)]  # type: ignore[arg-type]


def trainer(spec: ModelSpec, data: list[Masked], device: str, rate: float, precision: str = "fp32") -> Any:
    """The Hugging Face Trainer on the same batches, and a list that it fills with (CPU, wall) seconds of each update."""
    from transformers import RobertaConfig, RobertaForMaskedLM, Trainer, TrainerCallback, TrainingArguments

    config = RobertaConfig(
        vocab_size=VOCABULARY, hidden_size=spec.hidden_size, num_hidden_layers=spec.num_layers,
        num_attention_heads=spec.num_heads, intermediate_size=spec.intermediate_size, type_vocab_size=2,
        max_position_embeddings=LENGTH + 2, layer_norm_eps=1e-5, hidden_dropout_prob=spec.dropout,
        attention_probs_dropout_prob=spec.attention_dropout,
    )  # fmt: skip
    torch.manual_seed(0)
    rows = [
        {
            "input_ids": torch.from_numpy(b.inputs[i]),
            "labels": torch.from_numpy(np.where(b.scored[i], b.targets[i], -100)),
            "attention_mask": torch.ones(LENGTH, dtype=torch.long),
        }
        for b in data
        for i in range(BATCH)
    ]
    times: list[tuple[float, float]] = []
    losses: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.began = time.process_time(), time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if device == "cuda":
                torch.cuda.synchronize()
            times.append((time.process_time() - self.began[0], time.perf_counter() - self.began[1]))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                losses.append(float(logs["loss"]))

    class InOrder(Trainer):
        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return torch.utils.data.SequentialSampler(rows)

    def made(steps: int, logging: int = 10**9) -> Any:
        arguments = TrainingArguments(
            output_dir="/tmp/bench_train", per_device_train_batch_size=BATCH, max_steps=steps, report_to=[],
            save_strategy="no", logging_steps=logging, logging_first_step=False, learning_rate=rate, use_cpu=device == "cpu",
            disable_tqdm=True, adam_beta2=0.98, weight_decay=0.0, lr_scheduler_type="constant", max_grad_norm=1.0,
            bf16=precision == "bf16",
        )  # fmt: skip
        return InOrder(model=network, args=arguments, train_dataset=rows, callbacks=[Clock()])

    network = RobertaForMaskedLM(config)
    return (
        network,
        made if WITH_TRAINER else ByHand(network, rows, times, losses, device, rate, precision),
        times,
        losses,
    )


class ByHand:
    """What the Trainer does in a step, without it: called and trained like it."""
