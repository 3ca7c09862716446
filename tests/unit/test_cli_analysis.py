"""The commands of the analysis: files read strictly, the lab's runs with their seeds, and what is refused."""

from __future__ import annotations

import dataclasses
import math
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cell_lab import cell, cell_finished, cell_started, scored_event
from shrunk_core.config.lab import init_lab
from shrunk_core.cost import costs
from shrunk_core.errors import ConfigError, DataError, FitError
from shrunk_core.record.celldir import write_cell
from shrunk_core.record.journal import SAMPLES, journal_folder
from shrunk_core.record.lab_events import HardwareSampled
from shrunk_core.record.rundir import write_spec
from store_lab import T0, evaluated, finished, spec, started, step, write
from talk import ask, talk
from typer.testing import CliRunner

from shrunk_tui.cli.app import app


def csv_file(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def power_file(tmp_path: Path) -> str:
    """L = 20 C^-0.1 with a little noise: ten runs, an index without a name and a column of text."""
    rng = random.Random(0)
    rows = [(i, 10.0**c, 20 * 10 ** (-0.1 * c) * math.exp(rng.gauss(0, 0.01))) for i, c in enumerate(range(10, 20))]
    return csv_file(
        tmp_path / "runs.csv", ",C,eval/loss,kind", *(f"{i},{c:g},{y:.6f},{'ab'[i % 2]}" for i, c, y in rows)
    )


def test_a_power_law_from_a_file(power_file: str) -> None:
    found, said = talk("fit", "power", "--csv", power_file, "--map", "flops=C", "--map", "loss=eval/loss")
    assert found["points"] == found["runs"] == 10 and found["identifiable"] is True
    low, high = found["intervals"]["a"]
    assert low < 0.1 < high and found["params"].keys() == {"A", "a"}
    assert found["counting"] is None and found["x"] == "flops" and found["y"] == "loss"
    assert "10 points of 10 runs" in said
    assert {"objective", "r2", "aic", "warnings", "reason"} <= found.keys()


def test_columns_called_x_and_y_are_taken_only_when_mapped(tmp_path: Path) -> None:
    rows = [f"{i * 7},{100 - i},1e{10 + i},{20 * 10 ** (-0.1 * (10 + i)):.6f}" for i in range(8)]
    path = csv_file(tmp_path / "figure.csv", "x,y,C,loss", *rows)
    found = ask("fit", "power", "--csv", path, "--map", "flops=C", "--bootstrap", "0")
    assert found["y"] == "loss" and found["x"] == "flops" and found["params"]["a"] == pytest.approx(0.1, rel=1e-3)
    found = ask("fit", "power", "--csv", path, "--map", "x=C", "--map", "y=loss", "--bootstrap", "0")
    assert (found["x"], found["y"]) == ("x", "y") and found["params"]["a"] == pytest.approx(0.1, rel=1e-3)


def test_where_takes_names_and_headers(power_file: str) -> None:
    words = ("fit", "power", "--csv", power_file, "--map", "flops=C", "--map", "loss=eval/loss", "--bootstrap", "0")
    assert ask(*words, "--where", 'kind == "a" and flops > 1e11')["points"] == 4
    assert ask(*words, "--where", "eval_loss < 1")["points"] == 6
    with pytest.raises(ConfigError, match="did you mean `kind`"):
        ask(*words, "--where", 'kint == "a"')
    with pytest.raises(FitError, match="no row"):
        ask(*words, "--where", "flops < 0")


def test_unknown_names_and_columns_list_what_there_is(power_file: str) -> None:
    with pytest.raises(ConfigError, match=r"`eval/los` \(did you mean `eval/loss`\?\). There are: C, eval/loss, kind"):
        ask("fit", "power", "--csv", power_file, "--map", "loss=eval/los")
    with pytest.raises(ConfigError, match="did you mean `flops`"):
        ask("fit", "power", "--csv", power_file, "--map", "flop=C")
    with pytest.raises(ConfigError, match="has no `flops`: map a column"):
        ask("fit", "power", "--csv", power_file, "--map", "loss=eval/loss")
    with pytest.raises(ConfigError, match="write --map NAME=COLUMN"):
        ask("fit", "power", "--csv", power_file, "--map", "loss")
    with pytest.raises(ConfigError, match="given twice"):
        ask("fit", "power", "--csv", power_file, "--map", "loss=C", "--map", "loss=eval/loss")
    with pytest.raises(ConfigError, match="--csv FILE"):
        ask("fit", "power", "--map", "loss=C")


def test_cells_that_are_no_numbers_are_named_with_their_row(tmp_path: Path) -> None:
    path = csv_file(tmp_path / "bad.csv", "C,loss", "1e10,3", "1e11,", "1e12,n/a", "1_000,2", "1e14,1.5")
    with pytest.raises(DataError, match=r"`loss`: row 2 \(line 3\): blank; row 3 \(line 4\): 'n/a' is no number"):
        ask("fit", "power", "--csv", path, "--map", "loss=loss", "--map", "flops=C")
    with pytest.raises(DataError, match=r"row 4 \(line 5\): '1_000' is no number"):
        ask("fit", "power", "--csv", path, "--map", "flops=C", "--where", "flops != 0")
    path = csv_file(tmp_path / "nan.csv", "C,loss", *(f"1e{i},{'nan' if i == 12 else 30 - i}" for i in range(10, 16)))
    with pytest.raises(FitError, match=r"loss must be finite and above zero: row 2 \(nan\)"):
        ask("fit", "power", "--csv", path, "--map", "flops=C")


@pytest.mark.parametrize("text", ["", "C,loss\n"])
def test_files_without_rows(tmp_path: Path, text: str) -> None:
    (tmp_path / "empty.csv").write_text(text)
    with pytest.raises(DataError, match="empty|no rows"):
        ask("fit", "power", "--csv", str(tmp_path / "empty.csv"))


def test_a_file_that_is_not_there_is_a_mistake_in_the_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        ask("fit", "power", "--csv", str(tmp_path / "none.csv"))
    with pytest.raises(ConfigError, match="directory"):
        ask("fit", "power", "--csv", str(tmp_path))


def test_options_that_a_law_does_not_have_are_refused(power_file: str) -> None:
    words = ("--csv", power_file, "--map", "flops=C", "--map", "loss=eval/loss")
    for form, option in (
        ("power", ("--breaks", "2")),
        ("chinchilla", ("--irreducible",)),
        ("power", ("--kink",)),
        ("broken", ("--starts", "3")),
        ("kaplan", ("--x", "flops")),
    ):
        with pytest.raises(ConfigError, match=option[0]):
            ask("fit", form, *words, *option)


def test_not_identifiable_is_an_answer(tmp_path: Path) -> None:
    """N and D that move together are fitted and come back without numbers; one budget is refused."""
    rows = [f"{n:g},{20 * n:g},{2 + 400 / n**0.34:.6f}" for n in (1e6 * 2**i for i in range(10))]
    path = csv_file(tmp_path / "line.csv", "n,d,loss", *rows)
    found = ask("fit", "chinchilla", "--csv", path, "--map", "n=n", "--map", "d=d")
    assert found["identifiable"] is False and "move together" in found["reason"] and found["params"] == {}
    path = csv_file(tmp_path / "same.csv", "C,loss", *(f"1e15,{3 + i / 10}" for i in range(8)))
    with pytest.raises(FitError, match="same x"):
        ask("fit", "power", "--csv", path, "--map", "flops=C")


def test_exit_codes(power_file: str) -> None:
    def code(*words: str) -> int:
        done = subprocess.run([sys.executable, "-m", "shrunk_tui.cli.app", *words], capture_output=True, text=True)
        assert "Traceback" not in done.stderr and done.stdout == ""
        return done.returncode

    assert code("fit", "power", "--csv", power_file, "--map", "flops=D") == 2
    assert (
        code("fit", "power", "--csv", power_file, "--map", "flops=C", "--map", "loss=eval/loss", "--where", "C < 1e12")
        == 1
    )
    assert code("fit", "cubic", "--csv", power_file) == 2


def test_help_is_quick_and_has_an_example() -> None:
    text = "import sys; from typer.testing import CliRunner; from shrunk_tui.cli.app import app\n"
    text += "for c in ('fit', 'frontier', 'icer', 'correlate'):\n"
    text += "    assert 'shrunk ' + c in CliRunner().invoke(app, [c, '--help']).stdout\n"
    text += "assert not {'scipy', 'torch'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", text], check=True)


