"""The UI in a real terminal: start, keys, resize, and a kill that leaves the terminal usable and the training going."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.tiny import command, shrunk, wait_for, write_grid

from .stage import fill

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Tmux:
    """One terminal with a shell in it."""

    def __init__(self, width: int, height: int) -> None:
        self.socket = f"shrunk-test-{uuid.uuid4().hex[:8]}"
        shell = "env PS1='$ ' TERM=xterm-256color bash --norc --noprofile"
        self.ask("new-session", "-d", "-s", "s", "-x", str(width), "-y", str(height), shell)

    def ask(self, *arguments: str) -> str:
        done = subprocess.run(["tmux", "-L", self.socket, *arguments], capture_output=True, text=True)
        return done.stdout

    def type(self, text: str) -> None:
        self.ask("send-keys", "-t", "s", "-l", text)

    def press(self, *keys: str) -> None:
        self.ask("send-keys", "-t", "s", *keys)

    def screen(self) -> str:
        return self.ask("capture-pane", "-p", "-t", "s")

    def wait(self, text: str, seconds: float = 60) -> None:
        """Wait until the screen shows a pattern; fail with the screen otherwise."""
        until = time.monotonic() + seconds
        while re.search(text, self.screen()) is None:
            assert time.monotonic() < until, f"{text!r} is not on the screen:\n{self.screen()}"
            time.sleep(0.1)

    def shell(self) -> psutil.Process:
        return psutil.Process(int(self.ask("display-message", "-p", "-t", "s", "#{pane_pid}")))


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    terminal = Tmux(120, 40)
    yield terminal
    terminal.ask("kill-server")


def steps(lab: Path) -> int:
    """Bytes of all runs' logs."""
    return sum(path.stat().st_size for path in lab.glob("runs/*/events.jsonl"))


@pytest.mark.slow
def test_start_keys_resize_and_a_kill_that_harms_nothing(lab: Path, tmp_path: Path, tmux: Tmux) -> None:
    grid = write_grid(tmp_path, name="long", updates=200_000, evaluate_every=100_000)
    assert shrunk("run", grid, "--lab", lab, "--detach").returncode == 0
    wait_for(lambda: steps(lab) > 5_000, "the training's first steps")

    tmux.type(shlex.join([*command(), "--lab", str(lab)]))
    tmux.press("Enter")
    tmux.wait(r"\[1 Runs\]")
    tmux.wait("long")
    tmux.press("6")
    tmux.wait(r"\[6 SQL\]")
    tmux.wait("What can be asked")
    tmux.press("7")
    tmux.wait(r"CPU .*load")
    tmux.press("2")
    tmux.wait("hidden_size")

    [app] = [p for p in tmux.shell().children() if "shrunk_tui.cli.app" in " ".join(p.cmdline())]
    tmux.ask("resize-window", "-t", "s", "-x", "80", "-y", "24")
    tmux.wait(r"(?m)^.{0,80}\? Help")
    tmux.press("1")
    tmux.wait(r"\[1 Runs\]")
    assert all(len(line) <= 80 for line in tmux.screen().splitlines())

    before = steps(lab)
    os.kill(app.pid, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(app.pid), "the app to be gone")
    tmux.type("echo alive-$((40 + 2))")
    tmux.press("Enter")
    tmux.wait("alive-42")
    wait_for(lambda: steps(lab) > before + 5_000, "more steps of the training")
    assert '"running"' in shrunk("status", "--lab", lab, "--format", "json").stdout


@pytest.mark.slow
def test_quitting_says_what_goes_on(lab: Path, tmp_path: Path, tmux: Tmux) -> None:
    grid = write_grid(tmp_path, name="long", updates=200_000, evaluate_every=100_000)
    assert shrunk("run", grid, "--lab", lab, "--detach").returncode == 0
    wait_for(lambda: steps(lab) > 5_000, "the training's first steps")
    tmux.type(shlex.join([*command(), "--lab", str(lab)]))
    tmux.press("Enter")
    tmux.wait("long")
    tmux.press("q")
    tmux.wait("Training goes on: 1 running")
    before = steps(lab)
    wait_for(lambda: steps(lab) > before + 2_000, "more steps of the training")


@pytest.mark.slow
def test_a_replay_plays_a_grid_to_its_end_and_leaves_the_lab_alone(lab: Path, tmux: Tmux) -> None:
    fill(lab)
    before = {path: path.read_bytes() for path in lab.rglob("*") if path.is_file()}
    tmux.type(shlex.join([*command(), "replay", "width", "--speed", "40", "--lab", str(lab)]))
    tmux.press("Enter")
    tmux.wait("REPLAY x40")
    tmux.wait(r"width - 4 runs: .*running")
    tmux.wait(r"2 finished")
    tmux.wait(r"validation loss, nats")
    tmux.press("q")
    tmux.wait(r"(?m)^\$ ?$")
    assert before == {path: path.read_bytes() for path in lab.rglob("*") if path.is_file()}
