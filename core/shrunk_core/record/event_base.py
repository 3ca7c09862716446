"""What every event is, and what every event is that takes a job up. The vocabulary itself is in `events`."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events; `kind` names the class on disk."""

    kind: ClassVar[str] = ""
    logged_at: float = dataclasses.field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True)
class Attempt(Event):
    """A worker takes a run up: who it is, and everything that is not in the spec but may matter. Not logged itself."""

    attempt: int
    host: str
    pid: int
    process_started_at: float
    device: str
    device_name: str
    threads: int
    micro_batch: int
    torch_version: str
    shrunk_version: str
    cpu_capability: str = ""
    execution: str = ""
    """`eager`, `graph` (CUDA graphs) or `compiled`; kept on resume."""
    device_uuid: str = ""
    """UUID of the GPU as its driver names it; empty on the CPU."""
