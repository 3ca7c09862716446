"""One reduced language: count the vocabulary if it is to be counted, filter every document, write the kept units."""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from ..config.language_spec import CorpusSpec
from ..errors import DataError
from ..record.events import Event
from .filter import Document, Filter, FilterCounts, Rule
from .readers import Source
from .sources import Reading
from .split import SPLITS, place, require_documents, split_at
from .vocabulary import Vocabulary, load_vocabulary, needs_sources, top_words
from .words import Lexicon

_BATCH = 4_000_000
"""Characters of text filtered at once."""

_LEXICON_LIMIT = 1_000_000
_TOP_UNKNOWN = 100
_FEW = 32
"""Smallest places of documents remembered, for advice on shares."""

Progress = Callable[..., Iterator[Event]]


def reduce_language(
    folder: Path, corpus: CorpusSpec, sources: tuple[Source, ...], progress: Progress
) -> Generator[Event, None, dict[str, Any]]:
    """Write the splits' kept units and the vocabulary into `folder`; returns what the manifest says about them."""
    vocabulary: Vocabulary | None = None
    if corpus.filter == "vocabulary":
        n = needs_sources(corpus.vocabulary)
        if n:
            counts = yield from _count_words(corpus, sources, progress)
            vocabulary = top_words(counts, n)
        else:
            vocabulary = load_vocabulary(corpus.vocabulary)
        (folder / "vocabulary.txt").write_text("\n".join(sorted(vocabulary.words)) + "\n", encoding="utf-8")
    sieve = Filter(vocabulary.words if vocabulary else None, Rule.of(corpus))
    reading = Reading(corpus, sources)
    splits = {split: {"documents": 0, "units": 0, "words": 0} for split in SPLITS}
    places: list[float] = []
    by_source = [{"units_seen": 0, "units_kept": 0} for _ in sources]
    total = reading.total_bytes
    with contextlib.ExitStack() as stack:
        files = {s: stack.enter_context(open(folder / f"{s}.txt", "w", encoding="utf-8", newline="\n")) for s in SPLITS}
        for source, batch in batches(reading):
            seen = sieve.counts.units_seen
            for document, units in zip(batch, sieve.keep(batch), strict=True):
                if not units:
                    continue
                at = place(document.text)
                split = split_at(at, corpus)
                bisect.insort(places, at)
                del places[_FEW:]
                files[split].write("\n".join(units) + "\n\n")
                counts_of = splits[split]
                counts_of["documents"] += 1
                counts_of["units"] += len(units)
                counts_of["words"] += sum(unit.count(" ") + 1 for unit in units)
                by_source[source]["units_kept"] += len(units)
            by_source[source]["units_seen"] += sieve.counts.units_seen - seen
            yield from progress("filter", reading.done_bytes, total)
    counts = sieve.counts
    unknown = sieve.top_unknown(_TOP_UNKNOWN)
    _require_units(corpus, counts, unknown)
    require_documents(corpus, {s: splits[s]["documents"] for s in SPLITS}, places)
    return {
        "sources": [
            {
                "source": source.name,
                "kind": source.kind,
                "bytes": tally.size,
                "documents": tally.documents,
                "empty_documents": tally.empty,
                "replaced_characters": tally.replaced_characters,
                **by_source[i],
            }
            for i, (source, tally) in enumerate(zip(sources, reading.tallies, strict=True))
        ],
        "vocabulary": {
            "origin": vocabulary.origin if vocabulary else "",
            "words": len(vocabulary) if vocabulary else 0,
            "notes": list(vocabulary.notes) if vocabulary else [],
        },
        **dataclasses.asdict(counts),
        "replaced_characters": sum(t.replaced_characters for t in reading.tallies),
        "splits": splits,
        "top_out_of_vocabulary": [list(pair) for pair in unknown],
    }


def batches(reading: Reading) -> Iterator[tuple[int, list[Document]]]:
    """Documents by the megabyte, never of two sources, with the number of their source."""
    batch: list[Document] = []
    size = 0
    source = 0
    for document in reading:
        now = len(reading.tallies) - 1
        if batch and (now != source or size >= _BATCH):
            yield source, batch
            batch, size = [], 0
        source = now
        batch.append(document)
        size += len(document.text)
    if batch:
        yield source, batch


def _count_words(
    corpus: CorpusSpec, sources: tuple[Source, ...], progress: Progress
) -> Generator[Event, None, Counter[str]]:
    """Occurrences of every word in the train documents. Held-out documents have no say in the vocabulary."""
    total: Counter[str] = Counter()
    lexicon = Lexicon()
    reading = Reading(corpus, sources)
    size = reading.total_bytes
    for _, batch in batches(reading):
        texts = [d.text for d in batch if split_at(place(d.text), corpus) == "train"]
        lexicon.count(lexicon.scan(texts).numbers)
        if len(lexicon) > _LEXICON_LIMIT:
            total += lexicon.word_counts()
            lexicon = Lexicon()
        yield from progress("vocabulary", reading.done_bytes, size)
    return total + lexicon.word_counts()


def _require_units(corpus: CorpusSpec, counts: FilterCounts, unknown: list[tuple[str, int]]) -> None:
    """Refuse a corpus of one document, and one of which nothing is left, with what would change that."""
    if counts.documents == 0:
        raise DataError(f"no text in {', '.join(corpus.sources)}: every document is blank")
    if counts.documents == 1:
        raise DataError(
            "the corpus is one document, and splits are made of documents, so nothing could be held out. Cut it finer "
            '(`document = "paragraph"`: blank-line blocks) or name more files.'
        )
    if counts.units_kept:
        return
    lost = []
    if counts.units_short:
        lost.append(f"{counts.units_short} have fewer than min_words = {corpus.min_words} counted words")
    if counts.units_out_of_vocabulary:
        words = ", ".join(w for w, _ in unknown[:8])
        lost.append(
            f"{counts.units_out_of_vocabulary} have more than max_oov = {corpus.max_oov:g} of their words outside the "
            f"vocabulary {corpus.vocabulary} (most often: {words})"
        )
    raise DataError(
        f"nothing is left of the corpus: of {counts.units_seen} units ({corpus.unit}) {' and '.join(lost)}. "
        "Take a larger vocabulary, a larger max_oov, a smaller unit, or a smaller min_words."
    )
