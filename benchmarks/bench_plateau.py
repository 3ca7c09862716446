"""When does a tiny masked model leave the unigram plateau? One factor at a time around the demo's recipe.

    .venv/bin/python benchmarks/bench_plateau.py            # all variants, one thread each, one after the other
    .venv/bin/python benchmarks/bench_plateau.py base init  # some of them

Every variant trains the demo's (E 64, H 64, I 256, A 4, L 1) shape on the embedded corpus for the same number of tokens
(1.02 M) and reports the gain under the unigram baseline, with its standard error, along the way. CPU seconds, not wall.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from pathlib import Path

import torch
from shrunk_core.config.lab import init_lab
from shrunk_core.config.spec import CorpusSpec, ModelSpec, RunSpec, TokenizerSpec, TrainSpec
from shrunk_core.engine.worker import read_language
from shrunk_core.language.corpus import build_corpus, corpus_fingerprint
from shrunk_core.language.tokenizer import tokenizer_fingerprint
from shrunk_core.record.events import Evaluated
from shrunk_core.record.rundir import RunDir
from shrunk_core.train.pretrain import Trainer
from shrunk_core.train.runtime import Requests, Runtime

TOKENS = 1_024_000
MODEL = ModelSpec(embedding_size=64, hidden_size=64, intermediate_size=256, num_heads=4, num_layers=1)
TRAIN = TrainSpec(batch_size=32, sequence_length=16, learning_rate=3e-3, init="scaled", precision="fp32")
VARIANTS: dict[str, tuple[dict[str, object], dict[str, object], int]] = {
    # name: changes of the model, of the training, entries of the tokenizer
    "base: S 16, B 32, lr 3e-3, scaled init": ({}, {}, 2000),
    "init = bert (normal .02)": ({}, {"init": "bert"}, 2000),
    "S 32, B 16": ({}, {"sequence_length": 32, "batch_size": 16}, 2000),
    "S 64, B 8": ({}, {"sequence_length": 64, "batch_size": 8}, 2000),
    "B 64": ({}, {"batch_size": 64}, 2000),
    "B 16": ({}, {"batch_size": 16}, 2000),
    "lr 1e-3": ({}, {"learning_rate": 1e-3}, 2000),
    "lr 1e-2": ({}, {"learning_rate": 1e-2}, 2000),
    "mask share .30": ({}, {"mask_share": 0.30}, 2000),
    "masking 100/0/0": ({}, {"masking": "100/0/0"}, 2000),
    "L 2": ({"num_layers": 2}, {}, 2000),
    "norm = post": ({"norm": "post"}, {}, 2000),
    "V 1000": ({}, {}, 1000),
}


def measure(lab: Path, name: str) -> str:
    """One row of the table."""
    model_changes, train_changes, vocab_size = VARIANTS[name]
    train = dataclasses.replace(TRAIN, **train_changes)  # type: ignore[arg-type]
    updates = TOKENS // (train.batch_size * train.sequence_length)
    train = dataclasses.replace(train, updates=updates, evaluate_every=updates // 4)
    corpus, tokenizer = CorpusSpec(sources=("embedded:kjv",)), TokenizerSpec(vocab_size=vocab_size)
    for _ in build_corpus(lab, corpus, tokenizer):
        pass
    fingerprint = corpus_fingerprint(corpus)
    model = dataclasses.replace(
        MODEL,
        vocab_size=vocab_size,
        max_positions=train.sequence_length + 2,
        **model_changes,  # type: ignore[arg-type]
    )
    spec = RunSpec(
        model=model,
        corpus=corpus,
        tokenizer=tokenizer,
        train=train,
        seed=0,
        corpus_fingerprint=fingerprint,
        tokenizer_fingerprint=tokenizer_fingerprint(fingerprint, tokenizer),
    )
    run = RunDir(lab / "runs" / spec.run_id)
    runtime = Runtime(device=torch.device("cpu"), threads=1, micro_batch=train.batch_size)
    began, gains = time.process_time(), []
    for event in Trainer(spec, read_language(spec, lab), run, runtime, Requests(run.control), 1).events():
        if isinstance(event, Evaluated) and event.split == "validation":
            gains.append((event.unigram_loss - event.loss, event.unigram_stderr))
    cells = " | ".join(f"{gain:+.3f}" for gain, _ in gains[:4])
    return f"| {name} | {updates} | {cells} | {gains[-1][1]:.3f} | {time.process_time() - began:.0f} s |"


def main(wanted: list[str]) -> None:
    torch.set_num_threads(1)
    print("| variant | updates | 1/4 | 1/2 | 3/4 | end | error at the end | CPU |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        lab = init_lab(Path(folder))
        for name in VARIANTS:
            if not wanted or any(word in name for word in wanted):
                print(measure(lab, name), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
