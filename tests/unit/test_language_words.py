"""Normalisation of words and the rule for ends of sentences."""

import pytest
from shrunk_core.language.sentences import can_end, can_start
from shrunk_core.language.words import LINK, NUMBER, Lexicon, entry_words, normalise


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


def test_a_lexicon_counts_words_over_their_spellings():
    lexicon = Lexicon()
    lexicon.count(lexicon.numbers("The dog, the well-known dog . 3 dogs".split()))
    lexicon.count(lexicon.numbers(["THE"]))
    assert lexicon.word_counts() == {"the": 3, "dog": 2, "well": 1, "known": 1, "dogs": 1, NUMBER: 1}
