"""The analysis from the command line on published data: the same numbers as the functions, through files and options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from shrunk_tui.cli.app import app

RESULTS = ("--map", "perplexity=test/perplexity", "--map", "flops=FLOPS Hoffman total")
CURVES = ("flops=FLOPS Hoffman total", "loss=eval/loss", "run=run_name", "update=eval/updates")
BASE = {"embedding_size": 256, "hidden_size": 256, "intermediate_size": 1024, "num_heads": 8, "num_layers": 8}


def ask(*words: str) -> Any:
    """stdout of a command as JSON; whatever it refuses is raised here."""
    found = CliRunner().invoke(app, [*words, "--format", "json"], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def file(shared_data: Path, name: str) -> str:
    path = shared_data / "scaling" / name
    if not path.exists():
        pytest.skip(f"{name} is not there")
    return str(path)


def test_chinchilla(shared_data: Path) -> None:
    found = ask(
        "fit", "chinchilla", "--csv", file(shared_data, "chinchilla_points.csv"), "--map", "n=Model Size",
        "--map", "flops=Training FLOP", "--map", "loss=loss", "--drop-highest-loss", "5", "--bootstrap", "500",
    )  # fmt: skip
    assert found["points"] == 240 and found["identifiable"] is True and found["x"] == ["n", "flops"]
    assert found["objective"] == pytest.approx(0.0010182740, rel=1e-6)
    expected = {"E": 1.8172, "A": 477.8, "B": 2143, "alpha": 0.3473, "beta": 0.3672}
    assert found["params"] == pytest.approx(expected, rel=3e-4)
    published = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
    assert all(found["intervals"][s][0] < value < found["intervals"][s][1] for s, value in published.items())


def test_frontier_and_break(shared_data: Path) -> None:
    curves = ["--csv", file(shared_data, "paper_eval_curves.csv")]
    for one in CURVES:
        curves += ["--map", one]
    rows = ask("frontier", "--method", "paper", *curves)
    assert len(rows) == 34 and len({row["run"] for row in rows}) == 12
    assert {"run", "update", "flops", "loss"} <= set(rows[0]) and all(row["update"] % 1000 == 0 for row in rows)
    assert rows[0]["warning"] == "in warm-up; unfinished schedule" and rows[-1]["warning"] == "unfinished schedule"
    ends = ask("frontier", "--method", "envelope", "--finished-only", *curves)
    assert {row["update"] for row in ends} <= {35475, 35476} and len(ends) < len(rows)
    found = ask("fit", "broken", "--frontier", "paper", "--bootstrap", "500", *curves)
    assert (found["points"], found["runs"], found["clusters"]) == (34, 12, 42)
    assert found["break_interval"][0] > 2.2e15 and 2.63e15 < found["break"] < 2.93e15
    assert found["test_one_law"] < 0.05 and round(found["aic"], 1) == -229.7
    text = "\n".join(found["warnings"])
    assert "34 points come from 12 runs" in text and "2.2e+15 FLOPs lies outside" in text
    assert "2 of 34 points are in warm-up; 34 of 34 points are of an unfinished schedule" in text
    assert "from 0.084 to 0.038" in text and "from 0.087 to 0.052 with a free break" in text


def test_smooth_break(shared_data: Path) -> None:
    found = ask(
        "fit", "bnsl", "--csv", file(shared_data, "bnsl_four_digit_addition.csv"), "--map", "x=dataset_size",
        "--map", "y=test_cross_entropy", "--where", 'split == "train"', "--bootstrap", "0",
    )  # fmt: skip
    assert found["points"] == 14
    expected = {"a": 0.4139, "b": 2.2773, "c0": 0.0551, "c1": 5.663, "d1": 612.58, "f1": 0.0592}
    assert found["params"] == pytest.approx(expected, rel=1e-3)


LADDERS = {
    "hidden_size": [3.29, 0.910, 0.264],
    "num_hidden_layers": [2.89, 0.750, 0.230],  # the file's own name for it
    "embedding_size": [0.682, 0.229, 0.181],
    "intermediate_size": [0.441, 0.454, 0.217],
}


@pytest.mark.parametrize("axis", LADDERS)
def test_ladders(shared_data: Path, axis: str) -> None:
    base = [word for name, value in BASE.items() for word in ("--base", f"{name}={value}")]
    where = ["--csv", file(shared_data, "paper_test_results.csv"), *RESULTS]
    rows = ask("icer", "--method", "ladder", "--axis", axis, *where, *base)
    assert [float(f"{row['effect_per_unit']:.3g}") for row in rows[1:]] == LADDERS[axis]
    assert rows[0]["status"] == "reference" and {row["status"] for row in rows[1:]} == {"rung"}
    assert ("tie none to full" in rows[-1]["warning"]) == (axis != "intermediate_size")
    assert rows == ask("icer", "--axis", axis, *where)  # the base that is found is the paper's
    options = {row["at"]: row["status"] for row in ask("icer", "--method", "dominance", "--axis", axis, *where, *base)}
    assert (options.get(256) == "extendedly dominated") == (axis == "intermediate_size")


def test_untied_ladders_lose_their_last_rung(shared_data: Path) -> None:
    where = ["--csv", file(shared_data, "paper_test_results.csv"), *RESULTS, "--base", "tie=none"]
    last = {}
    for axis in ("hidden_size", "num_layers", "embedding_size"):
        base = [word for name, value in BASE.items() for word in ("--base", f"{name}={value}")]
        last[axis] = ask("icer", "--axis", axis, *where, *base)[-1]
    rates = {axis: round(row["effect_per_unit"], 2) for axis, row in last.items()}
    assert rates == {"hidden_size": -0.33, "num_layers": -0.92, "embedding_size": -1.23}
    assert all(row["warning"].startswith("no gain") for row in last.values())
