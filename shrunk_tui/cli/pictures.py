"""Charts of the analysis commands: drawn on stderr, beside the data, or saved as a figure."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import say

if TYPE_CHECKING:
    from ..charts import Chart

SaveOption = Annotated[
    Path | None, typer.Option("--save", metavar="FILE", help="Also save the figure: FILE.svg, .png or .pdf.")
]
DrawOption = Annotated[bool, typer.Option("--draw", help="Also draw it in the terminal, on stderr.")]


def show(chart: Chart, draw_it: bool, save_to: Path | None) -> None:
    """Draw and save as asked."""
    if draw_it:
        from ..charts import draw

        wide = os.get_terminal_size(2) if sys.stderr.isatty() else os.terminal_size((80, 24))
        colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        say(draw(chart, width=min(wide.columns, 160), height=max(16, min(wide.lines - 6, 34)), colour=colour))
    if save_to is not None:
        from ..figures import save

        save(chart, save_to)
        say(f"figure: {save_to}")


def check(save_to: Path | None) -> None:
    """Refuse a figure's name before the work that it is to show."""
    if save_to is not None:
        from ..figures import check_name

        check_name(save_to)
