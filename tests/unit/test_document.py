"""Grid files as something to edit: comments stay, what is typed becomes settings and axes, the file stays strict."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.config.document import as_typed, new_document, open_document, parse_document, settings
from shrunk_core.config.grid import load_grid
from shrunk_core.config.toml_text import read_comments, write_toml
from shrunk_core.errors import ConfigError

SAMPLES = sorted((Path(__file__).parent.parent.parent / "sample_configs").glob("*.toml"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.stem)
def test_a_sample_config_survives_being_opened_and_written(path: Path, tmp_path: Path) -> None:
    document = open_document(path)
    written = tmp_path / path.name
    written.write_text(document.text())
    assert [p.name for p in load_grid(written).points()] == [p.name for p in load_grid(path).points()]
    assert tomllib.loads(document.text()) == tomllib.loads(path.read_text())
    assert [c.split() for c in comments(written.read_text())] == [c.split() for c in comments(path.read_text())]


def comments(text: str) -> list[str]:
    return [line[line.index("#") :] for line in text.splitlines() if "#" in line]


def test_comments_stay_with_their_keys_through_edits(tmp_path: Path) -> None:
    text = '# what this is for\n\nname = "a"\n\n[model]\n# wide enough\nhidden_size = 64   # tried 32\nnum_layers = 2\n# the end\n'
    document = parse_document(text, tmp_path / "a.toml").typed("model.hidden_size", "128").typed("model.num_layers", "")
    assert document.text().splitlines() == [
        "# what this is for", "", 'name = "a"', "", "[model]", "# wide enough",
        f"{'hidden_size = 128':<31} # tried 32", "", "# the end",
    ]  # fmt: skip


def test_a_hash_in_a_string_is_no_comment() -> None:
    text = 'name = "a # b"  # real\nsources = [\n  "x#y",  # gone\n  "z]",\n]  # kept\n'
    kept = read_comments(text)
    assert kept.beside == {("", "name"): "# real", ("", "sources"): "# kept"}
    assert tomllib.loads(write_toml(tomllib.loads(text), kept)) == tomllib.loads(text)


values = st.one_of(
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
entries = st.one_of(
    values, st.lists(values, max_size=4), st.lists(st.dictionaries(keys, values, max_size=2), max_size=3)
)


@given(st.dictionaries(keys, entries, max_size=3), st.dictionaries(keys, entries, max_size=3))
def test_what_is_written_reads_back_the_same(top: dict, table: dict) -> None:
    tables = {**top, "a table": table}
    assert tomllib.loads(write_toml(tables)) == tables


def test_several_values_are_an_axis_and_one_value_is_a_setting(tmp_path: Path) -> None:
    document = new_document(tmp_path / "g.toml").typed("model.hidden_size", "16, 32,64")
    assert document.axis("model.hidden_size") == [16, 32, 64]
    assert [p.model.hidden_size for p in document.grid().points()] == [16, 32, 64]
    assert document.typed("model.hidden_size", "32").axis("model.hidden_size") is None
    assert document.without("model.hidden_size").value("model.hidden_size") == 64
    rates = document.typed("train.learning_rate", "1e-3, 3e-3")
    assert '"train.learning_rate" = [0.001, 0.003]' in rates.text()
    assert len(rates.grid().points()) == 6


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("model.hidden_size", "1_024", 1024),
        ("model.intermediate_size", "4 * hidden_size", "4 * hidden_size"),
        ("train.learning_rate", "3e-3", 0.003),
        ("train.padding_in_loss", "yes", True),
        ("corpus.sources", "embedded:kjv, more.txt", ["embedded:kjv", "more.txt"]),
        ("grid.seeds", "0, 1, 2", [0, 1, 2]),
        ("train.flops", "3e12", 3e12),
        ("name", "wide, then deep", "wide, then deep"),
        ("train.updates", "1e3", 1000),
    ],
)
def test_what_is_typed_has_the_key_s_kind(key: str, text: str, expected: object, tmp_path: Path) -> None:
    document = new_document(tmp_path / "g.toml").typed(key, text)
    assert document.value(key) == expected
    assert document.typed(key, as_typed(settings()[key], document.value(key))).tables == document.tables


@pytest.mark.parametrize(
    ("key", "text", "told"),
    [
        ("model.num_layers", "two and", None),
        ("train.updates", "2.5", "whole number"),
        ("model.tie", "half", "one of none, full, projected"),
        ("train.learning_rate", "fast", "a number"),
        ("model.hidden_size", "16,,32", "beside a comma"),
        ("grid.mode", "product, zip", "one value"),
        ("model.hiden_size", "3", "no setting"),
    ],
)
def test_what_cannot_be_is_refused_with_words(key: str, text: str, told: str | None, tmp_path: Path) -> None:
    document = new_document(tmp_path / "g.toml")
    if told is None:  # text in a size is a product; the grid says what is wrong with it
        with pytest.raises(ConfigError, match="line"):
            document.typed(key, text).grid().points()
        return
    with pytest.raises(ConfigError, match=told):
        document.typed(key, text)


def test_one_budget_at_a_time(tmp_path: Path) -> None:
    document = new_document(tmp_path / "g.toml").typed("train.flops", "1e12")
    assert document.value("train.updates") is None
    assert "updates" not in document.text()
    document.grid()


def test_every_setting_has_words(tmp_path: Path) -> None:
    assert all(s.doc for s in settings().values())
    assert {"name", "corpus.sources", "model.hidden_size", "train.flops", "grid.seeds"} <= settings().keys()


def test_a_grid_that_moves_keeps_its_files(tmp_path: Path) -> None:
    document = new_document(tmp_path / "a" / "g.toml").typed("corpus.sources", "text.txt, embedded:kjv")
    moved = document.moved(tmp_path / "b" / "g.toml")
    assert moved.value("corpus.sources") == [str(tmp_path / "a" / "text.txt"), "embedded:kjv"]
    assert moved.value("corpus.vocabulary") == "top:3000"
