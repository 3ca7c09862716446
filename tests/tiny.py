"""A language small enough to train on in a second, and grids on it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

NAMES = "anna ben carla david ella frank gina henry".split()
VERBS = "sees likes finds follows hears wants".split()
THINGS = "the red ball|the old house|a small dog|the long road|a green tree|the open door|a new book".split("|")

GRID = """\
name = "{name}"
[corpus]
sources = ["text.txt"]
vocabulary = "top:100"
min_words = 4
validation_share = 0.2
test_share = 0.1
[tokenizer]
vocab_size = 300
[model]
embedding_size = 16
hidden_size = 16
intermediate_size = 32
num_heads = 2
num_layers = 1
[train]
updates = {updates}
batch_size = 8
sequence_length = 16
learning_rate = 5e-3
evaluate_every = {evaluate_every}
device = "cpu"
{train}
[axes]
{axes}
[grid]
seeds = {seeds}
"""


def write_text(folder: Path, documents: int = 60) -> None:
    """`documents` blank-line blocks of simple sentences, always the same."""
    rng = random.Random(0)
    blocks = []
    for _ in range(documents):
        sentences = [
            f"{rng.choice(NAMES)} {rng.choice(VERBS)} {rng.choice(THINGS)} and {rng.choice(NAMES)} {rng.choice(VERBS)} it."
            for _ in range(12)
        ]
        blocks.append(" ".join(s.capitalize() for s in sentences))
    (folder / "text.txt").write_text("\n\n".join(blocks) + "\n")


def write_grid(
    folder: Path,
    *,
    name: str = "tiny",
    updates: int = 60,
    evaluate_every: int = 20,
    axes: str = "",
    seeds: str = "[0]",
    train: str = "",
) -> Path:
    """A grid file beside its text."""
    if not (folder / "text.txt").exists():
        write_text(folder)
    path = folder / f"{name}.toml"
    path.write_text(
        GRID.format(name=name, updates=updates, evaluate_every=evaluate_every, axes=axes, seeds=seeds, train=train)
    )
    return path


def shrunk(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, with pipes."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-P", "-m", "shrunk_tui.cli.app", *map(str, arguments)]


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Return when `condition()` holds; fail the test naming `what` otherwise."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.02)


def kill(pid: int, number: int = 9) -> None:
    """Send a signal; a process that has just ended is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
