"""A worker has ended: count what has to be counted, apply the rule, and do with its run what the rule says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..record.events import RunDequeued, RunReaped
from ..record.rundir import run_dir
from .retries import Ending, judge, last_words

if TYPE_CHECKING:
    from .job import Job
    from .service import Supervisor


def worker_ended(supervisor: Supervisor, job: Job, code: int | None) -> None:
    """Do with a run what the rule of `retries.judge` says of how its worker ended."""
    run_id = job.run_id
    pid = job.child.pid if job.child else job.process.pid if job.process else 0
    supervisor.journal.append(RunReaped(run_id=run_id, pid=pid, returncode=code))
    supervisor.look()
    if run_id in supervisor.queue or supervisor.leaving:
        return
    standing = supervisor.watch.standing(run_id)
    spoke = standing.log.logged_at >= job.launched_at and standing.log.state != "running"
    failures = supervisor.failures.get(run_id, 0) + 1 if spoke and standing.log.state == "failed" else 0
    supervisor.failures[run_id] = failures
    ending = Ending(
        code=code,
        word=standing.log,
        spoke=spoke,
        cause=standing.cause,
        tail=last_words(run_dir(supervisor.lab, run_id).worker_log),
        deaths=_count_death(supervisor, run_id) if not spoke else 0,
        failures=failures,
    )
    verdict = judge(ending, supervisor.settings)
    if verdict.act == "requeue":
        supervisor.enqueue(run_id, verdict.reason, seconds=verdict.seconds)
    elif verdict.act == "fail":
        supervisor.journal.append(RunDequeued(run_id=run_id, status="failed", message=verdict.message))
    elif run_id in supervisor.again:
        supervisor.enqueue(run_id, "resumed")
    elif spoke and standing.log.state == "left" and run_id in supervisor.stopping:
        supervisor.journal.append(RunDequeued(run_id=run_id, status="stopped", message=supervisor.stopping[run_id]))
    elif spoke and standing.log.state == "failed" and standing.cause == "data":
        _fail_alike(supervisor, run_id, standing.log.reason)
    supervisor.again.discard(run_id)
    supervisor.stopping.pop(run_id, None)


def _count_death(supervisor: Supervisor, run_id: str) -> int:
    """Workers of this run killed in a row without getting further than the one before."""
    saved = any(run_dir(supervisor.lab, run_id).checkpoints.glob("update-*"))
    update = supervisor.watch.standing(run_id).update
    deaths, before = supervisor.deaths.get(run_id, (0, -1))
    deaths = deaths + 1 if update <= before or not saved else 1
    supervisor.deaths[run_id] = (deaths, update)
    return deaths


def _fail_alike(supervisor: Supervisor, run_id: str, message: str) -> None:
    """Bad data would fail every run that reads the same rows: say it once for all of them."""
    hit = supervisor.spec_of(run_id).spec
    for other in supervisor.queue.in_order():
        spec = supervisor.spec_of(other).spec
        if (spec.tokenizer_fingerprint, spec.corpus_fingerprint, spec.train.sequence_length) == (
            hit.tokenizer_fingerprint,
            hit.corpus_fingerprint,
            hit.train.sequence_length,
        ):
            supervisor.dequeue(other, "failed", message)
