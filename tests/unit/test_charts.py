"""Charts: right places, decades, every size, nothing that aborts plotext."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shrunk_tui.charts import Chart, Series, collapse, draw, ticks
from shrunk_tui.format import count, duration, flops, size


def chart(**changes: object) -> Chart:
    x = np.logspace(10, 14, 20)
    series = (
        Series(label="points", x=x.tolist(), y=(60 * x**-0.09).tolist()),
        Series(label="law", x=x.tolist(), y=(60 * x**-0.09).tolist(), line=True, colour=1),
    )
    fields = {"title": "t", "x_label": "FLOPs", "y_label": "loss", "series": series, "log_x": True, "log_y": True}
    return Chart(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("width", "height"), [(40, 10), (80, 20), (120, 36), (200, 56)])
def test_lines_fit_and_decades_are_labelled(width: int, height: int) -> None:
    text = draw(chart(), width=width, height=height, colour=False)
    assert all(len(line) <= width for line in text.splitlines())
    assert "1e10" in text
    assert "1e13" in text
    assert "● points" in text
    assert "law" in text
    assert "\x1b" not in text
    assert "\x1b[" in draw(chart(), width=width, height=height)


def test_ascii_mode_has_no_other_signs_in_the_data() -> None:
    text = draw(chart(), width=60, height=15, colour=False, ascii_only=True)
    assert not set(text) & set("●⠉⠒⢄")


def test_non_finite_and_unloggable_values_are_left_out_and_said() -> None:
    bad = Series(label="bad", x=[1.0, 2.0, -1.0], y=[math.nan, math.inf, 3.0], line=True)
    text = draw(chart(series=(bad, *chart().series)), width=80, height=20, colour=False)
    assert "nothing to draw of: bad" in text
    assert "(no points to draw)" in draw(chart(series=(bad,)), width=80, height=20)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(allow_nan=True), st.floats(allow_nan=True)), max_size=30),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_any_numbers_can_be_drawn(points: list[tuple[float, float]], log_x: bool, log_y: bool, line: bool) -> None:
    points = [(x, y) for x, y in points if not (abs(x) > 1e150 or abs(y) > 1e150)] + [(1.0, 1.0)]
    one = Series(label="a", x=[x for x, _ in points], y=[y for _, y in points], line=line)
    assert draw(chart(series=(one,), log_x=log_x, log_y=log_y), width=60, height=12, colour=False)


def test_lines_are_told_apart_without_colour() -> None:
    lines = tuple(
        Series(label=f"run {i}", x=[1.0, 2.0, 3.0, 4.0], y=[i + 1.0, i + 0.8, i + 0.7, i + 0.6], line=True, colour=i)
        for i in range(3)
    )
    text = draw(chart(series=lines, log_x=False, log_y=False), width=70, height=16, colour=False)
    for glyph, label in zip("●■▲", ("run 0", "run 1", "run 2"), strict=True):
        assert f"{glyph} {label}" in text
        assert text.count(glyph) >= 3


def test_collapse_keeps_ends_and_extremes() -> None:
    x = np.arange(100_000.0)
    y = np.sin(x / 500)
    y[54_321] = 9.0
    a, b = collapse(x, y, 120)
    assert len(a) <= 2 * 120 + 2
    assert (a[0], a[-1]) == (0.0, 99_999.0)
    assert b.max() == 9.0
    assert b.min() == y.min()


def test_ticks() -> None:
    assert ticks(10.2, 14.1, True, 6) == ([11.0, 12.0, 13.0, 14.0], ["1e11", "1e12", "1e13", "1e14"])
    places, labels = ticks(0.0, 10.0, False, 6)
    assert (places, labels) == ([0, 2, 4, 6, 8, 10], ["0", "2", "4", "6", "8", "10"])
    assert ticks(math.log10(4), math.log10(6), True, 5)[1] == ["4.0", "4.5", "5.0", "5.5", "6.0"]


def test_numbers_for_people() -> None:
    assert [count(v) for v in (None, 0, 999, 12_345, 1_540_000)] == ["-", "0", "999", "12.3k", "1.54M"]
    assert flops(7.57e11) == "7.57e11"
    assert [duration(v) for v in (3.21, 59, 185, 7805, 273_600)] == ["3.2s", "59s", "3m 05s", "2h 10m", "3d 4h"]
    assert size(4.3 * 1024**2) == "4.3 MiB"


def test_an_axis_has_two_labels_at_least_however_its_ends_lie() -> None:
    from shrunk_tui.ticks import ticks

    for low, high, log in (
        (50, 800, False),
        (0.49, 0.51, False),
        (3.1, 3.9, True),
        (99_990, 100_010, False),
        (1, 2, True),
    ):
        for most in (3, 4, 6, 12):
            places, labels = ticks(low, high, log, most)
            assert 2 <= len(places) == len(labels) <= 3 * most, (low, high, most, labels)
            assert all(low - 1e-9 <= place <= high + 1e-9 for place in places)
