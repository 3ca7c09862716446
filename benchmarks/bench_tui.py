"""What the terminal UI feels like: first frame, a lab of 200 runs, key echo, charts, cold loads, memory, bytes on the line.

    python benchmarks/bench_tui.py [--rounds N] [--only WORD]

The app runs as users run it, in a process of its own under a pseudo-terminal of 120 x 40; what it writes is read and
timed here. A bare Textual app is measured in the same rounds, interleaved, as its yardstick. Labs are made by hand.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "unit"))
import psutil  # noqa: E402
from shrunk_core.config.lab import init_lab  # noqa: E402
from shrunk_core.record.events import encode  # noqa: E402
from store_lab import born, evaluated, finished, started, step  # noqa: E402

COLUMNS, LINES = 120, 40
HEAVY = ("torch", "transformers", "datasets", "pandas", "duckdb", "pyarrow")

BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("FIRSTFRAME")
Bare().run()
"""
MODULES = """
import sys
from pathlib import Path
from shrunk_tui.app import ShrunkApp
from shrunk_tui.session import LabSession
import asyncio
found = []
def after(self):
    found.extend(m for m in {heavy!r} if m in sys.modules)
    self.exit()
ShrunkApp._after_first_frame = after
async def main():
    async with ShrunkApp(LabSession(Path(sys.argv[1]))).run_test(size=(120, 40)) as pilot:
        await pilot.pause()
asyncio.run(main())
print("imported at the first frame:", ", ".join(found) or "none of them")
"""
SCREENS = ("Runs", "Design", "Run", "Scaling", "Tasks", "SQL", "a query", "System", "Runs again")
REVERSED = re.compile(rb"\x1b\[(?:[1-9];)*7[;m]")
"""The cursor of the table of runs: the only thing there that is drawn reversed."""


class Terminal:
    """A program under a pseudo-terminal; a thread reads what it writes and notes when."""

    def __init__(self, command: list[str]) -> None:
        self.began = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            for name in ("NO_COLOR", "SSH_CONNECTION"):
                os.environ.pop(name, None)
            os.execv(command[0], command)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.chunks: list[tuple[float, bytes]] = []
        self._over = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while not self._over.is_set():
            ready, _, _ = select.select([self.fd], [], [], 0.05)
            if ready:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    return
                self.chunks.append((time.perf_counter(), data))

    def wait(self, found: Callable[[bytes], bool], since: int = 0, seconds: float = 30.0) -> float:
        """The time of the chunk with which `found` became true of everything written from chunk `since` on."""
        until, seen, text = time.perf_counter() + seconds, since, b""
        while time.perf_counter() < until:
            while seen < len(self.chunks):
                at, data = self.chunks[seen]
                seen, text = seen + 1, text + data
                if found(text):
                    return at
            time.sleep(0.0005)
        raise TimeoutError(f"not seen within {seconds:.0f} s; last written: {text[-300:]!r}")

    def keys(self, text: str) -> int:
        """Press keys; returns the number of the first chunk that can be an answer."""
        mark = len(self.chunks)
        os.write(self.fd, text.encode())
        return mark

    def num_bytes(self, seconds: float) -> int:
        """Bytes written within the next seconds."""
        mark = len(self.chunks)
        time.sleep(seconds)
        return sum(len(data) for _, data in self.chunks[mark:])

    def cpu(self) -> float:
        """CPU seconds of the program so far."""
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._over.set()
        self._reader.join()
        os.close(self.fd)


def app(lab: Path) -> list[str]:
    return [sys.executable, "-P", "-m", "shrunk_tui.cli.start", "--lab", str(lab)]


def make_lab(folder: Path, runs: int, steps: int, name: str = "run") -> Path:
    """A lab of finished runs that share their lines."""
    lab = init_lab(folder)
    lines = [encode(step(u, 6 - 2 * u / steps)) for u in range(1, steps + 1)]
    text = "\n".join([encode(started()), *lines, encode(evaluated(steps, 4.0)), encode(finished(steps))]) + "\n"
    for seed in range(runs):
        born(lab, seed=seed, name=f"{name}{seed:03d}").events_file.write_text(text)
    return lab


