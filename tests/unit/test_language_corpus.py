"""Building a corpus: idempotent, one builder at a time, nothing half-made, and the embedded corpus from end to end."""

import dataclasses
import errno
import json
import multiprocessing

import numpy as np
import pytest
from shrunk_core.config.language_spec import CorpusSpec, TokenizerSpec
from shrunk_core.errors import DataError
from shrunk_core.language import batches, reduce, tokens
from shrunk_core.language import corpus as corpus_module
from shrunk_core.language.corpus import (
    build_corpus,
    corpora,
    corpus_fingerprint,
    corpus_folder,
    digest_cache,
    open_tokens,
    read_manifest,
    unigram_counts,
)
from shrunk_core.language.packing import EOS, NUM_SPECIAL, pack
from shrunk_core.language.split import SPLITS
from shrunk_core.language.tokenizer import load_tokenizer, tokenizer_fingerprint, tokenizer_folder
from shrunk_core.language.tokens import read_units, token_dtype
from shrunk_core.record.events import CorpusBuilt, CorpusProgress, TokenizerBuilt

WORDS = "the dog ran to his old house and sat down where a cat was here with many men who saw it".split()
TOKENIZER = TokenizerSpec(vocab_size=280)


@pytest.fixture
def spec(tmp_path):
    """A folder of 60 small texts; each has one sentence with a word that is not in the list."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "texts"
    folder.mkdir()
    for i in range(60):
        sentences = [" ".join(rng.choice(WORDS, 8)).capitalize() + "." for _ in range(5)]
        (folder / f"{i:02}.txt").write_text("\n".join([*sentences, f"The zebra{i} ran to the old house."]))
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    return CorpusSpec(
        sources=(str(folder),), vocabulary=str(tmp_path / "words.txt"), validation_share=0.2, test_share=0.2
    )


def build(lab, spec, tokenizer=TOKENIZER):
    return [e for e in build_corpus(lab, spec, tokenizer) if not isinstance(e, CorpusProgress)]


def names(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


def test_build_once_find_ever_after(tmp_path, spec):
    lab = tmp_path / "lab"
    events = list(build_corpus(lab, spec, TOKENIZER))
    stages = [e.stage for e in events if isinstance(e, CorpusProgress)]
    assert stages[0] == "filter" and "tokenizer" in stages
    corpus, tokenizer = (e for e in events if not isinstance(e, CorpusProgress))
    assert isinstance(corpus, CorpusBuilt) and isinstance(tokenizer, TokenizerBuilt)
    assert (corpus.documents, corpus.units_seen, corpus.vocabulary_words) == (60, 360, len(WORDS))
    assert corpus.fingerprint == corpus_fingerprint(spec, digest_cache(lab)) == corpus_fingerprint(spec)
    assert tokenizer.fingerprint == tokenizer_fingerprint(corpus.fingerprint, TOKENIZER)
    assert list(build_corpus(lab, spec, TOKENIZER)) == []
    second = build(lab, spec, TokenizerSpec(vocab_size=270))
    assert [type(e) for e in second] == [TokenizerBuilt]
    manifest = read_manifest(lab, corpus.fingerprint)
    assert corpora(lab) == [manifest]
    assert manifest["units_kept"] + manifest["units_short"] + manifest["units_out_of_vocabulary"] == 360
    assert manifest["units_out_of_vocabulary"] == 60 and manifest["top_out_of_vocabulary"][0] == ["zebra0", 1]
    assert sum(s["units"] for s in manifest["splits"].values()) == manifest["units_kept"] == corpus.units_kept
    assert sum(s["words"] for s in manifest["splits"].values()) == manifest["words_kept"] == corpus.words_kept


def test_tokens_decode_to_the_kept_units(tmp_path, spec):
    lab = tmp_path / "lab"
    corpus, built = build(lab, spec)
    tokenizer = load_tokenizer(tokenizer_folder(lab, built.fingerprint))
    total = np.zeros(TOKENIZER.vocab_size, dtype=np.int64)
    for split in SPLITS:
        stream = open_tokens(lab, corpus.fingerprint, built.fingerprint, split)
        documents = list(read_units(corpus_folder(lab, corpus.fingerprint), split))
        units = [unit for document in documents for unit in document]
        bounds = stream.unit_offsets
        assert len(bounds) == len(units) + 1 and len(stream.document_offsets) == len(documents) + 1
        assert stream.ids.dtype == np.uint16 and stream.vocab_size == 280
        assert len(stream) == getattr(built, f"{split}_tokens") == bounds[-1] == stream.document_offsets[-1]
        assert (stream.ids[bounds[1:] - 1] == EOS).all()
        for unit, a, b in zip(units, bounds[:-1], bounds[1:], strict=True):
            assert tokenizer.decode(stream.ids[a : b - 1].tolist()).strip() == unit
        assert set(stream.document_offsets) <= set(bounds)
        assert pack(stream, sequence_length=16, packing="packed").num_tokens == len(stream)
        if split == "train":
            total += np.bincount(stream.ids, minlength=280)
    total[:NUM_SPECIAL] = 0
    assert np.array_equal(unigram_counts(lab, corpus.fingerprint, built.fingerprint), total)


def test_splits_share_no_document_and_stay_when_documents_are_added(tmp_path, spec):
    lab = tmp_path / "lab"

    def texts(fingerprint):
        return {s: {tuple(d) for d in read_units(corpus_folder(lab, fingerprint), s)} for s in SPLITS}

    before = texts(build(lab, spec)[0].fingerprint)
    for i in range(30):
        (tmp_path / "texts" / f"0{i}-new.txt").write_text(f"The dog ran to his old house {i}.")
    after = texts(build(lab, spec)[0].fingerprint)
    for split in SPLITS:
        assert before[split] <= after[split]
        assert not before[split] & set().union(*(after[s] for s in SPLITS if s != split))


def test_fingerprints_follow_content_and_the_rules_in_use(tmp_path, spec):
    base = corpus_fingerprint(spec)
    moved = tmp_path / "moved"
    (tmp_path / "texts").rename(moved)
    (tmp_path / "words.txt").rename(tmp_path / "list.txt")
    there = dataclasses.replace(spec, sources=(str(moved),), vocabulary=str(tmp_path / "list.txt"))
    assert corpus_fingerprint(there) == base
    assert corpus_fingerprint(dataclasses.replace(there, span_words=99)) == base, "spans are not in use"
    changed = [
        dataclasses.replace(there, **c)
        for c in ({"min_words": 7}, {"unit": "span"}, {"filter": "none"}, {"vocabulary": "top:10"}, {"max_oov": 0.1})
    ]
    assert len({base, *map(corpus_fingerprint, changed)}) == 6
    (tmp_path / "list.txt").write_text("dog")
    assert corpus_fingerprint(there) != base


def test_without_a_filter_all_units_stay(tmp_path, spec):
    corpus, _ = build(tmp_path / "lab", dataclasses.replace(spec, filter="none", min_words=1))
    assert corpus.units_kept == corpus.units_seen == 360 and corpus.vocabulary_words == 0


def test_top_words_are_counted_in_train_documents_only(tmp_path, spec):
    lab = tmp_path / "lab"
    corpus, _ = build(lab, dataclasses.replace(spec, vocabulary="top:1000"))
    folder = corpus_folder(lab, corpus.fingerprint)
    words = set((folder / "vocabulary.txt").read_text().split())
    kept = " ".join(u for d in read_units(folder, "train") for u in d)
    zebras = {w for w in words if w.startswith("zebra")}
    assert 0 < len(zebras) < 60 and all(z in kept for z in zebras)
    assert "distinct words" in read_manifest(lab, corpus.fingerprint)["vocabulary"]["notes"][0]


def test_no_test_split_if_none_is_wanted(tmp_path, spec):
    lab = tmp_path / "lab"
    corpus, built = build(lab, dataclasses.replace(spec, test_share=0.0))
    stream = open_tokens(lab, corpus.fingerprint, built.fingerprint, "test")
    assert built.test_tokens == len(stream) == 0
    assert len(pack(stream, sequence_length=16, packing="packed")) == 0


def test_token_dtype():
    assert (token_dtype(65_536), token_dtype(65_537)) == (np.uint16, np.uint32)


# ---------------------------------------------------------------- refusals


def refuse(lab, spec, tokenizer=TOKENIZER):
    with pytest.raises(DataError) as problem:
        build(lab, spec, tokenizer)
    return str(problem.value)


def test_an_empty_result_says_which_rule_removed_what(tmp_path, spec):
    lab = tmp_path / "lab"
    (tmp_path / "words.txt").write_text("zebra\n")
    message = refuse(lab, dataclasses.replace(spec, min_words=7))
    assert "of 360 units (sentence)" in message and "min_words = 7" in message and "max_oov = 0" in message
    assert names(lab / "corpora") == []


def test_one_document_is_refused_with_advice(tmp_path, spec):
    path = tmp_path / "one.txt"
    path.write_text("The dog ran to his old house.\nThe cat sat down here.")
    assert 'document = "paragraph"' in refuse(tmp_path / "lab", dataclasses.replace(spec, sources=(str(path),)))
    path.write_text(" \n")
    assert "every document is blank" in refuse(tmp_path / "lab", dataclasses.replace(spec, sources=(str(path),)))


def test_too_large_a_vocabulary_keeps_the_corpus_and_leaves_no_tokenizer(tmp_path, spec):
    lab = tmp_path / "lab"
    assert "supports at most" in refuse(lab, spec, TokenizerSpec(vocab_size=9000))
    assert len(names(lab / "corpora")) == 1 and names(lab / "tokenizers") == []
    assert [type(e) for e in build(lab, spec)] == [TokenizerBuilt]


@pytest.mark.parametrize("stage", ["filter", "tokens"])
def test_a_full_disk_leaves_nothing_half_made(tmp_path, spec, monkeypatch, stage):
    lab = tmp_path / "lab"

    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = (corpus_module, "reduce_language") if stage == "filter" else (tokens, "_write")
    monkeypatch.setattr(*target, full)
    message = refuse(lab, spec)
    assert "is full" in message and "run the same command again" in message
    assert not list(lab.rglob("*.tmp"))
    monkeypatch.undo()
    build(lab, spec)
    assert list(build_corpus(lab, spec, TOKENIZER)) == []


def test_a_killed_builder_s_work_is_no_corpus_and_is_continued(tmp_path, spec, monkeypatch):
    monkeypatch.setattr(batches, "READ_AT_ONCE", 300)
    monkeypatch.setattr(batches, "SMALL_FILE", 0)
    monkeypatch.setattr(reduce, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(corpus_module, "_EVENT_SECONDS", 0.0)
    whole = build(tmp_path / "whole", spec)[0]
    lab = tmp_path / "lab"
    fingerprint = corpus_fingerprint(spec)
    building = build_corpus(lab, spec, TOKENIZER)
    for _ in range(20):
        next(building)
    building.close()  # abandoned on the way
    assert corpora(lab) == [] and names(lab / "corpora") == [f".{fingerprint}.partial"]
    partial = lab / "corpora" / f".{fingerprint}.partial"
    with open(partial / "train.text", "ab") as file:
        file.write(b"half a line that no state knows of")
    state = json.loads((partial / "state.json").read_text())
    built = build(lab, spec)[0]
    assert names(lab / "corpora") == [fingerprint]
    again = read_manifest(lab, fingerprint)
    assert again["resumed"] and state["source"] + state["batches"] > 0
    assert dataclasses.replace(built, seconds=0, logged_at=0) == dataclasses.replace(whole, seconds=0, logged_at=0)
    for name in ("train.txt", "validation.txt", "test.txt"):
        one, other = (corpus_folder(x, fingerprint) / name for x in (lab, tmp_path / "whole"))
        assert one.read_bytes() == other.read_bytes()
    first = read_manifest(tmp_path / "whole", fingerprint)
    same = ("units_seen", "units_kept", "words_kept", "splits", "sources", "top_out_of_vocabulary", "examples")
    assert {k: again[k] for k in same} == {k: first[k] for k in same}


def test_reading_what_is_not_there(tmp_path, spec):
    lab = tmp_path / "lab"
    assert corpora(lab) == []
    with pytest.raises(DataError, match="there is no corpus abc"):
        read_manifest(lab, "abc")
    with pytest.raises(DataError, match="build the corpus first"):
        open_tokens(lab, "abc", "def", "train")
    corpus, built = build(lab, spec)
    with pytest.raises(DataError, match="choose train, validation, test"):
        open_tokens(lab, corpus.fingerprint, built.fingerprint, "dev")
    path = corpus_folder(lab, corpus.fingerprint) / "tokens" / built.fingerprint / "train.bin"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match=r"train\.bin is damaged"):
        open_tokens(lab, corpus.fingerprint, built.fingerprint, "train")


def _build_elsewhere(lab, spec, results):
    results.put([type(e).__name__ for e in build(lab, spec)])


def test_two_processes_never_build_the_same_thing(tmp_path, spec):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    children = [context.Process(target=_build_elsewhere, args=(tmp_path / "lab", spec, results)) for _ in range(2)]
    for child in children:
        child.start()
    built = [name for _ in children for name in results.get(timeout=60)]
    for child in children:
        child.join()
    assert sorted(built) == ["CorpusBuilt", "TokenizerBuilt"]


# ---------------------------------------------------------------- the embedded corpus


def test_the_embedded_corpus_from_end_to_end(tmp_path):
    corpus, tokenizer = build(tmp_path, CorpusSpec(sources=("embedded:kjv",)), TokenizerSpec(vocab_size=2000))
    assert (corpus.documents, corpus.units_seen, corpus.units_kept) == (1189, 31_103, 14_125)  # 45.4 % of the verses
    assert (corpus.words_seen, corpus.words_kept, corpus.vocabulary_words) == (789_634, 341_046, 3000)
    assert (tokenizer.train_tokens, tokenizer.validation_tokens, tokenizer.test_tokens) == (418_320, 23_128, 12_283)
    manifest = read_manifest(tmp_path, corpus.fingerprint)
    assert {s: manifest["splits"][s]["documents"] for s in SPLITS} == {"train": 1082, "validation": 69, "test": 36}
    assert json.loads(json.dumps(manifest)) == manifest
