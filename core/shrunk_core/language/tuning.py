"""Which vocabulary size suits a language: tokenizers of many sizes, measured, and the knee.

Byte-BPE and BPE grow an entry at a time, so that the largest holds all smaller ones: one training (on all cores) gives
every size, the same as trained by itself. Of the other kinds all sizes are trained at once.

The rule: word-split ratio falls with the size, steeply at first. Sizes and ratios are each scaled to 0..1 between the
first and the last size; the knee is the size whose ratio lies furthest below the straight line between the two ends
(Satopaa et al. 2011, "Finding a kneedle in a haystack"). Beyond it an entry buys less than an average one.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.language_spec import TokenizerSpec
from ..errors import ConfigError, DataError
from .corpus import training_units
from .crew import cores
from .measures import Measures, measure, sample
from .tokenizer import train_tokenizer, untrained

if TYPE_CHECKING:
    from tokenizers import Tokenizer

STEPS = 8


def parse_sizes(text: str) -> list[int]:
    """`1000,2000,4000`; `1000:20000` (eight sizes in equal ratios); `1000:20000:1000` (from, to, step)."""
    try:
        parts = [int(p) for p in text.replace(":", ",").split(",")]
        if ":" not in text:
            sizes = parts
        elif len(parts) == 2:
            low, high = parts
            ratio = (high / low) ** (1 / (STEPS - 1))
            sizes = [_rounded(low * ratio**i) for i in range(STEPS - 1)] + [high]
        else:
            low, high, step = parts
            sizes = list(range(low, high + 1, step))
    except (ValueError, ZeroDivisionError, TypeError):
        raise ConfigError(f'sizes "{text}": write 1000:20000, 1000:20000:1000 or 1000,2000,4000') from None
    sizes = sorted(set(sizes))
    if not sizes or sizes[0] < 32 or sizes[-1] > 1_000_000:
        raise ConfigError(f'sizes "{text}": from 32 to 1,000,000 entries')
    return sizes


def _rounded(value: float) -> int:
    """Two significant digits."""
    scale = 10 ** max(0, math.floor(math.log10(value)) - 1)
    return round(value / scale) * scale


def tune(
    corpus: Path, num_units: int, spec: TokenizerSpec, sizes: Sequence[int], parts: Mapping[str, Sequence[str]]
) -> Iterator[Measures | DataError]:
    """Measures of a tokenizer of each size on the train units of a corpus folder, or why the text cannot fill it.

    num_units: train units of the corpus, of which SAMPLE, evenly spread, are measured.
    """
    text = sample(training_units(corpus, spec.train_megabytes), num_units)
    if spec.kind in ("wordpiece", "unigram"):

        def one(size: int) -> Measures | DataError:
            try:
                wanted = dataclasses.replace(spec, vocab_size=size)
                return measure(train_tokenizer(training_units(corpus, spec.train_megabytes), wanted), text, parts)
            except DataError as problem:
                return problem

        with ThreadPoolExecutor(cores()) as pool:
            yield from pool.map(one, sizes)
        return
    largest, trainer = untrained(spec.kind, max(sizes))
    largest.train_from_iterator(training_units(corpus, spec.train_megabytes), trainer)
    fewest = smallest(largest)
    most = largest.get_vocab_size()
    for size in sizes:
        if fewest <= size <= most:
            yield measure(truncated(largest, size), text, parts)
        else:
            yield DataError(f"{size} entries: this text fills {fewest} to {most} of kind {spec.kind}")


def smallest(tokenizer: Tokenizer) -> int:
    """Entries of a BPE before the first that was joined of others: special tokens and single characters or bytes."""
    model = json.loads(tokenizer.to_str())["model"]
    return len(model["vocab"]) - len({"".join(pair) for pair in model["merges"]})


def truncated(tokenizer: Tokenizer, size: int) -> Tokenizer:
    """The first `size` entries of a tokenizer that grew an entry at a time (byte-bpe, bpe)."""
    from tokenizers import Tokenizer as FromText

    plain = json.loads(tokenizer.to_str())
    model = plain["model"]
    model["vocab"] = {token: i for token, i in model["vocab"].items() if i < size}
    model["merges"] = [pair for pair in model["merges"] if "".join(pair) in model["vocab"]]
    return FromText.from_str(json.dumps(plain))


def knee(found: Sequence[Measures]) -> Measures | None:
    """The size that the rule above recommends; None of fewer than three sizes, or where the ratio does not fall."""
    ordered = sorted(found, key=lambda m: m.vocab_size)
    if len(ordered) < 3 or ordered[0].word_split_ratio <= ordered[-1].word_split_ratio:
        return None
    first, last = ordered[0], ordered[-1]

    def below(m: Measures) -> float:
        x = (m.vocab_size - first.vocab_size) / (last.vocab_size - first.vocab_size)
        y = (m.word_split_ratio - last.word_split_ratio) / (first.word_split_ratio - last.word_split_ratio)
        return 1 - x - y

    best = max(ordered, key=lambda m: (below(m), -m.vocab_size))
    return best if below(best) > 0 else None
