"""Joint and broken laws on simulated truth, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from shrunk_core.analysis.bnsl import SmoothBroken, fit_bnsl, predict_bnsl
from shrunk_core.analysis.bootstrap import resample
from shrunk_core.analysis.broken import fit_broken
from shrunk_core.analysis.chinchilla import Chinchilla, Kaplan, fit_chinchilla
from shrunk_core.analysis.curve import curve
from shrunk_core.analysis.fit import fit
from shrunk_core.analysis.powerlaw import IrreduciblePower, Power
from shrunk_core.analysis.solver import minimise
from shrunk_core.errors import FitError

N, D = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e9, 6), np.geomspace(1e7, 1e10, 4)))
RNG = np.random.default_rng(0)
LOG = np.log(N), np.log(D), np.log(2 + 0.1 * RNG.random(24))
X = np.geomspace(1e14, 1e18, 24)


@pytest.mark.parametrize(
    ("law", "theta"),
    [
        (Chinchilla(*LOG), [0.6, -1.0, 0.3, 0.35, 0.37]),
        (Kaplan(*LOG), [0.3, 0.5, 0.08, 0.1]),
        (Power(LOG[0], LOG[2]), [0.5, 0.1]),
        (IrreduciblePower(LOG[0], LOG[2]), [0.5, 0.1, 0.2]),
        (SmoothBroken(LOG[0], LOG[2], 2), [-1.0, 0.5, 0.1, 0.4, 15.0, -0.5, -0.2, 18.0, 0.3]),
    ],
)
def test_derivatives_match_finite_differences(law, theta: list[float]) -> None:
    theta_1p = np.array([theta])
    _, jacobian = law.residuals(theta_1p)
    for j in range(len(theta)):
        step = np.zeros_like(theta_1p)
        step[0, j] = 1e-6
        numeric = (law.residuals(theta_1p + step)[0] - law.residuals(theta_1p - step)[0]) / 2e-6
        np.testing.assert_allclose(jacobian[0, :, j], numeric[0], atol=1e-7)


def test_chinchilla_and_kaplan_come_back_from_exact_points() -> None:
    found = fit_chinchilla(N, 1.8 + 480 / N**0.35 + 2100 / D**0.37, d=D, starts=50, bootstrap=0)
    assert found.optimum == pytest.approx({"E": 1.8, "A": 480, "B": 2100, "alpha": 0.35, "beta": 0.37}, rel=1e-3)
    y = ((8.8e13 / N) ** (0.076 / 0.095) + 5.4e13 / D) ** 0.095
    found = fit_chinchilla(N, y, d=D, form="kaplan", starts=50, bootstrap=0)
    assert found.optimum == pytest.approx({"Nc": 8.8e13, "Dc": 5.4e13, "aN": 0.076, "aD": 0.095}, rel=1e-3)


def test_tokens_follow_from_flops() -> None:
    y = (1.8 + 480 / N**0.35 + 2100 / D**0.37) * np.exp(RNG.normal(0, 0.005, 24))
    kept = {"starts": 20, "bootstrap": 0}
    assert fit_chinchilla(N, y, d=D, **kept).optimum == pytest.approx(
        fit_chinchilla(N, y, flops=6 * N * D, **kept).optimum, rel=1e-4
    )


def test_sizes_and_tokens_that_move_together_are_not_identifiable() -> None:
    size = np.geomspace(1e6, 1e9, 12)
    found = fit_chinchilla(size, 1.8 + 480 / size**0.35, d=20 * size, bootstrap=100)
    assert not found.identifiable and "move together" in found.reason


@pytest.mark.parametrize(
    ("n", "d", "message"),
    [
        (np.full(24, 1e6), D, "same number of parameters"),
        (N, np.full(24, 1e9), "same number of tokens"),
        (N, 1e17 / (6 * N), "same budget"),
    ],
)
def test_joint_laws_refuse_designs_without_variation(n: np.ndarray, d: np.ndarray, message: str) -> None:
    with pytest.raises(FitError, match=message):
        fit_chinchilla(n, 2 + N**-0.1, d=d)


@pytest.mark.parametrize("jump", [True, False])
def test_two_laws_are_found_and_one_law_is_left_alone(jump: bool) -> None:
    noise = np.exp(np.random.default_rng(3).normal(0, 0.005, 24))
    bent = np.where(X <= 1e16, 5 * (X / 1e16) ** -0.06, (4.2 if jump else 5.0) * (X / 1e16) ** -0.14) * noise
    found = fit_broken(X, bent, jump=jump, bootstrap=200, test=199, hold_out_largest=True)
    assert found.held_out is not None and found.held_out.log_error < 0.03
    low, high = found.break_interval
    assert found.two_laws and low < 1e16 < high
    assert found.params["a1"] == pytest.approx(0.06, abs=0.01) and found.params["a2"] == pytest.approx(0.14, abs=0.01)
    straight = fit_broken(X, 5 * (X / 1e16) ** -0.14 * noise, jump=jump, bootstrap=200, test=199)
    assert not straight.two_laws and any("one law is not ruled out" in text for text in straight.warnings)
    assert {"break", "break_interval", "test_one_law"} <= set(found.to_dict())


def two_laws(at: float, jump: float, noise: np.ndarray, slopes: tuple[float, float] = (0.06, 0.14)) -> np.ndarray:
    """A loss of 5 at the break, which falls by `jump` (natural log) across it."""
    low, high = slopes
    return 5 * np.where(X <= at, (X / at) ** -low, np.exp(-jump) * (X / at) ** -high) * np.exp(noise)


@pytest.mark.parametrize("loss", ["lsq", "huber"])
def test_the_interval_of_a_clear_jump_is_the_gap_that_holds_it(loss: str) -> None:
    rng = np.random.default_rng(11)
    for gap in (6, 12, 17):
        at = float(np.sqrt(X[gap] * X[gap + 1]))
        found = fit_broken(X, two_laws(at, 0.08, rng.normal(0, 0.004, 24)), loss=loss, bootstrap=50, test=0)
        assert found.break_interval == found.break_between == pytest.approx((X[gap], X[gap + 1]))


def test_the_interval_of_a_faint_jump_holds_it_in_about_95_of_100_grids() -> None:
    """A jump of two standard deviations between equal slopes, at a place drawn anew each time; without one, no gap is ruled out
    for long and the break is not identifiable."""
    rng = np.random.default_rng(12)
    held, gaps = 0, []
    for _ in range(200):
        at = float(np.exp(rng.uniform(*np.log(X[[3, 20]]))))
        found = fit_broken(X, two_laws(at, 0.01, rng.normal(0, 0.005, 24), (0.14, 0.14)), bootstrap=0, test=0)
        low, high = found.break_interval
        held += low <= at <= high
        gaps.append(np.log(high / low) / np.log(X[1] / X[0]))
    assert 180 <= held <= 198 and 4 < np.mean(gaps) < 17
    straight = fit_broken(X, 80 * X**-0.1 * np.exp(rng.normal(0, 0.005, 24)), bootstrap=0, test=199)
    assert not straight.identifiable and "order of magnitude" in straight.reason


def test_rows_of_one_run_do_not_narrow_the_break() -> None:
    y = two_laws(1.3e16, 0.01, np.random.default_rng(13).normal(0, 0.005, 24), (0.14, 0.14))
    once = fit_broken(X, y, bootstrap=0, test=0).break_interval
    runs = [f"run {i}" for i in range(24)] * 3
    assert fit_broken(np.tile(X, 3), np.tile(y, 3), runs, bootstrap=0, test=0).break_interval == pytest.approx(once)
    low, high = fit_broken(np.tile(X, 3), np.tile(y, 3), bootstrap=0, test=0).break_interval
    assert once[0] <= low < high <= once[1] and high / low < once[1] / once[0]


def test_a_robust_break_survives_an_outlier() -> None:
    y = np.where(X <= 1e16, 5 * (X / 1e16) ** -0.06, 4.7 * (X / 1e16) ** -0.14)
    y = y * np.exp(np.random.default_rng(4).normal(0, 0.002, 24))
    y[5] *= 1.2
    assert fit_broken(X, y, loss="huber", bootstrap=0, test=0).params["a1"] == pytest.approx(0.06, abs=3e-3)


def test_a_smooth_law_with_two_breaks_is_fitted() -> None:
    x = np.geomspace(1e2, 1e8, 40)
    truth = {"a": 0.1, "b": 3.0, "c0": 0.05, "c1": 0.4, "d1": 1e4, "f1": 0.3, "c2": -0.3, "d2": 1e6, "f2": 0.3}
    y = predict_bnsl(truth, x)
    found = fit_bnsl(x, y, breaks=2, bootstrap=0)
    np.testing.assert_allclose(predict_bnsl(found.optimum, x), y, rtol=2e-3)
    with pytest.raises(FitError, match="at least one break"):
        fit_bnsl(x, y, breaks=0)


def test_more_parameters_than_runs_is_not_identifiable() -> None:
    """Forty rows of two curves fit any law of five parameters, and tell none of them."""
    x = np.geomspace(1e2, 1e8, 40)
    runs = ["a", "b"] * 20
    found = fit_bnsl(x, 3 * x**-0.1 + 0.2, runs=runs, bootstrap=50)
    assert not found.identifiable and "6 parameters cannot be told from 2 independent runs" in found.reason


def test_the_door_refuses_mixed_scales_and_names_what_is_missing() -> None:
    y = 80 * X**-0.1
    with pytest.raises(FitError, match="mix FLOPs countings"):
        fit("power", x=X, y=y, countings=["paper"] * 23 + ["kaplan"])
    with pytest.raises(FitError, match="mix evaluation sets"):
        fit("power", x=X, y=y, evaluations=["a"] * 23 + ["b"])
    with pytest.raises(FitError, match="unknown form"):
        fit("parabola", x=X, y=y)
    with pytest.raises(FitError, match="needs the parameters n"):
        fit("chinchilla", y=y, d=D)
    found = fit("power", x=X, y=y, drop_highest_loss=4, bootstrap=0)
    assert found.points == 20 and "4 highest losses" in found.warnings[-1]


def test_the_line_of_a_law_runs_inside_its_band() -> None:
    y = 80 * X**-0.1 * np.exp(np.random.default_rng(5).normal(0, 0.005, 24))
    line = curve(fit("power", x=X, y=y, bootstrap=200), X)
    assert line.low is not None and line.high is not None
    assert (line.low <= line.fit).all() and (line.fit <= line.high).all()
    bent = fit("broken", x=X, y=np.where(X <= 1e16, 5.0 * (X / 1e16) ** -0.06, 4 * (X / 1e16) ** -0.14), bootstrap=50)
    np.testing.assert_allclose(curve(bent, [1e15, 1e17]).fit, [5 * 0.1**-0.06, 4 * 10**-0.14], rtol=1e-6)
    flat = fit("power", x=X[:6], y=6 + 0.01 * np.random.default_rng(6).normal(size=6), bootstrap=100)
    with pytest.raises(FitError, match="not identifiable"):
        curve(flat, X)


def test_resamples_are_solved_as_tightly_as_the_data() -> None:
    y = (1.8 + 480 / N**0.35 + 2100 / D**0.37) * np.exp(np.random.default_rng(7).normal(0, 0.005, 24))
    law = Chinchilla(np.log(N), np.log(D), np.log(y))
    best = minimise(law.residuals, law.starts(40, RNG), np.ones((1, 24)), delta=1e-3).theta[:1]
    weights = resample(np.arange(24), 20, RNG, at_least=6)
    quick = minimise(law.residuals, np.tile(best, (20, 1)), weights, delta=1e-3, tolerance=1e-8).objective
    many = np.repeat(weights, 60, 0)
    long = minimise(law.residuals, law.starts(1200, RNG), many, delta=1e-3, steps=1000).objective.reshape(20, 60)
    assert np.median(quick / long.min(1)) < 1 + 1e-4
