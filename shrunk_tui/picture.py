"""A live chart as a picture of character cells: scene and size in, two arrays out. Pure; a widget shows it.

plotext draws the charts of commands and reports (`charts.py`); this one draws the charts that change many times a second.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .format import fitting
from .marks import glyph_of
from .raster import BRAILLE, Spans, Window, cells, dots, smoothed, spans
from .ticks import ticks

TEXT, AXIS, TITLE, CURSOR, RULE = range(5)
FIRST_MARK = 8
KINDS = 3  # of a mark: usual, emphasised, faint
MARKS = 40  # colours and signs repeat together after so many numbers

MOST_LEGEND_LINES = 3
MARKS_A_LINE = 3
KEPT = 0.95
"""Share of all columns of all lines that a clipped scene shows whole."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Line:
    """One curve. x ascending, y finite, equally long. `number` gives colour and sign.

    version: changes whenever the points do; what was collapsed for a version is kept. low, high: a band to be shaded
    around the curve. points: show the points themselves, not a line through them. front: draw it over the others.
    """

    key: str
    label: str
    number: int
    x: np.ndarray
    y: np.ndarray
    version: Hashable
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    points: bool = False
    front: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """What to draw, without a size. zoom: ends of x, then of y, in drawn scale (log10 when log); None shows all.

    clip: let the highest few percent go out at the top, so that a run's first updates do not flatten the rest; a note in
    the corner says so. cursor: place of the crosshair in drawn x; its values stand in the legend after `x_name`. rules: level lines
    with their names. values: behind each label the value at the crosshair, or the last one.
    """

    title: str = ""
    lines: tuple[Line, ...] = ()
    rules: tuple[tuple[float, str], ...] = ()
    log_x: bool = False
    log_y: bool = False
    x_name: str = "x"
    smoothing: int = 0
    clip: bool = False
    zoom_x: tuple[float, float] | None = None
    zoom_y: tuple[float, float] | None = None
    cursor: float | None = None
    empty: str = "no points yet"
    legend: bool = True
    values: bool = True
    ascii: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """Characters (code points) and styles of each cell, and where the plot lies: left column, top line, its size."""

    codes: np.ndarray
    styles: np.ndarray
    window: Window | None
    left: int = 0
    top: int = 0
    width: int = 0
    height: int = 0


@dataclass
class Cache:
    """Collapsed curves by what they depend on: a new point in one run collapses that run anew and no other."""

    spans: dict[Hashable, Spans] = field(default_factory=dict)
    smooth: dict[Hashable, np.ndarray] = field(default_factory=dict)
    used: set[Hashable] = field(default_factory=set)

    def get(self, table: dict[Hashable, Any], key: Hashable, make: Any) -> Any:
        self.used.add(key)
        if key not in table:
            table[key] = make()
        return table[key]

    def sweep(self) -> None:
        """Forget what the last drawing did not use."""
        for table in (self.spans, self.smooth):
            for key in table.keys() - self.used:
                del table[key]
        self.used.clear()


def mark_style(number: int, kind: int = 0) -> int:
    return FIRST_MARK + (number % MARKS) * KINDS + kind


class _Canvas:
    def __init__(self, width: int, height: int) -> None:
        self.codes = np.full((height, width), 32, dtype=np.uint32)
        self.styles = np.zeros((height, width), dtype=np.int16)

    def write(self, x: int, y: int, text: str, style: int) -> None:
        height, width = self.codes.shape
        if 0 <= y < height and x < width:
            part = [ord(c) for c in text[: width - x]]
            self.codes[y, x : x + len(part)] = part
            self.styles[y, x : x + len(part)] = style


