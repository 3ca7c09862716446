"""A grid and a lab make a plan: every run with its identity, its costs, what exists of it and what is impossible."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.grid import GridPoint, GridSpec
from ..config.spec import CorpusSpec, RunSpec
from ..cost import COUNTINGS, DEFAULT_COUNTING, costs, disk_bytes, memory_bytes, micro_batch, scored_share
from ..errors import PlanError
from ..language.corpus import corpus_fingerprint, digest_cache
from ..language.tokenizer import tokenizer_fingerprint
from .estimate import estimated_seconds, seconds_per_update
from .hardware import resolve_precision
from .machine import Machine, read_machine
from .standing import Standing
from .watch import read_standings


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One row of a plan. `spec` is None and `run_id` empty when the shape is impossible (`problem` says why)."""

    run_id: str
    name: str
    spec: RunSpec | None
    point: GridPoint
    costs: dict[str, int]
    status: str
    problem: str
    machine: Machine | None = None

    def row(self, counting: str = DEFAULT_COUNTING) -> dict[str, Any]:
        """The row that `shrunk plan` prints."""
        model, train = self.point.model, self.point.train
        sequences = train.updates * train.batch_size
        return {
            "run_id": self.run_id,
            "name": self.name,
            "embedding_size": model.embedding_size,
            "hidden_size": model.hidden_size,
            "intermediate_size": model.intermediate_size,
            "num_heads": model.num_heads,
            "num_layers": model.num_layers,
            "vocab_size": model.vocab_size,
            "seed": self.point.seed,
            "updates": train.updates,
            "num_params": self.costs["num_params"],
            "embedding_params": self.costs["embedding_params"],
            "flops_counting": counting,
            "flops_total": self.costs[f"flops_{counting}"] * sequences,
            "tokens": sequences * train.sequence_length,
            "memory_bytes": memory_bytes(
                model,
                micro_batch(train.micro_batch, train.batch_size, train.sequence_length),
                train.sequence_length,
                scored_share(train),
            ),
            "disk_bytes": disk_bytes(model, train),
            "seconds": round(estimated_seconds(model, train, self.machine), 1),
            "status": self.status,
            "problem": self.problem,
        }


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """All runs of a grid, each once, in the grid's order."""

    grid: GridSpec
    runs: tuple[PlannedRun, ...]
    repeated: int

    def refuse_problems(self) -> None:
        """PlanError naming every impossible shape; nothing of a grid runs while one of it cannot."""
        problems = [f"  {r.name}: {r.problem}" for r in self.runs if r.problem]
        if problems:
            listed = "\n".join(problems[:8]) + ("" if len(problems) <= 8 else f"\n  ... and {len(problems) - 8} more")
            raise PlanError(
                f"{self.grid.path}: {len(problems)} of {len(self.runs)} runs are impossible:\n{listed}\n"
                "Change the axes, or leave them out with [grid] exclude."
            )


def make_plan(lab: Path, grid: GridSpec) -> RunPlan:
    """Work out every run of a grid. Reads the sources once to know their content (cached in the lab by size and time)."""
    fingerprints: dict[CorpusSpec, str] = {}
    standings = read_standings(lab)
    machine = read_machine(lab)
    runs: dict[str, PlannedRun] = {}
    repeated = 0
    for number, point in enumerate(grid.points()):
        if point.problem:
            zero = dict.fromkeys(("num_params", "embedding_params", *(f"flops_{c}" for c in COUNTINGS)), 0)
            runs[f"impossible {number}"] = PlannedRun(
                run_id="", name=point.name, spec=None, point=point, costs=zero, status="", problem=point.problem
            )
            continue
        if point.corpus not in fingerprints:
            fingerprints[point.corpus] = corpus_fingerprint(point.corpus, digest_cache(lab))
        spec = run_spec(point, fingerprints[point.corpus], machine)
        if spec.run_id in runs:
            repeated += 1
            continue
        standing = standings.get(spec.run_id, Standing())
        runs[spec.run_id] = PlannedRun(
            run_id=spec.run_id,
            name=point.name,
            spec=spec,
            point=point,
            costs=costs(point.model, point.train),
            status=standing.status(time.time()).status if standing.known else "",
            problem="",
            machine=machine,
        )
    return RunPlan(grid=grid, runs=tuple(runs.values()), repeated=repeated)


def run_spec(point: GridPoint, fingerprint: str, machine: Machine | None = None) -> RunSpec:
    """The frozen spec of a grid point whose corpus has this fingerprint.

    Settled here: `auto` precision, and the updates that a budget of minutes is expected to hold on this machine.
    """
    precision = resolve_precision(point.train.precision, point.train.device)
    train = dataclasses.replace(point.train, precision=precision)
    if train.minutes:
        updates = max(1, round(60 * train.minutes / seconds_per_update(point.model, train, machine)))
        train = dataclasses.replace(train, updates=updates)
    return RunSpec(
        model=point.model,
        corpus=point.corpus,
        tokenizer=point.tokenizer,
        train=train,
        seed=point.seed,
        corpus_fingerprint=fingerprint,
        tokenizer_fingerprint=tokenizer_fingerprint(fingerprint, point.tokenizer),
    )
