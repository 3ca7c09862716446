"""Following runs from a terminal or a pipe: progress bars or plain lines, made from the logs alone."""

from __future__ import annotations

import contextlib
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from shrunk_core.engine.client import start_supervisor, stop
from shrunk_core.engine.desk import Desk
from shrunk_core.engine.watch import Watch
from shrunk_core.record.events import (
    CorpusBuilt,
    CorpusProgress,
    Evaluated,
    Event,
    Failed,
    Finished,
    Left,
    Noted,
    Resumed,
    RunDequeued,
    RunQueued,
    Started,
    TokenizerBuilt,
)

from ..format import count, duration, several, size
from .output import say

LOOK_SECONDS = 0.25
PLAIN_SECONDS = 10.0
"""A run that has nothing else to say reports its progress this often when output is piped."""

STAGES = {
    "vocabulary": "counting words",
    "filter": "filtering",
    "duplicates": "finding duplicates",
    "mix": "writing the splits",
    "tokenizer": "training the tokenizer",
    "tokens": "tokenizing",
}


@dataclass(frozen=True, kw_only=True)
class Followed:
    """One run to follow: what people call it and how many updates it has."""

    run_id: str
    name: str
    updates: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How following ended. statuses: by run_id. how: `done`, `detached` or `interrupted`."""

    statuses: dict[str, str]
    how: str


def follow(lab: Path, runs: list[Followed], *, can_stop: bool) -> Outcome:
    """Follow runs until none of them is queued or running.

    `d` (on a terminal) or SIGHUP detaches. Ctrl-C with `can_stop` stops these runs with checkpoints and waits for them; a
    second one leaves at once. Without `can_stop` Ctrl-C detaches.
    """
    ids = [r.run_id for r in runs]
    watch = Watch(lab, set(ids))
    since = time.time()
    watch.look()
    screen = _Bars(runs) if sys.stderr.isatty() else _Lines(runs)
    interrupted, hung_up, served_at = 0, False, time.monotonic()

    def hang_up(*_: object) -> None:
        nonlocal hung_up
        hung_up = True

    previous = signal.signal(signal.SIGHUP, hang_up)
    try:
        with _keys() as pressed, screen:
            while True:
                try:
                    for run_id, event in watch.look():
                        if event.logged_at >= since - 1.0:
                            screen.event(run_id, event)
                    statuses = {i: watch.status(i).status for i in ids}
                    screen.progress(watch, statuses)
                    if not any(s in ("queued", "running") for s in statuses.values()):
                        return Outcome(statuses=statuses, how="interrupted" if interrupted else "done")
                    if hung_up or "d" in pressed():
                        return Outcome(statuses=statuses, how="detached")
                    served_at = _keep_served(lab, served_at, screen.say)
                    time.sleep(LOOK_SECONDS)
                except KeyboardInterrupt:
                    if not can_stop:
                        return Outcome(statuses={}, how="detached")
                    interrupted += 1
                    if interrupted > 1:
                        return Outcome(statuses={}, how="interrupted")
                    screen.say("stopping these runs, each with a checkpoint (Ctrl-C again: leave at once) ...")
                    stop(lab, ids)
    finally:
        signal.signal(signal.SIGHUP, previous)


def _keep_served(lab: Path, served_at: float, tell: Callable[[str], None]) -> float:
    """Start another supervisor when the one that served has been gone for a while; it takes over what lives."""
    desk = Desk(lab)
    if desk.serving():
        return time.monotonic()
    if time.monotonic() - served_at > 3.0:
        said = desk.log.read_text(errors="replace").strip().splitlines() if desk.log.exists() else []
        tell("the supervisor is gone; starting another" + (f". Its last word: {said[-1]}" if said else ""))
        start_supervisor(desk)
        return time.monotonic()
    return served_at


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[], str]]:
    """A function that returns the keys pressed since the last call; none when stdin is no terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        yield lambda: ""
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def pressed() -> str:
        keys = ""
        while select.select([descriptor], [], [], 0)[0]:
            key = sys.stdin.read(1)
            if not key:
                break
            keys += key
        return keys

    try:
        tty.setcbreak(descriptor)
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def sentence(event: Event) -> str:
    """What a person should hear of an event; empty for most."""
    match event:
        case CorpusBuilt():
            share = event.units_kept / max(1, event.units_seen)
            return (
                f"corpus {event.fingerprint}: {event.units_kept:,} of {event.units_seen:,} units kept ({share:.1%}), "
                f"{event.words_kept:,} words, {event.vocabulary_words:,} in the vocabulary, {duration(event.seconds)}"
            )
        case TokenizerBuilt():
            return (
                f"tokenizer {event.fingerprint}: {event.vocab_size:,} entries; tokens: {event.train_tokens:,} train, "
                f"{event.validation_tokens:,} validation, {event.test_tokens:,} test, {duration(event.seconds)}"
            )
        case Started():
            return f"started on {event.device} ({several(event.threads, 'thread')})"
        case Resumed():
            return f"resumed from update {event.from_update} (attempt {event.attempt})"
        case Evaluated() if event.split == "validation":
            gain = event.unigram_loss - event.loss
            return f"update {event.update}: validation loss {event.loss:.3f}, {gain:+.3f} under the unigram"
        case Finished():
            return f"finished: best validation loss {event.best_loss:.4f} in {duration(event.seconds)}"
        case Left():
            return f"left at update {event.update} with a checkpoint ({event.reason})"
        case Failed():
            return f"FAILED at update {event.update}: {event.message}"
        case RunDequeued():
            return f"{event.status}: {event.message}"
        case RunQueued() if event.reason == "worker-died":
            return "its worker died; queued again from the last checkpoint"
        case Noted():
            return event.message
    return ""


