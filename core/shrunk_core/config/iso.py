"""Shapes of one size, shapes of one price: which values of a dimension hit a target of parameters or FLOPs.

Parameters and FLOPs grow with every dimension, so the nearest value on a ladder of allowed steps is found by bisection.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..cost import flops_per_sequence, num_params
from ..errors import ConfigError
from .spec import ModelSpec, TrainSpec

SIZES = ("embedding_size", "hidden_size", "intermediate_size", "num_layers")
"""Dimensions that can be solved for. Heads change neither parameters nor, but for softmax, FLOPs."""

LARGEST = 65_536


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One shape that comes near a target.

    values: the dimensions that differ from the base; params, flops (one run's, in the counting asked for) and tokens: what
    it comes to; off: relative distance from the target, signed.
    """

    values: dict[str, int]
    model: ModelSpec
    params: int
    flops: int
    tokens: int
    updates: int
    off: float


@dataclass(frozen=True, kw_only=True)
class Free:
    """What a solution may change. solve: the dimension that is solved for; step: it stays a multiple of this.

    ladder: values of `along` tried one after the other ("" tries the base alone); ratio: I / H that is kept while H changes
    (0 keeps I as it is); square: E follows H.
    """

    solve: str = "hidden_size"
    step: int = 4
    along: str = "num_layers"
    ladder: tuple[int, ...] = (1, 2, 3, 4, 6, 8)
    ratio: float = 4.0
    square: bool = False


def iso_params(base: ModelSpec, train: TrainSpec, free: Free, target: float, counting: str) -> list[Shape]:
    """Shapes with about `target` parameters, one a value of the ladder, each trained for the base's updates."""
    return _solved(base, train, free, target, counting, by_flops=False)


def iso_flops(base: ModelSpec, train: TrainSpec, free: Free, target: float, counting: str) -> list[Shape]:
    """Shapes whose whole run of the base's updates spends about `target` FLOPs."""
    return _solved(base, train, free, target, counting, by_flops=True)


def same_flops(models: Sequence[ModelSpec], train: TrainSpec, target: float, counting: str) -> list[Shape]:
    """Given shapes, each with the updates that spend `target` FLOPs: one point each of an iso-FLOP curve."""
    found = []
    for model in models:
        updates = max(1, round(target / (train.batch_size * _flops(model, train, counting))))
        found.append(_shape({}, model, train, updates, counting, target, by_flops=True))
    return found


def _solved(
    base: ModelSpec, train: TrainSpec, free: Free, target: float, counting: str, *, by_flops: bool
) -> list[Shape]:
    def price(model: ModelSpec) -> int:
        return train.updates * train.batch_size * _flops(model, train, counting) if by_flops else num_params(model)

    if target <= 0:
        raise ConfigError(f"the target must be a positive number, not {target:g}")
    if free.solve not in SIZES or free.along not in ("", *SIZES):
        raise ConfigError(f"one of {', '.join(SIZES)} can be solved for, not `{free.solve}` along `{free.along}`")
    if free.solve == free.along:
        raise ConfigError(f"`{free.solve}` cannot be both solved for and laid out")
    found: dict[tuple[Any, ...], Shape] = {}
    for rung in free.ladder if free.along else (None,):
        start = base if rung is None else _with(base, {free.along: rung}, free)
        values = _nearest(start, free, target, price)
        if values is None:
            continue
        model = _with(start, values, free)
        changed = {
            k: getattr(model, k)
            for k in SIZES
            if k in (free.solve, free.along) or getattr(model, k) != getattr(base, k)
        }
        shape = _shape(changed, model, train, train.updates, counting, target, by_flops=by_flops)
        found.setdefault(tuple(changed.items()), shape)
    return list(found.values())


def _nearest(start: ModelSpec, free: Free, target: float, price: Callable[[ModelSpec], int]) -> dict[str, int] | None:
    """The multiple of the step whose price is nearest to the target; None when even the smallest costs over twice it."""
    step = 1 if free.solve == "num_layers" else free.step
    if free.solve == "hidden_size":
        heads = start.fixed_heads or start.num_heads
        step = step * heads // math.gcd(step, heads)

    def of(multiple: int) -> int:
        return price(_with(start, {free.solve: multiple * step}, free))

    low, high = 1, max(1, LARGEST // step)
    if of(low) > 2 * target:
        return None
    while low < high:
        middle = (low + high) // 2
        if of(middle) < target:
            low = middle + 1
        else:
            high = middle
    best = min((m for m in (low - 1, low) if m >= 1), key=lambda m: abs(of(m) - target))
    return {free.solve: best * step}


def _with(model: ModelSpec, values: dict[str, int], free: Free) -> ModelSpec:
    """The shape with other sizes; what the rules couple to the hidden size follows it."""
    changed = dict(values)
    if "hidden_size" in changed:
        if free.ratio and "intermediate_size" not in changed and free.along != "intermediate_size":
            changed["intermediate_size"] = max(1, round(free.ratio * changed["hidden_size"]))
        if free.square:
            changed["embedding_size"] = changed["hidden_size"]
    return dataclasses.replace(model, **changed)


def _shape(
    values: dict[str, int],
    model: ModelSpec,
    train: TrainSpec,
    updates: int,
    counting: str,
    target: float,
    *,
    by_flops: bool,
) -> Shape:
    flops = updates * train.batch_size * _flops(model, train, counting)
    params = num_params(model)
    return Shape(
        values=values,
        model=model,
        params=params,
        flops=flops,
        tokens=updates * train.batch_size * train.sequence_length,
        updates=updates,
        off=(flops if by_flops else params) / target - 1,
    )


def _flops(model: ModelSpec, train: TrainSpec, counting: str) -> int:
    return flops_per_sequence(model, train.sequence_length, counting, train.mask_share)
