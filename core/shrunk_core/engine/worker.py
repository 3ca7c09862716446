"""One job in one process: `python -P -m shrunk_core.engine.worker RUN_DIR`. The only door to torch.

The folder is of a run or of a downstream cell. It drains the job's generator into the job's log, heeds `control/` and
SIGTERM / SIGINT, and turns every failure into a `Failed` event. Exit: 0 finished or left on request, 1 failed, 3
another worker has the run or another host the lab, 4 the disk takes nothing and not even that could be logged.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch._dynamo  # noqa: F401  the first optimiser of a process imports it, for a second: the spare has done it before it forks

from .. import __version__
from ..config.spec import RunSpec
from ..cost import micro_batch, num_params
from ..downstream.cell import CellRuntime, cell_events
from ..errors import DataError, RunError, ShrunkError
from ..language.corpus import open_tokens, unigram_counts
from ..language.packing import PackedRows, pack
from ..language.tokenizer import tokenizer_folder
from ..language.word_starts import word_starts
from ..record.cell_events import CellEpoch, CellFinished
from ..record.celldir import read_cell
from ..record.event_base import Attempt
from ..record.eventlog import EventWriter, read_events
from ..record.events import Evaluated, Event, Failed, Finished, MemoryReported, Noted, Resumed, Started, Step
from ..record.lock import FileLock
from ..record.rundir import RunDir, epoch_of, is_cell, lab_of, read_spec, run_dir, this_process
from ..train.arithmetic import set_up
from ..train.pretrain import Barrier, Language, NonFinite, Trainer
from ..train.runtime import Requests, Runtime, choose_execution, device_name, pick_device
from .estimate import estimated_seconds, surely_shorter
from .execution import LONG_SECONDS, in_a_process, settle
from .machine import read_machine
from .patience import disk_trouble
from .retries import BUSY_EXIT, DISK_EXIT


def main(arguments: list[str]) -> int:
    """Run the worker on the folder named by the only argument."""
    run = RunDir(Path(arguments[0]).absolute())
    try:
        lock = FileLock(run.path / "worker.lock")
    except OSError as problem:
        if disk_trouble(problem):
            return no_disk()
        raise
    if not lock.take(seconds=2.0):
        print(f"another worker has {run.path}", file=sys.stderr)
        return BUSY_EXIT
    lab = lab_of(run)
    epoch = epoch_of(lab)
    signals: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        signals.append(number)

    signal.signal(signal.SIGTERM, remember)
    signal.signal(signal.SIGINT, remember)
    try:
        past = list(read_events(run.events_file))
        log = EventWriter(run.events_file)
    except ShrunkError as problem:  # a log of a newer version, no disk: nothing can be said there
        if disk_trouble(problem):
            return no_disk()
        print(problem, file=sys.stderr)
        return 1
    if any(isinstance(e, Finished | CellFinished) for e in past):
        return 0
    starts = [e for e in past if isinstance(e, Attempt)]
    attempt = len(starts) + 1
    update = max((e.update for e in past if isinstance(e, Step)), default=0)
    requests = Requests(run.control, lambda: bool(signals))
    reported = False
    try:
        job = (
            work_on_cell(run, requests, attempt) if is_cell(run.run_id) else work_on_run(run, requests, attempt, starts)
        )
        for event in job:
            if isinstance(event, Barrier):
                if epoch_of(lab) != epoch:  # nothing more is written: the log is another supervisor's now
                    print(f"{lab} was taken over from another host; this worker leaves", file=sys.stderr)
                    return BUSY_EXIT
                log.sync()
            else:
                update = getattr(event, "update", update)
                log.append(event)
                if isinstance(event, Evaluated) or (isinstance(event, Step | CellEpoch) and not reported):
                    reported = True  # as early as can be: until then the supervisor has only its estimate
                    log.append(memory_report(attempt, update))
        log.sync()
        return 0
    except Exception as problem:
        try:
            log.append(Failed(attempt=attempt, update=update, cause=cause_of(problem), message=message_of(problem)))
            log.sync()
            traceback.print_exc()
        except (OSError, ShrunkError) as second:
            if disk_trouble(second):
                return no_disk()
            raise
        return 1


def no_disk() -> int:
    """The exit code that says so: worker.log is on that disk as well, and nothing more may be written there."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    return DISK_EXIT


def work_on_run(run: RunDir, requests: Requests, attempt: int, starts: list[Attempt]) -> Iterator[Event]:
    """The run's events from its first or its next attempt on."""
    spec = read_spec(run).spec
    lab = run.path.parent.parent
    first = starts[0] if starts else None
    threads = first.threads if first else int(os.environ.get("OMP_NUM_THREADS", "1"))
    torch.set_num_threads(threads)
    device = pick_device(spec.train.device)
    if first and first.device.split(":")[0] != device.type:
        yield Noted(
            attempt=attempt,
            update=0,
            message=f"begun on {first.device_name}, goes on on {device_name(device)}: the last bits may differ",
        )
    at_once = micro_batch(spec.train.micro_batch, spec.train.batch_size, spec.train.sequence_length)
    runtime = Runtime(
        device=device,
        execution=(first.execution if first else "") or choose_execution(spec.train.precision, device),
        threads=threads,
        micro_batch=first.micro_batch if first else at_once,
    )
    told = ""
    if not first:
        runtime, told = settled(lab, spec, runtime, requests)
    set_up(spec.train.precision, device)
    trainer = Trainer(spec, read_language(spec, lab), run, runtime, requests, attempt)
    birth = birth_of(attempt, runtime)
    restored = trainer.restore()
    if starts:
        yield Resumed(**birth, from_update=trainer.progress.update)
    else:
        if restored:
            raise RunError(f"{run.checkpoints} has checkpoints but {run.events_file} no events: was the log removed?")
        yield Started(
            **birth,
            num_params=num_params(spec.model),
            unigram_loss=trainer.unigram_loss(),
            train_tokens=trainer.language.train.num_tokens,
        )
        if told:
            yield Noted(attempt=attempt, update=0, message=told)
    yield from trainer.events()


