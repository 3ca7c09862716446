"""What the index costs: rows ingested a second, a refresh of a lab where nothing moved, publishing by size, questions.

    python benchmarks/bench_store.py [--steps N] [--runs N]

Ingest is compared side by side with its own bounds, measured in the same process: reading and splitting the bytes
alone, and decoding every line to an event in Python. Medians of repetitions; wall time, with CPU time where it says so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit"))
import duckdb
from shrunk_core.record.eventlog import read_new  # noqa: E402
from shrunk_core.record.events import decode, encode  # noqa: E402
from shrunk_core.store import open_store, publish, queries  # noqa: E402
from store_lab import born, evaluated, finished, started, step  # noqa: E402


def make_lab(folder: Path, runs: int, steps: int) -> None:
    """`runs` finished runs of `steps` steps and ten evaluations each; the lines are shared, so that it is quick."""
    lines = [encode(step(u, 6 - u / (2 * steps))) for u in range(1, steps + 1)]
    for i in range(1, 11):
        lines.append(encode(evaluated(i * 10, 5.5 - i / 10)))
    text = "\n".join([encode(started()), *lines, encode(finished())]) + "\n"
    for seed in range(runs):
        born(folder, seed=seed).events_file.write_text(text)


def median(action: Callable[[], object], repeat: int, clock: Callable[[], float] = time.perf_counter) -> float:
    times = []
    for _ in range(repeat):
        began = clock()
        action()
        times.append(clock() - began)
    return statistics.median(times)


def bench_ingest(folder: Path, runs: int, steps: int) -> None:
    make_lab(folder, runs, steps)
    rows = runs * steps
    logs = sorted(folder.glob("runs/*/events.jsonl"))
    reading = median(lambda: [read_new(path) for path in logs], 3, time.process_time)
    few = read_new(logs[0])[0][:20_000]
    decoding = median(lambda: [decode(line) for line in few], 3, time.process_time) / len(few) * rows

    def rebuild() -> None:
        shutil.rmtree(folder / ".shrunk", ignore_errors=True)
        open_store(folder).refresh(force=True)

    ingest = median(rebuild, 3)
    cpu = median(rebuild, 3, time.process_time)
    size = (folder / ".shrunk" / "index.duckdb").stat().st_size
    print(f"ingest {rows:,} steps of {runs} runs to a published copy: {ingest:.2f} s = {rows / ingest:,.0f} rows/s")
    print(f"  CPU {cpu:.2f} s = {rows / cpu:,.0f} rows/s; decoding alone {decoding:.2f} s, ratio {decoding / cpu:.1f}")
    print(f"  reading alone {reading:.2f} s; index {size / 1e6:.0f} MB")


def bench_unchanged(folder: Path, runs: int) -> None:
    make_lab(folder, runs, 50)
    store = open_store(folder)
    began = time.perf_counter()
    store.refresh(force=True)
    print(f"first refresh of {runs} runs of 50 steps: {time.perf_counter() - began:.2f} s")
    wall, cpu = median(store.refresh, 15), median(store.refresh, 15, time.process_time)
    print(f"refresh of {runs} runs, nothing changed: {wall * 1e3:.0f} ms (CPU {cpu * 1e3:.0f} ms)")
    log = next(folder.glob("runs/*/events.jsonl"))

    def one_line() -> None:
        with open(log, "a") as file:
            file.write(encode(step(51)) + "\n")
        store.refresh(force=True)

    print(f"refresh of {runs} runs, one new line, published: {median(one_line, 9) * 1e3:.0f} ms")
    print(f"runs table of {runs} runs: {median(lambda: queries.runs_table(store), 5) * 1e3:.0f} ms")


def bench_questions(folder: Path) -> None:
    """What charts ask."""
    store = open_store(folder)
    ids = queries.runs_table(store).column("run_id")
    curves = median(lambda: queries.training_curves(store, ids[:10]), 3)
    points = median(lambda: queries.loss_points(store), 3)
    print(f"  10 curves to 240 points: {curves * 1e3:.0f} ms; points of {len(ids)} runs: {points * 1e3:.0f} ms")


def bench_publish(folder: Path, megabytes: int) -> None:
    """An index of this size copied, synced and swapped in; the size is made up by random numbers."""
    open_store(folder).refresh(force=True)
    index = folder / ".shrunk" / "index.duckdb"
    con = duckdb.connect(str(index))
    con.execute(f"create or replace table raw.filler as select random() as x from range({megabytes} * 130000)")
    con.close()
    number = iter(range(10**6, 2 * 10**6))
    seconds = median(lambda: publish.publish(folder, index, "bench", next(number)), 5)
    copy = publish.current(folder)
    known = publish.manifest(copy) if copy else None
    assert copy is not None and known is not None
    every = publish.interval(known)
    print(f"publish {known.size / 1e6:.0f} MB: {seconds * 1e3:.0f} ms, at most every {every:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000, help="steps a run in the ingest part (50 runs)")
    parser.add_argument("--runs", type=int, default=1_000, help="runs of the unchanged lab")
    asked = parser.parse_args()
    print(json.dumps(vars(asked)))
    base = Path(tempfile.mkdtemp())
    try:
        for steps in (asked.steps // 10, asked.steps):
            lab = base / f"ingest-{steps}"
            lab.mkdir()
            bench_ingest(lab, 50, steps)
            bench_questions(lab)
            shutil.rmtree(lab)
        lab = base / "unchanged"
        lab.mkdir()
        bench_unchanged(lab, asked.runs)
        for megabytes in (10, 100, 300):
            bench_publish(lab, megabytes)
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