def test_rows_alike_without_a_seed_are_not_repetitions(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path / "ladder.csv", "run_name,C,hidden_size,num_attention_heads,perplexity,score",
        "a,1e15,32,2,20,.5", "b,2e15,64,2,15,.6", "c,4e15,128,2,14,.7", "d,4e15,128,2,12,.6",
    )  # fmt: skip
    rows = ask("icer", "--axis", "hidden_size", "--csv", path, "--map", "flops=C")
    assert [(row["run"], row["effect"], row["status"]) for row in rows] == [
        ("a", -20, "reference"), ("b", -15, "rung"), ("d", -12, "rung")
    ]  # fmt: skip
    assert rows[1]["effect_per_unit"] == pytest.approx(50) and rows[1]["icer"] == pytest.approx(2e14)
    assert "best of 2 rows" in rows[2]["warning"]
    rows = ask("icer", "--axis", "hidden_size", "--csv", path, "--map", "flops=C", "--effect", "score")
    assert rows[-1]["effect"] == 0.7 and rows[-1]["run"] == "c"
    rows = ask("icer", "--method", "dominance", "--csv", path, "--map", "flops=C")
    assert [(row["run"], row["status"]) for row in rows] == [
        ("a", "reference"), ("b", "frontier"), ("c", "dominated"), ("d", "frontier")
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="no row has it. There are: 2"):
        ask("icer", "--axis", "hidden_size", "--csv", path, "--map", "flops=C", "--base", "num_heads=8")
    with pytest.raises(ConfigError, match="did you mean `hidden_size`"):
        ask("icer", "--axis", "hiden_size", "--csv", path, "--map", "flops=C")


