"""Starting, polling and signalling a child: the only thing the queue knows of processes. A cluster would be another one."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..record.rundir import Process, process_of

SPARE = "shrunk_core.engine.spare"
FORK_SECONDS = 2.0
"""A spare that takes longer to fork is given up."""


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

    def ready(self) -> bool:
        """True if a worker may be started now; asked again and again while one waits."""
        ...

    def wait(self, seconds: float) -> None:
        """Return after so long, or before if a child may have ended."""
        ...

    def close(self) -> None:
        """The supervisor leaves; what was started stays."""
        ...


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

    def start(self, module: str, arguments: list[str], *, threads: int, device: str, log: Path) -> Child:
        log.parent.mkdir(exist_ok=True)
        environment = os.environ | _threads(threads)
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

    def ready(self) -> bool:
        return True

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        return


LOST = -255
"""What `poll` gives for a child that ended when nobody could wait for it: only its log knows how."""


@dataclass
class ForkedChild:
    """A child of the spare; its exit code comes through the spare, or never if that has died."""

    launcher: WarmLauncher
    number: int
    process: Process

    @property
    def pid(self) -> int:
        return self.process.pid

    def poll(self) -> int | None:
        self.launcher.listen()
        if self.number in self.launcher.codes:
            return self.launcher.codes[self.number]
        if self.launcher.warm_for(self.number) or self.process.alive():
            return None
        return LOST

    def signal(self, number: int) -> None:
        if self.poll() is None:
            try:
                os.kill(self.process.pid, number)
            except ProcessLookupError:
                return


class WarmLauncher(LocalLauncher):
    """Starts workers by forking a process that has imported torch already; everything else as `LocalLauncher` does.

    The spare is started when it is first needed and again when it has died. While it warms up nothing is launched
    (`ready`), because a worker of its own would import the same for as long and take the processor from it.
    """

    def __init__(self, module: str, log: Path) -> None:
        """module: what the spare imports and forks; log: where it writes when something goes wrong."""
        self.module, self.log = module, log
        self.codes: dict[int, int] = {}
        self._pids: dict[int, int] = {}
        self._spare: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._first = self._number = 0
        self._heard = b""
        self._failures = 0

    def ready(self) -> bool:
        """True if a worker may be started now. After three spares that died young, workers start without one."""
        self.listen()
        if self._failures >= 3:
            return True
        if self._spare is None:
            self._begin()
        return self._ready

    def warm_for(self, number: int) -> bool:
        """True while the spare that forked this child lives and will tell of its end."""
        return self._spare is not None and number >= self._first

    def start(self, module: str, arguments: list[str], *, threads: int, device: str, log: Path) -> Child:
        if module != self.module or not self._ready or self._spare is None:
            return super().start(module, arguments, threads=threads, device=device, log=log)
        log.parent.mkdir(exist_ok=True)
        environment = _threads(threads) | ({"CUDA_VISIBLE_DEVICES": device} if device else {})
        self._number += 1
        number = self._number
        request = {"id": number, "module": module, "arguments": arguments, "environment": environment, "log": str(log)}
        try:
            assert self._spare.stdin is not None
            self._spare.stdin.write(json.dumps(request).encode() + b"\n")
        except OSError:
            self._lose()
            return super().start(module, arguments, threads=threads, device=device, log=log)
        until = time.monotonic() + FORK_SECONDS
        while number not in self._pids and self._spare is not None and time.monotonic() < until:
            self.listen(wait=0.05)
        if number not in self._pids:
            self._lose()
            return super().start(module, arguments, threads=threads, device=device, log=log)
        return ForkedChild(self, number, process_of(self._pids.pop(number)))

    def wait(self, seconds: float) -> None:
        """The spare tells at once when a child has ended: a slot that is free is filled without waiting for the clock."""
        if self._spare is None or self._spare.stdout is None:
            super().wait(seconds)
        elif select.select([self._spare.stdout], [], [], seconds)[0]:
            self.listen()  # or what it has said would end the next wait at once, again and again

    def listen(self, wait: float = 0.0) -> None:
        """Take in what the spare has said."""
        spare = self._spare
        if spare is None or spare.stdout is None:
            return
        while select.select([spare.stdout], [], [], wait)[0]:
            data = os.read(spare.stdout.fileno(), 65536)
            if not data:
                self._lose()
                return
            *lines, self._heard = (self._heard + data).split(b"\n")
            for line in lines:
                said = json.loads(line)
                if "ready" in said:
                    self._ready = True
                elif "pid" in said:
                    self._pids[said["id"]] = said["pid"]
                else:
                    self.codes[said["id"]] = said["code"]
            wait = 0.0

    def close(self) -> None:
        """Let the spare go; what it forked stays."""
        if self._spare is not None:
            self._lose()

    def _begin(self) -> None:
        with open(self.log, "ab") as output:
            self._spare = subprocess.Popen(
                [sys.executable, "-P", "-m", SPARE, self.module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,
                start_new_session=True,
                env=os.environ | _threads(1),
            )
        self._ready, self._heard, self._first = False, b"", self._number + 1

    def _lose(self) -> None:
        """The spare is gone, or has to go: it ends when its input does."""
        spare, self._spare = self._spare, None
        if spare is None:
            return
        self._failures += 0 if self._ready else 1
        self._ready = False
        for stream in (spare.stdin, spare.stdout):
            if stream is not None:
                stream.close()
        try:
            spare.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            spare.kill()
            spare.wait()


def _threads(threads: int) -> dict[str, str]:
    """Every library's own pool at this many: unasked each would take all cores."""
    return dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), str(threads)
    )
