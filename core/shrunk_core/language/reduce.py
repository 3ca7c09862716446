"""One reduced language: count the vocabulary if it is to be counted, filter every document, leave out what repeats or
goes beyond the mix, write the splits. On all cores, with the same bytes as on one; continued after an interruption."""

from __future__ import annotations

import bisect
import dataclasses
import hashlib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..config.language_spec import CorpusSpec
from ..errors import DataError
from ..record.events import Event
from .batches import batches
from .crew import crew_map
from .draft import Draft
from .filter import EXAMPLES, FilterCounts, most_frequent
from .finish import finish
from .machine_code import COMPILING, is_compiled
from .pace import Pace
from .shrinker import Shrinker, Shrunk, WordCounter
from .source import Source, Tally
from .sources import Reading
from .split import SPLITS, require_documents
from .vocabulary import Vocabulary, load_vocabulary, needs_sources, top_list, top_words
from .words import Normalisation

_SAVE_SECONDS = 10.0
"""At most so much work is lost by an interruption."""

_MOST_WORDS = 3_000_000
"""Distinct words counted at once (about 400 MB); then those met only once so far are forgotten."""

_TOP_UNKNOWN = 100
_FEW = 32
"""Smallest places of documents remembered, for advice on shares."""

Progress = Callable[..., Iterator[Event]]


@dataclasses.dataclass
class _Tallies:
    """Everything that is counted on the way; what `state.json` holds of it is enough to go on."""

    counts: FilterCounts
    sources: list[dict[str, int]]
    read: list[Tally]
    unknown: Counter[str]
    places: list[float]
    kept: list[str]
    dropped: list[str]

    @classmethod
    def of(cls, state: dict[str, Any] | None, sources: int) -> _Tallies:
        if state is None:
            nothing = [{"units_seen": 0, "units_kept": 0} for _ in range(sources)]
            return cls(FilterCounts(), nothing, [Tally() for _ in range(sources)], Counter(), [], [], [])
        return cls(
            FilterCounts(**state["counts"]),
            state["sources"],
            [Tally(**tally) for tally in state["read"]],
            Counter(state["unknown"]),
            state["places"],
            state["kept"],
            state["dropped"],
        )

    def plain(self) -> dict[str, Any]:
        counts, read = dataclasses.asdict(self.counts), [dataclasses.asdict(tally) for tally in self.read]
        return {**vars(self), "counts": counts, "read": read, "unknown": dict(self.unknown)}

    def add(self, source: int, shrunk: Shrunk) -> None:
        self.counts.add(shrunk.counts)
        self.read[source] += shrunk.tally
        self.sources[source]["units_seen"] += shrunk.counts.units_seen
        self.sources[source]["units_kept"] += shrunk.counts.units_kept
        shrunk.unknown.add_to(self.unknown)
        _forget_rare(self.unknown)
        for rows in shrunk.documents.values():
            for at in rows["place"].tolist():
                if len(self.places) < _FEW or at < self.places[-1]:
                    bisect.insort(self.places, at)
                    del self.places[_FEW:]
        self.kept = _examples(self.kept + shrunk.kept)
        self.dropped = _examples(self.dropped + shrunk.dropped)


def _forget_rare(counts: Counter[str]) -> None:
    if len(counts) > _MOST_WORDS:
        for word in [w for w, n in counts.items() if n == 1]:
            del counts[word]


def _examples(texts: list[str]) -> list[str]:
    """Some of the texts, by their hash: as good as drawn, and always the same."""
    return sorted(set(texts), key=lambda t: hashlib.blake2b(t.encode(), digest_size=8).digest())[:EXAMPLES]


