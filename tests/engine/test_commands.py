"""Commands as a person meets them: data on stdout, talk on stderr, exit codes, messages for what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.tiny import command, shrunk, write_grid

PAPER_BASE = (
    "--embedding-size 256 --hidden-size 256 --intermediate-size 1024 --num-heads 8 --num-layers 8 --vocab-size 19010 "
    "--max-positions 130 --sequence-length 128"
).split()


def test_cost_is_the_papers() -> None:
    found = json.loads(shrunk("cost", *PAPER_BASE).stdout)
    assert found["num_params"] == 16_237_122
    assert found["embedding_params"] == 4_900_864
    assert found["flops_per_sequence"]["paper"] == 12_165_316_608
    assert found["flops_per_sequence"]["hoffmann"] == 12_769_296_384
    refused = shrunk("cost", *PAPER_BASE, "--tie", "full", "--embedding-size", "128")
    assert refused.returncode == 2
    assert "embedding_size = hidden_size" in refused.stderr


def test_plan_lists_everything_and_refuses_the_impossible(lab: Path, tmp_path: Path) -> None:
    grid = write_grid(tmp_path, axes="num_heads = [2, 3]")
    done = shrunk("plan", grid, "--lab", lab, "--format", "json")
    assert done.returncode == 2
    rows = json.loads(done.stdout)
    assert [bool(r["problem"]) for r in rows] == [False, True]
    assert "not divisible by 3 heads" in done.stderr
    assert shrunk("run", grid, "--lab", lab).returncode == 2
    assert not list((lab / "runs").iterdir())
    first = rows[0]
    assert first["tokens"] == 60 * 8 * 16
    assert first["flops_counting"] == "paper"
    executed = json.loads(shrunk("plan", grid, "--lab", lab, "--format", "json", "--counting", "executed").stdout)
    assert executed[0]["flops_total"] < first["flops_total"]


def test_a_typo_in_a_grid_names_line_and_spelling(lab: Path, tmp_path: Path) -> None:
    grid = write_grid(tmp_path)
    grid.write_text(grid.read_text().replace("learning_rate", "learning_rat"))
    done = shrunk("run", grid, "--lab", lab)
    assert done.returncode == 2
    assert "tiny.toml line" in done.stderr
    assert "did you mean `learning_rate`" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_lab_the_advice_is_init_or_demo(tmp_path: Path) -> None:
    done = subprocess.run(command("status"), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "shrunk init" in done.stderr
    assert "shrunk demo" in done.stderr


def test_the_lab_is_found_by_option_variable_or_upwards(lab: Path, tmp_path: Path) -> None:
    below = lab / "runs"
    found = subprocess.run(command("status", "--format", "json"), cwd=below, capture_output=True, text=True)
    assert json.loads(found.stdout) == []
    by_name = subprocess.run(
        command("status", "--format", "json"), cwd=tmp_path, env={**os.environ, "SHRUNK_LAB": str(lab)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(by_name.stdout) == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select * from rnus", "runs"),
        ("select 1; select 2", "one at a time"),
        ("create table t (a int)", "read"),
        ("copy (select 1) to '/tmp/x'", "read"),
        ("select * from read_csv('/etc/passwd')", ""),
        ("selec 1", ""),
    ],
)
def test_sql_refuses_with_a_reason(lab: Path, query: str, words: str) -> None:
    done = shrunk("sql", query, "--lab", lab)
    assert done.returncode == 1, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_sql_formats_limits_and_sources(lab: Path, tmp_path: Path) -> None:
    assert json.loads(shrunk("sql", "select 1 as a, 1/0 as b", "--lab", lab, "--format", "json").stdout) == [
        {"a": 1, "b": None}
    ]
    cut = shrunk("sql", "select * from range(20)", "--lab", lab, "--format", "csv", "--limit", "3")
    assert cut.stdout == "range\n0\n1\n2\n"
    assert "only the first 3 rows" in cut.stderr
    file = tmp_path / "q.sql"
    file.write_text("select 'x' as c")
    assert shrunk("sql", "-f", file, "--lab", lab, "--format", "csv").stdout == "c\nx\n"
    piped = subprocess.run(
        command("sql", "--lab", lab, "--format", "csv"), input="select 3 as n", capture_output=True, text=True
    )
    assert piped.stdout == "n\n3\n"


def test_a_read_only_lab_says_so(lab: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    grid = write_grid(tmp_path)
    for folder in (lab, lab / ".shrunk"):
        folder.chmod(0o555)
    try:
        done = shrunk("run", grid, "--lab", lab)
        assert done.returncode == 2
        assert "cannot be written" in done.stderr
    finally:
        for folder in (lab, lab / ".shrunk"):
            folder.chmod(0o755)


def test_unknown_runs_are_named(lab: Path) -> None:
    done = shrunk("show", "nothing", "--lab", lab)
    assert done.returncode == 2
    assert "nothing" in done.stderr


def test_doctor_passes_here(lab: Path) -> None:
    done = shrunk("doctor", "--lab", lab, "--format", "json")
    assert done.returncode == 0, done.stdout
    checks = {r["check"]: r["state"] for r in json.loads(done.stdout)}
    assert checks["torch build"] == "ok"
    assert checks["index"] == "ok"
