"""Charts as text. The one file that draws: data and size in, a string out; no terminal is asked, nothing is printed.

plotext is driven through an off-screen figure of exactly the asked size. Log axes are drawn as log10 values with decade
labels. Every series is brought to screen resolution first, because plotext's work is linear in points; non-finite
values are left out, because they abort it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import plotext

from .marks import PALETTE, glyph_of
from .ticks import ticks

LINE_WIDTH_POINTS = 2
"""Points a column of the chart that a line keeps (its lowest and highest): more cannot be seen."""

_drawing = threading.Lock()  # plotext's kernel aborts when two threads use it at once


@dataclass(frozen=True, kw_only=True)
class Series:
    """One curve or cloud. x, y: equally long. line: connect the points. glyph: shown at points and in the legend."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    line: bool = False
    colour: int = 0
    glyph: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What to draw, without a size."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log_x: bool = False
    log_y: bool = False
    notes: tuple[str, ...] = field(default=())


def draw(chart: Chart, *, width: int, height: int, colour: bool = True, ascii_only: bool = False) -> str:
    """The chart as lines of at most `width` columns: a plot of about `height` lines, then legend and notes."""
    prepared = [(s, *_prepared(s, chart, width)) for s in chart.series]
    shown = [(s, x, y) for s, x, y in prepared if len(x)]
    legend = _legend([s for s, _, _ in shown], width, colour, ascii_only)
    lost = [s.label for s, x, _ in prepared if not len(x)]
    notes = list(chart.notes) + ([f"nothing to draw of: {', '.join(lost)}"] if lost else [])
    if not shown:
        return "\n".join([chart.title, "(no points to draw)", *notes])
    plot = _plot(chart, shown, width, max(8, height), colour, ascii_only)
    return "\n".join([plot, *legend, *notes])


def _prepared(series: Series, chart: Chart, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Finite points in the chart's scales, at screen resolution."""
    x, y = np.asarray(series.x, dtype=float), np.asarray(series.y, dtype=float)
    good = np.isfinite(x) & np.isfinite(y)
    if chart.log_x:
        good &= x > 0
    if chart.log_y:
        good &= y > 0
    x, y = x[good], y[good]
    x = np.log10(x) if chart.log_x else x
    y = np.log10(y) if chart.log_y else y
    if series.line:
        order = np.argsort(x, kind="stable")
        return collapse(x[order], y[order], width)
    return x, y


def collapse(x: np.ndarray, y: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """A line through sorted points with only the first, last, lowest and highest of each of `columns` columns."""
    if len(x) <= columns * LINE_WIDTH_POINTS:
        return x, y
    edges = np.linspace(x[0], x[-1], columns + 1)[1:-1]
    starts = np.unique(np.concatenate([[0], np.searchsorted(x, edges)]))
    starts = starts[starts < len(x)]
    ends = np.append(starts[1:], len(x))
    keep: set[int] = {0, len(x) - 1}
    for start, end in zip(starts, ends, strict=True):
        keep.add(start + int(y[start:end].argmin()))
        keep.add(start + int(y[start:end].argmax()))
    index = np.array(sorted(keep))
    return x[index], y[index]


def _plot(
    chart: Chart,
    shown: list[tuple[Series, np.ndarray, np.ndarray]],
    width: int,
    height: int,
    colour: bool,
    ascii_only: bool,
) -> str:
    with _drawing:
        terminal = type(plotext.terminal)()
        terminal.limit(False, False)
        figure = terminal._master
        figure.clear()
        figure.plot_size(width, height)
        figure.theme("colorless")
        figure.title(chart.title)
        figure.label(chart.x_label, "x")
        for axis, log, values in (
            ("x", chart.log_x, np.concatenate([x for _, x, _ in shown])),
            ("y", chart.log_y, np.concatenate([y for _, _, y in shown])),
        ):
            low, high = float(values.min()), float(values.max())
            pad = (high - low) * 0.03 or (abs(high) * 0.05 or 1.0)
            low, high = low - pad, high + pad
            figure.ruler(axis).lim(low, high)
            places, labels = ticks(low, high, log, 5 if axis == "x" else 6)
            figure.ruler(axis).ticks(places, labels)
        for series, x, y in shown:
            pixel = PALETTE[series.colour % len(PALETTE)]
            glyph = _glyph(series, ascii_only)
            name = glyph if not series.line or ascii_only else "braille"
            drawn = figure.signal(x.tolist(), y.tolist(), marker=plotext.marker(name, pixel=pixel))
            if series.line:
                drawn.lines(True)
            figure.draw(drawn)
        for number, (series, x, y) in enumerate(s for s in shown if s[0].line and _several_lines(chart.series)):
            # signs along the line, staggered: without colours the lines are told apart by them
            at = np.unique(np.linspace(number % 4 * len(x) // 16, len(x) - 1, 4).astype(int))
            marker = plotext.marker(_glyph(series, ascii_only), pixel=PALETTE[series.colour % len(PALETTE)])
            figure.draw(figure.signal(x[at].tolist(), y[at].tolist(), marker=marker))
        figure.legend(False)
        text = figure.build().string(colorless=not colour)
    lines = text.rstrip("\n").split("\n")
    return f"{chart.y_label}\n" + "\n".join(line.rstrip() for line in lines)


def _glyph(series: Series, ascii_only: bool) -> str:
    if series.glyph and not ascii_only:
        return series.glyph
    return glyph_of(series.colour, ascii_only)


def _several_lines(series: Sequence[Series]) -> bool:
    return sum(s.line for s in series) > 1


def _legend(series: list[Series], width: int, colour: bool, ascii_only: bool) -> list[str]:
    """Rows of `glyph label`, as many to a row as fit; colour never carries the meaning alone."""
    if len(series) < 2 and not any(s.label for s in series):
        return []
    lines, used = [""], 0
    for one in series:
        lone = one.line and not _several_lines(series)
        glyph = "─" if lone and not ascii_only else _glyph(one, ascii_only)
        plain = f"{glyph} {one.label}"
        if used and used + len(plain) + 3 > width:
            lines.append("")
            used = 0
        red, green, blue = PALETTE[one.colour % len(PALETTE)]
        mark = f"\x1b[38;2;{red};{green};{blue}m{glyph}\x1b[0m" if colour else glyph
        lines[-1] += ("   " if used else "") + f"{mark} {one.label}"
        used += len(plain) + (3 if used else 0)
    return lines
