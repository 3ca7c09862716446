"""Power laws: known truth comes back, weak designs say so, and bad input is refused by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from shrunk_core.analysis import bootstrap as boot
from shrunk_core.analysis.powerlaw import fit_power
from shrunk_core.errors import FitError

X = np.geomspace(1e14, 1e17, 24)


def noisy(y: np.ndarray, noise: float = 0.003, seed: int = 0) -> np.ndarray:
    return y * np.exp(np.random.default_rng(seed).normal(0, noise, len(y)))


@pytest.mark.parametrize("loss", ["huber", "lsq"])
def test_the_exponent_comes_back_inside_its_interval(loss: str) -> None:
    found = fit_power(X, noisy(80 * X**-0.1), loss=loss, bootstrap=300)
    assert found.identifiable and found.r2 > 0.99
    assert found.params["a"] == pytest.approx(0.1, abs=2e-3)
    low, high = found.intervals["a"]
    assert low < 0.1 < high and high - low < 0.01


def test_exact_points_give_the_exact_law() -> None:
    found = fit_power(X, 1.5 + 4e3 * X**-0.2, irreducible=True, loss="lsq", bootstrap=0)
    assert found.optimum == pytest.approx({"A": 4e3, "a": 0.2, "E": 1.5}, rel=1e-5)


def test_an_outlier_moves_least_squares_but_not_huber() -> None:
    y = noisy(80 * X**-0.1)
    y[3] *= 1.3
    assert abs(fit_power(X, y, bootstrap=0).params["a"] - 0.1) < abs(
        fit_power(X, y, loss="lsq", bootstrap=0).params["a"] - 0.1
    )


def test_six_runs_on_a_plateau_are_not_identifiable() -> None:
    x = np.geomspace(1e12, 1e13, 6)
    found = fit_power(x, noisy(np.full(6, 6.0)), bootstrap=300)
    assert not found.identifiable and "exponent a" in found.reason
    assert found.params == {} and found.intervals == {} and "a" in found.optimum


def test_an_irreducible_loss_below_everything_is_not_identifiable() -> None:
    x = np.geomspace(1e12, 1e13, 6)
    assert not fit_power(x, noisy(90 * x**-0.1, 0.01), irreducible=True, bootstrap=200).identifiable


def test_rows_of_one_run_do_not_narrow_the_interval() -> None:
    """Twelve runs, each row written ten times: the interval stays that of twelve runs, and a warning says so."""
    x = np.geomspace(1e14, 1e17, 12)
    y = noisy(80 * x**-0.1, 0.01)
    single = fit_power(x, y, bootstrap=400)
    copied = fit_power(np.repeat(x, 10), np.repeat(y, 10), runs=np.repeat(np.arange(12), 10), bootstrap=400)
    spans = [high - low for low, high in (single.intervals["a"], copied.intervals["a"])]
    assert spans[1] == pytest.approx(spans[0], rel=0.2)
    assert copied.runs == 12 and copied.points == 120 and "only describe" in copied.warnings[0]


def test_seeds_of_one_shape_are_one_cluster() -> None:
    labels = np.array(["a", "a", "b", "b", "c"])
    assert boot.clusters_of(labels, [0, 1, 0, 1, 0]).tolist() == [0, 0, 1, 1, 2]
    assert boot.count_runs(labels, [0, 1, 0, 1, 0]) == 5
    by_id = np.array(["r1", "r2", "r3"])  # ids differ by seed: the same x and another seed is the same shape
    assert boot.clusters_of(by_id, [0, 1, 0], np.array([1e3, 1e3, 2e3])).tolist() == [0, 0, 1]
    assert boot.clusters_of(by_id, [0, 0, 0], np.array([1e3, 1e3, 2e3])).tolist() == [0, 1, 2]


def test_the_same_seed_gives_the_same_numbers() -> None:
    y = noisy(80 * X**-0.1)
    assert fit_power(X, y, bootstrap=50).to_dict() == fit_power(X, y, bootstrap=50).to_dict()
    json.dumps(fit_power(X, y, bootstrap=50, hold_out_largest=True).to_dict(), allow_nan=False)


def test_the_top_budget_is_predicted_without_it() -> None:
    held = fit_power(X, noisy(80 * X**-0.1), bootstrap=0, hold_out_largest=True).held_out
    assert held is not None and held.points == 1 and held.log_error < 0.01 and held.largest_x == X[-1]


def test_the_point_with_most_leverage_is_named() -> None:
    y = 80 * X**-0.1
    y[-1] *= 1.2
    found = fit_power(X, y, loss="lsq", bootstrap=0).leverage[0]
    assert found.point == 23 and found.param == "a" and found.without == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [1.0, np.nan, 1.0, 1.0, 1.0]}, "r1 .nan"),
        ({"y": [1.0, np.inf, 1.0, 1.0, 0.0]}, "r1 .inf.*r4"),
        ({"x": [2.0] * 5}, "one budget"),
        ({"x": [1.0, 2.0, 3.0], "y": [3.0, 2.0, 1.0], "runs": ["a", "b", "c"]}, "at least 4 points"),
        ({"loss": "mse"}, "huber or lsq"),
        ({"y": [1.0, 2.0]}, "differ in length"),
    ],
)
def test_bad_input_is_refused_by_name(change: dict, message: str) -> None:
    given = {"x": [1.0, 2.0, 3.0, 4.0, 5.0], "y": [5.0, 4.0, 3.0, 2.0, 1.0], "runs": [f"r{i}" for i in range(5)]}
    with pytest.raises(FitError, match=message):
        fit_power(**(given | change))
