"""The small expression language: what it computes, what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.config.expression import parse
from shrunk_core.errors import ConfigError

VALUES = {"hidden_size": 64, "embedding_size": 32, "tie": "full", "train.learning_rate": 1e-3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4 * hidden_size", 256),
        ("hidden_size < embedding_size / 4", False),
        ("hidden_size // 10 % 4", 2),
        ("-hidden_size + 1", -63),
        ('tie == "full" and not hidden_size > 64', True),
        ("tie == 'none' or train.learning_rate >= 1e-3", True),
        ("2 + 3 * 4 == (2 + 3) * 4", False),
        ("hidden_size - 1 - 1", 62),
        ("true and not false", True),
    ],
)
def test_values(text: str, expected: object) -> None:
    assert parse(text)(VALUES) == expected


@pytest.mark.parametrize(
    "text", ["", "1 +", "(1", "hidden_size <", "1 2", "a ; b", "and 1", "f(1)", "__import__('os')"]
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)(VALUES)


def test_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean `hidden_size`"):
        parse("hiden_size > 3")(VALUES)


def test_division_by_zero_and_mixed_operands_are_named() -> None:
    with pytest.raises(ConfigError, match="division by zero"):
        parse("1 / 0")(VALUES)
    with pytest.raises(ConfigError, match="mixes"):
        parse("tie < 3")(VALUES)


@given(st.integers(0, 1000), st.integers(1, 1000), st.integers(0, 1000), st.sampled_from("+-*"), st.sampled_from("+-*"))
def test_arithmetic_is_pythons(a: int, b: int, c: int, first: str, second: str) -> None:
    text = f"{a} {first} {b} {second} {c}"
    assert parse(text)({}) == eval(text)  # noqa: S307  the oracle, on text made of digits and three signs
