"""Where a sentence ends: a rule on two neighbouring words, fast enough for a hundred gigabytes.

A sentence ends after a word in `.`, `!`, `?` or `…` (closing quotes and brackets may follow) if the next word starts
with a capital or a digit (opening quotes may precede); not after titles and other abbreviations that stand before a
name, nor after a single capital (an initial), `I` excepted. A blank line always ends one; a line end never does, so
that hard-wrapped paragraphs are whole. No rule is right about everything: `He came to the St. Then he left.` is one
sentence here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

_CLOSING = "\"'\u201d\u2019)\\]}\u00bb*_"
_END = re.compile(rf"[.!?\u2026][{_CLOSING}]*$")
_START = re.compile(r"[\"'\u201c\u2018(\[{\u00ab*_`\u2014\-]*(\w)")
_INITIAL = re.compile(r"[^\w]*[A-HJ-Z]\.$")
_OPENING = "\"'\u201c\u2018([{\u00ab*_`\u2014-"
# fmt: off
_ABBREVIATIONS = frozenset((
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
    stem = surface.rstrip(".").lstrip(_OPENING)
    return stem.lower() not in _ABBREVIATIONS and not _INITIAL.match(surface)


def can_start(surface: str) -> bool:
    """True if a sentence may start with this surface."""
    if surface[0].isalpha():
        return surface[0].isupper()
    match = _START.match(surface)
    return match is not None and (match.group(1).isupper() or match.group(1).isdigit())


def sentence_flags(surfaces: list[str], array: pa.Array) -> np.ndarray:
    """uint8 [n] of n surfaces, given as a list and as an Arrow array: 1 if `can_end`, plus 2 if `can_start`."""
    import pyarrow.compute as pc

    def matching(pattern: str) -> np.ndarray:
        options = pc.MatchSubstringOptions(pattern)
        return pc.call_function("match_substring_regex", [array], options).to_numpy(zero_copy_only=False)

    flags = np.where(matching("^[A-Z]"), 2, 0).astype(np.uint8)
    for i in np.flatnonzero(matching("^[^A-Za-z]")).tolist():
        flags[i] = 2 * can_start(surfaces[i])
    for i in np.flatnonzero(matching(f"[.!?\u2026][{_CLOSING}]*$")).tolist():
        flags[i] += can_end(surfaces[i])
    return flags
