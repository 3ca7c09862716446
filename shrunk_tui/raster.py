"""Curves as dots of a small screen: numpy in, numpy out, no terminal.

A plot of `width` x `height` cells has 2 x 4 dots a cell in braille, one dot a cell in ASCII. However many points a curve
has, only the lowest and highest value of each column of dots is kept, and neighbouring columns are joined; so drawing
costs one pass over the points that are in view and nothing that grows with them afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Floats = np.ndarray

BRAILLE = 0x2800
_WEIGHTS = np.array([[1, 8], [2, 16], [4, 32], [64, 128]], dtype=np.uint8)
"""Bit of each dot of a braille cell, by its row and column."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """What part of the plane is shown: ends of both axes, in the scale that they are drawn in (log10 when log)."""

    left: float
    right: float
    bottom: float
    top: float


@dataclass(frozen=True, kw_only=True)
class Spans:
    """A curve at screen resolution: for each column of dots its lowest and highest value, NaN where it is not.

    first, last: columns of the first and last point that is really there (-1 when none is in view).
    """

    low: Floats
    high: Floats
    first: int
    last: int


def spans(
    x: Floats, y: Floats, left: float, right: float, columns: int, *, log_x: bool = False, log_y: bool = False
) -> Spans:
    """Collapse a curve with x in ascending order to `columns` columns between `left` and `right` (in drawn scale).

    y must be finite; with log_y what is not positive is left out. The points next to the window on either side take
    part, so that a line goes on to the edge.
    """
    nothing = np.full(columns, np.nan)
    if not len(x) or right <= left:
        return Spans(low=nothing, high=nothing, first=-1, last=-1)
    edges = np.linspace(left, right, columns + 1)
    at = np.searchsorted(x, (10.0**edges if log_x else edges).astype(x.dtype), side="left")
    at[-1] = np.searchsorted(x, np.asarray(10.0**right if log_x else right, dtype=x.dtype), side="right")
    counts = np.diff(at)
    filled = np.flatnonzero(counts)
    place, value = [], []  # anchors that the line runs through, in columns (centre of column k is k)
    before, after = int(at[0]) - 1, int(at[-1])
    scale = columns / (right - left)

    def drawn(values: Floats) -> Floats:
        if not log_y:
            return values.astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(values > 0, np.log10(values), np.nan)

    def column(one: float) -> float:
        return ((np.log10(one) if log_x else one) - left) * scale - 0.5

    low, high = nothing.copy(), nothing.copy()
    if len(filled):
        starts, ends = at[filled], at[filled + 1]
        stop = int(ends[-1])
        part = y[:stop] if stop < len(y) else y
        lows, highs = np.minimum.reduceat(part, starts), np.maximum.reduceat(part, starts)
        low[filled], high[filled] = drawn(lows), drawn(highs)
        place = [filled - 0.01, filled + 0.01]
        value = [drawn(y[starts]), drawn(y[ends - 1])]
        place = np.column_stack(place).ravel()
        value = np.column_stack(value).ravel()
    else:
        place, value = np.empty(0), np.empty(0)
    if before >= 0 and (not log_x or x[before] > 0):
        place, value = np.append(column(float(x[before])), place), np.append(drawn(y[before : before + 1]), value)
    if after < len(x):
        place, value = np.append(place, column(float(x[after]))), np.append(value, drawn(y[after : after + 1]))
    good = np.isfinite(value)
    place, value = place[good], value[good]
    if len(place) >= 2:
        centres = np.arange(columns)
        for side in (-0.5, 0.5):
            joint = np.interp(centres + side, place, value)
            outside = (centres + side < place[0]) | (centres + side > place[-1])
            joint[outside] = np.nan
            low, high = np.fmin(low, joint), np.fmax(high, joint)
    first, last = (int(filled[0]), int(filled[-1])) if len(filled) else (-1, -1)
    return Spans(low=low, high=high, first=first, last=last)


def dots(low: Floats, high: Floats, window: Window, rows: int) -> np.ndarray:
    """Which of `rows` x columns dots lie between low and high of each column: bool, row 0 on top."""
    scale = (rows - 1) / (window.top - window.bottom)
    top = np.rint((window.top - high) * scale)
    bottom = np.rint((window.top - low) * scale)
    gone = ~(np.isfinite(top) & np.isfinite(bottom))
    top, bottom = np.where(gone, rows, top), np.where(gone, -1, bottom)
    row = np.arange(rows, dtype=np.int32)[:, None]
    top = np.clip(top, -1, rows).astype(np.int32)
    bottom = np.clip(bottom, -1, rows).astype(np.int32)
    return (row >= top) & (row <= bottom)


def cells(mask: np.ndarray) -> np.ndarray:
    """Braille bits of each cell from a mask of (4 x height) x (2 x width) dots: uint8 of height x width."""
    height, width = mask.shape[0] // 4, mask.shape[1] // 2
    four = mask.view(np.uint8).reshape(height, 4, width, 2)
    out = np.zeros((height, width), dtype=np.uint8)
    for row in range(4):
        for side in range(2):
            out |= four[:, row, :, side] * _WEIGHTS[row, side]
    return out


def smoothed(y: Floats, points: int) -> Floats:
    """Mean over the `points` values around each (fewer at the ends); the curve itself for 0 and 1."""
    if points <= 1 or len(y) < 3:
        return y
    half = min(points // 2, (len(y) - 1) // 2)
    width = 2 * half + 1
    total = np.concatenate([[0.0], np.cumsum(y, dtype=float)])
    out = np.empty(len(y))
    out[half : len(y) - half] = (total[width:] - total[:-width]) / width
    short = np.arange(half)
    out[:half] = total[half + 1 + short] / (half + 1 + short)
    out[len(y) - half :] = (total[-1] - total[len(y) - 2 * half + short]) / (2 * half - short)
    return out


def mean_band(curves: list[tuple[Floats, Floats]], points: int = 400) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean and spread of several curves over the stretch that all of them cover: x, mean, low, high.

    Each is interpolated to `points` common places; the spread is one standard deviation (n - 1) to either side.
    """
    ends = [(x[0], x[-1]) for x, _ in curves if len(x)]
    left, right = max((a for a, _ in ends), default=0.0), min((b for _, b in ends), default=0.0)
    if not ends or right < left or len(ends) < len(curves):
        none = np.empty(0)
        return none, none, none, none
    common = np.unique(np.concatenate([x[(x >= left) & (x <= right)] for x, _ in curves]))
    if len(common) > points:
        common = np.linspace(left, right, points)
    values = np.stack([np.interp(common, x, y) for x, y in curves])
    mean = values.mean(axis=0)
    spread = values.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros_like(mean)
    return common, mean, mean - spread, mean + spread
