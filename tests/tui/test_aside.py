"""The process beside the screens: answers, refusals, calls given up in the middle, a process that is killed or has left."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shrunk_core.errors import ConfigError, ShrunkError

from shrunk_tui.aside import Aside, CalledOff


@pytest.fixture
def beside() -> Iterator[Aside]:
    process = type("Own", (Aside,), {})()
    yield process
    process.close()


def pid_of(beside: Aside) -> int:
    return beside.call("os:getpid")


def test_answers_and_refusals_travel_and_one_process_gives_them(beside: Aside, tmp_path: Path) -> None:
    pid = pid_of(beside)
    assert pid != os.getpid()
    with pytest.raises(ConfigError, match="is no lab|no lab"):
        beside.call("shrunk_core.config.lab:find_lab", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        beside.call("os:listdir", str(tmp_path / "nowhere"))
    with pytest.raises(RuntimeError, match="division by zero"):
        beside.call("operator:truediv", 1, 0)
    assert pid_of(beside) == pid, "a refusal ends nothing"


def test_what_nobody_waits_for_is_given_up_in_the_middle(beside: Aside) -> None:
    pid = pid_of(beside)
    gone = threading.Event()
    threading.Timer(0.1, gone.set).start()
    began = time.monotonic()
    with pytest.raises(CalledOff):
        beside.call("time:sleep", 30, unwanted=gone.is_set)
    assert time.monotonic() - began < 10
    assert pid_of(beside) == pid, "it goes on with the next call"


def test_a_process_that_has_left_is_replaced_and_one_that_was_killed_is_told_of(beside: Aside) -> None:
    first = pid_of(beside)
    with pytest.raises(ShrunkError, match="ended"):
        beside.call("os:kill", first, signal.SIGKILL)
    second = pid_of(beside)
    assert second not in (first, os.getpid())


def test_it_leaves_with_the_app(beside: Aside) -> None:
    pid_of(beside)
    process = beside._process
    assert process is not None and beside._line is not None
    beside._line.close()
    assert process.wait(10) == 0
