"""NVIDIA's Multi-Process Service: kernels of several processes side by side on one GPU, instead of in turns.

Tiny models leave most of a card idle, so that packed runs may gain much by it. It is a daemon of the driver's that a person
or a cluster starts; `shrunk bench` starts one of its own for as long as it measures, and tells whether it pays.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
SECONDS = 10.0


def available() -> bool:
    """True if this machine could run the service."""
    return shutil.which(CONTROL) is not None


def running() -> bool:
    """True if processes that are started now would share their GPU by the service."""
    return available() and _control("get_server_list", os.environ)


@contextlib.contextmanager
def service() -> Iterator[dict[str, str] | None]:
    """A service for the length of a block: the environment of its processes, or None where it cannot be had."""
    with tempfile.TemporaryDirectory(prefix="shrunk-mps-") as folder:
        environment = dict(os.environ)
        for name in ("PIPE", "LOG"):
            environment[f"CUDA_MPS_{name}_DIRECTORY"] = str(Path(folder) / name.lower())
            (Path(folder) / name.lower()).mkdir()
        if not available() or not _run([CONTROL, "-d"], "", environment):
            yield None
            return
        try:
            yield environment
        finally:
            _control("quit", environment)


def _control(word: str, environment: Mapping[str, str]) -> bool:
    return _run([CONTROL], word + "\n", environment)


def _run(command: list[str], text: str, environment: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(command, input=text, text=True, capture_output=True, env=environment, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
