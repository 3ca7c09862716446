"""Minimal pairs from a file: two sentences that differ in one point, one of them good."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.cell import TaskSpec
from ..config.spec import RUN_ID_LENGTH, canonical_json
from ..errors import DataError
from .vocabulary_filter import counted_words

GOOD, BAD = "sentence_good", "sentence_bad"
_UID = ("uid", "UID")
_PHENOMENON = ("phenomenon", "linguistics_term")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Parallel lists. uid: the paradigm a pair belongs to; phenomenon: what the paradigm is about."""

    good: list[str]
    bad: list[str]
    uid: list[str]
    phenomenon: list[str]

    def __len__(self) -> int:
        return len(self.good)

    @property
    def fingerprint(self) -> str:
        """12 hex digits of SHA-256 over all of it, in order."""
        body = canonical_json([self.good, self.bad, self.uid, self.phenomenon])
        return hashlib.sha256(body.encode()).hexdigest()[:RUN_ID_LENGTH]


def read_pairs(path: Path) -> Pairs:
    """Pairs of a Parquet, JSON lines or CSV file with BLiMP's columns: `sentence_good`, `sentence_bad`, and `uid` (or
    `UID`) and `phenomenon` (or `linguistics_term`) where it has them. DataError names the row that is wrong.
    """
    pairs = Pairs([], [], [], [])
    for number, row in enumerate(_rows(path), start=1):
        for name in (GOOD, BAD):
            value = row.get(name)
            if not isinstance(value, str) or not value.strip():
                what = "is empty" if name in row else f"is missing; there is {', '.join(row)}"
                raise DataError(f"{path} row {number}: `{name}` {what}")
        uid = next((row[name] for name in _UID if row.get(name)), path.stem)
        pairs.good.append(row[GOOD])
        pairs.bad.append(row[BAD])
        pairs.uid.append(str(uid))
        pairs.phenomenon.append(str(next((row[name] for name in _PHENOMENON if row.get(name)), uid)))
    if not pairs.good:
        raise DataError(f"{path} holds no pairs")
    return pairs


def pairs_task(path: Path) -> TaskSpec:
    """What a file of pairs is called as a task."""
    return TaskSpec(name=path.stem, fields=(GOOD, BAD), labels=("bad", "good"), splits=("pairs",), average=False)


def filter_pairs(pairs: Pairs, vocabulary: frozenset[str]) -> Pairs:
    """The pairs both of whose sentences have known words only, by the same rule as tasks."""
    kept = [
        i
        for i in range(len(pairs))
        if all(w in vocabulary for s in (pairs.good[i], pairs.bad[i]) for w in counted_words(s))
    ]
    return Pairs(*([column[i] for i in kept] for column in (pairs.good, pairs.bad, pairs.uid, pairs.phenomenon)))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        match path.suffix.lower():
            case ".parquet":
                import pyarrow.parquet as pq

                yield from pq.read_table(path).to_pylist()
            case ".csv":
                with open(path, encoding="utf-8", newline="") as file:
                    yield from csv.DictReader(file)
            case ".jsonl" | ".json":
                with open(path, encoding="utf-8") as file:
                    for line in file:
                        if line.strip():
                            yield json.loads(line)
            case _:
                raise DataError(f"{path}: minimal pairs are read from .parquet, .jsonl or .csv")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except (OSError, ValueError) as problem:
        raise DataError(f"{path} cannot be read: {problem}") from None
