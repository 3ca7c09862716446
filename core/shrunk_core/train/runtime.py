"""The machine as one run sees it: device, threads, precision, and the requests it has to heed."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import ConfigError
from ..record.rundir import REQUESTS

CHECK_SECONDS = 0.05
"""Requests are looked for at most this often: often enough for people, too seldom to be measured."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """How this attempt computes. Kept from the first attempt on resume, because it can change the last bits."""

    device: torch.device
    threads: int
    micro_batch: int
    execution: str = "eager"
    """`eager`, `graph` (CUDA graphs) or `compiled` (torch.compile, recorded as CUDA graphs); the last two on GPUs."""


def pick_device(wanted: str) -> torch.device:
    """`auto` is a GPU if torch can use one. ConfigError for a device that is not there.

    A worker sees the one card that it was given, whichever number that has among all of the machine."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise ConfigError(f'device = "{wanted}": write "auto", "cpu", "cuda" or "cuda:N"') from None
    if device.type == "cuda" and torch.cuda.device_count() == 1:
        return torch.device("cuda")
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise ConfigError(f'device = "{wanted}": torch {torch.__version__} sees {torch.cuda.device_count()} GPUs here')
    return device


def choose_execution(precision: str, device: torch.device) -> str:
    """How a new run computes. On a GPU a recorded graph, except with loss scaling, which decides at every step."""
    return "graph" if device.type == "cuda" and precision != "fp16" else "eager"


def out_of_memory(problem: BaseException) -> bool:
    """True for a device or a machine that has no memory left for a tensor."""
    return isinstance(problem, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(problem)


def device_name(device: torch.device) -> str:
    """What a person calls the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


class Requests:
    """What others ask of this worker: files in `control/`, or a signal's flag. `reason()` is empty while nobody does."""

    def __init__(self, control: Path, signalled: Callable[[], bool] = lambda: False) -> None:
        self._control, self._signalled = control, signalled
        self._looked, self._reason = 0.0, ""

    def reason(self) -> str:
        """`stop`, `pause`, `signal` or empty. Once asked, it stays asked."""
        if not self._reason and self._signalled():
            self._reason = "signal"
        now = time.monotonic()
        if not self._reason and now - self._looked >= CHECK_SECONDS:
            self._looked = now
            self._reason = next((name for name in REQUESTS if (self._control / name).exists()), "")
        return self._reason
