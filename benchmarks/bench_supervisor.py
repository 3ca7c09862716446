"""What supervising costs: status and memory of a big lab, idle time of slots, start of a worker, lag of events, sampling.

    python benchmarks/bench_supervisor.py [--only status | commands | slots | sampling] [--runs 60] [--seconds 5] [--slots 2]

Everything is measured on real processes and read from their logs. `status` stands beside the same command on an empty
lab and beside `shrunk --help`, interleaved; CPU time is given with wall time, because it says the same on a busy machine.
Nothing else should run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "unit")]
import psutil  # noqa: E402
from shrunk_core.config.lab import init_lab  # noqa: E402
from shrunk_core.engine import client  # noqa: E402
from shrunk_core.engine.client import start_supervisor  # noqa: E402
from shrunk_core.engine.desk import Desk  # noqa: E402
from shrunk_core.engine.monitor import HostSampler, Load, Monitor, NvmlSampler  # noqa: E402
from shrunk_core.engine.watch import Watch  # noqa: E402
from shrunk_core.record.eventlog import read_events  # noqa: E402
from shrunk_core.record.events import (  # noqa: E402
    Finished,
    GridSubmitted,
    RunLaunched,
    RunQueued,
    RunReaped,
    Started,
    Step,
    encode,
)
from shrunk_core.record.journal import open_journal, read_journal  # noqa: E402
from shrunk_core.record.lab_events import Alert  # noqa: E402
from shrunk_core.record.rundir import run_dirs  # noqa: E402
from store_lab import born, evaluated, finished, started, step  # noqa: E402

from tests.tiny import command, write_grid  # noqa: E402

QUEUED = 200


def fill_lab(lab: Path, runs: int, steps: int) -> None:
    """`runs` finished runs as they leave themselves behind, in their logs and in the journals."""
    began = time.time() - 86_400
    events = [started(at=began)] + [step(u, 6 - u / (2 * steps), at=began + u / 100) for u in range(1, steps + 1)]
    events += [evaluated(u, 5.5, at=began + u / 100) for u in range(steps // 10, steps + 1, steps // 10)]
    text = "\n".join(encode(e) for e in [*events, finished(steps, at=began + steps / 100)]) + "\n"
    journal, made = open_journal(lab), []
    for seed in range(runs):
        run = born(lab, seed=seed, name=f"run {seed}", grid="old")
        run.events_file.write_text(text)
        made.append(run.run_id)
    names = tuple(f"run {seed}" for seed in range(runs))
    journal.append(GridSubmitted(grid="old", run_ids=tuple(made), names=names, toml="", logged_at=began - 9))
    for run_id in made:
        journal.append(
            RunQueued(run_id=run_id, grid="old", reason="submitted", logged_at=began - 9),
            RunLaunched(run_id=run_id, pid=7, slot="slot:0", device="cpu", logged_at=began - 1),
            RunReaped(run_id=run_id, pid=7, returncode=0, logged_at=began + steps),
            Alert(alert="run-finished", severity="info", run_id=run_id, message="finished", logged_at=began + steps),
        )
    journal.close()


@dataclass(frozen=True)
class Took:
    """Seconds of a command."""

    wall: float
    cpu: float


def timed(*arguments: str | Path) -> Took:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command(*arguments), capture_output=True, check=True, stdin=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def spread(values: list[float], unit: str = "s", digits: int = 3) -> str:
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 10], ordered[-1 - len(ordered) // 10]
    return f"{statistics.median(values):.{digits}f} {unit} ({low:.{digits}f}-{high:.{digits}f})"


def bench_status(lab: Path, empty: Path, rounds: int) -> None:
    kept = lab / ".shrunk" / "standings.json"
    kept.unlink(missing_ok=True)
    cold = timed("status", "--lab", lab)
    print(f"status, nothing kept: {cold.wall:.2f} s wall, {cold.cpu:.2f} s CPU")
    cases: dict[str, tuple[str | Path, ...]] = {
        "status, this lab": ("status", "--lab", lab),
        "status, empty lab": ("status", "--lab", empty),
        "--help": ("--help",),
    }
    found: dict[str, list[Took]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, arguments in cases.items():
            found[name].append(timed(*arguments))
    for name, times in found.items():
        print(f"{name}: wall {spread([t.wall for t in times])}, CPU {spread([t.cpu for t in times])}")
    print(f"kept: {kept.stat().st_size / 1e6:.2f} MB")


def supervisor_of(lab: Path) -> psutil.Process:
    return psutil.Process(json.loads(Desk(lab).owner.read_text())["pid"])


def wait_for(condition: Callable[[], object], seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise SystemExit("waited in vain")
        time.sleep(0.05)


def bench_idle(lab: Path, folder: Path, seconds: float) -> None:
    """First with finished runs only, then with one long run in the only slot and the others of its grid behind it: the
    supervisor has nothing to decide."""
    (lab / "shrunk.toml").write_text(f"idle_seconds = {seconds + 60}\n")
    start_supervisor(Desk(lab))
    wait_for(lambda: Desk(lab).serving() and Desk(lab).owner.exists())
    share, _ = share_of(lab, seconds)
    print(f"supervisor of {len(run_dirs(lab))} finished runs: {share:.2%} of a core over {seconds:.0f} s")
    seeds = str(list(range(QUEUED + 1)))
    grid = write_grid(folder, name="waiting", updates=1_000_000, evaluate_every=1_000_000, seeds=seeds)
    subprocess.run(command("run", grid, "--lab", lab, "--detach", "--slots", "1"), check=True, capture_output=True)
    watch = Watch(lab, {r.run_id for r in run_dirs(lab)})
    wait_for(lambda: (watch.look(), any(s.log.state == "running" for s in watch.standings.values()))[1])
    share, supervisor = share_of(lab, seconds)
    (spare,) = [p for p in supervisor.children() if "spare" in " ".join(p.cmdline())]
    runs = len(run_dirs(lab))
    print(f"supervisor of {runs} runs, {QUEUED} of them queued, 1 training: {share:.2%} of a core over {seconds:.0f} s")
    print(f"  memory: {supervisor.memory_info().rss / 1e6:.0f} MB; spare worker {spare.memory_info().rss / 1e6:.0f} MB")
    leave(lab)


def share_of(lab: Path, seconds: float) -> tuple[float, psutil.Process]:
    """The share of a core that the lab's supervisor takes, and its process."""
    supervisor = supervisor_of(lab)
    time.sleep(10)  # what it does at first belongs to its start
    used, began = sum(supervisor.cpu_times()[:2]), time.monotonic()
    time.sleep(seconds)
    return (sum(supervisor.cpu_times()[:2]) - used) / (time.monotonic() - began), supervisor