def settled(lab: Path, spec: RunSpec, runtime: Runtime, requests: Requests) -> tuple[Runtime, str]:
    """The runtime of a new run with the execution that is fastest for it here, and what to tell of that."""
    if runtime.device.type == "cpu":
        return runtime, ""  # our kernels leave the compiler nothing to gain there
    short = surely_shorter(spec.model, spec.train, LONG_SECONDS)  # else the estimate may measure, for .3 s
    measure = in_a_process(
        spec,
        device=runtime.device.type,
        threads=runtime.threads,
        micro_batch=runtime.micro_batch,
        leave=lambda: bool(requests.reason()),
    )
    execution, told = settle(
        lab,
        spec,
        usual=runtime.execution,
        device_name=device_name(runtime.device),
        torch_version=torch.__version__,
        expected_seconds=0.0 if short else estimated_seconds(spec.model, spec.train, read_machine(lab)),
        measure=measure,
    )
    return replace(runtime, execution=execution), told


def work_on_cell(cell: RunDir, requests: Requests, attempt: int) -> Iterator[Event]:
    """A downstream cell's events from its first or its next attempt on."""
    spec = read_cell(cell)
    lab = cell.path.parents[3]
    run = read_spec(run_dir(lab, spec.run_id)).spec
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    torch.set_num_threads(threads)
    device = pick_device(run.train.device)
    batch = spec.finetune.batch_size if spec.finetune else 0
    precision = spec.finetune.precision if spec.finetune else spec.pairs.precision if spec.pairs else "fp32"
    set_up(precision, device)
    execution = choose_execution(precision, device)
    birth = birth_of(attempt, Runtime(device=device, execution=execution, threads=threads, micro_batch=batch))
    yield from cell_events(lab, cell, spec, run, CellRuntime(device=device, requests=requests, birth=birth))


def birth_of(attempt: int, runtime: Runtime) -> dict[str, Any]:
    """What an `Attempt` says of this process and what it computes with."""
    process = this_process()
    return {
        "attempt": attempt,
        "host": process.host,
        "pid": process.pid,
        "process_started_at": process.started_at,
        "device": str(runtime.device),
        "device_name": device_name(runtime.device),
        "device_uuid": uuid_of(runtime.device),
        "threads": runtime.threads,
        "micro_batch": runtime.micro_batch,
        "torch_version": torch.__version__,
        "shrunk_version": __version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "execution": runtime.execution,
    }


def read_language(spec: RunSpec, lab: Path) -> Language:
    """The packed splits of a run's corpus. DataError when the corpus or its tokens are not there."""

    def rows(split: str) -> PackedRows:
        stream = open_tokens(lab, spec.corpus_fingerprint, spec.tokenizer_fingerprint, split)
        return pack(
            stream,
            sequence_length=spec.train.sequence_length,
            packing=spec.train.packing,
            cross_documents=spec.train.cross_documents,
        )

    return Language(
        train=rows("train"),
        validation=rows("validation"),
        test=rows("test") if spec.corpus.test_share else None,
        unigram_counts=unigram_counts(lab, spec.corpus_fingerprint, spec.tokenizer_fingerprint),
        tokenizer=tokenizer_folder(lab, spec.tokenizer_fingerprint),
        word_starts=word_starts(tokenizer_folder(lab, spec.tokenizer_fingerprint))
        if spec.train.masking == "whole-word"
        else None,
    )


def memory_report(attempt: int, update: int) -> MemoryReported:
    """The most memory that this process has held so far: after its first update, and after each evaluation."""
    on_device = torch.cuda.max_memory_reserved() if torch.cuda.is_initialized() else 0
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return MemoryReported(attempt=attempt, update=update, device_bytes=on_device, rss_bytes=rss)


def uuid_of(device: torch.device) -> str:
    """The UUID that NVML knows a GPU by; empty on the CPU."""
    if device.type != "cuda":
        return ""
    uuid = str(getattr(torch.cuda.get_device_properties(device), "uuid", ""))
    return uuid if not uuid or uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"


def cause_of(problem: Exception) -> str:
    """The `Failed.cause` of an exception."""
    if isinstance(problem, NonFinite):
        return "non-finite"
    if isinstance(problem, DataError):
        return "data"
    if isinstance(problem, (MemoryError, torch.OutOfMemoryError)):
        return "out-of-memory"
    if disk_trouble(problem):
        return "disk"
    return "error"


def message_of(problem: Exception) -> str:
    """What a person should read; the traceback is in worker.log."""
    return str(problem) if isinstance(problem, ShrunkError) else f"{type(problem).__name__}: {problem}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
