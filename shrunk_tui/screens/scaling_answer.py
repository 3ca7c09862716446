"""What the Scaling screen is answered. It is worked out in another process (`scaling_study`), so nothing here is heavy."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .scaling_choice import Choice

if TYPE_CHECKING:
    from ..charts import Chart


@dataclass(frozen=True, kw_only=True)
class Study:
    """lines: numbers and notes, one a line, as text. problem: why there is no answer, with what to do. tasks, sets,
    references, groups: what the keys can choose from now. whole: False while other countings are still to be asked.
    found: the fit as `shrunk fit` prints it, to be kept; empty where no law was fitted."""

    choice: Choice
    chart: Chart | None = None
    lines: tuple[str, ...] = ()
    problem: str = ""
    tasks: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    runs: int = 0
    whole: bool = True
    found: Mapping[str, Any] = field(default_factory=dict)


def wrapped(lines: Sequence[str], width: int) -> str:
    """Notes broken at words; tables keep their lines, which scroll."""
    out: list[str] = []
    for line in lines:
        table = "  " in line.strip() or len(line) <= width
        out += [line] if table else textwrap.wrap(line, width, subsequent_indent="  ")
    return "\n".join(out)
