"""Normalisation of words and the rule for ends of sentences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.language.byte_classes import ByteClasses
from shrunk_core.language.lexicon import Lexicon, Text
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


def white_space_alone():
    return Lexicon(ByteClasses(None), lambda first, plain: None)


def test_a_lexicon_numbers_forms_in_order_and_tells_the_new_ones():
    told = []
    lexicon = Lexicon(ByteClasses(None), lambda first, plain: told.append((first, plain.tolist())), ("reserved",))
    assert lexicon.scan(Text.of([b"The dog The . " + b"x" * 40])).numbers.tolist() == [1, 2, 1, 3, 4]
    assert lexicon.scan(Text.of([b"dog cat"])).numbers.tolist() == [2, 5]
    assert lexicon.scan(Text.of([b"dog", b"", b"cat I"])).first.tolist() == [0, 1, 1, 3]
    assert told == [(1, [True, True, False, True]), (5, [True]), (6, [False])]
    assert lexicon.names == ["reserved", "The", "dog", ".", "x" * 40, "cat", "I"]


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=30), st.integers(0, 3))
def test_forms_of_white_space_alone_are_what_split_gives(texts, repeat):
    lexicon = white_space_alone()
    texts = texts * repeat
    scan = lexicon.scan(Text.of(t.encode() for t in texts))
    assert [lexicon.names[n] for n in scan.numbers] == " ".join(texts).replace("\0", " ").split()


def test_a_lexicon_of_thousands_of_forms_tells_them_all_apart():
    rng = np.random.default_rng(0)
    forms = ["".join(map(chr, rng.integers(97, 123, rng.integers(1, 45)))) for _ in range(20_000)]
    forms.append("y" * 3_000_000)
    lexicon = white_space_alone()
    text = Text.of([" ".join(forms).encode()])
    for _ in range(2):
        assert [lexicon.names[n] for n in lexicon.scan(text).numbers] == forms
    assert len(lexicon) == len(set(forms))


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
