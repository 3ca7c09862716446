"""Somebody else's curves: read strictly, kept read-only, on the same axis only where their losses mean the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scaling_lab import scaling_lab
from shrunk_core.config.recipe import PAPER
from shrunk_core.errors import ConfigError, DataError
from shrunk_core.store.store import open_store
from typer.testing import CliRunner

from shrunk_tui.cli import references
from shrunk_tui.cli.app import app

CURVES = "name,step,val_loss,C,H\na,100,5.0,1e10,32\na,200,4.5,2e10,32\nb,100,4.8,3e10,64\nb,200,4.2,6e10,64\n"
MAPS = (
    "--map",
    "run=name",
    "--map",
    "update=step",
    "--map",
    "loss=val_loss",
    "--map",
    "flops=C",
    "--map",
    "hidden_size=H",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lab = scaling_lab(tmp_path / "lab", hidden=(16, 32, 64), layers=(1,), seeds=1)
    monkeypatch.setenv("SHRUNK_LAB", str(lab))
    (tmp_path / "curves.csv").write_text(CURVES)
    return lab


def ask(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_csv_is_imported_replaced_and_removed(here: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "curves.csv")
    ask("import", "csv", path, *MAPS, "--counting", "paper", "--citation", "somebody")
    store = open_store(here)
    store.refresh(force=True)
    found = references.read(store, "curves")
    assert (found.citation, found.counting, len(found.rows)) == ("somebody", "paper", 4)
    assert found.xy("flops", last_only=True) == ([2e10, 6e10], [4.5, 4.2])
    assert found.xy("tokens", last_only=False) == ([], [])
    assert store.query("select count(*) from events where kind = 'reference-run'").rows == [(0,)]
    with pytest.raises(ConfigError, match="--replace"):
        ask("import", "csv", path, *MAPS)
    ask("import", "csv", path, *MAPS, "--replace", "--evaluation-id", store.query("from evaluations").rows[0][1])
    store.refresh(force=True)
    again = references.read(store, "curves")
    assert len(again.rows) == 4 and again.comparable([], again.evaluation_id) and not again.comparable([], "other")
    ask("import", "--remove", "curves")
    store.refresh(force=True)
    assert references.names(store) == []
    with pytest.raises(ConfigError, match="no reference 'curves'"):
        references.read(store, "curves")


def test_what_a_file_does_not_say_is_refused(here: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "curves.csv")
    with pytest.raises(ConfigError, match="run=COLUMN"):
        ask("import", "csv", path, "--map", "loss=val_loss")
    with pytest.raises(ConfigError, match="axis"):
        ask("import", "csv", path, "--map", "run=name", "--map", "loss=val_loss")
    with pytest.raises(ConfigError, match="no run of this lab is of it"):
        ask("import", "csv", path, *MAPS, "--evaluation-id", "f" * 12)
    with pytest.raises(DataError, match="not the paper's"):
        ask("import", "paper-curves", path)
    with pytest.raises(ConfigError, match="No such file"):
        ask("import", "paper-curves", str(tmp_path / "none.csv"))
    with pytest.raises(ConfigError, match="KIND"):
        ask("import")


def test_a_trainer_state_becomes_one_run(here: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-20"
    folder.mkdir()
    history = [{"step": 10, "loss": 4.0}, {"step": 10, "eval_loss": 3.5}, {"step": 20, "eval_loss": 3.25}]
    path = folder / "trainer_state.json"
    path.write_text(json.dumps({"log_history": history, "global_step": 20, "total_flos": 1e12}))
    ask(
        "import",
        "trainer-state",
        str(path),
        "--name",
        "tiny",
        "--set",
        "num_params=1000",
        "--set",
        "tokens_per_update=64",
    )
    store = open_store(here)
    store.refresh(force=True)
    found = references.read(store, "tiny")
    assert found.counting == "kaplan" and not found.padding
    assert found.xy("tokens", last_only=False) == ([640.0, 1280.0], [3.5, 3.25])
    assert found.xy("params", last_only=True) == ([1000.0], [3.25])
    assert found.xy("flops", last_only=False)[0] == [5e11, 1e12]
    with pytest.raises(ConfigError, match="did you mean `num_params`"):
        ask("import", "trainer-state", str(path), "--set", "num_param=5")
    path.write_text(json.dumps({"log_history": [{"step": 10, "loss": 4.0}]}))
    with pytest.raises(DataError, match="eval_loss"):
        ask("import", "trainer-state", str(path), "--name", "other")


def test_the_papers_curves_have_an_axis_of_their_own(here: Path, shared_data: Path) -> None:
    ask("import", "paper-curves", str(shared_data / "scaling/paper_eval_curves.csv"))
    store = open_store(here)
    store.refresh(force=True)
    found = references.read(store, "paper")
    assert len(found.rows) == 1512 and len({row["name"] for row in found.rows}) == 42 and found.padding
    recipe = {name: PAPER["train"][name] for name in ("padding_in_loss", "masking", "packing")}
    assert recipe["padding_in_loss"]
    assert found.comparable([recipe, recipe], "any")
    assert not found.comparable([recipe, recipe | {"padding_in_loss": False}], "any")
    assert not found.comparable([], "any")
    drawn = ask("plot", "--reference", "paper", "--width", "80")
    assert "paper (right axis)" in drawn and "losses count padding" in drawn
    with pytest.raises(ConfigError, match="--counting paper"):
        ask("plot", "--reference", "paper", "--counting", "kaplan")
