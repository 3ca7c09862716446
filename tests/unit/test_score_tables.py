"""Scores as people read them: the matrix with what is missing, averages, gains in words, the report's section."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from cell_lab import TASK, cell, cell_finished, cell_started, scored_event
from scaling_lab import scaling_lab
from shrunk_core.record.cell_events import GainMeasured
from shrunk_core.record.celldir import write_cell
from shrunk_core.record.rundir import run_dirs
from store_lab import T0, write
from typer.testing import CliRunner

from shrunk_tui.cli.app import app
from shrunk_tui.cli.task_answers import say_gains
from shrunk_tui.score_matrix import matrix_columns, matrix_rows

RTE, WNLI = (dataclasses.replace(TASK, name=name, metrics=("accuracy",)) for name in ("rte", "wnli"))
PROBE = dataclasses.replace(RTE, name="bigram-shift", average=False)


def score(task: str, value: float, seed: int = 0) -> dict[str, object]:
    return {"run_id": "r", "checkpoint": "best", "task": task, "filtered": False, "seed": seed, "value": value}


def test_averages_are_plain_means_of_the_glue_tasks_and_none_while_one_is_missing() -> None:
    cells = [cell("r", seed=seed, task=task) for task in (TASK, RTE, WNLI, PROBE) for seed in (0, 1)]
    assert matrix_columns(cells) == [
        "run_id", "checkpoint", "cola", "rte", "wnli", "bigram-shift", "average", "without wnli",
    ]  # fmt: skip
    found = [score("cola", 0.1), score("cola", 0.3, 1), score("rte", 0.6), score("bigram-shift", 0.9)]
    (row,) = matrix_rows(found, cells)
    assert row["cola"] == ".200 ±.141 (2)" and row["rte"] == ".600 (1/2)" and row["wnli"] == "."
    assert (row["average"], row["without wnli"]) == (".", ".400")
    (row,) = matrix_rows([*found, score("wnli", 0.5)], cells)
    assert (row["average"], row["without wnli"]) == (".433", ".400")
    assert "average" not in matrix_columns([c for c in cells if c.task in (TASK, PROBE)])


def test_no_gain_is_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "run_id": "r", "task": "sst2", "metric": "accuracy", "untrained": 0.6, "pretrained": 0.7, "gain": 0.1,
        "low": 0.05, "high": 0.15, "seeds": 3, "n": 872,
    }  # fmt: skip
    say_gains([row, row | {"low": -0.02}, row | {"gain": -0.1, "low": -0.2, "high": -0.05}], {"r": "H16"})
    first, second, third = capsys.readouterr().err.splitlines()
    assert (
        first == "  H16 sst2 accuracy: .600 untrained, .700 pre-trained; gain +0.100 [+0.050, +0.150], 3 seeds, n 872"
    )
    assert second.endswith("(holds 0: no gain to be told)") and third.endswith("(a loss)")


def test_the_report_shows_scores_averages_and_gains(tmp_path: Path) -> None:
    lab = scaling_lab(tmp_path / "widths", hidden=(16, 32, 64, 128), layers=(1,))
    run, *_ = run_dirs(lab)
    for task, metric in ((TASK, "matthews"), (WNLI, "accuracy")):
        for checkpoint, value in (("best", 0.4), ("untrained", 0.1)):
            spec = cell(run.run_id, checkpoint, task=task)
            gain = GainMeasured(
                attempt=1, comparison=spec.comparison, checkpoint="best", task=task.name, split="validation", place=0,
                metric=metric, pretrained=0.4, untrained=0.1, gain=0.3, low=-0.1, high=0.7, seeds=1, n=100,
            )  # fmt: skip
            write(
                write_cell(lab, spec).events_file, cell_started(T0), scored_event(value, metric), gain, cell_finished()
            )
    done = CliRunner().invoke(app, ["report", "--lab", str(lab), "--bootstrap", "20"])
    assert done.exit_code == 0, done.output
    text = Path(done.stdout.strip()).read_text()
    assert "\n## Task scores\n" in text
    assert "| best | .400 (1) | .400 (1) | .400 / .400 of 2 |" in text
    assert "| untrained | .100 (1) | .100 (1) | .100 / .100 of 2 |" in text
    assert "| +0.300 | [-0.100, +0.700] | 1 | 100 |" in text
    assert "2 of 2 gains of pre-training cannot be told from chance" in text
