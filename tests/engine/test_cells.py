"""Downstream cells as real processes: the command, the same score twice, a killed worker, another tokenizer."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from shrunk_core.record.rundir import RunDir, cell_dirs, run_dir, run_dirs

from tests.conftest import end_supervisor
from tests.tiny import command, kill, shrunk, wait_for, write_grid

TASK = """\
name = "ends"
fields = ["sentence"]
labels = ["ball", "house"]
"""


def write_task(folder: Path) -> Path:
    """Rows whose label is whether they end in "ball" or "house"."""
    rng = random.Random(0)
    rows = folder / "tasks" / "ends"
    rows.mkdir(parents=True)
    for split, n in (("train", 400), ("validation", 120)):
        lines = []
        for _ in range(n):
            label = rng.randrange(2)
            who = rng.choice(["anna", "ben", "carla", "david"])
            lines.append(json.dumps({"sentence": f"{who} sees the {('red ball', 'old house')[label]}", "label": label}))
        (rows / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    path = folder / "ends.toml"
    path.write_text(TASK)
    return path


def score(lab: Path, *arguments: str | Path) -> list[dict[str, object]]:
    done = shrunk(*arguments, "--lab", lab, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def cells(run: RunDir) -> list[RunDir]:
    return list(cell_dirs(run))


@pytest.mark.slow
def test_a_score_comes_back_to_the_last_digit_and_a_killed_cell_leaves_one(
    lab: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    assert shrunk("run", write_grid(tmp_path, updates=30), "--lab", lab).returncode == 0
    (run,) = run_dirs(lab)
    question = ["glue", run.run_id, "--tasks", write_task(tmp_path), "--data", tmp_path / "tasks", "--seeds", "1"]
    question += ["--set", "epochs=40", "--set", "precision='fp32'"]

    dry = shrunk(*question, "--dry-run", "--lab", lab)
    assert dry.returncode == 0 and "ends train: 400 examples" in dry.stderr and "1 cells" in dry.stderr, dry.stderr
    assert dry.stdout == "" and not cells(run)

    end_supervisor(lab)
    other = tmp_path / "other"
    shutil.copytree(lab, other)

    first = score(lab, *question)
    assert [row["n"] for row in first] == [120]
    (cell,) = cells(run)
    answers = (cell.path / "predictions.npz").read_bytes()
    assert score(lab, *question) == first  # nothing is done again

    lab, run, cell = other, run_dir(other, run.run_id), RunDir(other / cell.path.relative_to(lab))
    again = subprocess.Popen(command(*question, "--lab", lab), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    request.addfinalizer(lambda: end_supervisor(other))
    wait_for(lambda: '"cell-epoch"' in read(cell.events_file), "the first epoch")
    started = next(json.loads(line) for line in read(cell.events_file).splitlines() if '"cell-started"' in line)
    kill(started["pid"])
    _, said = again.communicate(timeout=60)
    assert again.returncode == 0, said
    assert read(cell.events_file).count('"cell-finished"') == 1
    second = score(lab, *question)
    assert [row["value"] for row in second] == [row["value"] for row in first]
    assert (cell.path / "predictions.npz").read_bytes() == answers

    tokenizer = run.model / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")
    refused = shrunk(*question, "--set", "batch_size=64", "--lab", lab)
    assert refused.returncode == 1 and "another tokenizer" in refused.stderr + refused.stdout, refused.stderr
    assert len([c for c in cells(run) if (c.path / "predictions.npz").exists()]) == 1


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_wrong_question_names_what_is_wrong(lab: Path, tmp_path: Path) -> None:
    refused = shrunk("glue", "nobody", "--tasks", "cola", "--lab", lab)
    assert refused.returncode in (1, 2) and "nobody" in refused.stderr
