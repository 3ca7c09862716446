"""Our own SELECTs: names people type, curves collapsed, points for fits."""

import math

import pytest
from shrunk_core.errors import PlanError
from shrunk_core.record.events import GridSubmitted
from shrunk_core.store import queries
from shrunk_core.store.store import open_store
from store_lab import COSTS, born, evaluated, finished, spec, started, step, write


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    lab = tmp_path_factory.mktemp("lab")
    ids = []
    for seed in range(3):
        run = born(lab, seed=seed, name=f"run-{seed}", grid="first")
        ids.append(run.run_id)
        curve = [step(u, 6 - u / 100 if u != 40 else math.nan, at=1e9 + u) for u in range(1, 101)]
        write(
            run.events_file,
            started(at=1e9),
            *curve,
            evaluated(0, 7.0),
            evaluated(50, 5.0 - seed),
            evaluated(60, math.nan),
        )
        if seed < 2:
            write(run.events_file, evaluated(100, 4.0 - seed), evaluated(100, 4.1, split="test"), finished())
    write(
        lab / "journal" / "h-1-1.jsonl",
        GridSubmitted(grid="second", run_ids=(ids[2], ids[0]), names=("x", "y"), toml=""),
    )
    opened = open_store(lab)
    opened.refresh(force=True)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def ids():
    return [spec(seed).run_id for seed in range(3)]


def test_runs_of_the_lab_and_of_each_grid_in_its_order(store, ids):
    assert queries.runs_table(store).column("name") == ["run-0", "run-1", "run-2"]
    assert queries.runs_table(store, "second").column("run_id") == [ids[2], ids[0]]
    assert queries.runs_table(store, "first").column("name") == ["run-0", "run-1", "run-2"]
    assert queries.runs_table(store, "none").rows == []


def test_runs_are_found_by_id_beginning_name_and_grid(store, ids):
    assert queries.find_runs(store, [ids[1]]) == [ids[1]]
    assert queries.find_runs(store, [ids[1][:8], "run-0", ids[1]]) == [ids[1], ids[0]]
    assert queries.find_runs(store, ["second"]) == [ids[2], ids[0]]
    with pytest.raises(PlanError, match="no run or grid 'zzz'"):
        queries.find_runs(store, ["zzz"])
    with pytest.raises(PlanError, match="begins 3 runs"):
        queries.find_runs(store, [""])


def test_one_run_with_its_evaluations_and_events(store, ids):
    row = queries.one_run(store, ids[0])
    assert row["name"] == "run-0" and row["final_loss"] == 4.0
    assert queries.run_evaluations(store, ids[0]).column("update") == [0, 50, 60, 100, 100]
    assert queries.run_events(store, ids[0]).column("kind") == ["started", "finished"]
    assert queries.run_events(store, ids[0], limit=1).column("kind") == ["finished"]
    with pytest.raises(PlanError):
        queries.one_run(store, "0" * 12)


def test_training_curves_are_collapsed_without_losing_extremes(store, ids):
    curves = queries.training_curves(store, [ids[1], ids[0]], points=10)
    assert [c.run_id for c in curves] == [ids[1], ids[0]]
    curve = curves[0]
    assert curve.update == [10, 20, 30, 39, 50, 60, 70, 80, 90, 100] and curve.tokens[-1] == 25_600
    assert curve.high[0] == 5.99 and curve.low[-1] == 5.0 and all(map(math.isfinite, curve.loss))
    assert all(a < b for a, b in zip(curve.logged_at, curve.logged_at[1:], strict=False))
    (full,) = queries.training_curves(store, [ids[0]], points=1000)
    assert len(full.update) == 99, "the update without a number is left out"
    assert queries.training_curves(store, ["0" * 12]) == []


def test_evaluation_curves_carry_one_standard_error(store, ids):
    (curve,) = queries.evaluation_curves(store, [ids[0]])
    assert curve.update == [0, 50, 100] and curve.loss == [7.0, 5.0, 4.0]
    assert curve.high[1] == pytest.approx(5.01)


@pytest.mark.parametrize("counting", ["paper", "hoffmann", "kaplan", "executed"])
def test_points_carry_the_counting_that_was_asked_for(store, ids, counting):
    points = queries.loss_points(store, counting=counting)
    assert [(p.update, p.loss) for p in points if p.run_id == ids[0]] == [(50, 5.0), (100, 4.0)]
    assert points[0].flops == points[0].update * 4 * COSTS[f"flops_{counting}"]
    assert points[0].params == COSTS["num_params"] and points[0].shape == (64, 128, 512, 4, 2)


def test_final_points_are_of_runs_that_spent_their_budget(store, ids):
    points = queries.final_points(store, embeddings=False)
    assert sorted(p.run_id for p in points) == sorted(ids[:2])
    assert {p.params for p in points} == {COSTS["num_params"] - COSTS["embedding_params"]}
    assert queries.final_points(store, evaluation_id="other") == []
    assert [p.run_id for p in queries.final_points(store, run_ids=[ids[1]])] == [ids[1]]
    with pytest.raises(PlanError, match="unknown counting"):
        queries.final_points(store, counting="mine")


def test_evaluation_sets_say_what_may_be_compared(store):
    ((identity, runs, grids),) = queries.evaluation_sets(store).rows
    assert (identity, runs, grids) == (spec().evaluation_id, 3, ["first"])
