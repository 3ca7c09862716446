"""Published numbers, re-found: Chinchilla's constants, the broken neural scaling law, the paper's break and ladders."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from shrunk_core.analysis.bnsl import fit_bnsl, predict_bnsl
from shrunk_core.analysis.broken import fit_broken, slopes_at
from shrunk_core.analysis.fit import fit
from shrunk_core.analysis.frontier import frontier, resampled
from shrunk_core.analysis.icer import dominance, ladder
from shrunk_core.analysis.paper_table import PUBLISHED_BREAK, against_published, paper_runs


def columns(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def numbers(table: dict[str, np.ndarray], name: str) -> np.ndarray:
    return table[name].astype(float)


def test_chinchilla_constants(shared_data: Path) -> None:
    table = columns(shared_data / "scaling/chinchilla_points.csv")
    found = fit(
        "chinchilla", y=numbers(table, "loss"), n=numbers(table, "Model Size"), flops=numbers(table, "Training FLOP"),
        drop_highest_loss=5, starts=500, bootstrap=1000,
    )  # fmt: skip
    assert found.points == 240 and found.identifiable
    assert found.objective == pytest.approx(0.0010182740, rel=1e-6)
    assert found.params == pytest.approx(
        {"E": 1.8172, "A": 477.8, "B": 2143, "alpha": 0.3473, "beta": 0.3672}, rel=3e-4
    )
    published = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
    assert all(found.intervals[s][0] < value < found.intervals[s][1] for s, value in published.items())
    # 1.96 standard errors to either side, Besiroglu et al. 2024 (arXiv 2404.10102), table 1
    errors = {"E": 0.03, "A": 124.58, "B": 1293.23, "alpha": 0.02, "beta": 0.02}
    for symbol, error in errors.items():
        low, high = found.intervals[symbol]
        assert 0.5 < (high - low) / (2 * 1.96 * error) < 2, symbol
    assert found.agreed > 400


def test_broken_neural_scaling_law_constants_and_extrapolation(shared_data: Path) -> None:
    table = columns(shared_data / "scaling/bnsl_four_digit_addition.csv")
    x, y = numbers(table, "dataset_size"), numbers(table, "test_cross_entropy")
    train = table["split"] == "train"
    found = fit_bnsl(x[train], y[train], bootstrap=0).optimum
    expected = {"a": 0.4139, "b": 2.2773, "c0": 0.0551, "c1": 5.663, "d1": 612.58, "f1": 0.0592}
    assert found == pytest.approx(expected, rel=1e-3)
    errors = np.log(predict_bnsl(found, x[~train])) - np.log(y[~train])
    assert np.sqrt((errors**2).mean()) <= 0.0110


@pytest.fixture
def curves(shared_data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = columns(shared_data / "scaling/paper_eval_curves.csv")
    return numbers(table, "FLOPS Hoffman total"), numbers(table, "eval/loss"), table["run_name"]


def test_the_papers_break(curves: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    flops, loss, runs = curves
    rows = [point.row for point in frontier(flops, loss, runs, method="paper")]
    assert len(rows) == 34 and len(set(runs[rows])) == 12
    drawn, units = resampled(flops, loss, runs, count=500)
    found = fit_broken(flops[rows], loss[rows], runs[rows], replicates=drawn, replicated_runs=units)
    assert [f"{end:.2e}" for end in found.break_between] == ["2.63e+15", "2.93e+15"]
    assert (found.params["a1"], found.params["a2"]) == pytest.approx((0.0870, 0.1399), abs=5e-5)
    assert (round(found.params["A1"], 1), round(found.params["A2"])) == (64.8, 364)
    assert (round(found.aic, 1), round(found.one_law_aic, 1)) == (-229.7, -194.3)
    assert found.break_interval[0] > PUBLISHED_BREAK and "outside" in against_published(found)
    assert "34 points come from 12 runs" in found.warnings[0]


def test_the_lower_law_rests_on_its_first_point(curves: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    flops, loss, runs = curves
    rows = [point.row for point in frontier(flops, loss, runs, method="paper")]
    found = fit_broken(flops[rows], loss[rows], runs[rows], bootstrap=0, test=0)
    most = found.leverage[0]
    assert most.param == "a1" and most.x == pytest.approx(flops[rows].min())
    assert (round(most.value, 3), round(most.without, 3)) == (0.087, 0.052)
    assert round(slopes_at(flops[rows], loss[rows], PUBLISHED_BREAK)["a1"], 3) == 0.084
    assert round(slopes_at(flops[rows[1:]], loss[rows[1:]], PUBLISHED_BREAK)["a1"], 3) == 0.038


LADDERS = {
    "H": [3.29, 0.910, 0.264],
    "L": [2.89, 0.750, 0.230],
    "E": [0.682, 0.229, 0.181],
    "I": [0.441, 0.454, 0.217],
}


@pytest.mark.parametrize("axis", LADDERS)
def test_the_ladders_of_the_paper(axis: str) -> None:
    """From the table that ships: no data folder needed."""
    table = paper_runs()
    shape = {name: [getattr(run, name) for run in table] for name in ("E", "H", "I", "A", "L", "tie")}
    cost, effect = [run.flops_total for run in table], [-run.test_perplexity for run in table]
    base = {"E": 256, "H": 256, "I": 1024, "A": 8, "L": 8}
    rungs = ladder([run.name for run in table], cost, effect, axis, shape, base)
    assert [float(f"{rung.effect_per_unit:.3g}") for rung in rungs[1:]] == LADDERS[axis]
    assert ("tie none to full" in rungs[-1].warning) == (axis != "I")
    if axis == "I":
        names = [rung.run for rung in rungs]
        status = {row.run: row.status for row in dominance(names, [r.cost for r in rungs], [r.effect for r in rungs])}
        assert status[names[1]] == "extendedly dominated"


def test_the_table_that_ships_is_the_authors_table(shared_data: Path) -> None:
    table = columns(shared_data / "scaling/paper_test_results.csv")
    runs = paper_runs()
    assert [run.name for run in runs] == list(table["run_name"])
    np.testing.assert_allclose([run.test_perplexity for run in runs], numbers(table, "test/perplexity"))
    np.testing.assert_allclose([run.flops_total for run in runs], numbers(table, "FLOPS Hoffman total"), rtol=1e-12)
    assert sum(run.tie == "full" for run in runs) == 7
