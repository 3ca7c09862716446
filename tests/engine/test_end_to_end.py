"""The main job on real text: the embedded corpus, the demo itself, and children's stories with a child's vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shrunk_core.record.rundir import run_dirs

from tests.conftest import end_supervisor
from tests.tiny import shrunk

SMALL = """\
name = "small"
[corpus]
{corpus}
[tokenizer]
vocab_size = 1000
[model]
embedding_size = 32
intermediate_size = "4 * hidden_size"
num_heads = 2
num_layers = 1
[train]
updates = {updates}
batch_size = 32
sequence_length = 16
learning_rate = 3e-3
init = "scaled"
[axes]
hidden_size = {sizes}
"""


def asked(lab: Path, query: str) -> list[dict[str, object]]:
    done = shrunk("sql", query, "--lab", lab, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_grid_on_the_embedded_corpus(lab: Path, tmp_path: Path) -> None:
    """Plan, run, table, plot, fit, rebuilt index: four shapes of seconds each, all through the commands."""
    grid = tmp_path / "small.toml"
    grid.write_text(SMALL.format(corpus='sources = ["embedded:kjv"]', updates=60, sizes="[8, 16, 32, 48]"))
    planned = json.loads(shrunk("plan", grid, "--lab", lab, "--format", "json").stdout)
    assert [r["status"] for r in planned] == [""] * 4
    assert not (lab / "corpora" / "anything").exists()
    done = shrunk("run", grid, "--lab", lab)
    assert done.returncode == 0, done.stderr
    assert "14,125 of 31,103 units kept" in done.stderr
    rows = asked(lab, "select run_id, hidden_size, best_loss, unigram_loss, num_params from runs order by hidden_size")
    assert [r["run_id"] for r in rows] == [r["run_id"] for r in planned]
    assert [r["num_params"] for r in rows] == [r["num_params"] for r in planned]
    assert len({r["unigram_loss"] for r in rows}) == 1
    assert all(5.0 < float(str(r["best_loss"])) < 7.0 for r in rows)
    (evaluation,) = asked(lab, "select count(distinct evaluation_id) as n, min(num_masked_tokens) as m from evaluations "
                               "where split = 'validation'")  # fmt: skip
    assert evaluation["n"] == 1
    assert int(str(evaluation["m"])) > 2000
    plotted = shrunk("plot", "small", "--lab", lab, "--width", "80")
    assert plotted.returncode == 0, plotted.stderr
    assert "FLOPs (paper)" in plotted.stdout
    assert "unigram baseline" in plotted.stdout
    assert "power law:" in plotted.stderr
    curves = shrunk("plot", "small", "--x", "updates", "--what", "train", "--lab", lab, "--ascii")
    assert "train loss" in curves.stdout
    before = asked(lab, "select * exclude (status) from runs order by run_id")
    for path in (lab / "lab.duckdb", lab / ".shrunk" / "index.duckdb"):
        path.unlink()
    assert asked(lab, "select * exclude (status) from runs order by run_id") == before
    shown = json.loads(shrunk("show", "H48", "--lab", lab, "--format", "json").stdout)
    assert shown["result"]["num_masked_tokens"] == evaluation["m"]
    assert '"kind": "finished"' in shrunk("logs", "H48", "--lab", lab).stdout


@pytest.mark.slow
def test_the_demo(tmp_path: Path) -> None:
    """It beats the unigram by 0.1 nats and two standard errors, says so, and finds its runs the second time."""
    folder = tmp_path / "demo"
    done = shrunk("demo", "--dir", folder, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "NOT clearly better" not in done.stderr
    assert "power law:" in done.stderr
    told = "H128 bigram-shift accuracy:" in done.stderr or "H96 bigram-shift accuracy:" in done.stderr
    assert told or "the probe was not finished within its 60 s" in done.stderr
    (best,) = asked(
        folder,
        "select r.unigram_loss - r.best_loss as gain, e.unigram_stderr as error from runs r join evaluations e on "
        "e.run_id = r.run_id and e.split = 'validation' and e.update = r.updates order by gain desc limit 1",
    )
    assert float(str(best["gain"])) > max(0.1, 2 * float(str(best["error"])))
    again = shrunk("demo", "--dir", folder, timeout=60)
    assert again.returncode == 0
    assert "nothing to train" in again.stderr
    end_supervisor(folder)


def test_children_stories_with_a_childs_vocabulary(lab: Path, tmp_path: Path, shared_data: Path) -> None:
    grid = tmp_path / "stories.toml"
    corpus = (
        f'sources = ["{shared_data}/corpora/stories_cc_by.jsonl"]\n'
        f'vocabulary = "{shared_data}/vocabulary/AOChildes_word_frequency.csv"\nvalidation_share = 0.1'
    )
    grid.write_text(SMALL.format(corpus=corpus, updates=80, sizes="[16, 32]"))
    done = shrunk("run", grid, "--lab", lab)
    assert done.returncode == 0, done.stderr
    assert "21,037 in the vocabulary" in done.stderr
    assert len(run_dirs(lab)) == 2
    rows = asked(lab, "select status, best_loss from runs")
    assert all(r["status"] == "finished" for r in rows)
