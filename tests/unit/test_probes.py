"""Probes: scored on held-out documents, never cut where they are corrupted, the same rows every day."""

from __future__ import annotations

from pathlib import Path

import pytest
from shrunk_core.downstream.probes import HELD_OUT, PROBES, WORDS, probe_language, probe_rows, probe_task
from shrunk_core.downstream.rows import TRAIN
from shrunk_core.errors import ConfigError, DataError
from shrunk_core.language.corpus import corpus_folder
from shrunk_core.language.tokenizer import Encoder, load_tokenizer, tokenizer_folder
from shrunk_core.language.tokens import read_units
from word_lab import word_lab


@pytest.mark.parametrize("name", PROBES)
def test_examples_fit_in_a_row_and_half_of_them_are_corrupted(name: str, tmp_path: Path) -> None:
    lab, run = word_lab(tmp_path, sequence_length=16)
    rows = probe_rows(lab, run, probe_task(name))
    encoder = Encoder(load_tokenizer(tokenizer_folder(lab, run.tokenizer_fingerprint)))
    for split, part in rows.splits.items():
        _, lengths = encoder.encode(part.texts[0])
        assert lengths.max() + 1 <= 16, "the row holds `<s>`, the whole example and `</s>`"
        assert all(text.count(" ") + 1 >= WORDS[0] for text in part.texts[0])
        assert abs(2 * part.labels.sum() - len(part)) <= 1 and len(part) > 50, split
    assert probe_rows(lab, run, probe_task(name)).fingerprint == rows.fingerprint


def test_what_is_scored_is_held_out_and_trained_on_nowhere(tmp_path: Path) -> None:
    lab, run = word_lab(tmp_path)
    rows = probe_rows(lab, run, probe_task("bigram-shift"))
    folder = corpus_folder(lab, run.corpus_fingerprint)
    held_out = {u for split in ("validation", "test") for document in read_units(folder, split) for u in document}
    trained = {u for document in read_units(folder, "train") for u in document}
    scored = [
        t for t, label in zip(rows.splits[HELD_OUT].texts[0], rows.splits[HELD_OUT].labels, strict=True) if not label
    ]
    assert set(scored) <= held_out - trained
    assert {
        t for t, label in zip(rows.splits[TRAIN].texts[0], rows.splits[TRAIN].labels, strict=True) if not label
    } <= trained


def test_a_shifted_sentence_has_two_neighbours_in_each_others_place(tmp_path: Path) -> None:
    lab, run = word_lab(tmp_path)
    rows = probe_rows(lab, run, probe_task("bigram-shift")).splits[TRAIN]
    known = {tuple(u.split()) for d in read_units(corpus_folder(lab, run.corpus_fingerprint), "train") for u in d}
    for text, label in zip(rows.texts[0], rows.labels, strict=True):
        words = text.split()
        swaps = [(*words[:i], words[i + 1], words[i], *words[i + 2 :]) for i in range(len(words) - 1)]
        assert any(swap in known for swap in swaps) if label else tuple(words) in known


def test_runs_of_other_rows_have_another_probe(tmp_path: Path) -> None:
    (lab, short), (_, long) = word_lab(tmp_path / "a", 16), word_lab(tmp_path / "b")
    assert probe_language(short) != probe_language(long)
    (corpus_folder(lab, short.corpus_fingerprint) / "train.txt").unlink()
    with pytest.raises(DataError, match="`shrunk run` builds both"):
        probe_rows(lab, short, probe_task("bigram-shift"))
    with pytest.raises(ConfigError, match="no probe `shift`; there are bigram-shift, odd-word"):
        probe_task("shift")
