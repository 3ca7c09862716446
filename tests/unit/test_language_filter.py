"""What the filter keeps: units by rule, counts at each stage, properties that hold for any text."""

from hypothesis import given, settings
from hypothesis import strategies as st
from shrunk_core.language.filter import Filter, Rule
from shrunk_core.language.scan import Document
from shrunk_core.language.words import ALWAYS_KNOWN, normalise

WORDS = frozenset("the dog ran to his house and sat down dont whats old man was here he saw it".split())


def rule(unit="sentence", min_words=1, max_oov=0.0, span_words=5, span_stride=2):
    return Rule(unit=unit, min_words=min_words, max_oov=max_oov, span_words=span_words, span_stride=span_stride)


def kept(text, *, words: frozenset[str] | None = WORDS, ready=False, **options):
    return Filter(words, rule(**options)).keep([Document(text.encode(), ready)])[0]


def test_sentences_are_kept_in_lower_case_with_single_spaces():
    text = "The dog ran\nto his  house. The cat sat down! \u201cWhat\u2019s here?\u201d He saw it."
    assert kept(text) == ["the dog ran to his house.", "\u201cwhat\u2019s here?\u201d", "he saw it."]


def test_hard_wrapped_paragraphs_are_joined_and_a_blank_line_ends_a_sentence():
    assert kept("The old\nman\n \t\nsat down\r\n\r\n\r\nhere he was") == ["the old man", "sat down", "here he was"]


def test_abbreviations_do_not_end_a_sentence():
    assert kept("He saw Mr. Dog. He ran.", max_oov=0.5) == ["he saw mr. dog.", "he ran."]


def test_a_lower_cased_text_is_cut_at_every_end():
    assert kept("the dog ran. he sat down! was it here?") == ["the dog ran.", "he sat down!", "was it here?"]


def test_blank_lines_alone_end_ready_sentences():
    assert kept("He ran. He sat down:\n\nHe saw it.", ready=True) == ["he ran. he sat down:", "he saw it."]


def test_contractions_hyphens_numbers_and_links_are_no_strangers():
    assert len(kept("Don't ran. The old-man sat. He saw 3,000. He saw https://a.org here.")) == 4


def test_min_words_counts_words_not_letters_or_punctuation():
    assert kept("He saw a b -- . The dog ran.", min_words=3) == ["the dog ran."]


def test_max_oov_is_a_share_of_the_counted_words():
    text = "The dog ran to cat. The dog ran cat."
    assert kept(text, max_oov=0.2) == ["the dog ran to cat."]
    assert len(kept(text, max_oov=0.25)) == 2


def test_a_document_is_one_unit():
    assert kept("The dog ran.\n\nHe sat down.", unit="document") == ["the dog ran. he sat down."]


def test_spans_cover_a_document_to_its_end():
    words = [f"w{i}" for i in range(10)]
    spans = Filter(None, rule("span")).keep([Document(" ".join(words).encode())])[0]
    assert spans == [" ".join(words[i : i + 5]) for i in (0, 2, 4)] + ["w6 w7 w8 w9"]
    assert Filter(None, rule("span")).keep([Document(b"one two")]) == [["one two"]]


def test_without_a_vocabulary_everything_long_enough_is_kept():
    assert len(kept("Zyx wvu. Abc.", words=None, min_words=2)) == 1


def test_counts_and_unknown_words():
    sieve = Filter(WORDS, rule(min_words=2))
    sieve.keep([Document(b"The dog ran. The cat ran. Cat. I saw a cat."), Document(b"...")])
    counts = sieve.counts
    assert (counts.documents, counts.documents_kept) == (2, 1)
    assert (counts.units_seen, counts.units_short, counts.units_out_of_vocabulary, counts.units_kept) == (5, 2, 2, 1)
    assert (counts.words_seen, counts.words_kept) == (12, 3)
    assert (counts.counted_words, counts.counted_out_of_vocabulary) == (9, 3)
    assert sieve.top_unknown(5) == [("cat", 3)]


def test_forgetting_surfaces_changes_nothing(monkeypatch):
    texts = ["The dog ran. The cat sat.", "He saw it. The dog saw the cat.", "The cat ran. He sat down."] * 3
    whole = Filter(WORDS, rule())
    expected = [whole.keep([Document(t.encode())]) for t in texts]
    monkeypatch.setattr("shrunk_core.language.scan.LIMIT", 3)
    small = Filter(WORDS, rule())
    assert [small.keep([Document(t.encode())]) for t in texts] == expected
    assert small.top_unknown(3) == whole.top_unknown(3)


TEXTS = st.lists(
    st.sampled_from(
        [
            *sorted(WORDS),
            "Dog",
            "The",
            "cat",
            "Zebra",
            "sat.",
            "He",
            "ran!",
            "Mr.",
            "12",
            "\n\n",
            "\n",
            "-",
            "x",
            "\u201cIt",
        ]
    ),
    max_size=40,
).map(" ".join)
UNITS = st.sampled_from(["sentence", "span", "document"])


@settings(deadline=None)
@given(TEXTS | st.text(max_size=60), UNITS)
def test_a_kept_unit_has_no_unknown_word(text, unit):
    for item in Filter(WORDS, rule(unit)).keep([Document(text.encode())])[0]:
        words = [w for surface in item.split() for w in normalise(surface)]
        assert words and set(words) <= WORDS | ALWAYS_KNOWN
        assert item == " ".join(item.split())


@settings(deadline=None)
@given(st.lists(TEXTS | st.text(max_size=30), max_size=6), st.randoms(use_true_random=False), UNITS)
def test_what_is_kept_of_a_document_depends_on_it_alone(texts, random, unit):
    documents = [Document(t.encode()) for t in texts]
    alone = {d.data: Filter(WORDS, rule(unit)).keep([d])[0] for d in documents}
    random.shuffle(documents)
    sieve = Filter(WORDS, rule(unit))
    assert [alone[d.data] for d in documents] == sieve.keep(documents)
    assert sieve.counts.units_kept == sum(len(alone[d.data]) for d in documents)
