"""Reduced languages of real corpora, with the numbers they gave when the rules were written.

Skipped where the shared data are absent. A change of these numbers is a change of the language: raise `RULES` in
corpus.py with it.
"""

import pytest
from shrunk_core.config.language_spec import CorpusSpec, TokenizerSpec
from shrunk_core.language.batches import batches
from shrunk_core.language.corpus import build_corpus, read_manifest
from shrunk_core.language.filter import Filter, Rule
from shrunk_core.language.sources import Reading, resolve
from shrunk_core.language.vocabulary import load_vocabulary
from shrunk_core.record.events import CorpusProgress


def test_the_papers_vocabulary_loads_whole(shared_data):
    vocabulary = load_vocabulary(str(shared_data / "vocabulary/AOChildes_word_frequency.csv"))
    assert len(vocabulary) == 21_037
    assert {"true", "false", "whats", "dont", "i"} <= vocabulary.words
    assert vocabulary.notes == ("4 entries hold characters that are not UTF-8; they match no intact word",)


@pytest.mark.parametrize(("name", "size"), [("dale_chall_new_1995.txt", 2942), ("ogden_basic_english_850.txt", 850)])
def test_word_lists_load(shared_data, name, size):
    vocabulary = load_vocabulary(str(shared_data / "vocabulary" / name))
    assert abs(len(vocabulary) - size) <= 0.02 * size


def test_stories_in_the_papers_words(shared_data, tmp_path):
    spec = CorpusSpec(
        sources=(str(shared_data / "corpora/stories_cc_by.jsonl"),),
        vocabulary=str(shared_data / "vocabulary/AOChildes_word_frequency.csv"),
    )
    events = build_corpus(tmp_path, spec, TokenizerSpec(vocab_size=2000))
    corpus, tokenizer = (e for e in events if not isinstance(e, CorpusProgress))
    assert corpus.documents == 707  # of 711 stories 4 are blank
    assert (corpus.units_seen, corpus.units_kept, corpus.words_seen, corpus.words_kept) == (
        24_632,
        9_492,
        249_443,
        106_897,
    )
    assert tokenizer.vocab_size == 2000
    assert read_manifest(tmp_path, corpus.fingerprint)["replaced_characters"] == 0


@pytest.mark.slow
def test_kept_share_of_childrens_books(shared_data):
    """38.7 % of all sentences have the paper's words only; 33.2 % of those of six words and more are kept."""
    spec = CorpusSpec(sources=(str(shared_data / "corpora/pg_children.parquet"),))
    words = load_vocabulary(str(shared_data / "vocabulary/AOChildes_word_frequency.csv")).words
    six, any_length = (Filter(words, Rule(unit="sentence", min_words=n, max_oov=0.0)) for n in (6, 1))
    for batch in batches(Reading(spec, resolve(spec))):
        documents, _ = batch.read()
        six.keep(documents)
        any_length.keep(documents)
    counts = any_length.counts
    assert (counts.documents, counts.words_seen, counts.units_seen) == (522, 30_303_147, 1_828_596)
    assert (counts.units_short, counts.units_kept) == (3_581, 706_286)
    assert (six.counts.units_short, six.counts.units_kept) == (323_789, 498_923)
