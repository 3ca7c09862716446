"""What a grid file may ask for and no run can be: settings that contradict each other, shapes that cannot be built."""

from __future__ import annotations

from ..errors import ConfigError
from .loader import Place
from .spec import ModelSpec
from .train_spec import TrainSpec


def refuse_contradictions(train: TrainSpec, place: Place) -> None:
    """ConfigError for settings of [train] that do not go together."""
    points = train.decay_points
    if points and train.schedule != "wsd":
        raise ConfigError(f'{place.key("decay_points")} need schedule = "wsd", not "{train.schedule}"')
    if points and train.minutes:
        raise ConfigError(f"{place.key('decay_points')} need a budget that is known before, not minutes")
    if list(points) != sorted(set(points)) or not all(0 < p < 1 for p in points):
        raise ConfigError(f"{place.key('decay_points')} must rise and lie between 0 and 1, not {list(points)}")
    if train.objective == "clm" and train.padding_in_loss:
        raise ConfigError(f'{place.key("padding_in_loss")} is a quirk of masked training; objective = "clm" has none')


def impossible(model: ModelSpec) -> str:
    """Why this shape cannot be built, with the nearest that can; empty when it can."""
    heads = model.fixed_heads or model.num_heads
    if model.hidden_size % heads:
        valid = [a for a in range(1, model.hidden_size + 1) if model.hidden_size % a == 0]
        near = min(valid, key=lambda a: (abs(a - heads), a))
        fixed = " (fixed_heads, the paper's quirk)" if model.fixed_heads else ""
        return f"hidden_size {model.hidden_size} is not divisible by {heads} heads{fixed}; {near} would do"
    if model.tie == "full" and model.embedding_size != model.hidden_size:
        return (
            f'tie = "full" needs embedding_size = hidden_size, not {model.embedding_size} and {model.hidden_size}; '
            'tie = "projected" does not'
        )
    return ""
