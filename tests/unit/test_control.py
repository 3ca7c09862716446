"""Controls: other text to learn from, the same text to be scored on, and the comparison of the two."""

import dataclasses
import json

import numpy as np
import pytest
from shrunk_core.analysis.control import compare_with_control
from shrunk_core.config.lab import init_lab
from shrunk_core.config.language_spec import CorpusSpec
from shrunk_core.errors import ConfigError, DataError
from shrunk_core.language.corpus import build_language, corpus_fingerprint, corpus_folder, read_manifest
from shrunk_core.language.tokens import read_units
from shrunk_core.record.journal import open_journal
from shrunk_core.store.control_rows import ControlledRun, controlled_runs
from shrunk_core.store.store import open_store

WORDS = "the dog ran to his old house and sat down where a cat was here with many men who saw it".split()


@pytest.fixture
def spec(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        rows = []
        for i in range(150):
            sentences = [" ".join(rng.choice(WORDS, 8)).capitalize() + "." for _ in range(4)]
            rows.append({"text": " ".join([*sentences, f"The zebra{i}{name} ran to the old house."])})
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    return CorpusSpec(
        sources=(str(tmp_path / "one.jsonl"), str(tmp_path / "two.jsonl")),
        vocabulary=str(tmp_path / "words.txt"),
        validation_share=0.2,
        test_share=0.2,
    )


def built(lab, spec):
    events = list(build_language(lab, spec))
    return read_manifest(lab, events[-1].fingerprint), events


def texts(lab, manifest, split):
    return list(read_units(corpus_folder(lab, manifest["fingerprint"]), split))


def test_a_control_learns_from_other_text_and_is_scored_on_the_same(tmp_path, spec):
    reduced, _ = built(tmp_path, spec)
    control, events = built(tmp_path, dataclasses.replace(spec, filter="none", evaluation_from=reduced["fingerprint"]))
    for split in ("validation", "test"):
        assert texts(tmp_path, control, split) == texts(tmp_path, reduced, split)
    units = [u for d in texts(tmp_path, control, "train") for u in d]
    assert any("zebra" in u for u in units)
    held_out = {u for s in ("validation", "test") for d in texts(tmp_path, reduced, s) for u in d}
    assert not held_out & {u for d in texts(tmp_path, control, "train") for u in d}
    ours, theirs = (m["splits"]["train"]["words_by_source"] for m in (control, reduced))
    assert all(0.9 * b <= a <= b for a, b in zip(ours, theirs, strict=True)), "as much of each source"
    assert events[-1].evaluation_from == reduced["fingerprint"]


def test_a_grid_file_names_the_reduced_corpus_and_builds_it(tmp_path, spec):
    grid = tmp_path / "reduced.toml"
    sources = json.dumps(spec.sources)
    grid.write_text(
        f'[corpus]\nsources = {sources}\nvocabulary = "{spec.vocabulary}"\nvalidation_share = 0.2\ntest_share = 0.2\n'
    )
    control = dataclasses.replace(spec, filter="none", evaluation_from=str(grid))
    manifest, events = built(tmp_path / "lab", control)
    assert manifest["evaluation_from"] == corpus_fingerprint(spec)
    assert [e.fingerprint for e in events if e.kind == "corpus-built"][0] == corpus_fingerprint(spec)


@pytest.mark.parametrize(
    ("options", "problem", "kind"),
    [
        ({"validation_share": 0.1}, "held-out documents would be in the train split", DataError),
        ({"evaluation_from": "0123456789ab"}, "there is no corpus", DataError),
        ({"evaluation_from": "somewhere"}, "12 hex digits", ConfigError),
        ({"filter": "vocabulary"}, 'set filter = "none"', ConfigError),
        ({"weights": (1.0, 2.0)}, "has the mix of the corpus", ConfigError),
    ],
)
def test_controls_that_compare_nothing_are_refused(tmp_path, spec, options, problem, kind):
    reduced, _ = built(tmp_path, spec)
    control = dataclasses.replace(spec, filter="none", evaluation_from=reduced["fingerprint"])
    with pytest.raises(kind, match=problem):
        built(tmp_path, dataclasses.replace(control, **options))


def run(corpus, seed, loss, control_of="", shape=(64, 2), tokens=150):
    return ControlledRun(
        run_id=f"{corpus}{seed}", name="n", corpus=corpus, control_of=control_of, shape=shape, seed=seed, loss=loss,
        unigram_loss=6.0, flops=1e12, words=100, units=10, tokens=tokens,
    )  # fmt: skip


def test_comparison_is_over_equal_shapes_and_in_numbers_that_compare():
    runs = [run("a", 0, 4.0), run("a", 1, 4.2), run("b", 0, 4.5, "a", tokens=130), run("b", 0, 3.0, "a", shape=(8, 2))]
    (found,) = compare_with_control(runs)
    assert (found.corpus, found.control, found.reduced.runs) == ("a", "b", ("a0", "a1"))
    assert found.above_unigram_difference == pytest.approx(-1.9 + 1.5)
    assert found.reduced.nats_per_word == pytest.approx(4.1 * 1.4)
    assert found.unconstrained.nats_per_word == pytest.approx(4.5 * 1.2)
    assert found.reduced.above_unigram_sd == pytest.approx(0.1414, abs=1e-3)
    assert found.unconstrained.nats_per_word_sd is None


def test_the_query_answers_in_a_lab_without_runs(tmp_path, spec):
    lab = init_lab(tmp_path / "lab")
    _, events = built(lab, spec)
    journal = open_journal(lab)
    journal.append(events[-1])
    journal.close()
    store = open_store(lab)
    store.refresh(force=True)
    assert controlled_runs(store) == []
