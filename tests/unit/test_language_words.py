"""Normalisation of words and the rule for ends of sentences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.language.byte_classes import ByteClasses
from shrunk_core.language.lexicon import Lexicon
from shrunk_core.language.scan import framed
from shrunk_core.language.sentences import can_end, can_start
from shrunk_core.language.words import LINK, NUMBER, Normalisation, entry_words, normalise


@pytest.mark.parametrize(
    ("surface", "words"),
    [
        ("Hello,", ("hello",)),
        ("well-known", ("well", "known")),
        ("yes\u2014no", ("yes", "no")),
        ("don't", ("dont",)),
        ("don\u2019t", ("dont",)),
        ("\u201cWhat\u2019s", ("whats",)),
        ("'tis", ("tis",)),
        ("I", ()),
        ("--", ()),
        ("U.S.", ()),
        ("_never_", ("never",)),
        ("end.Start", ("end", "start")),
        ("12", (NUMBER,)),
        ("3,000.50", (NUMBER,)),
        ("10:30", (NUMBER,)),
        ("1950s.", (NUMBER,)),
        ("3rd", (NUMBER,)),
        ("10-20", (NUMBER, NUMBER)),
        ("$5", (NUMBER,)),
        ("mp3", ("mp3",)),
        ("https://example.org/a-b?c=1", (LINK,)),
        ("(www.example.org)", (LINK,)),
        ("Na\u00efve", ("na\u00efve",)),
        ("cafe\u0301", ("caf\u00e9",)),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", ("\u0939\u093f\u0928\u094d\u0926\u0940",)),
        ("t\ufffdged", ("t\ufffdged",)),
    ],
)
def test_normalise(surface, words):
    assert normalise(surface) == words


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("TRUE", ("true",)),
        ("it's", ("its",)),
        ("T-shirt", ("t", "shirt")),
        ("a", ("a",)),
        ("  ", ()),
        ("\ufffdves", ("\ufffdves",)),
    ],
)
def test_an_entry_of_a_list_stands_for_its_words(entry, words):
    assert entry_words(entry) == words


@pytest.mark.parametrize("surface", ["home.", "home!", "home?\u201d", "(home.)", "home...", "I.", "1905.", "'Tom.'"])
def test_a_sentence_may_end_after(surface):
    assert can_end(surface)


@pytest.mark.parametrize("surface", ["home", "home,", "Mr.", "\u201cMrs.", "Dr.", "St.", "J.", "e.g.", "3.5", "home;"])
def test_no_sentence_ends_after(surface):
    assert not can_end(surface)


@pytest.mark.parametrize(
    ("surface", "may"),
    [("He", True), ("\u201cHe", True), ("'He", True), ("12", True), ("he", False), ("\u201che", False), ("--", False)],
)
def test_a_sentence_may_start_with(surface, may):
    assert can_start(surface) is may


def test_a_lexicon_numbers_forms_in_order_and_tells_the_new_ones():
    seen = []
    lexicon = Lexicon(lambda new: seen.append(sorted(new)))
    classes = ByteClasses(None)

    def numbers(text):
        return lexicon.scan(classes.of(framed([text]))[0]).numbers.tolist()

    first = numbers(b"The dog The . " + b"x" * 40)
    assert first[0] == first[2] and len(set(first)) == 4
    assert numbers(b"dog cat") == [first[1], 4]
    assert sorted(sum(seen, [])) == sorted([b"The", b"dog", b".", b"x" * 40, b"cat"])


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=30), st.integers(0, 3))
def test_forms_of_white_space_alone_are_what_split_gives(texts, repeat):
    lexicon = Lexicon(lambda new: met.extend(new))
    met = []
    texts = texts * repeat
    scan = lexicon.scan(ByteClasses(None).of(framed(t.encode() for t in texts))[0])
    assert [met[n].decode() for n in scan.numbers] == " ".join(texts).replace("\0", " ").split()


def test_a_lexicon_of_thousands_of_forms_tells_them_all_apart():
    rng = np.random.default_rng(0)
    forms = ["".join(map(chr, rng.integers(97, 123, rng.integers(1, 45)))) for _ in range(20_000)]
    met = []
    lexicon = Lexicon(met.extend)
    classes = ByteClasses(None).of(framed([" ".join(forms).encode()]))[0]
    for _ in range(2):
        assert [met[n].decode() for n in lexicon.scan(classes).numbers] == forms
    assert len(met) == len(lexicon) == len(set(forms))


@pytest.mark.parametrize(
    ("switch", "surface", "words"),
    [
        ("lower_case", "Hello,", ("Hello",)),
        ("split_hyphens", "Well-known--", ("well-known",)),
        ("join_apostrophes", "don\u2019t", ("don",)),
        ("numbers_known", "3rd", ("3rd",)),
        ("links_known", "www.example.org", ("www", "example", "org")),
        ("skip_letters", "I", ("i",)),
        ("skip_punctuation", "Hello,", ("hello", ",")),
    ],
)
def test_each_piece_of_the_normalisation_can_be_switched_off(switch, surface, words):
    assert normalise(surface, Normalisation(**{switch: False})) == words
    assert normalise(surface) != words
