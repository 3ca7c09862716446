"""Whether torch.compile pays for a shape on this machine: tried once in a process of its own, remembered, never guessed.

Compiling takes a minute or so of one core and may gain nothing, lose, or fail. So a run that is long enough to earn it
back has both ways measured before its first update, in a process whose memory and whose failures are its own, and the
lab's `.shrunk/executions.json` keeps what came of it for every later run of the shape, short ones included.

On a CPU nothing is tried: attention, dropout and the loss are kernels of ours there, which the compiler cannot look into,
and what is left for it (GELU, LayerNorm, sums) came out 4 to 30 % slower than without (`benchmarks/results/training.md`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config.spec import RunSpec
from ..record.lock import FileLock
from ..record.rundir import write_atomically
from .estimate import speed_digest

COMPILED = "compiled"

LONG_SECONDS = 600.0
"""Runs expected to be shorter are not worth the trial: it takes about a minute."""

GAIN = 0.97
"""The compiled way is taken if, start-up included, the whole run takes at most this share of the usual one."""

TRIAL_SECONDS = 3.0
PATIENCE_SECONDS = 300.0
"""A trial that takes longer has failed."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One way of computing a shape: seconds of an update, seconds before the first, or the problem that prevented it."""

    seconds: float = 0.0
    start_seconds: float = 0.0
    problem: str = ""

    def total(self, updates: int) -> float:
        return float("inf") if self.problem else self.start_seconds + updates * self.seconds


Trials = dict[str, Trial]
Measure = Callable[[str], Trial]


def choose(trials: Trials, usual: str, updates: int) -> str:
    """The usual execution, unless the compiled one makes the whole run clearly shorter."""
    compiled = trials[COMPILED].total(updates)
    return COMPILED if compiled <= GAIN * trials[usual].total(updates) else usual


def settle(
    lab: Path,
    spec: RunSpec,
    *,
    usual: str,
    device_name: str,
    torch_version: str,
    expected_seconds: float,
    measure: Measure,
) -> tuple[str, str]:
    """(execution of a new run, what to tell of it, or empty). measure: tries one execution, and raises nothing.

    While another worker of the lab tries the same things nobody waits: the usual execution is always right.
    """
    file = lab / ".shrunk" / "executions.json"
    key = key_of(spec, device_name, torch_version)
    trials = read(file).get(key)
    if trials is not None and usual in trials:
        return choose(trials, usual, spec.train.updates), ""
    if expected_seconds < LONG_SECONDS:
        return usual, ""
    lock = FileLock(file.with_suffix(".lock"))
    try:
        if not lock.take():
            return usual, ""
        trials = {name: measure(name) for name in (usual, COMPILED)}
        if trials[usual].problem:
            return usual, ""
        remember(file, key, trials)
    finally:
        lock.release()
    taken = choose(trials, usual, spec.train.updates)
    return taken, f"torch.compile: {_told(trials, usual)}: {'used' if taken == COMPILED else 'not used'}"


def _told(trials: Trials, usual: str) -> str:
    compiled = trials[COMPILED]
    if compiled.problem:
        return f"failed ({compiled.problem})"
    return (
        f"{1e3 * compiled.seconds:.3g} ms an update after {compiled.start_seconds:.0f} s, "
        f"without it {1e3 * trials[usual].seconds:.3g} ms"
    )


def key_of(spec: RunSpec, device_name: str, torch_version: str) -> str:
    """A name for what decides which execution is faster."""
    return f"{device_name} torch {torch_version} {speed_digest(spec)}"


def read(file: Path) -> dict[str, Trials]:
    """What was tried in this lab; nothing where the file is absent or no longer understood."""
    try:
        body = json.loads(file.read_text())
        return {key: {name: Trial(**one) for name, one in trials.items()} for key, trials in body.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def remember(file: Path, key: str, trials: Trials) -> None:
    known = read(file) | {key: trials}
    body = {name: {way: asdict(trial) for way, trial in tried.items()} for name, tried in known.items()}
    write_atomically(file, json.dumps(body, indent=1) + "\n")


def in_a_process(spec: RunSpec, *, device: str, threads: int, micro_batch: int, leave: Callable[[], bool]) -> Measure:
    """A `measure` that times an execution in a child process; killed when `leave()` turns true."""
    train = {
        name: getattr(spec.train, name)
        for name in ("batch_size", "sequence_length", "mask_share", "objective", "padding_in_loss", "clip_norm")
    }
    job: dict[str, Any] = {
        "precision": spec.train.precision, "device": device, "threads": threads, "seconds": TRIAL_SECONDS,
        "shapes": [{"model": asdict(spec.model), "train": train, "micro_batch": micro_batch}],
    }  # fmt: skip

    def measure(execution: str) -> Trial:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "shrunk_core.train.measure"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=dict(os.environ, OMP_NUM_THREADS=str(threads)),
        )  # fmt: skip
        return _answer(child, json.dumps(job | {"execution": execution}), leave)

    return measure


def _answer(child: subprocess.Popen[str], job: str, leave: Callable[[], bool]) -> Trial:
    until, text = time.monotonic() + PATIENCE_SECONDS, job
    while True:
        try:
            out, errors = child.communicate(text or None, timeout=0.2)
        except subprocess.TimeoutExpired:
            text = ""
            if not leave() and time.monotonic() < until:
                continue
            child.kill()
            child.communicate()
            return Trial(problem="given up")
        break
    if child.returncode:
        return Trial(problem=(errors.strip().splitlines()[-1:] or [f"exit code {child.returncode}"])[0][:200])
    line = json.loads(out.splitlines()[-1])
    return Trial(seconds=line["seconds"], start_seconds=line["start_seconds"])
