"""A process that has imported what workers need and forks one for each run: `python -P -m shrunk_core.engine.spare MODULE`.

Importing torch takes seconds, a fork takes milliseconds. The spare imports MODULE, computes nothing and touches no GPU:
a child gets its device and its threads before it does either. Requests come as JSON lines on standard input, answers go
out as JSON lines: `{"id", "pid"}` when a child was forked, `{"id", "code"}` when it has ended. At the end of its input
the spare leaves; its children are in sessions of their own and stay.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import traceback
from typing import Any, NoReturn


def main(arguments: list[str]) -> NoReturn:
    """Serve until standard input ends."""
    importlib.import_module(arguments[0])
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    children: dict[int, int] = {}
    _say({"ready": os.getpid()})
    pending = b""
    while True:
        readable, _, _ = select.select([0, wake], [], [])
        if wake in readable:
            os.read(wake, 4096)
        for number, code in _ended(children):
            _say({"id": number, "code": code})
        if 0 not in readable:
            continue
        data = os.read(0, 65536)
        if not data:
            os._exit(0)  # an ordinary end takes apart what torch has set up, for more than a second
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            pid = os.fork()
            if pid == 0:
                _become(request, (wake, waker))
            children[pid] = request["id"]
            _say({"id": request["id"], "pid": pid})


def _ended(children: dict[int, int]) -> list[tuple[int, int]]:
    """Children that have ended, as (id, exit code; negative for a signal)."""
    found = []
    for pid in list(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            found.append((children.pop(pid), os.waitstatus_to_exitcode(status)))
    return found


def _become(request: dict[str, Any], own: tuple[int, int]) -> None:
    """In a child: be the program that was asked for, and end with its exit code."""
    code = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for descriptor in own:
            os.close(descriptor)
        log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(request["environment"])
        code = importlib.import_module(request["module"]).main(request["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _say(answer: dict[str, int]) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
