"""A second process for what is heavy: fits, correlations, figures. Functions are named, so that the app imports none.

scipy and matplotlib alone take 75 MB, and a fit of a second holds the interpreter that answers the keys. Beside the
screens it does neither: the process begins with the first call, works one call after the other, gives one up in the
middle when nobody waits for it any more, and leaves after a quiet while, or as soon as the app is gone.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from shrunk_core.errors import ShrunkError

QUIET = 30.0
"""Seconds without a call after which the process leaves; the next call waits for a new one (under a second)."""
GLANCE = 0.05
"""Seconds between two looks at whether an answer is still wanted."""


class CalledOff(ShrunkError):
    """The answer was not wanted any more."""


class Ended(Exception):
    """The process went without an answer; the code says how."""


class Aside:
    """The process, from the app's side. For threads."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None

    def call(self, place: str, *arguments: Any, unwanted: Callable[[], bool] = lambda: False) -> Any:
        """Call a function there. place: `module:function`; arguments and answer travel, a `ShrunkError` or `OSError` too.

        CalledOff as soon as `unwanted()`. ShrunkError when the process is killed, which is what a full memory does.
        """
        while not self._turn.acquire(timeout=GLANCE):
            if unwanted():
                raise CalledOff("not wanted any more")
        try:
            try:
                good, answer = self._ask((place, arguments), unwanted)
            except Ended as end:
                if end.args[0] != 0:
                    raise ShrunkError(
                        f"the process that works out fits and figures ended (code {end.args[0]}); perhaps the machine "
                        "ran out of memory. Asking again starts a new one."
                    ) from None
                good, answer = self._ask((place, arguments), unwanted)  # it had left a moment before: nobody asked
        finally:
            self._turn.release()
        if good:
            return answer
        raise answer

    def _ask(self, question: Any, unwanted: Callable[[], bool]) -> tuple[bool, Any]:
        process, line = self._serving()
        called_off = False
        try:
            line.send(question)
            while not line.poll(GLANCE):
                if unwanted() and not called_off:
                    called_off = True
                    process.send_signal(signal.SIGINT)
            good, answer = line.recv()
        except (EOFError, OSError):
            line.close()
            self._process = self._line = None
            code = process.wait()
            if unwanted():
                raise CalledOff("not wanted any more") from None
            raise Ended(code) from None
        if unwanted():
            raise CalledOff("not wanted any more")
        return good, answer

    def _serving(self) -> tuple[subprocess.Popen[bytes], Connection]:
        if self._process is None or self._line is None:
            self._line, theirs = Pipe()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"from {__name__} import serve; serve({theirs.fileno()})"],
                pass_fds=[theirs.fileno()],
                env=os.environ | {"OMP_NUM_THREADS": "1"},  # small sums: more threads would only disturb what trains
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            theirs.close()
            threading.Thread(target=self._process.wait, name="aside-reaper", daemon=True).start()
        return self._process, self._line

    def close(self) -> None:
        """End the process, whatever it works on. A call that waits is answered with an error."""
        process = self._process
        if process is not None:
            process.kill()
            process.wait()


class _Off(BaseException):
    """Raised in the middle of a call that is not wanted any more."""


def serve(handle: int) -> None:
    """The other side: calls one after the other, until it is quiet or the app is gone."""
    line = Connection(handle)
    at_work = False

    def off(*_: Any) -> None:
        if at_work:
            raise _Off

    signal.signal(signal.SIGINT, off)
    while line.poll(QUIET):
        try:
            place, arguments = line.recv()
        except EOFError:
            return
        answer: tuple[bool, Any]
        try:
            try:
                at_work = True
                module, name = place.split(":")
                answer = True, getattr(importlib.import_module(module), name)(*arguments)
            finally:
                at_work = False
        except _Off:
            answer = False, CalledOff("not wanted any more")
        except (ShrunkError, OSError) as problem:
            answer = False, problem
        except Exception:  # noqa: BLE001 - a mistake of ours: it ends the app, with the place where it was made
            answer = False, RuntimeError(traceback.format_exc())
        line.send(answer)
