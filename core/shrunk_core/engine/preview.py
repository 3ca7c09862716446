"""A grid while it is being designed: every run with its costs at once, and what is known of the lab beside it.

Unlike a plan, a preview never fails on a language that is not there yet: shapes, parameters and FLOPs need no corpus. Only
whether a run exists already does, and the preview says so when it cannot tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config.document import GridDocument
from ..config.grid import GridPoint
from ..config.spec import CorpusSpec
from ..cost import COUNTINGS, DEFAULT_COUNTING, costs
from ..errors import ShrunkError
from ..language.corpus import corpus_fingerprint, digest_cache
from .hardware import resolve_precision
from .machine import Machine
from .plan import PlannedRun, run_spec

MOST_RUNS = 5_000
"""A preview refuses larger grids: an axis typed by mistake must not stall a screen."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a document stands for now.

    runs: each once, in the grid's order; problem: why there is no grid at all (runs is then empty); unknown: languages whose
    fingerprint is not known, so that it cannot be told whether their runs exist (their `run_id` is then empty); repeated:
    combinations that are a run already listed.
    """

    runs: tuple[PlannedRun, ...] = ()
    problem: str = ""
    unknown: tuple[CorpusSpec, ...] = ()
    repeated: int = 0

    def rows(self, counting: str = DEFAULT_COUNTING) -> list[dict[str, Any]]:
        """The rows of `shrunk plan`, with `flops_paper` and `flops_executed` of the whole run beside the counting's."""
        found = []
        for run in self.runs:
            sequences = run.point.train.updates * run.point.train.batch_size
            totals = {f"flops_{c}": run.costs[f"flops_{c}"] * sequences for c in ("paper", "executed")}
            found.append({**run.row(counting), **totals})
        return found

    @property
    def impossible(self) -> int:
        return sum(bool(run.problem) for run in self.runs)


def preview(
    document: GridDocument,
    statuses: Mapping[str, str],
    fingerprints: Mapping[CorpusSpec, str],
    machine: Machine | None = None,
) -> Preview:
    """Work a document out: arithmetic alone, nothing is read.

    statuses: run_id -> status of the lab's runs. fingerprints: of the languages that are known (see `fingerprint`); runs of
    others have no `run_id` and their languages are in `Preview.unknown`. machine: what `shrunk bench` measured here.
    """
    try:
        grid = document.grid()
        number = _combinations(document) * len(grid.settings.seeds)
        if number > MOST_RUNS:
            return Preview(problem=f"{number:,} combinations: more than {MOST_RUNS:,} are not worked out here")
        points = grid.points()
    except ShrunkError as problem:
        return Preview(problem=str(problem))
    precisions: dict[tuple[str, str], str] = {}
    runs: dict[str, PlannedRun] = {}
    repeated = 0
    for number, point in enumerate(points):
        asked = (point.train.precision, point.train.device)
        if asked not in precisions:
            precisions[asked] = resolve_precision(*asked)
        settled = replace(point, train=replace(point.train, precision=precisions[asked]))
        run = _planned(settled, fingerprints.get(point.corpus, ""), statuses, machine)
        if run.run_id and run.run_id in runs:
            repeated += 1
            continue
        runs[run.run_id or f"point {number}"] = run
    unknown = dict.fromkeys(p.corpus for p in points if p.corpus not in fingerprints)
    return Preview(runs=tuple(runs.values()), unknown=tuple(unknown), repeated=repeated)


def fingerprint(lab: Path, corpus: CorpusSpec) -> str:
    """The fingerprint of a language; reads its sources once (cached in the lab). ShrunkError or OSError if it cannot."""
    return corpus_fingerprint(corpus, digest_cache(lab))


def _combinations(document: GridDocument) -> int:
    """How many combinations the axes make, without making them."""
    lengths = [len(v) for v in document.axes().values()]
    if document.value("grid.mode") in ("zip", "one-factor"):
        return 1 + sum(lengths)
    product = 1
    for length in lengths:
        product *= length
    return product


def _planned(point: GridPoint, fingerprint: str, statuses: Mapping[str, str], machine: Machine | None) -> PlannedRun:
    if point.problem:
        zero = dict.fromkeys(("num_params", "embedding_params", *(f"flops_{c}" for c in COUNTINGS)), 0)
        return PlannedRun(
            run_id="", name=point.name, spec=None, point=point, costs=zero, status="", problem=point.problem
        )
    spec = run_spec(point, fingerprint, machine) if fingerprint else None
    run_id = spec.run_id if spec else ""
    return PlannedRun(
        run_id=run_id,
        name=point.name,
        spec=spec,
        point=point,
        costs=costs(point.model, point.train),
        status=statuses.get(run_id, ""),
        problem="",
        machine=machine,
    )
