"""Where the labels of an axis stand, and how they read."""

from __future__ import annotations

import math


def ticks(low: float, high: float, log: bool, most: int) -> tuple[list[float], list[str]]:
    """Tick places and labels between two ends. On a log axis decades, or 1-2-5 steps when fewer than two fit."""
    if log:
        decades = [float(d) for d in range(math.ceil(low), math.floor(high) + 1)]
        if len(decades) >= 2:
            step = max(1, math.ceil(len(decades) / most))
            decades = decades[::step]
            return decades, [f"1e{int(d)}" for d in decades]
        low, high = 10**low, 10**high
    step = _nice((high - low) / max(1, most - 1))
    for _ in range(3):  # a label alone says nothing of the scale
        if math.floor(high / step + 1e-9) - math.ceil(low / step - 1e-9) < 1:
            step = _nice(step * 0.4)
    first = math.ceil(low / step - 1e-9) * step
    values = [first + i * step for i in range(int((high - first) / step + 1e-9) + 1)]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    labels = [_number(v, digits) for v in values]
    return ([math.log10(v) for v in values] if log else values), labels


def _nice(step: float) -> float:
    scale = 10 ** math.floor(math.log10(step))
    return next(m * scale for m in (1, 2, 5, 10) if m * scale >= step * 0.999)


def _number(value: float, digits: int) -> str:
    if abs(value) >= 1e5:
        return f"{value:.3g}".replace("e+0", "e").replace("e+", "e")
    return f"{value:.{digits}f}"