def test_correlations_from_a_file(tmp_path: Path) -> None:
    rng = random.Random(1)
    rows = [f"{p},{80 - p + rng.gauss(0, 1):.3f},{1000 * 2**-p * rng.uniform(0.5, 2):.6f}" for p in range(5, 25)]
    path = csv_file(tmp_path / "scores.csv", "perplexity,accuracy,N", *rows)
    rows = ask("correlate", "--csv", path, "--map", "n=N", "--y", "accuracy", "--given", "n")
    assert [(row["method"], row["given"]) for row in rows] == [
        (method, given) for given in ("", "log n") for method in ("pearson", "spearman", "kendall")
    ]
    assert rows[0]["value"] < -0.95 and rows[0]["low"] < rows[0]["value"] < rows[0]["high"] and rows[0]["n"] == 20
    with pytest.raises(ConfigError, match="--y"):
        ask("correlate", "--csv", path)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """H by E with two seeds, losses by a power law of `paper` FLOPs, and a run evaluated on another set."""
    lab = init_lab(tmp_path_factory.mktemp("analysis") / "lab")
    rng = random.Random(0)
    for hidden in (16, 32, 64, 128):
        for embedding in (16, 32, 64):
            for seed in (0, 1):
                shape = {"hidden_size": hidden, "embedding_size": embedding, "num_heads": 2}
                shape |= {"intermediate_size": 4 * hidden}
                run(lab, rng, seed, f"H{hidden} E{embedding} s{seed}", shape)
    return lab


def run(lab: Path, rng: random.Random, seed: int, name: str, shape: dict[str, int], evaluation_id: str = "") -> None:
    one = spec(seed, **shape)
    cost = costs(one.model, one.train)
    directory = write_spec(lab, one, name=name, grid="grid", costs=cost)
    events = []
    for update in (25, 50, 75, 100):
        flops = cost["flops_paper"] * one.train.batch_size * update
        loss = 50 * flops**-0.1 * math.exp(rng.gauss(0, 0.004))
        point = evaluated(update, loss)
        point = dataclasses.replace(point, flops=flops, evaluation_id=evaluation_id or one.evaluation_id)
        events += [step(update), point]
    write(directory.events_file, started(), *events, finished())


