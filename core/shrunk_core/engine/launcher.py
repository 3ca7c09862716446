"""Starting, polling and signalling a child: the only thing the queue knows of processes. A cluster would be another one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..record.rundir import Process, process_of


class Child(Protocol):
    """A started job. `process` names it in events, `pid` is for people."""

    @property
    def pid(self) -> int: ...

    @property
    def process(self) -> Process: ...

    def poll(self) -> int | None:
        """Exit code (negative for a signal), or None while it runs."""
        ...

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens when it has ended."""
        ...


class Launcher(Protocol):
    """Where jobs run. `module` is run as a program with `arguments`; its output is appended to `log`.

    device: the one GPU it may see, as CUDA_VISIBLE_DEVICES names it; empty leaves that variable alone.
    """

    def start(self, module: str, arguments: list[str], *, threads: int, device: str, log: Path) -> Child: ...


@dataclass
class LocalChild:
    """A process of this machine."""

    popen: subprocess.Popen[bytes]
    process: Process

    @property
    def pid(self) -> int:
        return self.popen.pid

    def poll(self) -> int | None:
        return self.popen.poll()

    def signal(self, number: int) -> None:
        if self.popen.poll() is None:
            os.kill(self.popen.pid, number)


class LocalLauncher:
    """Processes of this machine, each in a session of its own: a signal to the supervisor's terminal never reaches them."""

    def start(self, module: str, arguments: list[str], *, threads: int, device: str, log: Path) -> LocalChild:
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        if device:
            environment["CUDA_VISIBLE_DEVICES"] = device
        with open(log, "ab") as output:
            popen = subprocess.Popen(
                # -P: a folder named shrunk_core where the user stands must not shadow the package
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=environment,
            )
        return LocalChild(popen, process_of(popen.pid))