class Writers:
    """Some runs that go on, each writing so many steps a second, from a process of its own."""

    CODE = """
import sys, time
sys.path.insert(0, {unit!r})
from shrunk_core.record.events import encode
from store_lab import started, step
files = [open(p, "a", buffering=1) for p in sys.argv[2:]]
rate = float(sys.argv[1])
for f in files:
    f.write(encode(started(time.time())) + "\\n")
began, u = time.monotonic(), 0
while True:
    u += 1
    for n, f in enumerate(files):
        f.write(encode(step(u, 6 - u / (u + 500) - n / 20, at=time.time())) + "\\n")
    time.sleep(max(0.0, began + u / rate - time.monotonic()))
"""

    def __init__(self, lab: Path, runs: int, rate: float) -> None:
        logs = [str(born(lab, seed=10_000 + i, name=f"live{i}", grid="live").events_file) for i in range(runs)]
        code = self.CODE.format(unit=str(ROOT / "tests" / "unit"))
        self.process = subprocess.Popen([sys.executable, "-c", code, str(rate), *logs])

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def told(times: list[float]) -> str:
    low, high = min(times), max(times)
    return f"median {statistics.median(times) * 1e3:.0f} ms ({low * 1e3:.0f} to {high * 1e3:.0f}, n {len(times)})"


def bench_start(folder: Path, rounds: int) -> None:
    lab = make_lab(folder / "start", 200, 50)
    bare_file = folder / "bare.py"
    bare_file.write_text(BARE)
    bare: list[float] = []
    first: list[float] = []
    shown: list[float] = []
    spent: dict[str, list[float]] = {"bare": [], "first": [], "shown": []}
    for _ in range(rounds):
        for kind in ("bare", "shrunk"):
            terminal = Terminal([sys.executable, str(bare_file)] if kind == "bare" else app(lab))
            try:
                if kind == "bare":
                    bare.append(terminal.wait(lambda text: b"FIRSTFRAME" in text) - terminal.began)
                    spent["bare"].append(terminal.cpu())
                else:
                    first.append(terminal.wait(lambda text: b"Design" in text) - terminal.began)
                    spent["first"].append(terminal.cpu())
                    shown.append(terminal.wait(lambda text: b"run0" in text) - terminal.began)
                    spent["shown"].append(terminal.cpu())
            finally:
                terminal.close()
    more = [a - b for a, b in zip(first, bare, strict=True)]
    print(f"first frame of a bare Textual app: {told(bare)}")
    print(f"first frame of shrunk: {told(first)}; after the bare app's: {told(more)}; bar 150 ms")
    print(f"200 runs shown, from the start of the process: {told(shown)}; bar 1500 ms")
    print("CPU time of the process until then, which other work on the machine changes little:")
    print(f"  bare {told(spent['bare'])}; first frame {told(spent['first'])}; 200 runs {told(spent['shown'])}")
    code = MODULES.format(heavy=HEAVY)
    print(subprocess.run([sys.executable, "-c", code, str(lab)], capture_output=True, text=True).stdout.strip())


@contextlib.contextmanager
def live(lab: Path) -> Iterator[Terminal]:
    """The app on a lab of finished runs, once it shows them, while 8 more write 100 events/s each."""
    writers = Writers(lab, 8, 100)
    terminal = Terminal(app(lab))
    try:
        terminal.wait(lambda text: b"run0" in text)
        yield terminal
    finally:
        terminal.close()
        writers.close()


def bench_keys(folder: Path, rounds: int) -> None:
    with live(make_lab(folder / "keys", 200, 50)) as terminal:
        time.sleep(6)
        times = []
        for number in range(8 * rounds):
            mark = terminal.keys("\x1b[B" if number % 40 < 20 else "\x1b[A")
            pressed = time.perf_counter()
            times.append(terminal.wait(lambda text: bool(REVERSED.search(text)), mark) - pressed)
            time.sleep(0.13)
        worst = sorted(times)[int(0.95 * len(times))]
        print(
            f"key echo while 8 runs write 100 events/s each: {told(times)}, 95 % under {worst * 1e3:.0f} ms; bar 50 ms"
        )
        memory = psutil.Process(terminal.pid).memory_info().rss / 2**20
        print(f"memory with 208 runs, 8 of them live: {memory:.0f} MiB; bar 250")


def bench_memory(folder: Path, rounds: int) -> None:
    """Every screen visited once, with a query on SQL: resident memory of the UI's process, and of the one beside it."""
    with live(make_lab(folder / "memory", 200, 400)) as terminal:
        process = psutil.Process(terminal.pid)
        seen = {}
        for key, name in zip(("1", "2", "3", "4", "5", "6", "\x1b[15~", "7", "1"), SCREENS, strict=True):
            terminal.keys(key)
            time.sleep(6)
            beside = [child.memory_info().rss / 2**20 for child in process.children() if child.status() != "zombie"]
            seen[name] = process.memory_info().rss / 2**20, sum(beside)
        told = "; ".join(
            f"{name} {own:.0f}" + (f" (+ {more:.0f})" if more else "") for name, (own, more) in seen.items()
        )
        print(
            f"memory with 208 runs, 8 live, one screen after the other (+ the process for fits), MiB: {told}; bar 238"
        )


