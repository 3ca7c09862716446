"""Which tokens begin a word, told from how a tokenizer spells them: for masks over whole words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..errors import DataError

SPACES = ("Ġ", "▁")
"""How byte-level BPE and unigram tokenizers write the space before a word."""


def word_starts(tokenizer: Path) -> np.ndarray:
    """bool [V] for the tokenizer in a folder: True where a token begins a word.

    Byte-level and unigram tokenizers mark beginnings, WordPiece marks continuations (`##`). DataError for one that marks
    neither, whose words nobody can tell.
    """
    file = tokenizer / "tokenizer.json"
    try:
        vocabulary = json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"]
    except (OSError, ValueError, KeyError) as problem:
        raise DataError(f"{file} cannot be read: {problem!r}") from None
    ids = vocabulary if isinstance(vocabulary, dict) else {entry[0]: i for i, entry in enumerate(vocabulary)}
    if any(token.startswith(SPACES) for token in ids):
        begins = {i for token, i in ids.items() if token.startswith(SPACES)}
    elif any(token.startswith("##") for token in ids):
        begins = {i for token, i in ids.items() if not token.startswith("##")}
    else:
        raise DataError(f'{file} marks no beginnings of words; masking = "80/10/10" needs none')
    starts = np.zeros(max(ids.values()) + 1, dtype=bool)
    starts[list(begins)] = True
    return starts
