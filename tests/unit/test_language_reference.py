"""The filter on bytes against the same rules spelled out in plain Python, unit by unit, for any text and every switch."""

import dataclasses
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shrunk_core.language.filter import Filter, Rule
from shrunk_core.language.scan import Document
from shrunk_core.language.sentences import can_end, can_start
from shrunk_core.language.words import ALWAYS_KNOWN, Normalisation, normalise

WORDS = frozenset("the dog ran to his don dont whats old man caf\u00e9 he said well known www t s Dog it".split())
SWITCHES = [f.name for f in dataclasses.fields(Normalisation)]


def units_of(document, rule):
    """The surfaces of each unit of one text."""
    text = document.data.decode().replace("\0", " ")
    if rule.unit == "document":
        return [text.split()] if text.split() else []
    if rule.unit == "span":
        words = text.split()
        count = max(1, 1 + -(-(len(words) - rule.span_words) // rule.span_stride)) if words else 0
        return [words[i * rule.span_stride : i * rule.span_stride + rule.span_words] for i in range(count)]
    units = []
    lower = text.islower()
    for block in re.split(r"\n[ \t\r\f\v]*\n\s*", text):
        unit = []
        for surface in block.split():
            if unit and not document.ready and can_end(unit[-1]) and (lower or can_start(surface)):
                units.append(unit)
                unit = []
            unit.append(surface)
        units += [unit] if unit else []
    return units


def plain_filter(document, words, rule):
    kept, unknown = [], []
    for unit in units_of(document, rule):
        counted = [w for surface in unit for w in normalise(surface, rule.how)]
        strange = [w for w in counted if w not in words | ALWAYS_KNOWN]
        unknown += strange
        if len(counted) >= rule.min_words and len(strange) <= rule.max_oov * len(counted):
            kept.append(" ".join(unit).lower() if rule.lower_case else " ".join(unit))
    return kept, unknown


PIECES = st.sampled_from(
    [
        *sorted(WORDS),
        "The",
        "Zyx",
        "unheard-of",
        "Dog.",
        "man!",
        "ran?\u201d",
        "\u201cHe",
        "'He",
        "Mr.",
        "J.",
        "I.",
        "e.g.",
        "end.Start",
        "12",
        "3,000.50",
        "1.2.3",
        "3rd",
        "3.",
        "mp3",
        "10:30am",
        "caf\u00e9.",
        "\u00c9t\u00e9",
        "caf\u00e9.\u2019",
        "5\u2032",
        "na\u00efve\u2014it",
        "\u2026",
        "man\u2026",
        "...",
        "--",
        "* * *",
        "_the_",
        "don\u2019t",
        "\u2018don't\u2019",
        "it'",
        "'",
        "\u2019s",
        "www.a.org",
        "WWW.b.",
        "(https://x.y/z?a=1)",
        "a://b.",
        "www",
        "www.",
        "://",
        "x/y",
        "/",
        "well\u2010known",
        "-old-",
        "antidisestablishmentarianism",
        "a-very-long-word-of-more-than-thirty-two-bytes",
        "\u0434\u043e\u043c.",
        "\u0414\u043e\u043c",
        "\u3002",
        "\ufffd",
        "\n\n",
        "\n",
        "\r\n \t\r\n",
        "\n\u00a0\n",
        "\u00a0",
        "\u3000",
        "\t",
        "   ",
        "\x01",
        "\x1c",
        "\0",
        "\u0301",
        "\u00a8\u0301",
    ]
)
TEXT = st.lists(PIECES | st.text(st.characters(codec="utf-8"), max_size=3), max_size=25).flatmap(
    lambda parts: st.sampled_from(["", " ", " "]).map(lambda between: between.join(parts))
)


@settings(deadline=None, max_examples=300)
@given(
    texts=st.lists(st.tuples(TEXT, st.booleans()), max_size=4),
    unit=st.sampled_from(["sentence", "sentence", "span", "document"]),
    off=st.sets(st.sampled_from(SWITCHES), max_size=2),
    min_words=st.integers(0, 3),
    max_oov=st.sampled_from([0.0, 0.0, 0.34]),
)
@example([("DogDog://://", False)], "sentence", set(), 2, 0.0)
def test_the_filter_keeps_what_the_rules_say(texts, unit, off, min_words, max_oov):
    documents = [Document(text.encode(), ready) for text, ready in texts]
    how = Normalisation(**dict.fromkeys(off, False))
    rule = Rule(unit=unit, min_words=min_words, max_oov=max_oov, span_words=4, span_stride=3, lower_case=False, how=how)
    sieve = Filter(WORDS, rule)
    expected = [plain_filter(d, WORDS, rule) for d in documents]
    assert sieve.keep(documents) == [kept for kept, _ in expected]
    unknown = sorted(w for _, words in expected for w in words)
    if unit != "span":
        assert sorted(sieve.unknown.elements()) == unknown


@pytest.mark.parametrize("size", [1, 300, 10_000_000])
def test_where_texts_are_cut_for_speed_changes_nothing(monkeypatch, size):
    text = "The dog ran to \u201cDr. Old\u201d. He said: don\u2019t! \u00c9t\u00e9 at www.a.org.\n\n* * *\r\n\r\n"
    text = (text + "Whats 3,000.50? Known well.\n") * 40
    documents = [Document(text.encode()), Document(b""), Document(text.lower().encode()), Document(text.encode(), True)]
    monkeypatch.setattr("shrunk_core.language.scan.BLOCK", size)
    for unit in ("sentence", "span", "document"):
        rule = Rule(unit=unit, min_words=1, max_oov=0.4, lower_case=False)
        assert Filter(WORDS, rule).keep(documents) == [plain_filter(d, WORDS, rule)[0] for d in documents]
