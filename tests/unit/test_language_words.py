"""Normalisation of words and the rule for ends of sentences."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.language.lexicon import Lexicon
from shrunk_core.language.sentences import can_end, can_start, sentence_flags
from shrunk_core.language.words import LINK, NUMBER, Normalisation, entry_words, normalise, simple_words


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


def test_a_lexicon_numbers_surfaces_in_order_and_tells_the_new_ones():
    seen = []
    lexicon = Lexicon(seen.append)
    assert lexicon.numbers("The dog The .".split()).tolist() == [0, 1, 0, 2]
    assert lexicon.numbers(["dog", "cat"]).tolist() == [1, 3]
    assert seen == [["The", "dog", "."], ["cat"]]


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


SURFACES = st.text(st.sampled_from("aBz'\u2019-\u2014.,!?1:/\u00e9\u0301\u201c\ufffd"), min_size=1, max_size=8)


@given(st.lists(SURFACES, min_size=1, max_size=30), st.booleans(), st.booleans())
def test_many_surfaces_at_once_are_the_same_as_one_by_one(surfaces, lower, join):
    how = Normalisation(lower_case=lower, join_apostrophes=join)
    array = pa.array(surfaces, pa.large_string())
    simple, words = simple_words(array, how)
    for surface, plain, word in zip(surfaces, simple.to_pylist(), words.to_pylist(), strict=True):
        if plain:
            assert normalise(surface, how) == ((word,) if len(word) > 1 else ())
    assert sentence_flags(surfaces, array).tolist() == [can_end(s) + 2 * can_start(s) for s in surfaces]
