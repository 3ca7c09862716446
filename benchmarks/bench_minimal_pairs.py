"""Minimal pairs a second on one thread, against the matrix products that the pass cannot do without.

`OMP_NUM_THREADS=1 python benchmarks/bench_minimal_pairs.py --pairs N`: BLiMP-like pairs of random tokens through a (128, 2) model
with 8,000 tokens. The floor is the same products alone, interleaved with the passes; CPU time, median of the rounds.
Floor: every block's four products at every position of every copy, but in the last block only keys and values there, and the
rest, the head and the decoder at the one scored position.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from shrunk_core.config.spec import ModelSpec
from shrunk_core.downstream.minimal_pairs import BATCH_TOKENS, PairScorer, Tokens
from shrunk_core.language.packing import BOS, EOS
from shrunk_core.model.heads import MaskedLanguageModel
from shrunk_core.model.init import initialise
from shrunk_core.train.arithmetic import AUTOCAST, set_up

SPEC = ModelSpec(vocab_size=8000, max_positions=130)
MEAN_TOKENS, SPREAD = 12.3, 4.9
"""Tokens between `<s>` and `</s>` of a BLiMP sentence under an 8k tokenizer of children's books: measured mean and spread."""


def random_sentences(n: int) -> Tokens:
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.normal(MEAN_TOKENS, SPREAD, n).round().astype(int), 3, 37)
    ids = [np.array([BOS, *rng.integers(5, SPEC.vocab_size, length), EOS]) for length in lengths]
    return Tokens(ids, [np.array([-1, *range(len(i) - 2), -2]) for i in ids])


def floor_pass(tokens: Tokens, kind: torch.dtype) -> Callable[[], None]:
    """The products of a pass alone, on operands that are there already."""
    e, h, i, v = SPEC.embedding_size, SPEC.hidden_size, SPEC.intermediate_size, SPEC.vocab_size

    def weight(wide: int, tall: int) -> torch.Tensor:
        return torch.randn(tall, wide).to(kind)

    first = [weight(e, h)] + [weight(h, 3 * h), weight(h, h), weight(h, i), weight(i, h)] * (SPEC.num_layers - 1)
    first.append(weight(h, 2 * h))
    last = [weight(h, h), weight(h, h), weight(h, i), weight(i, h), weight(h, e), weight(e, v)]
    inputs = {w: torch.randn(BATCH_TOKENS, w).to(kind) for w in {e, h, i}}
    batches = []
    sizes, counts = np.unique([len(ids) for ids in tokens.ids], return_counts=True)
    for length, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        step = max(1, BATCH_TOKENS // ((length - 2) * length))
        batches += [(min(step, count - at) * (length - 2), length) for at in range(0, count, step)]

    def run() -> None:
        for copies, length in batches:
            for matrix in first:
                F.linear(inputs[matrix.shape[1]][: copies * length], matrix)
            for matrix in last:
                F.linear(inputs[matrix.shape[1]][:copies], matrix)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = MaskedLanguageModel(SPEC)
    initialise(model, "scaled", 0)
    tokens = random_sentences(2 * options.pairs)
    for precision in ("fp32", "bf16"):
        set_up(precision, torch.device("cpu"))
        scorer = PairScorer(model, causal=False, method="original", precision=precision, device=torch.device("cpu"))
        floor = floor_pass(tokens, AUTOCAST.get(precision, torch.float32))
        ours, least = [], []
        with torch.inference_mode():
            for _ in range(options.rounds + 1):
                at = time.process_time()
                scorer.scores(tokens)
                ours.append(time.process_time() - at)
                at = time.process_time()
                floor()
                least.append(time.process_time() - at)
        ours, least = ours[1:], least[1:]  # the first round warms up
        shares = [b / a for a, b in zip(ours, least, strict=True)]
        rates = sorted(options.pairs / s for s in ours)
        print(
            f"{precision}: {statistics.median(rates):.0f} pairs/s of CPU time ({rates[0]:.0f} to {rates[-1]:.0f}), "
            f"{statistics.median(shares):.0%} of the floor ({min(shares):.0%} to {max(shares):.0%}), {options.rounds} rounds"
        )


if __name__ == "__main__":
    main()