def bench_line(folder: Path, rounds: int) -> None:
    lab = init_lab(folder / "line")
    writers = Writers(lab, 6, 20)
    terminal = Terminal(app(lab))
    try:
        terminal.wait(lambda text: b"live5" in text)
        time.sleep(8)
        rates = [terminal.num_bytes(5) / 5 / 1e3 for _ in range(max(2, rounds // 2))]
        print(
            f"bytes with 6 live curves: median {statistics.median(rates):.1f} kB/s "
            f"({min(rates):.1f} to {max(rates):.1f}, n {len(rates)}); bar 30"
        )
    finally:
        terminal.close()
        writers.close()
    quiet = Terminal(app(make_lab(folder / "quiet", 20, 200)))
    try:
        quiet.wait(lambda text: b"run01" in text)
        time.sleep(6)
        print(f"bytes in 10 s while nothing changes: {quiet.num_bytes(10)}; bar 0")
    finally:
        quiet.close()


def bench_charts(folder: Path, rounds: int) -> None:
    import numpy as np

    from shrunk_tui.picture import Cache, Line, Scene, compose

    rng = np.random.default_rng(0)
    for runs, points, bar in ((10, 100_000, 25), (70, 50_000, 80)):
        x = np.arange(1, points + 1, dtype=float)
        ys = [6 - i / 40 - x / (x + points / 9) + rng.normal(0, 0.05, points) for i in range(runs)]
        cache, times = Cache(), []
        for version in range(3 + 4 * rounds):  # every curve has one more point than in the drawing before
            upto = points - 50 + version
            lines = tuple(
                Line(key=str(i), label=f"run {i}", number=i, x=x[:upto], y=y[:upto], version=version)
                for i, y in enumerate(ys)
            )
            began = time.perf_counter()
            compose(Scene(title="loss", lines=lines), COLUMNS, LINES, cache)
            times.append(time.perf_counter() - began)
        print(f"chart of {runs} runs x {points:,} points, every curve new: {told(times[3:])}; bar {bar} ms")


LOAD = """
import sys, time
from pathlib import Path
import numpy
from shrunk_tui.curves import STEP_FIELDS, CurveStore
fields = (*STEP_FIELDS, *(f"metric_{i}" for i in range(12)))
for _ in range(2):
    began, spent = time.perf_counter(), time.process_time()
    table = CurveStore(Path(sys.argv[1])).get(sys.argv[2], fields)[0]
    assert len(table.columns) == 20 and len(table) == 50_000 and table.columns["metric_11"][-1] == 50_000.5
    print(time.perf_counter() - began, time.process_time() - spent)
"""


def bench_load(folder: Path, rounds: int) -> None:
    """A log whose updates carry 20 numbers that are wanted (ours write 8), in a fresh process: the reader's import too."""
    lab = make_lab(folder / "load", 1, 0)
    run_id = next((lab / "runs").iterdir()).name
    more = "".join(f',"metric_{i}":{{0}}.5' for i in range(12))
    lines = [encode(started())]
    lines += [encode(step(u, 6 - u / 25_000))[:-1] + more.format(u) + "}" for u in range(1, 50_001)]
    log = lab / "runs" / run_id / "events.jsonl"
    log.write_text("\n".join(lines) + "\n")
    kinds: dict[str, list[float]] = {"first": [], "again": []}
    spent: list[float] = []
    for _ in range(rounds):
        got = subprocess.run([sys.executable, "-c", LOAD, str(lab), run_id], capture_output=True, text=True, check=True)
        for kind, line in zip(kinds, got.stdout.splitlines(), strict=True):
            kinds[kind].append(float(line.split()[0]))
            if kind == "first":
                spent.append(float(line.split()[1]))
    size = log.stat().st_size / 1e6
    print(
        f"cold load of 20 metrics x 50,000 steps ({size:.1f} MB), reader imported too: {told(kinds['first'])}; bar 500 ms"
    )
    print(f"  CPU of all threads {told(spent)}; once the reader is imported {told(kinds['again'])}")


BENCHES = {
    "start": bench_start,
    "keys": bench_keys,
    "memory": bench_memory,
    "line": bench_line,
    "charts": bench_charts,
    "load": bench_load,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=list(BENCHES))
    asked = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, bench in BENCHES.items():
        if asked.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                bench(Path(folder), asked.rounds)


if __name__ == "__main__":
    main()
