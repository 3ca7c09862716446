"""The words of a reduced language: a list of one's own, or the most frequent words of the sources or of a language."""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from .words import ALWAYS_KNOWN, THE_PAPERS, Normalisation, entry_words

_TOP = re.compile(r"top:(\d+)")
_WORDFREQ = re.compile(r"wordfreq:([a-z]{2,3}(?:-[A-Za-z]+)?):(\d+)")
_FORMS = "a word list (one a line), a CSV with a `word` column, `top:N`, or `wordfreq:en:N`"


@dataclass(frozen=True)
class Vocabulary:
    """Normalised words. `origin` is what was asked for; `notes` say what the list needed, for the manifest.

    ordered: the words in the order of the list, which for lists of frequencies is the order of frequency.
    """

    words: frozenset[str]
    origin: str
    notes: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.words)


def needs_sources(vocabulary: str) -> int:
    """N of `top:N`, whose words are counted in the sources; 0 for the other forms."""
    match = _TOP.fullmatch(vocabulary)
    if match and int(match.group(1)) < 1:
        raise DataError(f'vocabulary = "{vocabulary}": N must be at least 1')
    return int(match.group(1)) if match else 0


def load_vocabulary(vocabulary: str, how: Normalisation = THE_PAPERS) -> Vocabulary:
    """The words of a file or of `wordfreq:LANGUAGE:N`. For `top:N` see `top_words`.

    Entries are normalised as text is: lower case, apostrophes deleted, a hyphenated entry stands for its parts.
    Duplicates and blank lines are tolerated and noted; a list without words is refused.
    """
    assert not needs_sources(vocabulary)
    match = _WORDFREQ.fullmatch(vocabulary)
    if match:
        return _of_entries(_wordfreq(match.group(1), int(match.group(2)), vocabulary), vocabulary, [], how)
    return _of_file(_path(vocabulary), vocabulary, how)


def top_words(counts: Counter[str], n: int) -> Vocabulary:
    """The n most frequent words, ties by spelling. Numbers and links are in every vocabulary and take no place."""
    words = sorted((w for w in counts if w not in ALWAYS_KNOWN), key=lambda w: (-counts[w], w))
    return top_list(words[:n], n)


def top_list(words: list[str], n: int) -> Vocabulary:
    """`top:n` of words that were counted and cut before."""
    notes = () if len(words) >= n else (f"the train documents have only {len(words)} distinct words",)
    return Vocabulary(frozenset(words), f"top:{n}", notes, tuple(words))


def vocabulary_digest(vocabulary: str) -> str:
    """What stands for a vocabulary in a fingerprint: a file's content, never its path; else its name and version."""
    if needs_sources(vocabulary):
        return vocabulary
    if _WORDFREQ.fullmatch(vocabulary):
        return f"{vocabulary}@{importlib.metadata.version('wordfreq')}"
    path = _path(vocabulary)
    return f"{'csv' if _is_csv(path) else 'list'}:{hashlib.sha256(_bytes(path)).hexdigest()}"


def _path(vocabulary: str) -> Path:
    path = Path(vocabulary).expanduser()
    if path.is_file():
        return path
    from .sources import nearest_files

    if re.match(r"(top|wordfreq)\b", vocabulary) and not path.parent.name:
        raise DataError(f'vocabulary = "{vocabulary}" is not understood. It can be {_FORMS}.')
    raise DataError(f'vocabulary = "{vocabulary}": there is no such file{nearest_files(path)}. It can be {_FORMS}.')


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise DataError(f"cannot read the vocabulary {path}: {problem.strerror}") from problem


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _of_file(path: Path, origin: str, how: Normalisation) -> Vocabulary:
    data = _bytes(path)
    notes = []
    text = data.decode("utf-8-sig", errors="replace")
    broken = sum("\ufffd" in line for line in text.splitlines())
    if broken:
        notes.append(f"{broken} entries hold characters that are not UTF-8; they match no intact word")
    if not _is_csv(path):
        return _of_entries(text.splitlines(), origin, notes, how)
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = list(reader.fieldnames or ())
    column = next((c for c in columns if c.strip().lower() == "word"), None)
    if column is None:
        raise DataError(f"{path} has no column `word`; it has {', '.join(repr(c) for c in columns) or 'none'}")
    return _of_entries((row[column] or "" for row in reader), origin, notes, how)


def _of_entries(entries: Iterable[str], origin: str, notes: list[str], how: Normalisation) -> Vocabulary:
    words: dict[str, None] = {}
    blank = repeated = 0
    for entry in entries:
        parts = entry_words(entry, how)
        if not parts:
            blank += 1
        elif all(part in words for part in parts):
            repeated += 1
        words.update(dict.fromkeys(parts))
    if not words:
        raise DataError(f'vocabulary = "{origin}" holds no words. It can be {_FORMS}.')
    if blank:
        notes.append(f"{blank} entries without a word were skipped")
    if repeated:
        notes.append(f"{repeated} entries repeat words that were there already")
    return Vocabulary(frozenset(words), origin, tuple(notes), tuple(words))


def _wordfreq(language: str, n: int, origin: str) -> list[str]:
    import wordfreq

    if language not in wordfreq.available_languages():
        raise DataError(f'vocabulary = "{origin}": wordfreq knows {", ".join(sorted(wordfreq.available_languages()))}')
    return wordfreq.top_n_list(language, n)
