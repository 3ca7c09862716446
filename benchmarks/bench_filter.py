"""Filtering, against the paper's method, and on two processes against one.

    python benchmarks/bench_filter.py [--data ../shared/data] [--sentences 20000]
        [--only baseline|spans|throughput|processes|whole|memory]

baseline, spans: the paper's method as we understand it, re-implemented: sentences found word by word in Python as NLTK's
    Punkt does (by our rules for ends, so that kept units can be compared; NLTK itself is not a dependency), or spans cut
    by list slices; each unit normalised; one scikit-learn CountVectorizer document-term matrix a book; units with a
    column outside the vocabulary dropped. One process each, interleaved, median and spread of the rounds.
throughput: our filter alone on the whole corpus, by unit.
processes: the whole corpus with one and with two processes, byte-identical.
whole: filter, near-duplicates, tokenizer, tokens, packing of the whole corpus on all cores.
memory: peak memory of all processes together on a corpus made up on the fly (--gigabytes, by default 5).

Run it on a quiet machine. CPU seconds are given beside wall seconds because other work disturbs them less.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import re
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from shrunk_core.config.language_spec import CorpusSpec, TokenizerSpec
from shrunk_core.language.batches import batches
from shrunk_core.language.corpus import build_corpus, build_language, corpus_folder, open_tokens, read_manifest
from shrunk_core.language.filter import Filter, FilterCounts, Kept, Rule
from shrunk_core.language.packing import pack
from shrunk_core.language.scan import Document
from shrunk_core.language.sentences import can_end, can_start
from shrunk_core.language.sources import Reading, resolve
from shrunk_core.language.vocabulary import load_vocabulary
from shrunk_core.language.words import normalise
from shrunk_core.record.events import CorpusBuilt, Event, TokenizerBuilt

ROUNDS = 5


def papers_method(texts: list[str], words: frozenset[str], unit: str, min_words: int) -> list[str]:
    """Kept units: cut each text, normalise each unit, one document-term matrix a text, drop what has other columns."""
    from sklearn.feature_extraction.text import CountVectorizer

    known = words | {"#NUMBER", "#HLINK"}
    kept = []
    for text in texts:
        units = punkt_style(text) if unit == "sentence" else spans_of(text, 110, 30)
        if not units:
            continue
        # The rules for words are ours on both sides (numbers, links, apostrophes), so that the kept sets must agree.
        plain = [" ".join(w for s in u.split() for w in normalise(s)) for u in units]
        counter = CountVectorizer(token_pattern=r"\S+", lowercase=False)
        try:
            matrix: Any = counter.fit_transform(plain)
        except ValueError:  # no words at all
            continue
        outside = np.array([name not in known for name in counter.get_feature_names_out()])
        totals = np.asarray(matrix.sum(axis=1)).ravel()
        unknown = np.asarray(matrix[:, outside].sum(axis=1)).ravel()
        keep = (totals >= min_words) & (unknown == 0)
        kept += [u.lower() for u, k in zip(units, keep, strict=True) if k]
    return kept


def punkt_style(text: str) -> list[str]:
    """Sentences as NLTK's Punkt finds them, word by word in Python, but by our rules for ends (so that they agree)."""
    out = []
    for part in re.split(r"\n[ \t\r\f\v]*\n\s*", text):
        sentence: list[str] = []
        for surface in part.split():
            if sentence and can_start(surface) and can_end(sentence[-1]):
                out.append(" ".join(sentence))
                sentence = []
            sentence.append(surface)
        if sentence:
            out.append(" ".join(sentence))
    return out