def leave(lab: Path) -> None:
    """End the lab's supervisor."""
    if Desk(lab).serving():
        supervisor = supervisor_of(lab)
        supervisor.terminate()
        supervisor.wait(30)


def updates_for(lab: Path, folder: Path, seconds: float) -> int:
    """Updates that a tiny run does in so many seconds here."""
    grid = write_grid(folder, name="pace", updates=600, evaluate_every=300)
    subprocess.run(command("run", grid, "--lab", lab), check=True, capture_output=True)
    (run,) = run_dirs(lab)
    steps = [e for e in read_events(run.events_file) if isinstance(e, Step)]
    leave(lab)
    return round(seconds * (len(steps) - 100) / (steps[-1].logged_at - steps[99].logged_at))


def bench_slots(lab: Path, folder: Path, runs: int, slots: int, seconds: float) -> None:
    """Many short runs one after the other: what a slot loses between two, and how soon a worker works."""
    updates = updates_for(init_lab(lab.with_name("pace")), folder, seconds)
    grid = write_grid(folder, name="short", updates=updates, evaluate_every=updates // 2, seeds=str(list(range(runs))))
    subprocess.run(
        command("run", grid, "--lab", lab, "--detach", "--slots", str(slots)), check=True, capture_output=True
    )
    report_slots(lab, slots, follow(lab))
    leave(lab)


def report_slots(lab: Path, slots: int, lags: list[float]) -> None:
    """What the logs of a lab say of its slots. lags: of events, as `follow` gives them."""
    launched = [e for e in read_journal(lab) if isinstance(e, RunLaunched)]
    reaped = {e.run_id: e.logged_at for e in read_journal(lab) if isinstance(e, RunReaped)}
    logs = {run.run_id: list(read_events(run.events_file)) for run in run_dirs(lab)}
    runs = len(logs)
    if len(launched) != runs or any(not isinstance(log[-1], Finished) for log in logs.values()):
        raise SystemExit("a run was started twice or has not finished")
    ended = {run_id: log[-1].logged_at for run_id, log in logs.items()}
    idle, gaps = 0.0, []
    last: dict[str, str] = {}
    for event in sorted(launched, key=lambda e: e.logged_at):
        if event.slot in last:
            gaps.append(event.logged_at - ended[last[event.slot]])
            idle += gaps[-1]
        last[event.slot] = event.run_id
    wall = max(ended.values()) - min(e.logged_at for e in launched)
    lengths = [ended[e.run_id] - e.logged_at for e in launched]
    print(f"{runs} runs of {spread(lengths, digits=2)} on {slots} slots, {wall:.0f} s in all")
    print(f"  slots idle from a last event to the next launch: {idle / (slots * wall):.2%}; {spread(gaps)} each time")
    print(
        f"  last event to reaped: {spread([at - ended[r] for r, at in reaped.items()])}"
    )  # the last one may be missing
    first = {r: next(e.logged_at for e in log if isinstance(e, Started)) for r, log in logs.items()}
    trained = {r: next(e.logged_at for e in log if isinstance(e, Step)) for r, log in logs.items()}
    later = sorted(launched, key=lambda e: e.logged_at)[slots:]
    print(f"  launch to first event: {spread([first[e.run_id] - e.logged_at for e in later])}")
    print(
        f"  launch to first update, after the first {slots}: {spread([trained[e.run_id] - e.logged_at for e in later])}"
    )
    if lags:
        print(f"  an event is seen by a reader who looks every 50 ms after {spread(lags)}")


def bench_commands(lab: Path, folder: Path, rounds: int) -> None:
    """How soon the supervisor says yes, and how soon a worker that is asked to pause has left with its checkpoint."""
    grid = write_grid(folder, name="steered", updates=1_000_000, evaluate_every=1_000_000, seeds="[0, 1, 2, 3]")
    subprocess.run(command("run", grid, "--lab", lab, "--detach", "--slots", "1"), check=True, capture_output=True)
    watch = Watch(lab)

    def running() -> list[str]:
        watch.look()
        return [r for r in watch.born if watch.standing(r).log.state == "running" and watch.standing(r).update > 5]

    took: dict[str, list[float]] = {}
    left: list[float] = []

    def timed_act(name: str, run_id: str) -> float:
        began = time.perf_counter()
        getattr(client, name)(lab, [run_id], *([1] if name == "prioritise" else []))
        took.setdefault(name, []).append(time.perf_counter() - began)
        return began

    for _ in range(rounds):
        for leaving, coming in (("pause", "resume"), ("stop", "retry"), ("cancel", "retry")):
            wait_for(running)
            run_id = running()[0]
            timed_act("prioritise", run_id)
            began = timed_act(leaving, run_id)
            wait_for(lambda run_id=run_id: (watch.look(), watch.standing(run_id).log.state != "running")[1])
            left.append(time.perf_counter() - began)
            timed_act(coming, run_id)
    for name, times in took.items():
        print(f"{name}: acknowledged after {spread(times)}")
    print(f"asked until the worker has left: {spread(left)}")
    leave(lab)


def follow(lab: Path) -> list[float]:
    """Look at a lab until nothing is queued or running; how old the newest event of each look was."""
    watch, lags = Watch(lab), []
    watch.look()
    while any(watch.status(r).status in ("queued", "running") for r in watch.born):
        time.sleep(0.05)
        found = [event.logged_at for run_id, event in watch.look() if run_id and isinstance(event, Step | Finished)]
        if found:
            lags.append(time.time() - max(found))
    return lags


def bench_sampling(lab: Path, rounds: int = 200) -> None:
    """The monitor's own work, for as many runs as a busy box has, every 2 s."""
    monitor = Monitor([HostSampler(lab), NvmlSampler()])
    loads = [Load(run_id=str(i), device="cpu", pid=os.getpid()) for i in range(8)]
    monitor.sample(loads)
    began = time.process_time()
    for _ in range(rounds):
        monitor.sample(loads)
    each = (time.process_time() - began) / rounds
    print(f"sampling host and 8 runs: {each * 1e3:.2f} ms CPU = {each / 2:.3%} of a core at one sample every 2 s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a short run")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--finished", type=int, default=1_000)
    parser.add_argument("--steps", type=int, default=1_000, help="updates of a finished run")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--idle", type=float, default=30.0, help="seconds that the idle supervisor is watched")
    parser.add_argument("--only", choices=("status", "commands", "slots", "sampling"))
    asked = parser.parse_args()
    print(json.dumps(vars(asked)))
    os.environ["OMP_NUM_THREADS"] = "1"
    base = Path(tempfile.mkdtemp(prefix="bench-supervisor-"))
    labs = {name: init_lab(base / name) for name in ("big", "empty", "steered", "short")}
    try:
        if asked.only in (None, "sampling"):
            bench_sampling(labs["empty"])
        if asked.only in (None, "status"):
            fill_lab(labs["big"], asked.finished, asked.steps)
            bench_idle(labs["big"], base, asked.idle)
            bench_status(labs["big"], labs["empty"], asked.rounds)
        if asked.only in (None, "commands"):
            bench_commands(labs["steered"], base, 5)
        if asked.only in (None, "slots"):
            bench_slots(labs["short"], base, asked.runs, asked.slots, asked.seconds)
    finally:
        for lab in labs.values():
            leave(lab)
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
