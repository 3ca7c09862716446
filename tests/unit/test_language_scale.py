"""All cores with one result, duplicates, mixes, grown spans, tokenizer measures."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shrunk_core.config.language_spec import CorpusSpec, TokenizerSpec
from shrunk_core.errors import ConfigError, DataError
from shrunk_core.language import batches
from shrunk_core.language.corpus import build_language, corpus_folder, read_manifest
from shrunk_core.language.coverage import coverage
from shrunk_core.language.filter import Filter, Rule
from shrunk_core.language.fingers import jaccard, triples
from shrunk_core.language.measures import esms, measure, read_word_parts
from shrunk_core.language.mixture import BINS, second_places, thresholds, wanted_words
from shrunk_core.language.scan import Document
from shrunk_core.language.statistics import card, corpus_statistics, zipf_exponent
from shrunk_core.language.tokenizer import Encoder, train_tokenizer, untrained
from shrunk_core.language.tokens import read_units
from shrunk_core.language.tuning import knee, parse_sizes, truncated
from shrunk_core.language.vocabulary import load_vocabulary
from shrunk_core.language.words import normalise

WORDS = "the dog ran to his old house and sat down where a cat was here with many men who saw it".split()


def texts(seed, number, words=WORDS):
    rng = np.random.default_rng(seed)
    return [
        " ".join(" ".join(rng.choice(words, 9)).capitalize() + "." for _ in range(rng.integers(1, 6)))
        for _ in range(number)
    ]


def write(path, documents):
    path.write_text("\n".join(json.dumps({"text": t}) for t in documents))
    return str(path)


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    return CorpusSpec(
        sources=(write(tmp_path / "one.jsonl", texts(0, 200)), write(tmp_path / "two.jsonl", texts(1, 200))),
        vocabulary=str(tmp_path / "words.txt"),
        validation_share=0.1,
        test_share=0.1,
    )


def built(lab, spec, processes=1):
    events = list(build_language(lab, spec, processes))
    return read_manifest(lab, events[-1].fingerprint)


def split_text(lab, manifest):
    folder = corpus_folder(lab, manifest["fingerprint"])
    return {s: (folder / f"{s}.txt").read_bytes() for s in ("train", "validation", "test")}


@pytest.mark.parametrize("options", [{}, {"vocabulary": "top:15"}, {"duplicates": "near"}])
def test_two_processes_write_the_same_bytes_as_one(tmp_path, spec, options, monkeypatch):
    monkeypatch.setattr(batches, "STRETCH", 2_000)
    monkeypatch.setattr(batches, "SMALL_FILE", 0)
    spec = dataclasses.replace(spec, **options)
    one, two = (built(tmp_path / str(n), spec, n) for n in (1, 2))
    assert split_text(tmp_path / "1", one) == split_text(tmp_path / "2", two)
    for changing in ("created_at", "seconds"):
        del one[changing], two[changing]
    assert one == two


def test_what_a_source_refuses_in_the_middle_reaches_the_caller_and_is_continued(tmp_path, spec, monkeypatch):
    monkeypatch.setattr(batches, "STRETCH", 2_000)
    monkeypatch.setattr(batches, "SMALL_FILE", 0)
    path = tmp_path / "two.jsonl"
    whole = path.read_text()
    path.write_text(whole + "\n{broken")
    with pytest.raises(DataError, match=r"two\.jsonl, line 201: broken JSON"):
        built(tmp_path / "lab", spec, 2)


def test_equal_units_stay_once_and_the_held_out_one_stays(tmp_path, spec):
    lab = tmp_path / "lab"
    same = "Here was the old dog who saw many men."
    documents = [f"{text} {same}" for text in texts(3, 150)]
    spec = dataclasses.replace(spec, sources=(write(tmp_path / "same.jsonl", documents),))
    kept = built(lab, spec)
    manifest = built(lab, dataclasses.replace(spec, duplicates="exact"))
    units = {s: [u for d in read_units(corpus_folder(lab, manifest["fingerprint"]), s) for u in d] for s in
             ("test", "validation", "train")}  # fmt: skip
    everything = [u for of in units.values() for u in of]
    assert len(everything) == len(set(everything)) and same.lower() in units["test"]
    removed = manifest["duplicates"]["exact"]
    assert removed >= 149 and manifest["units_kept"] == kept["units_kept"] == len(everything) + removed
    assert manifest["duplicates"]["exact_by_split"]["test"] < removed


def test_near_duplicates_are_verified(tmp_path, spec):
    lab = tmp_path / "lab"
    rng = np.random.default_rng(5)
    words = [f"{a}{b}" for a in WORDS for b in "xyz"]
    base = [list(rng.choice(words, 40)) for _ in range(60)]
    changed = [[*unit[:39], "other"] for unit in base]  # 37 of 39 triples in common
    documents = [" ".join(unit) for unit in base + changed]
    spec = dataclasses.replace(spec, filter="none", unit="document", duplicates="near")
    manifest = built(lab, dataclasses.replace(spec, sources=(write(tmp_path / "near.jsonl", documents),)))
    assert manifest["duplicates"]["exact"] == 0 and manifest["duplicates"]["near"] == 60
    strict = dataclasses.replace(spec, near_share=1.0, sources=(str(tmp_path / "near.jsonl"),))
    assert built(lab, strict)["duplicates"]["near"] == 0


def test_triples():
    assert triples("The old dog, he ran") == {"the old dog", "old dog he", "dog he ran"}
    assert jaccard(triples("a b"), triples("A, b")) == 1.0


def test_weights_mix_the_kept_words(tmp_path, spec):
    manifest = built(tmp_path / "lab", dataclasses.replace(spec, weights=(3.0, 1.0)))
    one, two = manifest["splits"]["train"]["words_by_source"]
    assert one / two == pytest.approx(3, rel=0.15)
    assert manifest["splits"]["train"]["documents_beyond_mix"] > 50
    with pytest.raises(ConfigError, match="weights has 1 entries for 2 sources"):
        built(tmp_path / "lab", dataclasses.replace(spec, weights=(1.0,)))


def test_a_size_is_of_the_train_split(tmp_path, spec):
    whole = built(tmp_path / "lab", spec)["splits"]
    cut = built(tmp_path / "lab", dataclasses.replace(spec, train_words=2000))["splits"]
    assert 1800 <= cut["train"]["words"] <= 2000
    assert cut["validation"] == whole["validation"]


@given(st.lists(st.floats(0, 0.999999), min_size=1, max_size=200))
def test_second_places_are_in_range_and_of_the_place_alone(places):
    found = second_places(np.array(places))
    assert ((found >= 0) & (found < BINS)).all()
    assert (second_places(np.array(places[:1])) == found[:1]).all()


def test_thresholds_take_no_more_than_wanted_but_one_document():
    histogram = np.zeros((2, BINS), dtype=np.int64)
    histogram[0, [5, 9, 70]] = 10
    histogram[1, 100] = 50
    assert thresholds(histogram, [25.0, 3.0]).tolist() == [70, 101]
    assert wanted_words([100, 300], (1.0, 1.0), (), 0) == [100.0, 100.0]
    assert wanted_words([100, 300], (), (), 200) == [50.0, 150.0]
    assert wanted_words([100, 300], (), (), 0) is None


# ---------------------------------------------------------------- grown spans


def grown(text, words=frozenset(WORDS), **options):
    rule = Rule(unit="grown-span", **{"min_words": 3, "max_oov": 0.0, **options})
    return Filter(words, rule).keep([Document(text.encode())])[0]


def test_a_grown_span_starts_at_a_sentence_and_is_cut_before_the_word_that_exceeds():
    text = "The dog ran to his house. Then zebra sat down. The cat was here.\n\nMany men saw it here"
    assert grown(text) == ["the dog ran to his house.", "the cat was here. many men saw it here"]
    assert grown(text, max_oov=0.2)[0] == "the dog ran to his house. then"
    assert grown(text, min_words=30) == []


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*WORDS[:6], "Zyx", "The", "Cat.", "dog.", "qqq", "a"]), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.05, 0.25]),
    st.integers(1, 8),
)
def test_a_grown_span_holds_to_its_rule(surfaces, max_oov, min_words):
    vocabulary = frozenset(w.lower() for w in WORDS)
    text = " ".join(surfaces)
    spans = grown(text, vocabulary, max_oov=max_oov, min_words=min_words)
    rest = " ".join(surfaces).lower()
    for span in spans:
        words = [w for s in span.split() for w in normalise(s)]
        unknown = sum(w not in vocabulary for w in words)
        assert len(words) >= min_words and unknown <= max_oov * len(words) + 1e-9
        if max_oov == 0:
            assert unknown == 0
        assert span in rest
        rest = rest[rest.index(span) + len(span) :]  # in order, without overlap


@settings(deadline=None)
@given(st.permutations(range(8)), st.sampled_from(["sentence", "span", "grown-span", "document"]))
def test_what_is_kept_of_a_document_depends_on_it_alone(order, unit):
    documents = [Document(t.encode()) for t in texts(9, 8, [*WORDS, "zebra"])]
    rule = Rule(unit=unit, min_words=3, max_oov=0.05, span_words=6, span_stride=3)
    together = Filter(frozenset(WORDS), rule).keep([documents[i] for i in order])
    for i, kept in zip(order, together, strict=True):
        assert kept == Filter(frozenset(WORDS), rule).keep([documents[i]])[0]


# ---------------------------------------------------------------- looking at it


def test_statistics_and_card(tmp_path, spec):
    lab = tmp_path / "lab"
    (tmp_path / "words.txt").write_text("\n".join(WORDS[:-1]))
    spec = dataclasses.replace(spec, licences=("CC0", ""), duplicates="exact")
    manifest = built(lab, spec)
    found = corpus_statistics(lab, manifest["fingerprint"])
    assert sum(n for _, n in found["length_histogram"]) == manifest["splits"]["train"]["units"]
    assert corpus_statistics(lab, manifest["fingerprint"]) == found
    text = card(lab, manifest["fingerprint"])
    assert "CC0" in text and "not stated" in text and "**it**" in text and "it (" in text
    assert zipf_exponent(1e6 / np.arange(1, 500) ** 1.2) == pytest.approx(1.2)
    assert zipf_exponent(np.ones(3)) is None


def test_coverage_agrees_with_the_filter(tmp_path, spec):
    (tmp_path / "words.txt").write_text("\n".join(WORDS[:-3]))
    spec = dataclasses.replace(spec, min_words=4)
    vocabulary = load_vocabulary(spec.vocabulary)
    *_, (_, _, found) = coverage(spec, vocabulary)
    manifest = built(tmp_path / "lab", spec)
    assert [s.units_kept for s in found.sources] == [s["units_kept"] for s in manifest["sources"]]
    assert [s.units for s in found.sources] == [s["units_seen"] for s in manifest["sources"]]
    assert found.left_out == [tuple(p) for p in manifest["top_out_of_vocabulary"]]
    assert found.curve[-1][0] == len(vocabulary)
    assert found.curve[-1][1] == pytest.approx(manifest["units_kept"] / manifest["units_seen"])


# ---------------------------------------------------------------- tokenizers

UNITS = [u for t in texts(0, 300, [*WORDS, "kindness", "unkind", "teachers", "carefully"]) for u in [t.lower()]]


@pytest.mark.parametrize("kind", ["byte-bpe", "bpe", "wordpiece", "unigram"])
def test_every_kind_has_robertas_tokens_and_encodes_word_by_word(kind):
    size = {"byte-bpe": 300, "bpe": 60, "wordpiece": 70, "unigram": 50}[kind]
    tokenizer = train_tokenizer(UNITS, TokenizerSpec(kind=kind, vocab_size=size))
    assert [tokenizer.id_to_token(i) for i in range(5)] == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert tokenizer.encode("the dog").ids[0] == 0 and tokenizer.encode("the dog").ids[-1] == 2
    ids, _ = Encoder(tokenizer).encode(UNITS[:20])
    assert ids.tolist() == [i for u in UNITS[:20] for i in (*tokenizer.encode(u, add_special_tokens=False).ids, 2)]


def test_too_few_entries_for_the_bytes_are_refused():
    with pytest.raises(DataError, match="needs at least 261 entries"):
        train_tokenizer(UNITS, TokenizerSpec(vocab_size=100))


@pytest.mark.parametrize("kind", ["byte-bpe", "bpe"])
def test_a_larger_bpe_holds_the_smaller_one(kind):
    def trained(size):
        tokenizer, trainer = untrained(kind, size)
        tokenizer.train_from_iterator(UNITS, trainer)
        return tokenizer

    large = trained(330)
    cut, small = truncated(large, 290), trained(290)
    assert kind == "bpe" or cut.get_vocab_size() == 290
    assert cut.get_vocab() == small.get_vocab()
    assert [e.ids for e in cut.encode_batch(UNITS[:50])] == [e.ids for e in small.encode_batch(UNITS[:50])]


def test_the_built_in_words_are_made_of_their_parts():
    parts = read_word_parts()
    assert len(parts) >= 150
    assert all("".join(of) == word and len(of) >= 2 for word, of in parts.items())


def test_esms_counts_tokens_that_are_parts():
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(
        ["<unk>", "un", "##kind", "##ness", "dog", "c", "##a", "##t", "re", "##ad"])}, unk_token="<unk>"))  # fmt: skip
    parts = {"unkindness": ["un", "kind", "ness"], "dog": ["do", "g"], "cat": ["c", "at"], "read": ["re", "ading"]}
    assert esms(tokenizer, parts) == pytest.approx((3 + 0 + 0 + 1) / 9)


def test_measures_and_the_knee():
    tokenizer, trainer = untrained("byte-bpe", 600)
    tokenizer.train_from_iterator(UNITS, trainer)
    found = [measure(truncated(tokenizer, n), UNITS[:100], read_word_parts()) for n in (265, 280, 300, 330)]
    assert [m.vocab_size for m in found] == [265, 280, 300, 330]
    ratios = [m.word_split_ratio for m in found]
    assert ratios == sorted(ratios, reverse=True) and 0 < found[0].vocabulary_use <= 1
    straight = [dataclasses.replace(found[0], vocab_size=n, word_split_ratio=r) for n, r in
                ((100, 3.0), (200, 1.2), (300, 1.1), (400, 1.0))]  # fmt: skip
    best = knee(straight)
    assert best is not None and best.vocab_size == 200
    assert knee(straight[:2]) is None


def test_sizes():
    assert parse_sizes("1000,300") == [300, 1000]
    assert parse_sizes("1000:2000:500") == [1000, 1500, 2000]
    assert parse_sizes("1000:20000")[0] == 1000 and len(parse_sizes("1000:20000")) == 8
    for wrong in ("many", "1:2:3:4", "5", "0:10", "1000:2000:0"):
        with pytest.raises(ConfigError, match="sizes"):
            parse_sizes(wrong)
