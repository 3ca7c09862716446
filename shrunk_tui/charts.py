"""Charts as text. The one file that draws: data and size in, a string out; no terminal is asked, nothing is printed.

plotext is driven through an off-screen figure of exactly the asked size. Log axes are drawn as log10 values with decade
labels. Every series is brought to screen resolution first, because plotext's work is linear in points; non-finite
values are left out, because they abort it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import plotext

from .marks import PALETTE, glyph_of
from .ticks import ticks

LEAST_HEIGHT_OF_TWO = 14
"""Lines below which a panel of residuals would leave too little of the chart."""
LINE_WIDTH_POINTS = 2
"""Points a column of the chart that a line keeps (its lowest and highest): more cannot be seen."""

_drawing = threading.Lock()  # plotext's kernel aborts when two threads use it at once


@dataclass(frozen=True, kw_only=True)
class Series:
    """One curve or cloud. x, y: equally long. line: connect the points. glyph: shown at points and in the legend.

    right: measured on the right axis, because its unit is not that of the others.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    line: bool = False
    colour: int = 0
    glyph: str = ""
    right: bool = False


@dataclass(frozen=True, kw_only=True)
class Band:
    """An area between two curves, such as a 95 % band. x, low, high: equally long, x rising."""

    label: str
    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    colour: int = 0


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A place on the x axis, such as a break, with its interval where it has one."""

    label: str
    x: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What to draw, without a size.

    residuals: drawn in a panel below, against the same x, with `residual_label` as their unit. right_label: of the right
    axis, which is there when a series is measured on it.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log_x: bool = False
    log_y: bool = False
    notes: tuple[str, ...] = field(default=())
    bands: tuple[Band, ...] = ()
    marks: tuple[Mark, ...] = ()
    residuals: tuple[Series, ...] = ()
    residual_label: str = ""
    right_label: str = ""


def draw(chart: Chart, *, width: int, height: int, colour: bool = True, ascii_only: bool = False) -> str:
    """The chart as lines of at most `width` columns: a plot of about `height` lines, then legend and notes.

    The panel of residuals takes about a third of the height and is left out, with a note, where 14 lines are not there.
    """
    prepared = [(s, *_prepared(s, chart, width)) for s in chart.series]
    shown = [(s, x, y) for s, x, y in prepared if len(x)]
    legend = _legend([s for s, _, _ in shown], chart, width, colour, ascii_only)
    lost = [s.label for s, x, _ in prepared if not len(x)]
    notes = list(chart.notes) + ([f"nothing to draw of: {', '.join(lost)}"] if lost else [])
    if not shown:
        return "\n".join([chart.title, "(no points to draw)", *notes])
    flat = replace(chart, log_y=False)
    below = [(s, x, y) for s in chart.residuals for x, y in [_prepared(s, flat, width)] if len(x)]
    if below and height < LEAST_HEIGHT_OF_TWO:
        below, notes = [], [*notes, f"residuals need {LEAST_HEIGHT_OF_TWO} lines"]
    lower = max(5, height // 3) if below else 0
    upper = max(8, height - lower)
    frames = [_frame(chart, shown, upper)] + ([_frame(flat, below, lower)] if below else [])
    frames = _aligned(frames, chart.log_x)
    top = replace(chart, x_label="") if below else chart
    plot = _plot(top, shown, frames[0], width, upper, colour, ascii_only)
    if below:
        panel = replace(flat, title="", y_label=chart.residual_label, bands=(), marks=chart.marks, right_label="")
        beside = max((len(label) for label in frames[0].ticks[2][1]), default=0) if frames[0].right else 0
        plot += "\n" + _plot(panel, below, frames[1], width - beside, lower, colour, ascii_only)
    return "\n".join([plot, *legend, *notes])


def draw_within(chart: Chart, *, width: int, height: int, ascii_only: bool = False) -> str:
    """As `draw`, but legend and notes take from the plot, down to 8 lines of it, so that all of it has `height` lines."""
    text = draw(chart, width=width, height=height, ascii_only=ascii_only)
    over = len(text.splitlines()) - height
    return text if over <= 0 else draw(chart, width=width, height=max(8, height - over), ascii_only=ascii_only)


def residuals_alone(chart: Chart) -> Chart:
    """The panel of residuals as a chart of its own, for screens too low for both."""
    return replace(
        chart, series=chart.residuals, y_label=chart.residual_label, log_y=False, bands=(), residuals=(), right_label=""
    )


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


Shown = tuple[Series, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Frame:
    """Ends of the axes in the chart's scales, and the ticks: places and labels of x, left y and right y."""

    x: tuple[float, float]
    y: tuple[float, float]
    right: tuple[float, float] | None
    ticks: tuple[tuple[list[float], list[str]], ...]


