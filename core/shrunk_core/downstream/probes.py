"""Probes that need no download: tasks made from the run's own corpus.

An example is a unit of the language as it was, or corrupted in one way that only knowledge of the language reveals; half
are. A unit is cut to the first words that fit in the rows the run was pre-trained on, so that the corrupted place is never
cut off later. Everything follows from the text alone (a hash of each unit), so that all runs on one corpus with one
tokenizer and row length have the same probe, and so has tomorrow's.

What is scored comes from held-out documents (validation and test), which no run was trained on. Fine-tuning uses training
documents: a small corpus holds out far too little to learn from. Pre-training has read those, intact; what it may remember
of them is of no use on the scored ones, so that a gain is understated by it and never overstated.

Another probe is one more entry in PROBES: a name, what a corrupted unit is called, and a function that corrupts.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..config.cell import TaskSpec
from ..config.spec import RunSpec
from ..errors import ConfigError, DataError
from ..language.corpus import corpus_folder
from ..language.tokenizer import Encoder, load_tokenizer, tokenizer_folder
from ..language.tokens import read_units
from .rows import TRAIN, Rows, TaskRows

PROBE = "probe"
"""The `source` of a probe's rows."""

HELD_OUT = "held-out"
"""The scored split of a probe."""

MOST_TRAIN, MOST_SCORED = 20_000, 4_000
WORDS = (4, 28)
"""Fewest and most words of an example; the most as in Conneau et al. 2018, the fewest one below theirs."""

Corrupt = Callable[[list[str], np.random.Generator, list[str]], list[str] | None]


@dataclass(frozen=True)
class Probe:
    """corrupt(words, random, any_words): the words changed in one place, or None if the unit allows no change.

    any_words: words of the probed units, as often as they occur. source: where the probe is from.
    """

    corrupted: str
    source: str
    corrupt: Corrupt


def _swap(words: list[str], random: np.random.Generator, _: list[str]) -> list[str] | None:
    """Two neighbouring words in each other's place. Words with punctuation stay: a moved full stop would tell."""
    places = [
        i for i in range(len(words) - 1) if words[i].isalpha() and words[i + 1].isalpha() and words[i] != words[i + 1]
    ]
    if not places:
        return None
    i = places[random.integers(len(places))]
    return [*words[:i], words[i + 1], words[i], *words[i + 2 :]]


def _replace(words: list[str], random: np.random.Generator, any_words: list[str]) -> list[str] | None:
    """One word in the place of another of the same language, drawn by frequency."""
    places = [i for i, word in enumerate(words) if word.isalpha()]
    if not places:
        return None
    i = places[random.integers(len(places))]
    other = any_words[random.integers(len(any_words))]
    return None if other == words[i] else [*words[:i], other, *words[i + 1 :]]


PROBES: dict[str, Probe] = {
    "bigram-shift": Probe("shifted", "Conneau et al. 2018, BShift", _swap),
    "odd-word": Probe("replaced", "after Conneau et al. 2018, SOMO, with any word of the language", _replace),
}


def probe_task(name: str) -> TaskSpec:
    """The task of a probe."""
    if name not in PROBES:
        raise ConfigError(f"no probe `{name}`; there are {', '.join(PROBES)}")
    labels = ("intact", PROBES[name].corrupted)
    return TaskSpec(name=name, fields=("sentence",), labels=labels, splits=(HELD_OUT,), average=False)


def probe_language(run: RunSpec) -> str:
    """What the rows of a probe depend on: runs that agree in this have the same ones."""
    return f"{run.corpus_fingerprint} {run.tokenizer_fingerprint} {run.train.sequence_length}"


def probe_rows(lab: Path, run: RunSpec, task: TaskSpec) -> TaskRows:
    """The rows of a probe on a run's corpus. DataError when the corpus or tokenizer is not built, or too small."""
    folder = corpus_folder(lab, run.corpus_fingerprint)
    tokenizer = tokenizer_folder(lab, run.tokenizer_fingerprint)
    if not (folder / "train.txt").is_file() or not (tokenizer / "tokenizer.json").is_file():
        raise DataError(f"no corpus in {folder} or no tokenizer in {tokenizer}: `shrunk run` builds both")
    room = _Room(Encoder(load_tokenizer(tokenizer)), run.train.sequence_length - 2)  # without `<s>` and `</s>`
    scored = _lowest(task.name, itertools.chain(_units(folder, "validation"), _units(folder, "test")), MOST_SCORED)
    known = set(scored)  # a sentence that training documents hold too would tell of memory
    known &= {unit for unit in _units(folder, TRAIN) if unit in known}
    trained = _lowest(task.name, _units(folder, TRAIN), MOST_TRAIN + len(known))
    return TaskRows(
        task,
        {
            TRAIN: _examples(task.name, [u for u in trained if u not in known][:MOST_TRAIN], room),
            HELD_OUT: _examples(task.name, [u for u in scored if u not in known], room),
        },
    )


def _units(folder: Path, split: str) -> Iterator[str]:
    return itertools.chain.from_iterable(read_units(folder, split))


def _lowest(name: str, units: Iterable[str], most: int) -> list[str]:
    """The `most` distinct units with the lowest hashes, in the order of these; in one pass, however many there are."""
    kept: set[tuple[int, str]] = set()
    limit = 2**64
    for unit in units:
        if (at := _hash(f"{name} {unit}")) < limit:
            kept.add((at, unit))
            if len(kept) > 2 * most:
                kept = set(sorted(kept)[:most])
                limit = max(kept)[0]
    return [unit for _, unit in sorted(kept)[:most]]


class _Room:
    """How many tokens words take, in any order, and which of them fit in `room`."""

    def __init__(self, encoder: Encoder, room: int) -> None:
        self.encoder, self.room = encoder, room
        self._sizes: dict[str, int] = {}

    def learn(self, words: Iterable[str]) -> None:
        """Measure these words. At the start of a text a word may have other tokens than inside: the more count."""
        new = sorted(set(words) - self._sizes.keys())
        _, first = self.encoder.encode(new)  # both with `</s>`
        _, twice = self.encoder.encode([f"{word} {word}" for word in new])
        self._sizes.update(zip(new, np.maximum(first - 1, twice - first).tolist(), strict=True))

    def fitting(self, words: list[str]) -> int:
        """How many of the words fit, from the first."""
        return sum(size <= self.room for size in itertools.accumulate(self._sizes[word] for word in words))


def _examples(name: str, units: list[str], room: _Room) -> Rows:
    """An example of each unit's first words, if they are enough and can be corrupted; every second one is."""
    parts = [unit.split()[: WORDS[1]] for unit in units]
    room.learn(itertools.chain.from_iterable(parts))
    parts = [part[:n] for part in parts if (n := room.fitting(part)) >= WORDS[0]]
    any_words = [word for part in parts for word in part if word.isalpha()]
    texts, labels = [], []
    for text in dict.fromkeys(" ".join(part) for part in parts):
        words = text.split()
        random = np.random.Generator(np.random.Philox(key=_hash(f"{name} change {text}")))
        changed = PROBES[name].corrupt(words, random, any_words) if any_words else None
        if changed is None or room.fitting(changed) < len(words):
            continue
        label = len(labels) % 2
        texts.append(" ".join(changed) if label else text)
        labels.append(label)
    return Rows((texts,), np.array(labels, dtype=np.int64))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
