"""One job on all cores: child processes that each turn items into results, which come back in the order of the items.

A child is `python -m shrunk_core.language.crew`; jobs, items and results go through its pipes, pickled (both ends are
this program). It ends when its pipe closes, so that nothing is left behind however the parent ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any, TypeVar

from ..errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def crew_map(
    make: Callable[..., Callable[[Item], Result]], arguments: tuple[Any, ...], items: Iterable[Item], processes: int
) -> Iterator[tuple[Item, Result]]:
    """Pairs of item and `job(item)`, in order. With one process the job runs here; at most two items a process wait.

    make, arguments: every process has a job of its own, `make(*arguments)`, which may remember what helps with later
    items. make is found by its name, arguments are pickled.
    """
    if processes <= 1:
        job = make(*arguments)
        for item in items:
            yield item, job(item)
        return
    members = [_Member(make, arguments) for _ in range(processes)]
    free: deque[_Member] = deque(members)
    lock = threading.Lock()

    def work(item: Item) -> Result:
        with lock:
            member = free.popleft()
        try:
            return member.ask(item)
        finally:
            with lock:
                free.append(member)

    pool = ThreadPoolExecutor(processes)
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            while len(waiting) > 2 * processes or (waiting and waiting[0][1].done()):
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        for member in members:
            member.end()
        pool.shutdown(cancel_futures=True)


class _Member:
    """One child process."""

    def __init__(self, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "shrunk_core.language.crew"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._child.stdin is not None and self._child.stdout is not None
        self._to: IO[bytes] = self._child.stdin
        self._from: IO[bytes] = self._child.stdout
        for pipe in (self._to, self._from):
            _widen(pipe)
        self._job: tuple[Any, ...] | None = (make, arguments)

    def ask(self, item: Any) -> Any:
        try:
            if self._job:  # not before, because a child takes it only when it has loaded, and the others load meanwhile
                pickle.dump(self._job, self._to, pickle.HIGHEST_PROTOCOL)
                self._job = None
            pickle.dump(item, self._to, pickle.HIGHEST_PROTOCOL)
            self._to.flush()
            done, result = pickle.load(self._from)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as problem:
            code = self._child.wait()
            raise DataError(
                f"a process that filtered text ended ({'signal ' + str(-code) if code < 0 else 'code ' + str(code)}); "
                "perhaps the machine ran out of memory. The same command continues where it stopped."
            ) from problem
        if not done:
            raise result
        return result

    def end(self) -> None:
        self._child.kill()
        self._child.wait()
        for pipe in (self._to, self._from):
            try:
                pipe.close()
            except BrokenPipeError:
                pass


def _widen(pipe: IO[bytes]) -> None:
    """Let a pipe hold a megabyte, where the system allows it: fewer changes between the processes."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def _serve() -> None:
    """The child: a job, then items until the pipe closes. What a job prints goes to stderr."""
    source = sys.stdin.buffer
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    make, arguments = pickle.load(source)
    job = make(*arguments)
    while True:
        try:
            item = pickle.load(source)
        except (EOFError, pickle.UnpicklingError):  # closed, or torn off by the end of the parent
            return
        try:
            answer = (True, job(item))
        except Exception as problem:  # noqa: BLE001 - it is the parent's to judge
            answer = (False, problem)
        try:
            pickle.dump(answer, out, pickle.HIGHEST_PROTOCOL)
            out.flush()
        except BrokenPipeError:  # the parent was killed, and nobody asks any more
            os._exit(1)


if __name__ == "__main__":
    # Numba asks scipy for linear algebra, which no job here needs and which takes a fifth of the time to load all.
    sys.modules["scipy"] = None  # type: ignore[assignment]
    _serve()