def _frame(chart: Chart, shown: list[Shown], height: int) -> _Frame:
    left, right = ([y for s, _, y in shown if s.right is side] for side in (False, True))
    x = _ends(np.concatenate([x for _, x, _ in shown]))
    y = _ends(np.concatenate(left or right))
    other = _ends(np.concatenate(right)) if left and right else None
    most = max(2, min(6, height // 2))
    found = [ticks(*x, chart.log_x, 5), ticks(*y, chart.log_y, most)]
    if other is not None:
        found.append(ticks(*other, chart.log_y, most))
    return _Frame(x, y, other, tuple(found))


def _ends(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    pad = (high - low) * 0.03 or (abs(high) * 0.05 or 1.0)
    return low - pad, high + pad


def _aligned(frames: list[_Frame], log_x: bool) -> list[_Frame]:
    """Panels above each other share their ends on x and the width of their labels, so that one column is one x."""
    if len(frames) < 2:
        return frames
    ends = min(f.x[0] for f in frames), max(f.x[1] for f in frames)
    along = ticks(*ends, log_x, 5)
    wide = max(len(label) for f in frames for label in f.ticks[1][1])
    out = []
    for f in frames:
        places, labels = f.ticks[1]
        rest = ((places, [label.rjust(wide) for label in labels]), *f.ticks[2:])
        out.append(replace(f, x=ends, ticks=(along, *rest)))
    return out


def _plot(
    chart: Chart, shown: list[Shown], frame: _Frame, width: int, height: int, colour: bool, ascii_only: bool
) -> str:
    with _drawing:
        terminal = type(plotext.terminal)()
        terminal.limit(False, False)
        figure = terminal._master
        figure.clear()
        figure.plot_size(width, height)
        figure.theme("colorless")
        if chart.title:
            figure.title(chart.title)
        if chart.x_label:
            figure.label(chart.x_label, "x")
        sides = [("x", "lower", frame.x), ("y", "left", frame.y), ("y", "right", frame.right)]
        for (axis, side, ends), marked in zip(sides, frame.ticks, strict=False):
            if ends is not None:
                figure.ruler(axis, side).lim(*ends)
                figure.ruler(axis, side).ticks(*marked)

        def put(
            x: list[float], y: list[float], glyph: str, tint: tuple[int, int, int], right: bool, line: bool
        ) -> None:
            side = "right" if right and frame.right is not None else "left"
            drawn = figure.signal(x, y, marker=plotext.marker(glyph, pixel=tint), yside=side)
            if line:
                drawn.lines(True)
            figure.draw(drawn)

        for band in chart.bands:
            x, y = _shading(band, chart, frame, width, height)
            if len(x):
                put(x.tolist(), y.tolist(), _shade(ascii_only), _tint(band.colour), False, False)
        for mark in chart.marks:
            for at, glyph in ((mark.low, ":"), (mark.high, ":"), (mark.x, "|" if ascii_only else "┊")):
                place = math.nan if at is None or (chart.log_x and at <= 0) else (math.log10(at) if chart.log_x else at)
                if frame.x[0] <= place <= frame.x[1]:
                    rows = np.linspace(*frame.y, 2 * height)
                    put([place] * len(rows), rows.tolist(), glyph, _tint(len(PALETTE) - 1), False, False)
        for series, x, y in sorted(shown, key=lambda one: not one[0].line):  # points over lines
            name = _glyph(series, ascii_only) if not series.line or ascii_only else "braille"
            put(x.tolist(), y.tolist(), name, _tint(series.colour), series.right, series.line)
        for number, (series, x, y) in enumerate(s for s in shown if s[0].line and _several_lines(chart.series)):
            # signs along the line, staggered: without colours the lines are told apart by them
            at = np.unique(np.linspace(number % 4 * len(x) // 16, len(x) - 1, 4).astype(int))
            put(x[at].tolist(), y[at].tolist(), _glyph(series, ascii_only), _tint(series.colour), series.right, False)
        figure.legend(False)
        text = figure.build().string(colorless=not colour)
    lines = text.rstrip("\n").split("\n")
    head = chart.y_label
    if frame.right is not None and chart.right_label:
        head = head + " " * max(2, width - len(head) - len(chart.right_label)) + chart.right_label
    return "\n".join([*([head[:width]] if head else []), *(line.rstrip() for line in lines)])


def _shading(band: Band, chart: Chart, frame: _Frame, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Points that fill a band, one a cell, clipped to the frame: a wide band never squeezes the points it belongs to."""
    x, low, high = (np.asarray(values, dtype=float) for values in (band.x, band.low, band.high))
    good = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
    good &= (x > 0) if chart.log_x else True
    x, low, high = x[good], low[good], high[good]
    if len(x) < 2:
        return np.empty(0), np.empty(0)
    if chart.log_x:
        x = np.log10(x)
    if chart.log_y:
        low, high = (np.log10(np.maximum(values, 1e-300)) for values in (low, high))
    columns = np.linspace(max(x[0], frame.x[0]), min(x[-1], frame.x[1]), width)
    bottom, top = np.interp(columns, x, low), np.interp(columns, x, high)
    rows = np.linspace(*frame.y, 2 * height)
    inside = (rows[None, :] >= bottom[:, None]) & (rows[None, :] <= top[:, None])
    at, row = np.nonzero(inside)
    return columns[at], rows[row]


def _shade(ascii_only: bool) -> str:
    return "." if ascii_only else "░"


def _tint(colour: int) -> tuple[int, int, int]:
    return PALETTE[colour % len(PALETTE)]


def _glyph(series: Series, ascii_only: bool) -> str:
    if series.glyph and not ascii_only:
        return series.glyph
    return glyph_of(series.colour, ascii_only)


def _several_lines(series: Sequence[Series]) -> bool:
    return sum(s.line for s in series) > 1


def _legend(series: list[Series], chart: Chart, width: int, colour: bool, ascii_only: bool) -> list[str]:
    """Rows of `glyph label`, as many to a row as fit; colour never carries the meaning alone."""
    if len(series) < 2 and not any(s.label for s in series):
        return []
    entries: list[tuple[str, str, int]] = []
    for one in (one for one in series if one.label):
        lone = one.line and not _several_lines(series)
        glyph = "─" if lone and not ascii_only else _glyph(one, ascii_only)
        entries.append((glyph, one.label + (" (right axis)" if one.right else ""), one.colour))
    entries += [(_shade(ascii_only), band.label, band.colour) for band in chart.bands if band.label]
    entries += [("|" if ascii_only else "┊", mark.label, len(PALETTE) - 1) for mark in chart.marks if mark.label]
    lines, used = [""], 0
    for glyph, label, number in entries:
        plain = f"{glyph} {label}"
        if used and used + len(plain) + 3 > width:
            lines.append("")
            used = 0
        red, green, blue = _tint(number)
        mark = f"\x1b[38;2;{red};{green};{blue}m{glyph}\x1b[0m" if colour else glyph
        lines[-1] += ("   " if used else "") + f"{mark} {label}"
        used += len(plain) + (3 if used else 0)
    return lines
