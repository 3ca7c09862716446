"""Probes that need no download: tasks made from the run's own held-out documents.

An example is a held-out unit as it was, or corrupted in one way that only knowledge of the language reveals; half are.
Everything follows from the text alone (a hash of each unit and document), so that all runs on one corpus have the same
probe, and so has tomorrow's. Validation and test documents are used, which no run was trained on.

Another probe is one more entry in PROBES: a name, what a corrupted unit is called, and a function that corrupts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..config.cell import TaskSpec
from ..config.spec import RunSpec
from ..errors import ConfigError, DataError
from ..language.corpus import corpus_folder
from ..language.tokens import read_units
from .rows import TRAIN, Rows, TaskRows

PROBE = "probe"
"""The `source` of a probe's rows."""

HELD_OUT = "held-out"
"""The scored split of a probe."""

SCORED_SHARE = 0.3
"""Share of the held-out documents that are scored on; the others are fine-tuned on."""

MOST_TRAIN, MOST_SCORED = 20_000, 4_000
WORDS = (4, 28)
"""Fewest and most words of a unit; the most as in Conneau et al. 2018, the fewest one below theirs."""

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


def probe_rows(lab: Path, run: RunSpec, task: TaskSpec) -> TaskRows:
    """The rows of a probe on a run's corpus. DataError when the corpus is not built or too small."""
    folder = corpus_folder(lab, run.corpus_fingerprint)
    try:
        documents = [units for split in ("validation", "test") for units in read_units(folder, split)]
    except FileNotFoundError:
        raise DataError(f"no corpus in {folder}: `shrunk run` builds it") from None
    parts: dict[str, list[str]] = {TRAIN: [], HELD_OUT: []}
    for units in documents:
        scored = _hash("document " + "\n".join(units)) / 2**64 < SCORED_SHARE
        parts[HELD_OUT if scored else TRAIN] += [u for u in units if WORDS[0] <= u.count(" ") + 1 <= WORDS[1]]
    seen_in_training = set(parts[TRAIN])
    parts[HELD_OUT] = [unit for unit in parts[HELD_OUT] if unit not in seen_in_training]
    splits = {
        split: _examples(task.name, units, most)
        for (split, units), most in zip(parts.items(), (MOST_TRAIN, MOST_SCORED), strict=True)
    }
    return TaskRows(task, splits)


def _examples(name: str, units: list[str], most: int) -> Rows:
    """The first `most` distinct units in the order of their hashes; every second one that can be is corrupted."""
    chosen = sorted(set(units), key=lambda unit: (_hash(f"{name} {unit}"), unit))[:most]
    any_words = [word for unit in chosen for word in unit.split() if word.isalpha()]
    texts, labels = [], []
    for unit in chosen:
        random = np.random.Generator(np.random.Philox(key=_hash(f"{name} change {unit}")))
        changed = PROBES[name].corrupt(unit.split(), random, any_words) if any_words else None
        if changed is None:
            continue
        label = len(labels) % 2
        texts.append(" ".join(changed) if label else unit)
        labels.append(label)
    return Rows((texts,), np.array(labels, dtype=np.int64))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