class _Lines:
    """Plain lines for pipes and logs: every event that matters, and progress now and then."""

    def __init__(self, runs: list[Followed]) -> None:
        self.runs = {r.run_id: r for r in runs}
        self.width = max((len(r.name) for r in runs), default=0)
        self._told: dict[str, float] = {}

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, text: str) -> None:
        say(text)

    def event(self, run_id: str, event: Event) -> None:
        text = sentence(event)
        if text and (run_id in self.runs or not run_id):
            self._told[run_id] = time.monotonic()
            self.say(f"{self.runs[run_id].name.ljust(self.width)}  {text}" if run_id else text)

    def progress(self, watch: Watch, statuses: dict[str, str]) -> None:
        now = time.monotonic()
        for run_id, status in statuses.items():
            standing = watch.standings.get(run_id)
            if status == "running" and standing and standing.loss is not None:
                if now - self._told.setdefault(run_id, now) >= PLAIN_SECONDS:
                    self._told[run_id] = now
                    run = self.runs[run_id]
                    self.say(
                        f"{run.name.ljust(self.width)}  update {standing.update}/{run.updates}, loss {standing.loss:.3f}, "
                        f"{count(standing.tokens_per_second)} tokens/s"
                    )


class _Bars:
    """Rich progress bars: one a run, on stderr, so that data on stdout can be piped beside them."""

    def __init__(self, runs: list[Followed]) -> None:
        self.runs = {r.run_id: r for r in runs}
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            refresh_per_second=4,
        )
        self.tasks: dict[str, TaskID] = {}
        self._building: TaskID | None = None

    def __enter__(self) -> _Bars:
        self.bars.start()
        self.bars.console.print("[dim]d: detach, training goes on   Ctrl-C: stop with checkpoints[/dim]")
        for run in self.runs.values():
            self.tasks[run.run_id] = self.bars.add_task(run.name, total=run.updates, note="waiting")
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def say(self, text: str) -> None:
        self.bars.console.print(text, markup=False)

    def event(self, run_id: str, event: Event) -> None:
        if isinstance(event, CorpusProgress):
            if self._building is None:
                self._building = self.bars.add_task("corpus", total=None, note="")
            done = size(event.done) if event.unit == "bytes" else f"{event.done:,} {event.unit}"
            note = f"{STAGES.get(event.stage, event.stage)} {done}  {event.message}"
            self.bars.update(self._building, total=event.total or None, completed=event.done, note=note)
        if isinstance(event, TokenizerBuilt) and self._building is not None:
            self.bars.remove_task(self._building)
            self._building = None
        if not run_id and (text := sentence(event)):
            self.say(text)
        elif run_id in self.runs and isinstance(event, (Failed, RunDequeued, Noted, Left)):
            self.say(f"{self.runs[run_id].name}: {sentence(event)}")

    def progress(self, watch: Watch, statuses: dict[str, str]) -> None:
        for run_id, status in statuses.items():
            standing = watch.standings.get(run_id)
            note = status
            if standing and standing.loss is not None:
                loss = standing.evaluated.loss if standing.evaluated else standing.loss
                note = f"{status}  {standing.update}/{self.runs[run_id].updates}  loss {loss:.3f}"
                if status == "running" and standing.tokens_per_second:
                    note += f"  {count(standing.tokens_per_second)} tokens/s"
            self.bars.update(self.tasks[run_id], completed=standing.update if standing else 0, note=note)
