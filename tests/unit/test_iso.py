"""Shapes of one size and of one price."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.config.iso import Free, iso_flops, iso_params, same_flops
from shrunk_core.config.spec import ModelSpec, TrainSpec
from shrunk_core.cost import COUNTINGS, flops_per_sequence, num_params
from shrunk_core.errors import ConfigError

BASE = ModelSpec(embedding_size=64, hidden_size=64, intermediate_size=256, num_heads=4, vocab_size=2000)
TRAIN = TrainSpec(updates=1000, batch_size=32, sequence_length=64)


def test_shapes_of_one_million_parameters() -> None:
    shapes = iso_params(BASE, TRAIN, Free(), 1e6, "paper")
    assert [s.values["num_layers"] for s in shapes] == [1, 2, 3, 4, 6, 8]
    widths = [s.values["hidden_size"] for s in shapes]
    assert widths == sorted(widths, reverse=True)
    for shape in shapes:
        assert shape.params == num_params(shape.model) and abs(shape.off) < 0.06
        assert shape.model.intermediate_size == 4 * shape.model.hidden_size
        assert shape.model.hidden_size % shape.model.num_heads == 0
        near = [num_params(neighbour(shape.model, by)) for by in (-4, 4)]
        assert all(abs(shape.params - 1e6) <= abs(n - 1e6) for n in near)


def neighbour(model: ModelSpec, by: int) -> ModelSpec:
    hidden = model.hidden_size + by
    return ModelSpec(**{**vars(model), "hidden_size": hidden, "intermediate_size": 4 * hidden})


@given(st.floats(1e11, 1e16), st.sampled_from(COUNTINGS), st.booleans())
def test_shapes_of_one_price(target: float, counting: str, square: bool) -> None:
    for shape in iso_flops(BASE, TRAIN, Free(square=square), target, counting):
        spent = TRAIN.updates * TRAIN.batch_size * flops_per_sequence(shape.model, 64, counting, TRAIN.mask_share)
        assert shape.flops == spent and shape.off == pytest.approx(spent / target - 1)
        assert not square or shape.model.embedding_size == shape.model.hidden_size


def test_one_budget_for_given_shapes() -> None:
    wide = ModelSpec(**{**vars(BASE), "hidden_size": 256})
    small, large = same_flops([BASE, wide], TRAIN, 1e13, "paper")
    assert small.updates > large.updates and small.tokens > large.tokens
    assert abs(small.off) < 0.01 and abs(large.off) < 0.01


def test_layers_can_be_solved_for() -> None:
    free = Free(solve="num_layers", along="hidden_size", ladder=(32, 64, 128))
    shapes = iso_params(BASE, TRAIN, free, 2e6, "paper")
    assert [s.values["hidden_size"] for s in shapes] == [32, 64, 128]
    assert shapes[0].values["num_layers"] > shapes[2].values["num_layers"]


def test_what_no_shape_can_hit_gives_none() -> None:
    assert iso_params(BASE, TRAIN, Free(), 1000, "paper") == []


@pytest.mark.parametrize(
    ("free", "target", "told"),
    [
        (Free(solve="num_heads"), 1e6, "can be solved for"),
        (Free(solve="num_layers"), 1e6, "both"),
        (Free(), -1, "positive"),
    ],
)
def test_questions_without_sense_are_refused(free: Free, target: float, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        iso_params(BASE, TRAIN, free, target, "paper")