@pytest.fixture
def in_grid(grid: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SHRUNK_LAB", str(grid))
    yield grid


def test_seeds_of_the_lab_are_clusters_and_countings_are_compared(in_grid: Path) -> None:
    found = ask("fit", "power", "--bootstrap", "200")
    assert (found["points"], found["runs"], found["clusters"]) == (24, 24, 12)
    low, high = found["intervals"]["a"]
    assert low < 0.1 < high and found["counting"] == "paper" and found["frontier"] == "final"
    assert found["by_counting"].keys() == {"hoffmann", "kaplan", "executed"}
    assert any("`kaplan` a = " in warning for warning in found["warnings"])
    other = ask("fit", "power", "--bootstrap", "0", "--counting", "kaplan")
    assert other["counting"] == "kaplan"
    assert other["params"] == pytest.approx(found["by_counting"]["kaplan"]["params"])
    assert "by_counting" not in ask("fit", "power", "--x", "params", "--bootstrap", "0")
    part = ask(
        "fit", "power", "--where", "hidden_size < 128", "--bootstrap", "0", "--params", "non-embedding", "--x", "params"
    )
    assert part["points"] == 18 and part["counted_params"] == "non-embedding"


def test_frontiers_of_the_lab(in_grid: Path) -> None:
    rows, said = talk("frontier", "--method", "final")
    assert (
        len(rows) == 24 and {row["update"] for row in rows} == {100} and {row["counting"] for row in rows} == {"paper"}
    )
    rows, said = talk("frontier", "--method", "envelope")
    losses = [row["loss"] for row in rows]
    assert losses == sorted(losses, reverse=True) and any(row["warning"] == "unfinished schedule" for row in rows)
    assert "with FLOPs counted as `executed` the frontier is of other runs" in said
    assert {row["update"] for row in ask("frontier", "--method", "envelope", "--finished-only")} == {100}


def test_ladders_of_the_lab(in_grid: Path) -> None:
    rows, said = talk("icer", "--axis", "hidden_size")
    assert [row["at"] for row in rows] == [16, 32, 64, 128] and {row["seeds"] for row in rows} == {2}
    assert "intermediate_size 256 to 512" in rows[-1]["warning"]  # I = 4 H climbs along, and says so
    low, high = rows[-1]["low"], rows[-1]["high"]
    assert low < rows[-1]["effect_per_unit"] < high and rows[-1]["counting"] == "paper"
    rows, said = talk("icer")
    assert list(dict.fromkeys(row["axis"] for row in rows)) == ["embedding_size", "hidden_size"]
    assert "growing embedding_size buys" in said and "hidden_size=128" in said
    assert ask("icer", "--axis", "embedding_size", "--cost", "params")[1]["unit"] == "per 1e6 parameters"
    with pytest.raises(FitError, match="measured energy: they are sampled from GPUs"):
        ask("icer", "--cost", "energy")


def test_energy_and_gpu_hours_are_those_of_the_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three shapes of 100 s. The first two share a card for half of it, the third has one of its own for 50 of its 100 s,
    a fourth ran on the processor."""
    lab = init_lab(tmp_path / "lab")
    ids = []
    for hidden, loss in ((16, 5.0), (32, 4.5), (64, 4.2), (128, 4.1)):
        one = spec(0, hidden_size=hidden, embedding_size=32, num_heads=2, intermediate_size=64)
        directory = write_spec(lab, one, name=f"H{hidden}", grid="grid", costs=costs(one.model, one.train))
        point = dataclasses.replace(evaluated(100, loss, at=T0 + 100), evaluation_id=one.evaluation_id)
        write(directory.events_file, started(), point, finished(at=T0 + 100))
        ids.append(one.run_id)
    card = HardwareSampled(device="GPU-0", power_watts=300.0, logged_at=T0)
    other = HardwareSampled(device="GPU-1", power_watts=100.0, logged_at=T0)

    def part(run: int, device: str, watts: float, seconds: float) -> HardwareSampled:
        return HardwareSampled(device=device, run_id=ids[run], power_watts=watts, seconds=seconds, logged_at=T0)

    shared = (card, other, part(0, "GPU-0", 150, 50), part(1, "GPU-0", 150, 50), part(2, "GPU-1", 100, 50))
    alone = (card, other, part(0, "GPU-0", 300, 50))
    after = (
        card,
        other,
        part(1, "GPU-0", 300, 50),
        HardwareSampled(device="cpu", run_id=ids[3], seconds=9, logged_at=T0),
    )
    journal_folder(lab).mkdir(exist_ok=True)
    write(journal_folder(lab) / f"host-1-1{SAMPLES}", *shared, *alone, *after)
    monkeypatch.setenv("SHRUNK_LAB", str(lab))
    rows, said = talk("icer", "--cost", "energy", "--axis", "hidden_size", "--method", "dominance")
    assert {row["at"]: row["cost"] for row in rows} == {16: 22_500, 32: 22_500, 64: 5_000}
    assert "1 runs without measured energy are left out" in said
    assert "energy of H64 come from samples of less than 90 %" in said
    assert {row["unit"] for row in rows} == {"per kWh"}
    hours = ask("icer", "--cost", "gpu-hours", "--axis", "hidden_size")
    assert {row["at"]: row["cost"] for row in hours} == pytest.approx({16: 75 / 3600, 32: 75 / 3600, 64: 50 / 3600})
    assert {row["unit"] for row in hours} == {"per GPU hour"}
    assert [row["cost"] for row in ask("icer", "--cost", "seconds", "--axis", "hidden_size")] == [100] * 4


def test_dominance_of_the_lab_has_intervals_over_seeds(in_grid: Path) -> None:
    rows = ask("icer", "--method", "dominance")
    kept = [row for row in rows if row["status"] == "frontier"]
    assert kept and {row["seeds"] for row in rows} == {2}
    assert all(row["low"] < row["effect_per_unit"] < row["high"] for row in kept)
    assert all(0 <= row["on_frontier"] <= 1 for row in rows) and rows[0]["low"] is None
    table = CliRunner().invoke(app, ["icer", "--method", "dominance"]).stdout
    assert "on_frontier" in table.splitlines()[0] and "low" in table.splitlines()[0]


def score_run(lab: Path, run_id: str, value: float) -> None:
    """A finished cell: the run's best checkpoint on cola."""
    folder = write_cell(lab, cell(run_id))
    write(folder.events_file, cell_started(T0), scored_event(value), cell_finished())


def test_tasks_come_from_the_view_of_their_means(in_grid: Path) -> None:
    with pytest.raises(FitError, match="no run of this lab has been scored"):
        ask("correlate")
    scored = list(ask("sql", "select run_id, final_loss from runs where hidden_size > 16"))
    for row in scored:
        score_run(in_grid, row["run_id"], 1 - row["final_loss"] / 10)
    try:
        rows = ask("correlate", "--bootstrap", "200")
        assert {row["y"] for row in rows} == {"cola"} and rows[1]["value"] == pytest.approx(-1) and rows[0]["n"] == 9
        rows, said = talk("icer", "--axis", "hidden_size", "--effect", "cola")
        assert [row["at"] for row in rows] == [32, 64, 128] and "6 runs without a score on cola" in said
        steps = ask("correlate", "--axis", "embedding_size")
        assert [(row["lower"], row["upper"], row["n"], row["better"]) for row in steps] == [
            (16, 32, 3, 3),
            (32, 64, 3, 3),
        ]
    finally:
        for row in scored:
            shutil.rmtree(in_grid / "runs" / row["run_id"] / "downstream")


def test_evaluation_sets_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = init_lab(tmp_path / "lab")
    rng = random.Random(0)
    for i, hidden in enumerate((16, 32, 64, 128, 32, 64)):
        shape = {"hidden_size": hidden, "num_heads": 2, "embedding_size": 32, "intermediate_size": 64 + i}
        run(lab, rng, 0, f"run {i}", shape, evaluation_id="a" * 12 if i < 4 else "b" * 12)
    monkeypatch.setenv("SHRUNK_LAB", str(lab))
    with pytest.raises(ConfigError, match=r"--evaluation-id. There are: aaaaaaaaaaaa \(4 runs of grid\); bbbb"):
        ask("fit", "power")
    assert ask("fit", "power", "--evaluation-id", "a" * 12, "--bootstrap", "0")["points"] == 4
    assert ask("fit", "power", "--where", "intermediate_size < 68", "--bootstrap", "0")["evaluation_id"] == "a" * 12
    with pytest.raises(ConfigError, match="no such set"):
        ask("fit", "power", "--evaluation-id", "c" * 12)
