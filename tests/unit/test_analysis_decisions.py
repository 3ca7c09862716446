"""Frontiers, cost-effectiveness and correlations on cases small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from shrunk_core.analysis.correlation import correlate, paired_steps
from shrunk_core.analysis.frontier import frontier
from shrunk_core.analysis.icer import dominance, ladder
from shrunk_core.analysis.isoflop import isoflop
from shrunk_core.errors import FitError


def statuses(cost: list[float], effect: list[float]) -> dict[str, str]:
    names = "abcdefgh"[: len(cost)]
    return {row.run: row.status for row in dominance(names, cost, effect)}


def test_dominated_and_extendedly_dominated_options_are_named() -> None:
    rows = dominance("abcd", [1e16, 2e16, 3e16, 4e16], [0.0, 1.0, 5.0, 4.0])
    assert {row.run: row.status for row in rows} == {
        "a": "reference", "b": "extendedly dominated", "c": "frontier", "d": "dominated",
    }  # fmt: skip
    step = next(row for row in rows if row.run == "c")
    assert step.icer == pytest.approx(2e16 / 5) and step.effect_per_unit == pytest.approx(2.5)
    assert [row.effect for row in rows] == sorted(row.effect for row in rows)


def test_ties_equal_costs_and_negative_effects() -> None:
    assert statuses([1, 1], [2, 2]) == {"a": "reference", "b": "dominated"}
    assert statuses([1, 1, 2], [2, 3, 4]) == {"a": "dominated", "b": "reference", "c": "frontier"}
    assert statuses([1, 2, 3], [-9, -5, -6]) == {"a": "reference", "b": "frontier", "c": "dominated"}
    assert statuses([1, 2, 3], [0, 1, 2]) == {"a": "reference", "b": "frontier", "c": "frontier"}
    with pytest.raises(FitError, match="at least two"):
        dominance("a", [1], [1])
    with pytest.raises(FitError, match="finite.*b"):
        dominance("ab", [1, 2], [1, np.nan])


def test_a_ladder_warns_when_something_else_changes_and_leaves_other_bases_out() -> None:
    columns = {"H": [32, 64, 128, 64], "L": [1, 1, 1, 9], "tie": ["none", "none", "full", "none"]}
    rows = ladder("abcx", [1e16, 2e16, 4e16, 9e16], [-8.0, -6.0, -5.0, -1.0], "H", columns, {"L": 1})
    assert [row.run for row in rows] == ["a", "b", "c"]
    assert rows[0].status == "reference" and rows[0].icer is None
    assert rows[1].effect_per_unit == pytest.approx(2.0) and rows[1].warning == ""
    assert rows[2].effect_per_unit == pytest.approx(0.5) and "tie none to full" in rows[2].warning


def test_a_rung_without_gain_or_cost_is_not_divided_by_zero() -> None:
    rows = ladder("abc", [1.0, 1.0, 2.0], [1.0, 2.0, 2.0], "A", {"A": [1, 2, 4]})
    assert rows[1].effect_per_unit is None and rows[1].icer == 0.0
    assert rows[2].icer is None and rows[2].effect_per_unit == 0.0 and "no gain" in rows[2].warning


def test_seeds_give_a_step_its_interval() -> None:
    rows = ladder("aabb", [1e16, 1e16, 2e16, 2e16], [1.0, 1.1, 2.0, 2.1], "H", {"H": [1, 1, 2, 2]})
    assert rows[1].seeds == 2 and rows[1].interval is not None
    low, high = rows[1].interval
    assert low < rows[1].effect_per_unit < high  # type: ignore[operator]
    welch = stats.ttest_ind([2.0, 2.1], [1.0, 1.1], equal_var=False).confidence_interval()
    assert (low, high) == pytest.approx((welch.low, welch.high))


def test_seeds_of_an_option_stand_at_their_mean_and_say_how_sure_the_frontier_is() -> None:
    """a, b, c climb far beyond the noise; d costs as c and is a hair worse; e is between b and c in cost, far below."""
    runs = "aabbccddee"
    cost = [1e16, 1e16, 2e16, 2e16, 4e16, 4e16, 4e16, 4e16, 3e16, 3e16]
    effect = [0.9, 1.1, 4.9, 5.1, 7.9, 8.1, 7.88, 8.08, 1.9, 2.1]
    rows = {row.run: row for row in dominance(runs, cost, effect)}
    assert {run: row.status for run, row in rows.items()} == {
        "a": "reference", "b": "frontier", "c": "frontier", "d": "dominated", "e": "dominated",
    }  # fmt: skip
    assert {row.seeds for row in rows.values()} == {2} and rows["a"].interval is None and rows["d"].interval is None
    welch = stats.ttest_ind([7.9, 8.1], [4.9, 5.1], equal_var=False).confidence_interval()
    assert rows["c"].interval == pytest.approx((welch.low / 2, welch.high / 2))  # per 1e16 FLOPs, over 2e16
    sure = {run: row.on_frontier for run, row in rows.items()}
    assert sure["a"] == sure["b"] == 1.0 and sure["e"] == 0.0
    assert 0.35 < sure["d"] < 0.5 < sure["c"] < 0.65 and sure["c"] + sure["d"] == pytest.approx(1)
    assert rows == {row.run: row for row in dominance(runs, cost, effect)}  # the same redraws every time
    assert all(row.on_frontier is None for row in dominance("abc", [1, 2, 3], [0, 1, 3]))
    with pytest.raises(FitError, match="two options; there is 1"):
        dominance("aa", [1, 1], [1, 2])


def test_frontiers_by_hand() -> None:
    flops, loss = [1.0, 2.0, 3.0, 2.0, 4.0], [5.0, 4.0, 4.5, 4.2, 3.0]
    runs = ["a", "a", "a", "b", "b"]
    assert [p.row for p in frontier(flops, loss, runs, method="envelope")] == [0, 1, 4]
    assert [p.row for p in frontier(flops, loss, runs, method="final")] == [2, 4]
    marked = frontier(flops, loss, runs, method="envelope", warming_up=[True, False, False, False, False])
    assert marked[0].warning == "in warm-up" and marked[0].update == 1
    with pytest.raises(FitError, match="unknown frontier"):
        frontier(flops, loss, runs, method="best")


def test_isoflop_valleys_have_the_exponents_they_were_made_with() -> None:
    budgets = np.geomspace(1e17, 1e20, 4)
    c = np.repeat(budgets, 7)
    best = 0.1 * c**0.5
    n = best * np.tile(np.geomspace(0.25, 4, 7), 4)
    y = 2 + 50 * c**-0.1 + 0.05 * np.log(n / best) ** 2
    noise = np.random.default_rng(0).normal(0, 0.002, 28)
    found = isoflop(n, c / (6 * n), y + noise, c, bootstrap=200)
    low, high = found.n_interval
    assert low < 0.5 < high and found.n_exponent + found.d_exponent == pytest.approx(1)
    assert found.valleys[0].n_opt == pytest.approx(0.1 * 1e17**0.5, rel=0.1)
    with pytest.raises(FitError, match="at least two budgets"):
        isoflop(n[:7], (c / (6 * n))[:7], y[:7], c[:7])


@pytest.mark.parametrize("method", ["pearson", "spearman", "kendall"])
def test_coefficients_match_scipy_with_ties(method: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 8, 30).astype(float)
    y = -x + rng.integers(0, 6, 30)
    reference = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}[method](x, y)
    found = correlate(x, y, "perplexity", "cola", method, bootstrap=300)
    assert found.value == pytest.approx(float(reference.statistic))
    assert -1 <= found.low < found.value < found.high <= 1 and found.n == 30


def test_a_partial_correlation_removes_what_size_explains() -> None:
    rng = np.random.default_rng(2)
    size = rng.normal(size=60)
    x, y = size + 0.3 * rng.normal(size=60), size + 0.3 * rng.normal(size=60)
    assert correlate(x, y, bootstrap=200).low > 0.7
    held = correlate(x, y, given=size, given_name="log parameters", bootstrap=200)
    assert held.low < 0 < held.high and held.given == "log parameters"
    with pytest.raises(FitError, match="of 3 runs"):
        correlate(x[:3], y[:3])
    with pytest.raises(FitError, match="nothing to correlate"):
        correlate(np.ones(9), y[:9])


def test_more_layers_at_equal_everything_else() -> None:
    columns = {"L": [1, 2, 1, 2, 4], "H": [32, 32, 64, 64, 64]}
    steps = paired_steps("L", columns, [50.0, 52.0, 60.0, 61.0, 59.0])
    assert [(s.lower, s.upper, s.mean, s.n, s.better) for s in steps] == [(1, 2, 1.5, 2, 2), (2, 4, -2.0, 1, 0)]
