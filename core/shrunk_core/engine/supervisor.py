"""The program of the lab's supervisor: `python -P -m shrunk_core.engine.supervisor LAB`. One a lab, detached, no torch."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from pathlib import Path

from ..config.lab import join_group, read_settings
from ..errors import ShrunkError
from ..record.lock import FileLock
from .desk import Desk
from .launcher import WarmLauncher
from .service import WORKER, Supervisor


def main(arguments: list[str]) -> int:
    """Serve a lab until idle. Exit 3 when another supervisor serves it."""
    lab = Path(arguments[0])
    join_group(lab)  # and with it the workers
    desk = Desk(lab)
    epoch = desk.epoch()
    lock = FileLock(desk.lock)
    if not lock.take(seconds=0.2):
        print(
            f"{lab} is served by {desk.owner.read_text() if desk.owner.exists() else 'another process'}",
            file=sys.stderr,
        )
        return 3
    try:
        settings = read_settings(lab)
        supervisor = Supervisor(lab, settings, WarmLauncher(WORKER, desk.private / "spare.log"), settings.slots)
        signal.signal(signal.SIGTERM, lambda *_: setattr(supervisor, "leaving", True))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        supervisor.beat()
        supervisor.serve()
        return 0
    except Exception as problem:
        if not isinstance(problem, ShrunkError):
            traceback.print_exc()
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {problem}", file=sys.stderr)
        return 1
    finally:
        if desk.epoch() == epoch:
            desk.owner.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
