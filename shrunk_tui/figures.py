"""Charts as files for papers: SVG, PDF or PNG, from the same description that the terminal draws. The one user of matplotlib.

matplotlib is imported when a figure is saved. The same chart gives the same bytes: no dates, no random ids.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from shrunk_core.errors import ConfigError

from .charts import PALETTE, Chart, Series
from .format import short

FORMATS = ("svg", "png", "pdf")
_MARKERS = ("o", "s", "^", "D", "P", "v", "<", ">", "p", "X")
_OF_GLYPHS = {"·": (".", 2.5), "+": ("+", 5.0), "✕": ("x", 7.0), "!": ("$!$", 7.0)}
"""Marker and size of the signs that a description asks for by itself."""
_SIZE = (6.4, 4.4)
"""Inches; with a panel of residuals a third more in height."""


def check_name(path: Path) -> None:
    """ConfigError unless the ending says a format that can be written; asked before the work, not after."""
    if path.suffix.lower().lstrip(".") not in FORMATS:
        raise ConfigError(f"--save {path}: end it in .{', .'.join(FORMATS[:-1])} or .{FORMATS[-1]}")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"--save {path}: the folder {path.absolute().parent} does not exist")


def save(chart: Chart, path: Path) -> None:
    """Write a chart in the format that the ending of `path` names. ConfigError when it cannot be written."""
    check_name(path)
    body = render(chart, path.suffix.lower().lstrip("."))
    try:
        path.write_bytes(body)
    except OSError as problem:
        raise ConfigError(f"--save {path}: {problem.strerror}") from None


def render(chart: Chart, form: str) -> bytes:
    """The chart as a file's content; form: svg, png or pdf."""
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "shrunk", "pdf.fonttype": 42, "font.size": 9}
    with matplotlib.rc_context(settings):
        two = bool(chart.residuals)
        figure = Figure(figsize=(_SIZE[0], _SIZE[1] * (1.3 if two else 1.0)), layout="constrained")
        if two:
            axes, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        else:
            axes, lower = figure.subplots(), None
        _draw(chart, axes)
        if lower is not None:
            _marks(chart, lower)
            lower.axhline(0.0, color="0.6", linewidth=0.8)
            for one in chart.residuals:
                _series(one, lower)
            lower.set_ylabel(chart.residual_label)
        _plain_ticks((lower or axes).xaxis, chart.log_x)
        (lower or axes).set_xlabel(chart.x_label)
        if chart.notes:
            figure.supxlabel("\n".join(chart.notes), fontsize=7, color="0.35")
        out = io.BytesIO()
        meta: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
        figure.savefig(out, format=form, dpi=160, metadata=meta)
    return out.getvalue()


def _draw(chart: Chart, axes: Any) -> None:
    axes.set_title(chart.title, fontsize=10)
    axes.set_ylabel(chart.y_label)
    axes.set_xscale("log" if chart.log_x else "linear")
    axes.set_yscale("log" if chart.log_y else "linear")
    axes.grid(True, which="major", color="0.92", linewidth=0.7)
    axes.set_axisbelow(True)
    other = None
    if any(one.right for one in chart.series):
        other = axes.twinx()
        other.set_yscale("log" if chart.log_y else "linear")
        other.set_ylabel(chart.right_label)
    _marks(chart, axes)
    for one in chart.series:
        _series(one, other if one.right and other is not None else axes)
    ends = axes.get_ylim()
    for band in chart.bands:
        axes.fill_between(
            band.x, band.low, band.high, color=_colour(band.colour), alpha=0.2, linewidth=0, label=band.label
        )
    axes.set_ylim(ends)  # a band may go anywhere where no points are; the points decide what is seen
    _plain_ticks(axes.yaxis, chart.log_y)
    if other is not None:
        _plain_ticks(other.yaxis, chart.log_y)
    handles, labels = axes.get_legend_handles_labels()
    if other is not None:
        more, named = other.get_legend_handles_labels()
        handles, labels = handles + more, labels + [f"{name} (right axis)" for name in named]
    if other is not None:  # no corner is free of both axes' points for sure
        axes.figure.legend(handles, labels, fontsize=7, frameon=False, loc="outside upper center", ncols=5)
    elif len(handles) > 1:
        axes.legend(handles, labels, fontsize=7, frameon=False)


def _plain_ticks(axis: Any, log: bool) -> None:
    """3 and 4, or 6e16 and 8e16, where a log axis spans less than a decade; 3 and 4 rather than 3x10^0 up to two decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    low, high = axis.get_view_interval()
    if not log or low <= 0 or math.log10(high / low) >= 2:
        return
    if math.log10(high / low) < 1:
        axis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))
        axis.set_minor_locator(NullLocator())
    elif high < 1e5:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0)))
    else:
        return
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axis.set_minor_formatter(NullFormatter())


def _series(one: Series, axes: Any) -> None:
    x, y = np.asarray(one.x, dtype=float), np.asarray(one.y, dtype=float)
    good = np.isfinite(x) & np.isfinite(y)
    x, y = x[good], y[good]
    colour, marker = _colour(one.colour), _MARKERS[one.colour % len(_MARKERS)]
    if one.line:
        order = np.argsort(x, kind="stable")
        axes.plot(x[order], y[order], color=colour, linewidth=1.4, label=one.label or None)
    else:
        marker, size = _OF_GLYPHS.get(one.glyph, (marker, 4.0))
        axes.plot(x, y, linestyle="none", marker=marker, markersize=size, color=colour, label=one.label or None)


def _marks(chart: Chart, axes: Any) -> None:
    for mark in chart.marks:
        axes.axvline(mark.x, color="0.4", linestyle="--", linewidth=1.0, label=mark.label or None)
        if mark.low is not None and mark.high is not None:
            axes.axvspan(mark.low, mark.high, color="0.5", alpha=0.12, linewidth=0)


def _colour(number: int) -> Sequence[float]:
    red, green, blue = PALETTE[number % len(PALETTE)]
    paper = 0.8 if red + green > 440 else 1.0  # the yellow of dark terminals is too pale for white paper
    return tuple(part * paper / 255 for part in (red, green, blue))
