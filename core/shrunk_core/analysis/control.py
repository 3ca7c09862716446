"""A reduced language against its unconstrained control, at equal shape and compute, on the same held-out text.

Losses of the two are over different tokenizers, so they are not compared as they are. Two numbers can be: loss minus that
of a unigram model of the same tokens (what the model adds to word frequencies), and nats per word, the loss a token times
the scored tokens a word (the same text has the same words whatever cuts it).
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ..store.control_rows import ControlledRun


@dataclass(frozen=True, kw_only=True)
class Side:
    """Runs of one shape on one corpus: means over seeds, and the standard deviation between seeds (None of one run)."""

    runs: tuple[str, ...]
    above_unigram: float
    above_unigram_sd: float | None
    nats_per_word: float
    nats_per_word_sd: float | None
    flops: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One shape on both corpora. Differences are reduced minus control: below 0 the reduced language did better."""

    name: str
    corpus: str
    control: str
    shape: tuple[int | float | str | bool, ...]
    reduced: Side
    unconstrained: Side

    @property
    def above_unigram_difference(self) -> float:
        return self.reduced.above_unigram - self.unconstrained.above_unigram

    @property
    def nats_per_word_difference(self) -> float:
        return self.reduced.nats_per_word - self.unconstrained.nats_per_word


def nats_per_word(run: ControlledRun) -> float:
    """Loss a scored token times scored tokens a word; the `</s>` of each unit is never scored."""
    return run.loss * (run.tokens - run.units) / run.words


def compare_with_control(runs: Iterable[ControlledRun]) -> list[Comparison]:
    """Every shape that was trained both on a reduced corpus and on a control of it, in order of compute."""
    sides: dict[tuple[str, tuple[object, ...]], list[ControlledRun]] = defaultdict(list)
    for run in runs:
        sides[run.corpus, run.shape].append(run)
    found = []
    for (corpus, shape), control in sides.items():
        reduced = sides.get((control[0].control_of, shape), [])
        if control[0].control_of and reduced:
            found.append(
                Comparison(
                    name=reduced[0].name,
                    corpus=reduced[0].corpus,
                    control=corpus,
                    shape=control[0].shape,
                    reduced=_side(reduced),
                    unconstrained=_side(control),
                )
            )
    return sorted(found, key=lambda c: (c.reduced.flops, c.corpus, c.control, c.name))


def _side(runs: list[ControlledRun]) -> Side:
    above = [run.loss - run.unigram_loss for run in runs]
    nats = [nats_per_word(run) for run in runs]
    return Side(
        runs=tuple(run.run_id for run in runs),
        above_unigram=statistics.mean(above),
        above_unigram_sd=statistics.stdev(above) if len(above) > 1 else None,
        nats_per_word=statistics.mean(nats),
        nats_per_word_sd=statistics.stdev(nats) if len(nats) > 1 else None,
        flops=statistics.mean(run.flops for run in runs),
    )