def spans_of(text: str, words: int, stride: int) -> list[str]:
    """Windows of words, the obvious way, until the end is covered."""
    split = text.split()
    count = max(1, 1 + -(-(len(split) - words) // stride)) if split else 0
    return [" ".join(split[i * stride : i * stride + words]) for i in range(count)]


def timed(function, *arguments):
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return result, time.perf_counter() - wall, time.process_time() - cpu


def baseline(data: Path, sentences: int, unit: str) -> dict:
    """Both on the same books, from what a reader gives (`str` to theirs, bytes to ours) to kept units and counts, as a build
    takes them (`str` from theirs, bytes, a unit a line, from ours); ours also goes on to
    the whole corpus, in the same round, because it gains from what it has seen. Ratios are of MB a CPU second in one
    process each; libraries are loaded before the clock starts."""
    spec = CorpusSpec(sources=(str(data / "corpora/pg_children.parquet"),), unit=unit)
    words = load_vocabulary(str(data / "vocabulary/AOChildes_word_frequency.csv")).words
    rule = Rule.of(spec)
    papers_method(["Load what loads late."], words, unit, 1)
    Filter(words, rule).apply([Document(b"Load what loads late.")])
    books = [d.data for d in Reading(spec, resolve(spec))]
    some: list[bytes] = []
    units = 0
    for book in books:
        if units >= sentences:
            break
        some.append(book)
        text = book.decode()
        units += len(punkt_style(text) if unit == "sentence" else spans_of(text, 110, 30))
    size, total = (sum(map(len, texts)) / 1e6 for texts in (some, books))

    def ours(texts: list[bytes]) -> list[Kept]:
        sieve = Filter(words, rule)
        # As much at once as in a build: the row groups of this file.
        return [sieve.apply([Document(t) for t in texts[start : start + 64]]) for start in range(0, len(texts), 64)]

    texts = [book.decode() for book in some]
    rows = []
    for _ in range(ROUNDS):
        theirs, _, cpu_t = timed(papers_method, texts, words, unit, rule.min_words)
        mine, _, cpu_o = timed(ours, some)
        assert [unit for kept in mine for unit in kept.units] == theirs, "the kept units differ"
        _, _, cpu_all = timed(ours, books)
        rows.append((size / cpu_t, size / cpu_o, total / cpu_all))
    return {
        "unit": unit, "units": units, "megabytes": round(size, 2), "kept": len(theirs), "rounds": ROUNDS,
        "ratio_same_text": [round(f(r[1] / r[0] for r in rows), 1) for f in (statistics.median, min, max)],
        "ratio_whole_corpus": [round(f(r[2] / r[0] for r in rows), 1) for f in (statistics.median, min, max)],
        "mb_per_cpu_second": [round(statistics.median(r[i] for r in rows), 2) for i in range(3)],
        "load_average": psutil.getloadavg()[0],
    }  # fmt: skip


def throughput(data: Path, unit: str) -> dict:
    """Our own filter on the whole corpus in this process, cutting included: MB of text a CPU second."""
    spec = CorpusSpec(sources=(str(data / "corpora/pg_children.parquet"),), unit=unit)
    words = load_vocabulary(str(data / "vocabulary/AOChildes_word_frequency.csv")).words
    sieve = Filter(words, Rule.of(spec))
    counts = FilterCounts()
    size, wall, cpu = 0, time.perf_counter(), time.process_time()
    for batch in batches(Reading(spec, resolve(spec))):
        documents, _ = batch.read()
        size += sum(len(d.data) for d in documents)
        kept = sieve.apply(documents)
        counts.add(kept.counts)
    seconds = time.process_time() - cpu
    return {"unit": unit, "megabytes": round(size / 1e6), "mb_per_cpu_second": round(size / 1e6 / seconds, 1),
            "wall_seconds": round(time.perf_counter() - wall, 1), "kept": counts.units_kept,
            "seen": counts.units_seen}  # fmt: skip


def recipe(data: Path, **options) -> CorpusSpec:
    return CorpusSpec(
        sources=(str(data / "corpora/pg_children.parquet"),),
        vocabulary=str(data / "vocabulary/AOChildes_word_frequency.csv"),
        **options,
    )


def finished(events: Iterable[Event]) -> CorpusBuilt:
    return next(e for e in list(events) if isinstance(e, CorpusBuilt))


def processes(data: Path, copies: int = 8, rounds: int = 5) -> dict:
    """Wall seconds of the corpus several times over, as so many files, in one process and in two."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    digests = set()
    file = str(data / "corpora/pg_children.parquet")
    spec = dataclasses.replace(recipe(data), sources=(file,) * copies)
    for _ in range(rounds):
        for n in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                wall = time.perf_counter()
                corpus = finished(build_language(Path(folder), spec, n))
                seconds[n].append(round(time.perf_counter() - wall, 2))
                built = corpus_folder(Path(folder), corpus.fingerprint)
                texts = b"".join((built / f"{s}.txt").read_bytes() for s in ("train", "validation", "test"))
                digests.add(hashlib.sha256(texts).hexdigest())
    ratios = [round(a / b, 2) for a, b in zip(seconds[1], seconds[2], strict=True)]
    return {"copies": copies, "seconds_one": seconds[1], "seconds_two": seconds[2], "ratios": ratios,
            "identical": len(digests) == 1, "load_average": psutil.getloadavg()[0]}  # fmt: skip


def whole(data: Path) -> dict:
    with tempfile.TemporaryDirectory() as folder, Peak() as peak:
        wall = time.perf_counter()
        events = list(build_corpus(Path(folder), recipe(data, duplicates="near"), TokenizerSpec(vocab_size=8000)))
        corpus = finished(events)
        tokenizer = next(e for e in events if isinstance(e, TokenizerBuilt))
        stream = open_tokens(Path(folder), corpus.fingerprint, tokenizer.fingerprint, "train")
        rows = len(pack(stream, sequence_length=128, packing="packed"))
        seconds = time.perf_counter() - wall
        manifest = read_manifest(Path(folder), corpus.fingerprint)
    return {"seconds": round(seconds, 1), "language_seconds": corpus.seconds, "tokens": len(stream), "rows": rows,
            "duplicates": manifest["duplicates"], "peak_bytes": peak.bytes, "load_average": psutil.getloadavg()[0]}  # fmt: skip


class Peak:
    """Peak of the summed proportional memory (PSS) of this process and its children, sampled ten times a second."""

    def __enter__(self) -> Peak:
        self.bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._over.wait(0.1):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except (psutil.Error, AttributeError):
                    continue
            self.bytes = max(self.bytes, total)


def synthetic(folder: Path, gigabytes: float) -> int:
    """Files of 100 MB of made-up text (Zipf words, a tail of ever new ones), named as pipes would be: made on the fly."""
    rng = np.random.default_rng(0)
    ranks = np.arange(1, 60_001)
    shares = np.cumsum(1 / ranks) / np.sum(1 / ranks)
    alphabet = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    words = np.array(["".join(alphabet[rng.integers(0, 18, 2 + int(np.log2(r + 1) / 2))]) for r in ranks], dtype=object)
    written = 0
    (folder / "words.txt").write_text("\n".join(dict.fromkeys(words[:20_000])))
    number = 0
    while written < gigabytes * 1e9:
        with open(folder / f"{number:04}.jsonl", "w") as file:
            size = 0
            while size < 100e6:
                picks = words[np.searchsorted(shares, rng.random(400_000))]
                new = rng.random(len(picks)) < 0.002
                picks[new] = [f"{w}{rng.integers(0, 10**7)}q" for w in picks[new]]
                for start in range(0, len(picks), 400):
                    part = picks[start : start + 400]
                    text = " ".join(
                        f"{part[i]} {' '.join(part[i + 1 : i + 12])}.".capitalize() for i in range(0, 400, 12)
                    )
                    line = json.dumps({"text": text}) + "\n"
                    file.write(line)
                    size += len(line)
        written += size
        number += 1
    return written


def memory(gigabytes: float) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts"
        texts.mkdir()
        size = synthetic(texts, gigabytes)
        spec = CorpusSpec(sources=(str(texts / "*.jsonl"),), vocabulary=str(texts / "words.txt"), duplicates="exact")
        with Peak() as peak:
            wall = time.perf_counter()
            corpus = finished(build_corpus(Path(folder) / "lab", spec, TokenizerSpec(vocab_size=8000)))
            seconds = time.perf_counter() - wall
    return {"gigabytes": size / 1e9, "seconds": round(seconds, 1), "units_kept": corpus.units_kept,
            "units_seen": corpus.units_seen, "peak_bytes": peak.bytes,
            "own_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared/data")
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--only", choices=("baseline", "spans", "throughput", "processes", "whole", "memory"))
    arguments = parser.parse_args()
    parts = {
        "baseline": lambda: baseline(arguments.data, arguments.sentences, "sentence"),
        "spans": lambda: baseline(arguments.data, arguments.sentences, "span"),
        "throughput": lambda: [throughput(arguments.data, u) for u in ("sentence", "span", "grown-span")],
        "processes": lambda: processes(arguments.data),
        "whole": lambda: whole(arguments.data),
        "memory": lambda: memory(arguments.gigabytes),
    }
    for name, part in parts.items():
        if arguments.only in (None, name):
            print(json.dumps({name: part()}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