def reduce_language(
    folder: Path,
    corpus: CorpusSpec,
    sources: tuple[Source, ...],
    progress: Progress,
    processes: int,
    pattern: Sequence[int] = (),
) -> Generator[Event, None, dict[str, Any]]:
    """Write the splits' kept units and the vocabulary into `folder`; returns what the manifest says about them.

    folder: new, or what an interrupted call left of the same recipe and sources. pattern: train words of each source that
    a control should have. A control writes its train split only.
    """
    columns = ("words",)
    if corpus.duplicates != "keep":
        columns += ("hashes",)
    if corpus.duplicates == "near":
        columns += ("bands",)
    draft = Draft(folder, columns)
    state = draft.begin()
    try:
        vocabulary: Vocabulary | None = None
        if corpus.filter == "vocabulary":
            vocabulary = yield from _vocabulary(folder, corpus, sources, progress, processes, state)
        tallies = _Tallies.of(state, len(sources))
        words = vocabulary.words if vocabulary else None
        reading = Reading(corpus, sources)
        done = (state["source"], state["batches"]) if state else (0, 0)
        yield from _filter(draft, corpus, words, reading, tallies, done, progress, processes)
    finally:
        draft.close()
    unknown = most_frequent(tallies.unknown, _TOP_UNKNOWN)
    try:
        _require_units(corpus, tallies.counts, unknown)
        splits = ("train",) if corpus.evaluation_from else SPLITS
        finished = yield from finish(draft, corpus, pattern, splits, progress)
        if not corpus.evaluation_from:
            require_documents(corpus, {s: finished["splits"][s]["documents"] for s in SPLITS}, tallies.places)
    except DataError:
        _empty(folder)
        raise
    draft.remove()
    return {
        "sources": [
            {
                "source": source.name,
                "kind": source.kind,
                "entry": source.entry,
                "licence": corpus.licences[source.entry] if source.entry < len(corpus.licences) else "",
                "bytes": size,
                "documents": tally.documents,
                "empty_documents": tally.empty,
                "replaced_characters": tally.replaced_characters,
                **tallies.sources[i],
            }
            for i, (source, size, tally) in enumerate(zip(sources, reading.sizes, tallies.read, strict=True))
        ],
        "vocabulary": {
            "origin": vocabulary.origin if vocabulary else "",
            "words": len(vocabulary) if vocabulary else 0,
            "notes": list(vocabulary.notes) if vocabulary else [],
        },
        **dataclasses.asdict(tallies.counts),
        "replaced_characters": sum(t.replaced_characters for t in tallies.read),
        **finished,
        "top_out_of_vocabulary": [list(pair) for pair in unknown],
        "examples": {"kept": tallies.kept, "dropped": tallies.dropped},
        "resumed": state is not None,
    }


def _empty(folder: Path) -> None:
    """Nothing to continue is left of a corpus that was refused."""
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def _vocabulary(
    folder: Path,
    corpus: CorpusSpec,
    sources: tuple[Source, ...],
    progress: Progress,
    processes: int,
    state: dict[str, Any] | None,
) -> Generator[Event, None, Vocabulary]:
    """The words that are allowed; of `top:N` as counted before the interruption, if there was one."""
    path = folder / "vocabulary.txt"
    n = needs_sources(corpus.vocabulary)
    if n and state is not None:
        return top_list(path.read_text(encoding="utf-8").splitlines(), n)
    if n:
        counts: Counter[str] = Counter()
        reading = Reading(corpus, sources)
        pace = Pace(reading.total_bytes)
        yield from _compiling("vocabulary", progress, pace.total)
        for batch, (found, size) in crew_map(WordCounter, (corpus,), batches(reading), processes):
            found.add_to(counts)
            _forget_rare(counts)
            pace.add(size)
            yield from progress("vocabulary", batch.position, pace.total, message=pace.message(batch.position))
        vocabulary = top_words(counts, n)
    else:
        vocabulary = load_vocabulary(corpus.vocabulary, Normalisation.of(corpus))
    path.write_text("\n".join(sorted(vocabulary.words)) + "\n", encoding="utf-8")
    return vocabulary


def _compiling(stage: str, progress: Progress, total: int) -> Iterator[Event]:
    if not is_compiled():
        yield from progress(stage, 0, total, message=COMPILING, always=True)


def _filter(
    draft: Draft,
    corpus: CorpusSpec,
    words: frozenset[str] | None,
    reading: Reading,
    tallies: _Tallies,
    done: tuple[int, int],
    progress: Progress,
    processes: int,
) -> Iterator[Event]:
    """Filter what the draft does not have yet. done: a source, and how many of its batches, after those before it, it has."""
    pace = Pace(reading.total_bytes)
    source, behind = done

    def save() -> float:
        draft.save({"source": source, "batches": behind, **tallies.plain()})
        return time.monotonic()

    saved = save()
    yield from _compiling("filter", progress, pace.total)
    rest = itertools.islice(batches(reading, source), behind, None)
    for batch, shrunk in crew_map(Shrinker, (corpus, words), rest, processes):
        if batch.source != source:
            source, behind = batch.source, 0
        draft.write(shrunk)
        tallies.add(source, shrunk)
        behind += 1
        if time.monotonic() - saved >= _SAVE_SECONDS:
            saved = save()
        pace.add(shrunk.size)
        share = tallies.counts.units_kept / max(1, tallies.counts.units_seen)
        message = f"{pace.message(batch.position)}, {share:.1%} kept"
        yield from progress("filter", batch.position, pace.total, message=message)


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
        lost.append(f"{counts.units_short} have fewer than min_words = {corpus.fewest_words} counted words")
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
