"""How long the fits take: Chinchilla with 500 starts and 4,000 resamples, the paper's break, the smooth broken law.

    python benchmarks/bench_fits.py [--repeat 3]

Reads the points from `$SHRUNK_SHARED_DATA` or `../shared/data`; without them the same sizes are simulated, and the table
says so. Prints a Markdown table of the median wall and CPU seconds.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from shrunk_core.analysis.bnsl import fit_bnsl
from shrunk_core.analysis.broken import fit_broken
from shrunk_core.analysis.fit import fit
from shrunk_core.analysis.frontier import frontier, resampled


def read(name: str) -> dict[str, np.ndarray] | None:
    root = Path(os.environ.get("SHRUNK_SHARED_DATA", Path(__file__).parents[2] / "shared/data"))
    path = root / "scaling" / name
    if not path.exists():
        return None
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {column: np.array([row[column] for row in rows]) for column in rows[0]}


def chinchilla_points() -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    table = read("chinchilla_points.csv")
    if table is not None:
        loss, n, flops = (table[name].astype(float) for name in ("loss", "Model Size", "Training FLOP"))
        return n, flops, loss, ""
    rng = np.random.default_rng(0)
    n, d = np.exp(rng.uniform(np.log(5e7), np.log(1e10), 245)), np.exp(rng.uniform(np.log(1e9), np.log(3e11), 245))
    loss = (1.8 + 480 / n**0.35 + 2100 / d**0.37) * np.exp(rng.normal(0, 0.01, 245))
    return n, 6 * n * d, loss, " (simulated points)"


def timed(action: Callable[[], object], repeat: int) -> tuple[float, float]:
    walls, cpus = [], []
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), time.process_time()
        action()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls), statistics.median(cpus)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    n, flops, loss, note = chinchilla_points()
    shared = {"y": loss, "n": n, "flops": flops, "drop_highest_loss": 5, "starts": 500}
    tasks: dict[str, Callable[[], object]] = {
        f"chinchilla, 240 points, 500 starts{note}": lambda: fit("chinchilla", bootstrap=0, **shared),
        f"chinchilla, 240 points, 500 starts, 4,000 resamples{note}": lambda: fit(
            "chinchilla", bootstrap=4000, **shared
        ),
    }
    curves = read("paper_eval_curves.csv")
    if curves is not None:
        c, y = curves["FLOPS Hoffman total"].astype(float), curves["eval/loss"].astype(float)
        rows = [point.row for point in frontier(c, y, curves["run_name"])]

        def paper() -> None:
            drawn, units = resampled(c, y, curves["run_name"], count=1000)
            fit_broken(c[rows], y[rows], curves["run_name"][rows], replicates=drawn, replicated_runs=units)

        tasks["the paper's break, 1,000 resampled frontiers, 999 for the test"] = paper
    points = read("bnsl_four_digit_addition.csv")
    if points is not None:
        x, y14 = points["dataset_size"].astype(float)[:14], points["test_cross_entropy"].astype(float)[:14]
        tasks["bnsl, 14 points, 400 starts, 200 resamples"] = lambda: fit_bnsl(x, y14)
    print("| fit | wall s | CPU s |\n|---|---|---|")
    for name, action in tasks.items():
        wall, cpu = timed(action, repeat)
        print(f"| {name} | {wall:.2f} | {cpu:.2f} |", flush=True)


if __name__ == "__main__":
    main()
