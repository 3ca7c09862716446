"""Points for the analysis from a question to the lab, and what keeps them comparable."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from cell_lab import TASK, cell, cell_finished, cell_started, scored_event
from scaling_lab import scaling_lab
from shrunk_core.errors import ConfigError, DataError, FitError, StoreError
from shrunk_core.record.celldir import write_cell
from shrunk_core.record.rundir import RunDir
from shrunk_core.store.query_files import save_query
from store_lab import T0, evaluated, write
from talk import ask, talk

FINAL = ("--map", "loss=final_loss", "--map", "flops=flops_total")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scaling_lab(tmp_path_factory.mktemp("query") / "lab")


@pytest.fixture
def lab(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SHRUNK_LAB", str(made))
    yield made


def test_a_query_fits_what_the_runs_fit(lab: Path) -> None:
    whole = ask("fit", "power", "--bootstrap", "100")
    asked = ask("fit", "power", "--bootstrap", "100", "--query", "from runs", *FINAL)
    assert asked["params"] == pytest.approx(whole["params"])
    assert asked["intervals"]["a"] == pytest.approx(
        whole["intervals"]["a"], rel=0.02
    )  # other draws of the same clusters
    assert (asked["runs"], asked["clusters"], asked["counting"]) == (16, 8, "paper")
    assert asked["evaluation_id"] == whole["evaluation_id"]


def test_a_view_and_a_saved_query_go_by_name(lab: Path) -> None:
    found = ask("fit", "power", "--query", "frontier", "--bootstrap", "0")
    assert found["points"] == len(ask("frontier", "--method", "envelope"))
    save_query(lab, "wide", "select run_id, num_params, final_loss as loss from runs where hidden_size > 32")
    found = ask("fit", "power", "--query", "wide", "--x", "params", "--bootstrap", "0")
    assert found["points"] == 8 and found["x"] == "params" and found["counting"] is None
    with pytest.raises(StoreError, match="nothing_here"):
        ask("fit", "power", "--query", "nothing_here")
    with pytest.raises(FitError, match="no rows"):
        ask("fit", "power", "--query", "select * from runs where false")
    with pytest.raises(ConfigError, match="--csv FILE or --query SQL"):
        ask("fit", "power", "--map", "loss=final_loss")


def test_the_other_commands_take_a_query_too(lab: Path) -> None:
    words = ("--query", "from runs", *FINAL)
    rows, _ = talk("icer", "--axis", "num_layers", *words, "--base", "hidden_size=64")
    assert [row["at"] for row in rows] == [1, 2] and {row["seeds"] for row in rows} == {2}
    rows = ask("correlate", *words, "--x", "num_params", "--y", "final_loss", "--bootstrap", "100")
    assert rows[1]["method"] == "spearman" and rows[1]["value"] < -0.9
    assert len(ask("frontier", "--method", "final", "--query", "from evaluations")) == 16
    with pytest.raises(DataError, match="`loss`: row 1: 'H"):
        ask("fit", "power", "--query", "from runs", "--map", "loss=name")


def test_what_does_not_compare_is_not_fitted_together(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = scaling_lab(tmp_path / "lab", hidden=(16, 32, 64), layers=(1,))
    monkeypatch.setenv("SHRUNK_LAB", str(lab))
    first = sorted((lab / "runs").iterdir())[0]
    point = dataclasses.replace(evaluated(100, 3.0), evaluation_id="f" * 12)
    write(RunDir(first).events_file, dataclasses.replace(point, split="test"))
    words = ("fit", "power", "--query", "from evaluations", "--bootstrap", "0")
    with pytest.raises(ConfigError, match="mix 2 values of evaluation_id .*choose one by --evaluation-id"):
        ask(*words)
    assert ask(*words, "--where", f"evaluation_id != '{'f' * 12}'")["points"] == 24
    assert ask(*words, "--evaluation-id", ask("sql", "from runs")[0]["evaluation_id"])["points"] == 24
    with pytest.raises(ConfigError, match="no row of the query has it"):
        ask(*words, "--evaluation-id", "0" * 12)
    both = "select 'paper' as flops_counting, flops, loss from evaluations union all select 'kaplan', flops, loss from evaluations"
    with pytest.raises(ConfigError, match="mix 2 values of flops_counting"):
        ask("fit", "power", "--query", both)
    with pytest.raises(ConfigError, match="counted as `paper`"):
        ask("fit", "power", "--query", "from evaluations where split = 'validation'", "--counting", "kaplan")


def test_the_mean_over_tasks_is_an_effect_and_a_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All runs have cola, all but one rte: the mean is of both, and of the runs that have both."""
    lab = scaling_lab(tmp_path / "lab", hidden=(16, 32, 64, 96, 128, 160), layers=(1,), seeds=1)
    monkeypatch.setenv("SHRUNK_LAB", str(lab))
    runs = ask("sql", "select run_id, hidden_size from runs order by hidden_size")
    for row in runs:
        for name in ("cola", "rte") if row["hidden_size"] > 16 else ("cola",):
            folder = write_cell(lab, cell(row["run_id"], task=dataclasses.replace(TASK, name=name)))
            value = row["hidden_size"] / 1000 + (0.1 if name == "rte" else 0.0)
            write(folder.events_file, cell_started(T0), scored_event(value), cell_finished())
    rows = ask("icer", "--axis", "hidden_size", "--effect", "glue_mean")
    assert {row["at"]: row["effect"] for row in rows} == pytest.approx(
        {h: h / 1000 + 0.05 for h in (32, 64, 96, 128, 160)}
    )
    found = {row["y"]: row["n"] for row in ask("correlate", "--bootstrap", "60")}
    assert found == {"cola": 6, "rte": 5, "glue_mean": 5}


def test_rows_of_unfinished_schedules_are_marked_or_left_out(lab: Path) -> None:
    found = ask("fit", "power", "--frontier", "envelope", "--bootstrap", "0")
    assert any("of an unfinished schedule: --finished-only" in text for text in found["warnings"])
    kept = ask("fit", "power", "--frontier", "envelope", "--bootstrap", "0", "--finished-only")
    assert kept["points"] < found["points"] and not any("unfinished" in text for text in kept["warnings"])
    curves = ("--query", "select e.*, r.updates, 0 as warmup from evaluations e join runs r using (run_id)")
    rows = ask("frontier", "--method", "envelope", *curves)
    assert {row["warning"] for row in rows} == {"", "unfinished schedule"}
    rows = ask("frontier", "--method", "envelope", "--finished-only", *curves)
    assert {row["update"] for row in rows} == {100} and {row["warning"] for row in rows} == {""}
    with pytest.raises(ConfigError, match="says of no row where its schedule ends: map `update`"):
        ask(
            "frontier", "--method", "paper", "--finished-only", "--query", "select run_id, flops, loss from evaluations"
        )
    with pytest.raises(ConfigError, match="--finished-only is of curves"):
        ask("frontier", "--method", "final", "--finished-only")
