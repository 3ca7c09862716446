"""A run's folder: what lies where, and what its log says of it.

runs/<run_id>/spec.json      written once at birth, never changed
              events.jsonl   appended by its worker only
              worker.log     standard output and error of its workers
              checkpoints/   update-<n>/, pruned to the policy of the spec
              model/         a Hugging Face checkpoint of the finished run
              control/       small files that ask the worker to leave: `stop`, `pause`, `cancel`
              downstream/<cell_id>/   a child job of the same form: its own spec.json, events.jsonl, worker.log, control/

A job is named by its id: `RUN` for a run, `RUN/CELL` for a child of it.
"""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..config.spec import RunSpec, from_dict, to_plain
from ..errors import RunError

SPEC_VERSION = 1

CHILDREN = "downstream"
"""Name of the folder of a run's child jobs."""

REQUESTS = ("cancel", "stop", "pause")
"""Files in `control/` that ask a worker to leave with a checkpoint."""


EPOCH_FILE = "epoch"
"""In the lab's `.shrunk/`: how often the lab was taken over from a supervisor of another host."""


def epoch_of(lab: Path) -> int:
    """The lab's epoch now, 0 when nobody ever took it over."""
    try:
        return int((lab / ".shrunk" / EPOCH_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return 0


def lab_of(run: RunDir) -> Path:
    """The lab that a job's folder lies in."""
    return run.path.parents[3] if run.path.parent.name == CHILDREN else run.path.parents[1]


@dataclass(frozen=True)
class RunDir:
    """Paths of one run. Creating the object touches nothing."""

    path: Path

    @property
    def run_id(self) -> str:
        """The id of the job: of a child `RUN/CELL`."""
        return f"{self.path.parents[1].name}/{self.path.name}" if self.path.parent.name == CHILDREN else self.path.name

    @property
    def downstream(self) -> Path:
        return self.path / CHILDREN

    @property
    def spec_file(self) -> Path:
        return self.path / "spec.json"

    @property
    def events_file(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def worker_log(self) -> Path:
        return self.path / "worker.log"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def control(self) -> Path:
        return self.path / "control"


def run_dir(lab: Path, run_id: str) -> RunDir:
    """The folder of a job, a run or a child of one."""
    run, _, cell = run_id.partition("/")
    return RunDir(lab / "runs" / run / CHILDREN / cell if cell else lab / "runs" / run)


def parent_of(job_id: str) -> str:
    """The run that a job is or belongs to."""
    return job_id.partition("/")[0]


def is_cell(job_id: str) -> bool:
    return "/" in job_id


def cell_dirs(run: RunDir) -> list[RunDir]:
    """The child jobs of a run that were born whole, in order of id."""
    if not run.downstream.is_dir():
        return []
    return [RunDir(p) for p in sorted(run.downstream.iterdir()) if (p / "spec.json").exists()]


def run_dirs(lab: Path) -> list[RunDir]:
    """All runs of a lab that were born whole (their spec is written last), in order of id."""
    folder = lab / "runs"
    if not folder.is_dir():
        return []
    return [RunDir(p) for p in sorted(folder.iterdir()) if (p / "spec.json").exists()]


def write_spec(lab: Path, spec: RunSpec, *, name: str, grid: str, costs: dict[str, int]) -> RunDir:
    """Give birth to a run: make its folder and write its frozen spec, or leave the one that is there.

    name, grid: what people call it; not part of its identity. costs: num_params, embedding_params and the FLOPs of a
    sequence in each counting, so that readers need no formula.
    """
    run = run_dir(lab, spec.run_id)
    if run.spec_file.exists():
        return run
    body = {
        "v": SPEC_VERSION,
        "run_id": spec.run_id,
        "name": name,
        "grid": grid,
        "costs": costs,
        "spec": to_plain(spec),
    }
    run.path.parent.mkdir(exist_ok=True)
    write_atomically(run.spec_file, json.dumps(body, indent=1) + "\n")
    return run


@dataclass(frozen=True, kw_only=True)
class SpecFile:
    """The content of a spec.json."""

    run_id: str
    name: str
    grid: str
    costs: dict[str, int]
    spec: RunSpec


def read_spec(run: RunDir) -> SpecFile:
    """Read spec.json. RunError when it is absent, broken or of a newer version."""
    try:
        body = json.loads(run.spec_file.read_text())
        if body["v"] > SPEC_VERSION:
            raise RunError(
                f"{run.spec_file} was written by a newer shrunk-tui (version {body['v']}); install that one."
            )
        return SpecFile(
            run_id=body["run_id"],
            name=body["name"],
            grid=body["grid"],
            costs=body["costs"],
            spec=from_dict(body["spec"]),
        )
    except FileNotFoundError:
        raise RunError(f"no run {run.run_id}: {run.spec_file} does not exist") from None
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise RunError(
            f"{run.spec_file} cannot be read ({problem}); it is broken, or of another version of shrunk-tui"
        ) from None


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader or a crash sees the old content or the new, never a part of it.

    Its folder is made if need be, and none above that: a lab that has gone must not come back empty. OSError then.
    """
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process as its events name it; a pid alone is reused, so its start time belongs to it."""

    host: str
    pid: int
    started_at: float

    def foreign(self) -> bool:
        """True for a process of another host, of which nobody here can tell whether it lives."""
        return self.host != socket.gethostname()

    def alive(self) -> bool:
        """True if it runs on this host now. A process of another host counts as alive: we cannot know better."""
        if self.foreign():
            return True
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started_at) < 2.0 and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


def this_process() -> Process:
    return process_of(os.getpid())


def process_of(pid: int) -> Process:
    """The process of this host with this id now; one that has ended already gets this moment as its start."""
    try:
        started_at = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        started_at = time.time()
    return Process(host=socket.gethostname(), pid=pid, started_at=started_at)
