"""How well a tokenizer suits a language: the paper's two numbers, and four that go with them.

- word-split ratio: mean tokens of a word, each word (what stands between two spaces) tokenised alone; lower is better.
- sentence-split ratio: mean over units of tokens by words, each unit tokenised whole.
- mean length: mean tokens of a unit.
- ESMS, exact sub-token matching score: over words with known parts, the number of tokens that are one of the word's
  parts, by the number of all parts; a word that stays whole or falls into single characters scores 0. Higher is better.
- vocabulary use: share of the entries, special ones aside, that occur at all.
- bytes per token: UTF-8 bytes of the units by their tokens.
"""

from __future__ import annotations

import importlib.resources
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError
from .packing import NUM_SPECIAL

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SAMPLE = 20_000
"""Units measured, evenly spread over the text."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """The numbers above of one tokenizer, with the units, words and listed words that they are over."""

    vocab_size: int
    word_split_ratio: float
    sentence_split_ratio: float
    mean_length: float
    esms: float
    vocabulary_use: float
    bytes_per_token: float
    num_units: int
    num_words: int
    num_listed: int


def measure(tokenizer: Tokenizer, units: Sequence[str], parts: Mapping[str, Sequence[str]]) -> Measures:
    """Measure a tokenizer on units of text (at least one) and on words with their parts."""
    if not units:
        raise DataError("a tokenizer is measured on text, and there is none")
    encoded = [e.ids for e in tokenizer.encode_batch(list(units), add_special_tokens=False)]
    lengths = [len(ids) for ids in encoded]
    words = Counter(itertools.chain.from_iterable(unit.split() for unit in units))
    alone = tokenizer.encode_batch(list(words), add_special_tokens=False)
    num_words = words.total()
    split = sum(len(e.ids) * n for e, n in zip(alone, words.values(), strict=True))
    used = set(itertools.chain.from_iterable(encoded)) - set(range(NUM_SPECIAL))
    size = tokenizer.get_vocab_size()
    return Measures(
        vocab_size=size,
        word_split_ratio=split / num_words,
        sentence_split_ratio=sum(n / len(u.split()) for n, u in zip(lengths, units, strict=True)) / len(units),
        mean_length=sum(lengths) / len(units),
        esms=esms(tokenizer, parts),
        vocabulary_use=len(used) / (size - NUM_SPECIAL),
        bytes_per_token=sum(len(u.encode()) for u in units) / sum(lengths),
        num_units=len(units),
        num_words=num_words,
        num_listed=len(parts),
    )


def esms(tokenizer: Tokenizer, parts: Mapping[str, Sequence[str]]) -> float:
    """The exact sub-token matching score over a list of words with their parts, 0 to 1."""
    total = sum(len(p) for p in parts.values())
    return sum(_score(pieces(tokenizer, word), set(of)) for word, of in parts.items()) / total


def _score(found: list[str], parts: set[str]) -> int:
    if len(found) < 2 or all(len(piece) == 1 for piece in found):
        return 0
    return sum(piece in parts for piece in found)


def pieces(tokenizer: Tokenizer, word: str) -> list[str]:
    """The tokens of a word as they are spelled, without marks of word starts and continuations."""
    marks = ("\u0120", "\u2581", "##")
    found = []
    for token in tokenizer.encode(word, add_special_tokens=False).tokens:
        for mark in marks:
            token = token.removeprefix(mark)
        if token:
            found.append(token)
    return found


def read_word_parts(path: Path | None = None) -> dict[str, list[str]]:
    """Words with their parts: a word, then its parts, a line; `#` begins a remark. Without a path the built-in list."""
    if path is None:
        text = importlib.resources.files("shrunk_core.language").joinpath("word_parts.txt").read_text(encoding="utf-8")
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise DataError(f"cannot read the word parts {path}: {problem}") from problem
    found: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if len(words) == 1:
            raise DataError(f"{path}, line {number}: `{words[0]}` has no parts; write the word, then its parts")
        if words:
            found[words[0]] = words[1:]
    if not found:
        raise DataError(f"{path} names no words; write a word, then its parts, a line")
    return found


def sample(units: Iterable[str], total: int, most: int = SAMPLE) -> list[str]:
    """At most `most` of `total` units, evenly spread."""
    step = max(1, -(-total // most))
    return list(itertools.islice(units, 0, None, step))
