"""What the index knows of one run beyond its rows: a fold over its log, kept so that new lines need no old ones."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ..record.events import Event, Finished, Resumed, Started, Step
from ..record.rundir import Process
from ..record.status import LogWord, fold_log


@dataclass(frozen=True, kw_only=True)
class RunState:
    """One row of `raw.run_states`. Times are seconds since 1970 UTC, None before they happened.

    state, reason, attempt, host, pid, process_started_at, word_at: the log's last word (`record.status.LogWord`).
    seconds_before: wall seconds of the attempts before the current one, each from its first event to its last.
    update, tokens, flops: progress, set back by a resumption; train_loss, tokens_per_second: of the last step.
    status, status_reason, worker_alive: as derived at the last refresh; status None means "to be derived".
    """

    run_id: str
    state: str = "new"
    reason: str = ""
    attempt: int = 0
    host: str | None = None
    pid: int | None = None
    process_started_at: float | None = None
    word_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    attempt_started_at: float | None = None
    last_logged_at: float | None = None
    seconds_before: float = 0.0
    update: int = 0
    tokens: int = 0
    flops: int = 0
    train_loss: float | None = None
    tokens_per_second: float | None = None
    unigram_loss: float | None = None
    device: str | None = None
    device_name: str | None = None
    threads: int | None = None
    micro_batch: int | None = None
    torch_version: str | None = None
    shrunk_version: str | None = None
    status: str | None = None
    status_reason: str = ""
    worker_alive: bool = False

    @property
    def word(self) -> LogWord:
        worker = None
        if self.host is not None and self.pid is not None and self.process_started_at is not None:
            worker = Process(host=self.host, pid=self.pid, started_at=self.process_started_at)
        return LogWord(
            state=self.state, reason=self.reason, attempt=self.attempt, worker=worker, logged_at=self.word_at
        )


def fold_event(run: RunState, event: Event) -> RunState:
    """The state after one more event of the run's log. Of a stretch of steps only the last one need be given."""
    changes: dict[str, object] = {"last_logged_at": event.logged_at}
    match event:
        case Started() | Resumed():
            if run.attempt_started_at is not None and run.last_logged_at is not None:
                changes["seconds_before"] = run.seconds_before + max(0.0, run.last_logged_at - run.attempt_started_at)
            changes["attempt_started_at"] = event.logged_at
            for name in ("device", "device_name", "threads", "micro_batch", "torch_version", "shrunk_version"):
                changes[name] = getattr(event, name)
            if isinstance(event, Started):
                changes |= {"started_at": event.logged_at, "unigram_loss": event.unigram_loss}
            elif event.from_update < run.update:
                changes |= _progress_at(run, event.from_update)
        case Step():
            changes |= {"update": event.update, "tokens": event.tokens, "flops": event.flops}
            changes |= {"train_loss": event.loss, "tokens_per_second": event.tokens_per_second}
        case Finished():
            changes |= {"update": event.update, "tokens": event.tokens, "flops": event.flops}
    word = fold_log(run.word, event)
    changes |= {"state": word.state, "reason": word.reason, "attempt": word.attempt, "word_at": word.logged_at}
    changes["finished_at"] = word.logged_at if word.state == "finished" else None
    if word.worker is not None:
        worker = word.worker
        changes |= {"host": worker.host, "pid": worker.pid, "process_started_at": worker.started_at}
    return dataclasses.replace(run, **changes)  # type: ignore[arg-type]


def _progress_at(run: RunState, update: int) -> dict[str, object]:
    """Progress set back to `update`: in proportion, until the next step brings the exact numbers."""
    return {
        "update": update,
        "tokens": run.tokens * update // run.update,
        "flops": run.flops * update // run.update,
        "train_loss": None,
        "tokens_per_second": None,
    }
