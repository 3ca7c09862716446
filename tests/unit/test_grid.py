"""Grid files: expansion, and every refusal with its place and advice."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.config.grid import GridSpec, load_grid, read_grid
from shrunk_core.config.spec import RunSpec, from_dict, to_plain
from shrunk_core.errors import ConfigError, PlanError

BASE = """
name = "g"
[corpus]
sources = ["embedded:kjv"]
[model]
intermediate_size = "4 * hidden_size"
[train]
updates = 100
"""


def grid(text: str) -> GridSpec:
    return read_grid(tomllib.loads(text), text, Path("/lab/g.toml"))


def sizes(text: str) -> list[tuple[int, int]]:
    return [(p.model.hidden_size, p.model.num_layers) for p in grid(text).points()]


def test_product_has_the_last_axis_fastest_and_derives_sizes() -> None:
    text = BASE + "[axes]\nhidden_size = [32, 64]\nnum_layers = [1, 2]\n"
    assert sizes(text) == [(32, 1), (32, 2), (64, 1), (64, 2)]
    assert [p.model.intermediate_size for p in grid(text).points()] == [128, 128, 256, 256]
    assert [p.name for p in grid(text).points()] == ["H32 L1", "H32 L2", "H64 L1", "H64 L2"]


def test_zip_one_factor_seeds_and_exclusions() -> None:
    axes = "[axes]\nhidden_size = [32, 64]\nnum_layers = [1, 4]\n[grid]\n"
    assert sizes(BASE + axes + 'mode = "zip"\n') == [(32, 1), (64, 4)]
    assert sizes(BASE + axes + 'mode = "one-factor"\n') == [(128, 2), (32, 2), (64, 2), (128, 1), (128, 4)]
    assert len(sizes(BASE + axes + "seeds = [0, 1, 2]\n")) == 12
    assert sizes(BASE + axes + 'exclude = ["hidden_size * num_layers > 64"]\n') == [(32, 1), (64, 1)]


def test_coupled_values_and_dotted_axes() -> None:
    text = BASE + "[axes]\nsize = [{hidden_size = 32, train.updates = 10}, {hidden_size = 64, train.tokens = 40960}]\n"
    points = grid(text).points()
    assert [(p.model.hidden_size, p.train.updates) for p in points] == [(32, 10), (64, 20)]
    quoted = grid(BASE + '[axes]\n"train.learning_rate" = [1e-3, 2e-3]\n').points()
    unquoted = grid(BASE + "[axes]\ntrain.learning_rate = [1e-3, 2e-3]\n").points()
    assert [p.train.learning_rate for p in quoted] == [p.train.learning_rate for p in unquoted] == [1e-3, 2e-3]


def test_budgets_in_tokens_and_flops() -> None:
    tokens = grid(BASE.replace("updates = 100", "tokens = 2_048_000"))
    assert tokens.points()[0].train.updates == 1000  # 32 sequences of 64
    point = grid(BASE.replace("updates = 100", 'flops = 1e13\ncounting = "kaplan"')).points()[0]
    assert point.train.updates == pytest.approx(1e13 / (6 * 32 * 64 * 404_128), rel=0.2)


def test_vocabulary_and_positions_follow_tokenizer_and_length() -> None:
    point = grid(BASE + "sequence_length = 32\n[tokenizer]\nvocab_size = 500\n").points()[0]
    assert (point.model.vocab_size, point.model.max_positions) == (500, 34)


def test_paper_recipe_sets_the_switches_and_keeps_what_is_named() -> None:
    text = 'recipe = "paper"\n[corpus]\nsources = ["embedded:kjv"]\n[train]\nupdates = 50\n'
    point = grid(text).points()[0]
    assert (point.train.masking, point.train.padding_in_loss, point.train.schedule) == ("100/0/0", True, "noam")
    assert (point.train.updates, point.train.batch_size, point.train.beta2) == (50, 256, 0.95)
    assert (point.model.tie, point.model.norm, point.model.fixed_heads, point.model.num_layers) == (
        "none",
        "post",
        8,
        8,
    )
    tied = grid(text + '[model]\ntie = "full"\n').points()[0]
    assert tied.model.fixed_heads == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("[model]\nhiden_size = 3\n", ["g.toml line 2", "hiden_size", "did you mean `hidden_size`"]),
        ("[modle]\nhidden_size = 3\n", ["modle", "did you mean `model`"]),
        ('[train]\nmasking = "80/10"\n', ["masking", "80/10/10"]),
        ("[train]\nupdates = 1.5\n", ["updates", "whole number"]),
        ("[train]\nupdates = 5\ntokens = 5\n", ["one budget"]),
        ("[train]\ntokens = -5\n", ["tokens", "positive"]),
        ("[train]\nlearning_rate = 0\n", ["learning_rate", "between"]),
        ("[model]\nvocab_size = 5\n", ["vocab_size"]),
        ('[model]\nintermediate_size = "hidden_size / 3"\n', ["whole number"]),
        ("[axes]\nhidden_siz = [3]\n", ["hidden_siz", "did you mean `hidden_size`"]),
        ("[axes]\nlearning_rate = [3]\n", ["train.learning_rate"]),
        ("[axes]\nhidden_size = 3\n", ["list"]),
        ("[axes]\nhidden_size = [3, 3]\n", ["twice"]),
        ("[axes]\nhidden_size = [4]\nsize = [{hidden_size = 3}]\n", ["two axes set"]),
        ('[axes]\nhidden_size = [3]\nnum_layers = [1, 2]\n[grid]\nmode = "zip"\n', ["equal length"]),
        ('[grid]\nmode = "zipp"\n', ["did you mean `zip`"]),
        ("[grid]\nseeds = []\n", ["seed"]),
        ('[grid]\nexclude = ["hidden > 3"]\n', ["hidden", "did you mean"]),
        ('[grid]\nexclude = ["hidden_size >"]\n', ["hidden_size >"]),
        ('recipe = "papr"\n', ["recipe", "paper"]),
        ('recipe = "paper"\n[train]\nrecipe = "default"\n', ["[train]", "'default' here", "'paper' at the top"]),
        ('[axes]\n"train.recipe" = ["paper", "default"]\n', ["cannot be an axis", "one grid file a recipe"]),
    ],
)
def test_refusals_name_place_and_advice(change: str, words: list[str]) -> None:
    text = change if change.startswith("[corpus]") else change + '\n[corpus]\nsources = ["embedded:kjv"]\n'
    with pytest.raises(ConfigError) as problem:
        grid(text).points()
    for word in words:
        assert word in str(problem.value)


def test_sources_are_required_and_toml_errors_have_a_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs `sources`"):
        grid("[train]\nupdates = 3\n").points()
    broken = tmp_path / "grid.toml"
    broken.write_text("name = \n")
    with pytest.raises(ConfigError, match="line 1"):
        load_grid(broken)
    with pytest.raises(ConfigError, match="did you mean .*grid.toml"):
        load_grid(tmp_path / "gird.toml")


def test_nothing_left_is_refused() -> None:
    with pytest.raises(PlanError, match="leave no run"):
        grid(BASE + '[grid]\nexclude = ["hidden_size > 0"]\n').points()


def test_impossible_shapes_are_named_with_the_nearest() -> None:
    points = grid(BASE + '[axes]\nnum_heads = [4, 7]\ntie = ["projected", "full"]\n').points()
    problems = {p.name: p.problem for p in points}
    assert problems["A4 tie=projected"] == ""
    assert "not divisible by 7 heads; 8 would do" in problems["A7 tie=projected"]
    assert 'tie = "full" needs' in problems["A4 tie=full"]


def test_relative_files_start_at_the_grid_file() -> None:
    point = grid('[corpus]\nsources = ["a.txt", "embedded:kjv"]\nvocabulary = "words.txt"\n').points()[0]
    assert point.corpus.sources == ("/lab/a.txt", "embedded:kjv")
    assert point.corpus.vocabulary == "/lab/words.txt"


def spec(**changes: object) -> RunSpec:
    point = grid(BASE).points()[0]
    fields: dict[str, object] = {
        "model": point.model,
        "corpus": point.corpus,
        "tokenizer": point.tokenizer,
        "train": point.train,
        "seed": 0,
        "corpus_fingerprint": "a",
        "tokenizer_fingerprint": "b",
    }
    return RunSpec(**{**fields, **changes})  # type: ignore[arg-type]


def test_identity_is_content_and_nothing_else() -> None:
    import dataclasses

    one = spec()
    assert one.run_id == spec().run_id == from_dict(to_plain(one)).run_id
    assert len(one.run_id) == 12
    same = dataclasses.replace(one.train, device="cpu", micro_batch=3, checkpoint_every=7, keep_checkpoints=2)
    assert spec(train=same).run_id == one.run_id
    others = [
        spec(seed=1),
        spec(train=dataclasses.replace(one.train, learning_rate=3e-3)),
        spec(model=dataclasses.replace(one.model, num_layers=3)),
        spec(corpus_fingerprint="c"),
    ]
    assert len({s.run_id for s in [one, *others]}) == 5


def test_evaluation_id_ignores_the_seed_and_the_shape() -> None:
    import dataclasses

    one = spec()
    assert spec(seed=4).evaluation_id == one.evaluation_id
    assert spec(model=dataclasses.replace(one.model, hidden_size=64)).evaluation_id == one.evaluation_id
    assert spec(train=dataclasses.replace(one.train, padding_in_loss=True)).evaluation_id != one.evaluation_id


@given(
    st.lists(st.integers(1, 64), min_size=1, max_size=4, unique=True),
    st.lists(st.integers(1, 8), min_size=1, max_size=4, unique=True),
    st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
)
def test_product_is_every_combination_once(widths: list[int], depths: list[int], seeds: list[int]) -> None:
    text = BASE + f"[axes]\nembedding_size = {widths}\nnum_layers = {depths}\n[grid]\nseeds = {seeds}\n"
    points = [(p.model.embedding_size, p.model.num_layers, p.seed) for p in grid(text).points()]
    assert points == list(itertools.product(widths, depths, seeds))