def compose(scene: Scene, width: int, height: int, cache: Cache | None = None) -> Picture:
    """Draw a scene on `width` x `height` cells: title, plot with axes, legend with values."""
    cache = cache if cache is not None else Cache()
    canvas = _Canvas(width, height)
    lines = [_smooth(line, scene.smoothing, cache) for line in scene.lines if len(line.x)]
    extent = extent_of(scene)
    if extent is None or width < 16 or height < 5:
        canvas.write(0, 0, fitting(scene.title, width), TITLE)
        canvas.write(max(0, (width - len(scene.empty)) // 2), height // 2, scene.empty, AXIS)
        return Picture(codes=canvas.codes, styles=canvas.styles, window=None)
    left, right = scene.zoom_x or extent
    legend = legend_rows(scene, lines, width, max(1, min(MOST_LEGEND_LINES, height // 6))) if scene.legend else []
    rows = height - 2 - 1 - len(legend)  # title, axis, its labels
    gutter = 7
    columns = max(4, width - gutter - 1)
    fine, tall = (columns, rows) if scene.ascii else (2 * columns, 4 * rows)
    collapsed = [_collapsed(line, scene, left, right, fine, cache) for line in lines]
    cache.sweep()
    bottom, top, cut = _heights(scene, collapsed)
    window = Window(left=left, right=right, bottom=bottom, top=top)
    canvas.write(0, 0, fitting(scene.title, width), TITLE)
    _axes(canvas, scene, window, gutter, columns, rows)
    _rules(canvas, scene, window, gutter, columns, rows, names=False)
    _curves(canvas, scene, lines, collapsed, window, gutter, columns, rows, tall)
    _rules(canvas, scene, window, gutter, columns, rows, names=True)
    if cut:
        note = f"{1 - KEPT:.0%} above "
        canvas.write(gutter + 1 + columns - len(note), 1, note, RULE)
    if scene.cursor is not None:
        _cursor(canvas, scene, window, gutter, columns, rows)
    for i, row in enumerate(legend):
        for x, text, style in row:
            canvas.write(x, height - len(legend) + i, text, style)
    return Picture(codes=canvas.codes, styles=canvas.styles, window=window, left=gutter + 1, top=1, width=columns,
                   height=rows)  # fmt: skip


def extent_of(scene: Scene) -> tuple[float, float] | None:
    """Ends of x over all lines, in drawn scale; None when nothing can be drawn."""
    low, high = np.inf, -np.inf
    for line in scene.lines:
        if not len(line.x):
            continue
        first = line.x[0]
        if scene.log_x and first <= 0:
            at = int(np.searchsorted(line.x, 0, side="right"))
            if at == len(line.x):
                continue
            first = line.x[at]
        low, high = min(low, float(first)), max(high, float(line.x[-1]))
    if not np.isfinite(low) or not np.isfinite(high):
        return None
    if scene.log_x:
        low, high = float(np.log10(low)), float(np.log10(high))
    if low == high:
        pad = abs(low) * 0.05 or 1.0
        return low - pad, high + pad
    return low, high


def _smooth(line: Line, points: int, cache: Cache) -> Line:
    """The line with its running mean in place of its values."""
    if points <= 1 or line.points:
        return line
    y = cache.get(cache.smooth, (line.key, line.version, points), lambda: smoothed(line.y, points))
    return replace(line, y=y)


def _collapsed(
    line: Line, scene: Scene, left: float, right: float, fine: int, cache: Cache
) -> tuple[Spans, Spans | None]:
    """The spans of a line, and of its band if it has one."""
    place = (left, right, fine, scene.log_x, scene.log_y)

    def collapse(values: np.ndarray) -> Spans:
        return spans(line.x, values, left, right, fine, log_x=scene.log_x, log_y=scene.log_y)

    main = cache.get(cache.spans, (line.key, line.version, scene.smoothing, *place), lambda: collapse(line.y))
    if line.low is None or line.high is None:
        return main, None
    low, high = line.low, line.high
    band = cache.get(
        cache.spans,
        (line.key, "band", line.version, *place),
        lambda: Spans(low=collapse(low).low, high=collapse(high).high, first=main.first, last=main.last),
    )
    return main, band


def _heights(scene: Scene, collapsed: list[tuple[Spans, Spans | None]]) -> tuple[float, float, bool]:
    """Bottom and top of the window, as zoomed, else what is in view and a little air; and whether the top was cut."""
    if scene.zoom_y is not None:
        return *scene.zoom_y, False
    lows = [s.low for pair in collapsed for s in pair if s is not None]
    highs = [s.high for pair in collapsed for s in pair if s is not None]
    low = min((float(np.nanmin(v)) for v in lows if np.isfinite(v).any()), default=0.0)
    high = max((float(np.nanmax(v)) for v in highs if np.isfinite(v).any()), default=1.0)
    cut = False
    if scene.clip and len(highs):
        every = np.concatenate(highs)
        kept = float(np.nanquantile(every, KEPT)) if np.isfinite(every).any() else high
        if high - kept > 0.25 * (high - low):
            high, cut = kept, True
    pad = (high - low) * 0.04 or abs(high) * 0.05 or 1.0
    return low - pad, high + pad, cut


def _axes(canvas: _Canvas, scene: Scene, window: Window, gutter: int, columns: int, rows: int) -> None:
    bar, tick, foot, corner, low_tick = ("|", "+", "-", "+", "+") if scene.ascii else ("│", "┤", "─", "└", "┬")
    base = 1 + rows
    for row in range(rows):
        canvas.write(gutter, 1 + row, bar, AXIS)
    canvas.write(gutter, base, corner + foot * columns, AXIS)
    places, labels = ticks(window.bottom, window.top, scene.log_y, max(3, rows // 2))
    for place, label in zip(places, labels, strict=True):
        row = round((window.top - place) / (window.top - window.bottom) * (rows - 1))
        if 0 <= row < rows:
            canvas.write(max(0, gutter - len(label)), 1 + row, label[-gutter:], AXIS)
            canvas.write(gutter, 1 + row, tick, AXIS)
    places, labels = ticks(window.left, window.right, scene.log_x, max(4, columns // 9))
    free = 0
    for place, label in zip(places, labels, strict=True):
        column = round((place - window.left) / (window.right - window.left) * (columns - 1))
        start = min(gutter + 1 + column - len(label) // 2, canvas.codes.shape[1] - len(label))
        if 0 <= column < columns and start >= free:
            canvas.write(gutter + 1 + column, base, low_tick, AXIS)
            canvas.write(start, base + 1, label, AXIS)
            free = start + len(label) + 1


def _rules(canvas: _Canvas, scene: Scene, window: Window, gutter: int, columns: int, rows: int, names: bool) -> None:
    """Level lines, or their names."""
    for value, name in scene.rules:
        level = np.log10(value) if scene.log_y and value > 0 else value
        row = round((window.top - level) / (window.top - window.bottom) * (rows - 1))
        if 0 <= row < rows:
            if names:  # over the curves, where they can be read
                canvas.write(gutter + columns - len(name), 1 + row, f" {name}", RULE)
            else:
                canvas.write(gutter + 1, 1 + row, ("." if scene.ascii else "┄") * columns, RULE)


def _curves(
    canvas: _Canvas,
    scene: Scene,
    lines: list[Line],
    collapsed: list[tuple[Spans, Spans | None]],
    window: Window,
    gutter: int,
    columns: int,
    rows: int,
    tall: int,
) -> None:
    area = (slice(1, 1 + rows), slice(gutter + 1, gutter + 1 + columns))
    codes, styles = canvas.codes[area], canvas.styles[area]
    bits = np.zeros((rows, columns), dtype=np.uint8)
    order = sorted(range(len(lines)), key=lambda i: lines[i].front)
    checker = (np.add.outer(np.arange(tall), np.arange(columns if scene.ascii else 2 * columns)) % 3) == 0
    for i in order:
        line, (main, band) = lines[i], collapsed[i]
        layers = [(dots(main.low, main.high, window, tall), int(line.front))] if not line.points else []
        if band is not None:
            layers.insert(0, (dots(band.low, band.high, window, tall) & checker, 2))
        for mask, kind in layers:
            if scene.ascii:
                codes[mask] = ord(":") if kind == 2 else ord(glyph_of(line.number, True))
                styles[mask] = mark_style(line.number, kind)
                continue
            one = cells(mask)
            drawn = one > 0
            bits |= one
            codes[drawn] = bits[drawn].astype(np.uint32) + BRAILLE
            styles[drawn] = mark_style(line.number, kind)
    for rank, i in enumerate(order):
        _signs(codes, styles, scene, lines[i], collapsed[i][0], window, rows, columns, rank, len(order))


def _signs(
    codes: np.ndarray,
    styles: np.ndarray,
    scene: Scene,
    line: Line,
    main: Spans,
    window: Window,
    rows: int,
    columns: int,
    rank: int,
    total: int,
) -> None:
    """The line's sign: at each point, or at a few places along it, so that it is told from others without colours."""
    sign, style = ord(glyph_of(line.number, scene.ascii)), mark_style(line.number, int(line.front))
    if line.points:
        x = np.log10(np.maximum(line.x, 1e-300)) if scene.log_x else line.x
        y = np.log10(np.maximum(line.y, 1e-300)) if scene.log_y else line.y
        column = np.rint((x - window.left) / (window.right - window.left) * (columns - 1))
        row = np.rint((window.top - y) / (window.top - window.bottom) * (rows - 1))
        seen = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        codes[row[seen].astype(int), column[seen].astype(int)] = sign
        styles[row[seen].astype(int), column[seen].astype(int)] = style
        return
    if total < 2 or main.first < 0:
        return
    marks = MARKS_A_LINE if total <= 12 else 1
    share = len(main.low) // columns
    length = main.last - main.first
    for k in range(marks):
        at = main.first + int(length * (k + (rank % 5 + 0.5) / 5) / marks)
        middle = (main.low[at] + main.high[at]) / 2
        if np.isfinite(middle):
            row = round((window.top - middle) / (window.top - window.bottom) * (rows - 1))
            if 0 <= row < rows:
                codes[row, at // share], styles[row, at // share] = sign, style


def _cursor(canvas: _Canvas, scene: Scene, window: Window, gutter: int, columns: int, rows: int) -> None:
    """A vertical line through the plot where it is free."""
    assert scene.cursor is not None
    column = round((scene.cursor - window.left) / (window.right - window.left) * (columns - 1))
    if 0 <= column < columns:
        at = gutter + 1 + column
        free = canvas.codes[1 : 1 + rows, at] == 32
        canvas.codes[1 : 1 + rows, at][free] = ord("|" if scene.ascii else "│")
        canvas.styles[1 : 1 + rows, at][free] = CURSOR


def value_at(line: Line, scene: Scene) -> float | None:
    """The line's value at the cursor: of the point nearest in x; without a cursor its last value."""
    if scene.cursor is None:
        return float(line.y[-1])
    x = 10.0**scene.cursor if scene.log_x else scene.cursor
    if x > line.x[-1] * 1.001 or x < line.x[0] * 0.999:
        return None
    at = int(np.searchsorted(line.x, x))
    near = [i for i in (at - 1, at) if 0 <= i < len(line.x)]
    return float(line.y[min(near, key=lambda i: abs(float(line.x[i]) - x))])


def _place(x: float) -> str:
    """Where the crosshair is: whole numbers as far as they are short."""
    return f"{x:,.0f}" if 100 <= abs(x) < 1e6 else f"{x:.4g}".replace("e+0", "e").replace("e+", "e")


def legend_rows(scene: Scene, lines: list[Line], width: int, most: int) -> list[list[tuple[int, str, int]]]:
    """Sign, label and value of each line, folded into at most `most` rows; what does not fit is counted."""
    rows: list[list[tuple[int, str, int]]] = [[]]
    at = 0
    if len(lines) == 1 and not lines[0].label and scene.cursor is None:
        return []  # a lone curve needs no name; its last value stands in the title
    if scene.cursor is not None:
        x = 10.0**scene.cursor if scene.log_x else scene.cursor
        text = f"{scene.x_name} {_place(x)}"
        rows[0].append((0, text, TITLE))
        at = len(text) + 2
    ordered = sorted(lines, key=lambda one: not one.front)
    for done, line in enumerate(ordered):
        value = value_at(line, scene) if scene.values else None
        shown = "-" if value is None else f"{value:#.4g}".rstrip(".")
        text = f"{line.label} {shown}" if scene.values else line.label
        text = text if len(text) + 2 <= width else text[: max(0, width - 3)]
        more = f"+{len(ordered) - done} more"
        last = len(rows) == most
        if at and at + len(text) + 2 + (len(more) + 2 if last and done + 1 < len(ordered) else 0) > width:
            if last:
                rows[-1].append((at, more, AXIS))
                return rows
            rows.append([])
            at = 0
        sign = glyph_of(line.number, scene.ascii)
        rows[-1] += [(at, sign, mark_style(line.number, 1)), (at + 2, text, TITLE if line.front else TEXT)]
        at += len(text) + 4
    return rows if at else []
