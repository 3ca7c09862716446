"""`shrunk diff`: what two runs have set differently, and their results side by side."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from shrunk_core.config.lab import find_lab
from shrunk_core.config.spec import to_plain
from shrunk_core.engine.standing import Standing
from shrunk_core.engine.watch import Watch
from shrunk_core.record.rundir import SpecFile

from .output import Format, FormatOption, LabOption, print_rows, say
from .runs import choose_one

RunArgument = Annotated[str, typer.Argument(help="A run's id (or its beginning), or its name.")]


def diff(one: RunArgument, other: RunArgument, lab: LabOption = None, how: FormatOption = Format.table) -> None:
    """Compare two runs: every setting that differs, then costs and results side by side.

    Losses compare only within one evaluation_id; a note says when the two have different ones.
    Example: shrunk diff 3f2a 9c01
    """
    folder = find_lab(lab)
    pair = [choose_one(folder, one), choose_one(folder, other)]
    watch = Watch(folder, {s.run_id for s in pair})
    watch.look()
    settings = [_flat(to_plain(s.spec)) for s in pair]
    rows = [
        {"what": "setting", "name": name, "one": settings[0].get(name), "other": settings[1].get(name)}
        for name in dict.fromkeys([*settings[0], *settings[1]])
        if settings[0].get(name) != settings[1].get(name)
    ]
    results = [_results(s, watch.standing(s.run_id)) for s in pair]
    rows += [
        {"what": "result", "name": name, "one": results[0][name], "other": results[1][name]} for name in results[0]
    ]
    print_rows(rows, ("what", "name", "one", "other"), how)
    if pair[0].spec.evaluation_id != pair[1].spec.evaluation_id:
        say("the two were evaluated on different token sets (evaluation_id): their losses do not compare")


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names; a list as its text."""
    if not isinstance(value, dict):
        return {prefix: ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value}
    out: dict[str, Any] = {}
    for key, inner in value.items():
        out |= _flat(inner, f"{prefix}.{key}" if prefix else key)
    return out


def _results(spec: SpecFile, standing: Standing) -> dict[str, Any]:
    evaluated = standing.evaluated
    return {
        "run_id": spec.run_id,
        "name": spec.name,
        "status": standing.status(time.time()).status,
        "update": standing.update,
        "num_params": spec.costs["num_params"],
        "flops_paper": standing.flops,
        "validation_loss": evaluated.loss if evaluated else None,
        "validation_stderr": evaluated.loss_stderr if evaluated else None,
        "num_masked_tokens": evaluated.num_masked_tokens if evaluated else None,
        "unigram_loss": evaluated.unigram_loss if evaluated else None,
    }
