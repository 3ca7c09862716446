"""Does it pay to tie workers to cores? As many runs of one thread as there are cores, the same processes now free, now tied.

    python benchmarks/bench_pinning.py [--sizes 16,128] [--windows 6] [--seconds 4]

A window is so many seconds of all workers, free or tied one to a core; free and tied windows take turns (free, tied, tied,
free ...). Told is the ratio of updates a second, tied over free, pair by pair: median and range. Then the same beside
another program that keeps one core busy, as on a box that is shared. Nothing else should run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
from bench_supervisor import leave, wait_for  # noqa: E402
from shrunk_core.config.lab import init_lab  # noqa: E402
from shrunk_core.engine.hardware import cores  # noqa: E402
from shrunk_core.engine.watch import Watch  # noqa: E402
from shrunk_core.record.eventlog import read_new  # noqa: E402
from shrunk_core.record.rundir import run_dir  # noqa: E402

from tests.tiny import command, write_grid  # noqa: E402

SETTLE_SECONDS = 0.5
"""After a change: what the scheduler does at first is left out."""


def tie(pids: list[int], tied: bool) -> None:
    """Give every worker, with all its threads, a core of its own, or all cores."""
    allowed = sorted(os.sched_getaffinity(0))
    for place, pid in enumerate(pids):
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {allowed[place % len(allowed)]} if tied else set(allowed))


def updates(lab: Path, run_ids: list[str], offsets: dict[str, int]) -> int:
    """Updates of these runs since the last call."""
    found = 0
    for run_id in run_ids:
        lines, offsets[run_id] = read_new(run_dir(lab, run_id).events_file, offsets.get(run_id, 0))
        found += sum(b'"kind":"step"' in line for line in lines)
    return found


def ratios(lab: Path, workers: dict[str, int], windows: int, seconds: float) -> list[float]:
    """Tied over free, of so many pairs of windows."""
    offsets: dict[str, int] = {}
    speeds: dict[bool, list[float]] = {False: [], True: []}
    for number in range(windows):
        for tied in (False, True) if number % 2 == 0 else (True, False):
            tie(list(workers.values()), tied)
            time.sleep(SETTLE_SECONDS)
            updates(lab, list(workers), offsets)
            began = time.perf_counter()
            time.sleep(seconds)
            speeds[tied].append(updates(lab, list(workers), offsets) / (time.perf_counter() - began))
    print(f"    free {statistics.median(speeds[False]):.1f} updates/s, tied {statistics.median(speeds[True]):.1f}")
    return [tied / free for free, tied in zip(speeds[False], speeds[True], strict=True)]


def tell(what: str, found: list[float]) -> None:
    print(
        f"  {what}: {statistics.median(found):.3f} ({min(found):.3f}-{max(found):.3f}), {len(found)} pairs", flush=True
    )


def measure(lab: Path, folder: Path, size: int, windows: int, seconds: float) -> None:
    number = cores()
    grid = write_grid(
        folder, name=f"h{size}", updates=1_000_000, evaluate_every=1_000_000, seeds=str(list(range(number)))
    )
    grid.write_text(grid.read_text().replace("hidden_size = 16", f"hidden_size = {size}"))
    subprocess.run(
        command("run", grid, "--lab", lab, "--detach", "--slots", str(number)), check=True, capture_output=True
    )
    watch = Watch(lab)
    wait_for(lambda: (watch.look(), sum(s.update > 20 for s in watch.standings.values()) == number)[1])
    workers = {run_id: s.log.worker.pid for run_id, s in watch.standings.items() if s.log.worker is not None}
    print(f"{number} runs of hidden size {size} on {number} cores, tied over free")
    tell("alone", ratios(lab, workers, windows, seconds))
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        tell("beside a program that keeps a core busy", ratios(lab, workers, windows, seconds))
    finally:
        neighbour.kill()
        neighbour.wait()
    leave(lab)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="16,128", help="hidden sizes")
    parser.add_argument("--windows", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=4.0)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    base = Path(tempfile.mkdtemp(prefix="bench-pinning-"))
    try:
        for size in map(int, asked.sizes.split(",")):
            lab = init_lab(base / f"lab{size}")
            try:
                measure(lab, base, size, asked.windows, asked.seconds)
            finally:
                leave(lab)
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
