"""Live charts as arrays: nothing of a curve is lost that can be seen, and what is drawn is where it belongs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shrunk_tui.marks import GLYPHS
from shrunk_tui.picture import Cache, Line, Scene, compose
from shrunk_tui.raster import Window, cells, dots, mean_band, smoothed, spans

FLOATS = st.floats(-1e6, 1e6, allow_nan=False, width=32)


def line(y: np.ndarray, number: int = 0, **more: object) -> Line:
    x = np.arange(1, len(y) + 1, dtype=float)
    return Line(key=str(number), label=f"run {number}", number=number, x=x, y=y, version=len(y), **more)  # type: ignore[arg-type]


def text(scene: Scene, width: int = 60, height: int = 16) -> list[str]:
    return ["".join(map(chr, row)) for row in compose(scene, width, height).codes]


@settings(max_examples=60, deadline=None)
@given(st.lists(FLOATS, min_size=1, max_size=400), st.integers(2, 60))
def test_no_extreme_is_lost(values: list[float], columns: int) -> None:
    y = np.array(values)
    x = np.arange(len(y), dtype=float)
    found = spans(x, y, -0.5, len(y) - 0.5, columns)
    assert np.nanmin(found.low) == y.min() and np.nanmax(found.high) == y.max()
    there = np.isfinite(found.low)
    assert there[found.first : found.last + 1].all(), "a line has no holes between its first and its last point"


@settings(max_examples=30, deadline=None)
@given(st.lists(FLOATS, min_size=3, max_size=200), st.integers(2, 31))
def test_smoothing_is_the_mean_of_what_is_around(values: list[float], points: int) -> None:
    y = np.array(values)
    half = min(points // 2, (len(y) - 1) // 2)
    expected = [y[max(0, i - half) : i + half + 1].mean() for i in range(len(y))]
    np.testing.assert_allclose(smoothed(y, points), expected, rtol=1e-9, atol=1e-3)


def test_a_line_goes_on_to_the_edge_of_a_zoom() -> None:
    x, y = np.array([0.0, 10.0]), np.array([0.0, 10.0])
    found = spans(x, y, 4.0, 6.0, 8)
    assert (found.first, found.last) == (-1, -1)
    assert np.isfinite(found.low).all() and found.low[0] < found.high[-1]
    assert abs(float(found.low[0]) - 4.0) < 0.3


def test_dots_and_braille_bits() -> None:
    mask = dots(np.array([0.0, 3.0]), np.array([0.0, 3.0]), Window(left=0, right=1, bottom=0.0, top=3.0), 4)
    assert mask.tolist() == [[False, True], [False, False], [False, False], [True, False]]
    assert cells(mask).tolist() == [[64 + 8]]


def test_lines_carry_signs_and_the_legend_names_them() -> None:
    scene = Scene(title="loss", lines=(line(np.linspace(5, 4, 50)), line(np.linspace(6, 5, 50), 1)))
    drawn = text(scene)
    plot, legend = "".join(drawn[:-1]), drawn[-1]
    assert drawn[0].startswith("loss")
    for sign in GLYPHS[:2]:
        assert sign in plot and sign in legend
    assert "run 0 4" in legend and "run 1 5" in legend


def test_ascii_draws_ascii_only() -> None:
    scene = Scene(title="loss", lines=(line(np.linspace(5, 4, 50)), line(np.linspace(6, 5, 50), 1)),
                  rules=((5.5, "unigram"),), cursor=20.0, ascii=True)  # fmt: skip
    assert all(c.isascii() for row in text(scene) for c in row)


def test_log_axes_leave_out_what_is_not_positive() -> None:
    scene = Scene(lines=(Line(key="a", label="a", number=0, x=np.array([0.0, 1.0, 100.0]), y=np.array([-1.0, 1.0, 0.1]),
                              version=0),), log_x=True, log_y=True)  # fmt: skip
    picture = compose(scene, 60, 12)
    assert picture.window is not None
    assert (picture.window.left, picture.window.right) == (0.0, 2.0)
    assert -1.1 < picture.window.bottom < -0.9


def test_crosshair_values_stand_in_the_legend() -> None:
    drawn = text(Scene(lines=(line(np.linspace(5, 4, 101)),), cursor=51.0))
    assert "x 51" in drawn[-1] and "run 0 4.5" in drawn[-1]


def test_nothing_to_draw_says_so_and_small_sizes_do_not_break() -> None:
    assert "no points yet" in "".join(text(Scene()))
    for width in (1, 5, 17, 40):
        for height in (1, 4, 6, 9):
            compose(Scene(title="t", lines=(line(np.array([1.0, 2.0])),), cursor=1.0), width, height)


def test_cache_keeps_what_did_not_change() -> None:
    cache = Cache()
    old, grown = line(np.linspace(5, 4, 50)), line(np.linspace(6, 5, 50), 1)
    compose(Scene(lines=(old, grown)), 60, 16, cache)
    before = set(cache.spans)
    compose(Scene(lines=(old, line(np.append(np.linspace(6, 5, 50), 5.0)[:50], 1))), 60, 16, cache)
    assert set(cache.spans) == before


def test_bands_are_mean_and_standard_deviation_over_what_all_cover() -> None:
    x = np.arange(1.0, 11.0)
    common, mean, low, high = mean_band([(x, x * 0 + 1), (x[:8], x[:8] * 0 + 3)])
    assert (common[0], common[-1]) == (1.0, 8.0)
    assert (mean == 2).all()
    np.testing.assert_allclose(high - mean, np.sqrt(2))
    np.testing.assert_allclose(mean - low, np.sqrt(2))
