"""Where a sentence ends: a rule on two neighbouring surfaces. sentence_starts.py applies it to bytes by the megabyte.

A sentence ends after a word in `.`, `!`, `?` or `…` (closing quotes and brackets may follow) if the next word starts
with a capital or a digit (opening quotes may precede); not after titles and other abbreviations that stand before a
name, nor after a single capital (an initial), `I` excepted. A blank line always ends one; a line end never does, so
that hard-wrapped paragraphs are whole. No rule is right about everything: `He came to the St. Then he left.` is one
sentence here.
"""

from __future__ import annotations

import re

CLOSING = "\"'\u201d\u2019)]}\u00bb*_"
_END = re.compile(rf"[.!?\u2026][{re.escape(CLOSING)}]*$")
OPENING = "\"'\u201c\u2018([{\u00ab*_`\u2014-"
_START = re.compile(rf"[{re.escape(OPENING)}]*(\w)")
_INITIAL = re.compile(r"[^\w]*[A-HJ-Z]\.$")
# fmt: off
ABBREVIATIONS = frozenset((
    "mr", "mrs", "ms", "messrs", "mme", "mlle", "dr", "prof", "rev", "hon", "st", "sr", "jr", "gen", "col",
    "capt", "lieut", "lt", "sgt", "maj", "gov", "pres", "sen", "rep", "supt", "no", "nos", "vol", "vols",
    "fig", "figs", "ch", "chap", "sec", "pp", "ed", "eds", "vs", "viz", "cf", "e.g", "i.e", "eg", "ie", "al"
))
# fmt: on


def can_end(surface: str) -> bool:
    """True if a sentence may end after this surface."""
    if surface[-1].isalnum() or not _END.search(surface):
        return False
    if surface[-1] != ".":
        return True
    stem = surface.rstrip(".").lstrip(OPENING)
    return stem.lower() not in ABBREVIATIONS and not _INITIAL.match(surface)


def can_start(surface: str) -> bool:
    """True if a sentence may start with this surface."""
    if surface[0].isalpha():
        return surface[0].isupper()
    match = _START.match(surface)
    return match is not None and (match.group(1).isupper() or match.group(1).isdigit())
