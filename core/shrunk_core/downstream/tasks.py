"""Tasks by name: those that are shipped, and people's own TOML files of the same form."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path

from ..config.cell import METRICS, TaskSpec
from ..config.loader import Place, read_section, read_toml
from ..errors import ConfigError

GLUE = ("cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli")
"""The nine tasks of GLUE (Wang et al. 2019) in its order."""

REAL_METRICS = ("pearson", "spearman")
BINARY_METRICS = ("f1",)


def shipped_tasks() -> list[str]:
    """Names of the tasks that come with the package: GLUE first, then the others by name."""
    names = {p.stem for p in _folder().glob("*.toml")}
    return [*GLUE, *sorted(names - set(GLUE))]


def find_task(name: str) -> TaskSpec:
    """A task by its name, or by the path of a TOML file; `@SPLIT[+SPLIT]` after it scores other splits.

    `mnli`, `my/task.toml`, `mrpc@test`. ConfigError for what is neither, with the nearest name.
    """
    name, _, splits = name.partition("@")
    if name.endswith(".toml"):
        spec = read_task(Path(name).expanduser())
    elif name in shipped_tasks():
        spec = read_task(_folder() / f"{name}.toml")
    else:
        near = difflib.get_close_matches(name, shipped_tasks(), n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(shipped_tasks())}, or a TOML file"
        raise ConfigError(f"no task `{name}`; {hint}")
    return dataclasses.replace(spec, splits=tuple(splits.split("+"))) if splits else spec


def read_task(path: Path) -> TaskSpec:
    """A task from its TOML file; its name is the file's."""
    table, text = read_toml(path)
    place = Place(path, text)
    spec = read_section(TaskSpec, {"name": path.stem, **table}, place)
    if len(spec.fields) not in (1, 2):
        raise ConfigError(f"{place.key('fields')}: a task has one or two sentences, not {len(spec.fields)}")
    if len(spec.labels) == 1:
        raise ConfigError(f"{place.key('labels')}: one label leaves nothing to learn; [] means a task of numbers")
    for metric in spec.metrics or ("none",):
        if metric not in METRICS:
            near = difflib.get_close_matches(metric, METRICS, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else f"; there are {', '.join(METRICS)}"
            raise ConfigError(f"{place.key('metrics')}: no metric `{metric}`{hint}")
        if (metric in REAL_METRICS) != spec.regression:
            kind = "numbers" if metric in REAL_METRICS else "labels"
            raise ConfigError(f"{place.key('metrics')}: `{metric}` is for tasks of {kind}")
        if metric in BINARY_METRICS and len(spec.labels) != 2:
            raise ConfigError(f"{place.key('metrics')}: `{metric}` needs two labels; `macro-f1` takes more")
    return spec


def _folder() -> Path:
    """The package is never a zip file: hatch builds a plain wheel."""
    return Path(__file__).parent / "shipped"
