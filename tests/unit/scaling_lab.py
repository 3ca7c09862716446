"""A lab with a grid of finished runs whose losses follow a law, for tests of what is made of runs."""

from __future__ import annotations

import dataclasses
import math
import random
from pathlib import Path

from shrunk_core.config.lab import init_lab
from shrunk_core.cost import costs
from shrunk_core.record.rundir import write_spec
from store_lab import evaluated, finished, spec, started, step, write


def scaling_lab(
    folder: Path, hidden: tuple[int, ...] = (16, 32, 64, 128), layers: tuple[int, ...] = (1, 2), seeds: int = 2
) -> Path:
    """hidden_size x num_layers x seeds, curves of four evaluations: L = 0.9 + 60 C^-0.12, noise 0.3 %."""
    lab = init_lab(folder)
    rng = random.Random(1)
    for h in hidden:
        for count in layers:
            for seed in range(seeds):
                add_run(lab, rng, h, count, seed)
    return lab


def add_run(lab: Path, rng: random.Random, hidden: int, layers: int, seed: int, last: int = 100) -> str:
    """One run with evaluations at every quarter up to `last`; finished when that is the end. Returns its id."""
    one = spec(
        seed, hidden_size=hidden, embedding_size=32, num_heads=2, intermediate_size=4 * hidden, num_layers=layers
    )
    cost = costs(one.model, one.train)
    directory = write_spec(lab, one, name=f"H{hidden} L{layers} s{seed}", grid="grid", costs=cost)
    events = []
    for update in range(25, last + 1, 25):
        flops = cost["flops_paper"] * one.train.batch_size * update
        loss = (0.9 + 60 * flops**-0.12) * math.exp(rng.gauss(0, 0.003))
        events.append(step(update))
        events.append(dataclasses.replace(evaluated(update, loss), flops=flops, evaluation_id=one.evaluation_id))
    write(directory.events_file, started(), *events, *([finished()] if last == 100 else []))
    return one.run_id
