"""Filtering, against the paper's method, and on two processes against one.

    python benchmarks/bench_filter.py [--data ../shared/data] [--sentences 20000] [--only baseline|spans|processes|whole|memory]

baseline: the paper's filter as its authors wrote it in spirit, re-implemented here: NLTK-style sentences (a regular
    expression stands in for the Punkt model, whose data is not part of the environment; it is faster than Punkt), the
    texts normalised one by one, and scikit-learn's CountVectorizer with the vocabulary to count known words, a document-
    term matrix a block. Both filter the same ready-cut sentences, so that kept units can be compared one by one, each in
    one process, interleaved, median of the rounds.
processes: the whole corpus with one and with two processes, byte-identical.
whole: filter, near-duplicates, tokenizer, tokens, packing of the whole corpus on all cores.
memory: peak memory of all processes together on a corpus made up on the fly (--gigabytes, by default 5).

Quiet the machine first: `flock /tmp/quiet.lock`. CPU seconds are given beside wall seconds because other work disturbs
them less.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import re
import resource
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from shrunk_core.config.language_spec import CorpusSpec, TokenizerSpec
from shrunk_core.language.corpus import build_corpus, build_language, corpus_folder, open_tokens, read_manifest
from shrunk_core.language.filter import Document, Filter, Rule
from shrunk_core.language.packing import pack
from shrunk_core.language.reduce import batches
from shrunk_core.language.sources import Reading, resolve
from shrunk_core.language.vocabulary import load_vocabulary
from shrunk_core.language.words import normalise

ROUNDS = 5
SENTENCE_END = re.compile(r"(?<=[.!?])[\"'\u201d\u2019)\]]*\s+(?=[\"'\u201c\u2018(\[]*[A-Z0-9])")


def papers_method(sentences: list[str], words: frozenset[str], min_words: int) -> list[str]:
    """Kept sentences: normalise each, count with CountVectorizer over all words and over the vocabulary, compare."""
    from sklearn.feature_extraction.text import CountVectorizer

    kept = []
    for start in range(0, len(sentences), 5_000):
        block = sentences[start : start + 5_000]
        # The rules for words are ours on both sides (numbers, links, apostrophes), so that the kept sets must agree.
        texts = [" ".join(w for s in sentence.split() for w in normalise(s)) for sentence in block]
        every = CountVectorizer(token_pattern=r"\S+", lowercase=False)
        known = CountVectorizer(token_pattern=r"\S+", lowercase=False, vocabulary=sorted(words | {"#NUMBER", "#HLINK"}))
        totals = np.asarray(every.fit_transform(texts).sum(axis=1)).ravel()
        inside = np.asarray(known.transform(texts).sum(axis=1)).ravel()
        keep = (totals >= min_words) & (inside == totals)
        kept += [" ".join(s.split()).lower() for s, k in zip(block, keep, strict=True) if k]
    return kept


def spans_of(texts: list[str], words: int, stride: int) -> list[str]:
    """The paper's spans as texts, cut the slow and obvious way."""
    out = []
    for text in texts:
        split = text.split()
        starts = range(0, max(1, len(split) - words + stride), stride)
        out += [" ".join(split[s : s + words]) for s in starts]
    return out


def nltk_style(text: str) -> list[str]:
    return [s for part in re.split(r"\n\s*\n", text) for s in SENTENCE_END.split(part) if s.strip()]


def timed(function, *arguments):
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return result, time.perf_counter() - wall, time.process_time() - cpu


def baseline(data: Path, number: int, spans: bool) -> dict:
    spec = CorpusSpec(sources=(str(data / "corpora/pg_children.parquet"),))
    words = load_vocabulary(str(data / "vocabulary/AOChildes_word_frequency.csv")).words
    texts = (d.text for d in Reading(spec, resolve(spec)))
    if spans:
        units = list(itertools.islice(spans_of(list(itertools.islice(texts, 30)), 110, 30), number))
        min_words = 40
    else:
        units = list(itertools.islice(itertools.chain.from_iterable(map(nltk_style, texts)), number))
        min_words = 6
    size = sum(len(u.encode()) for u in units)
    # Every unit is a document of one unit for us: no cutting on either side, the same units in, comparable units out.
    documents = [Document(u, ready=True) for u in units]

    def ours() -> list[str]:
        sieve = Filter(words, Rule(unit="document", min_words=min_words, max_oov=0.0))
        return [u for kept in sieve.keep(documents) for u in kept]

    rows = []
    for _ in range(ROUNDS):
        theirs, wall_t, cpu_t = timed(papers_method, units, words, min_words)
        mine, wall_o, cpu_o = timed(ours)
        assert mine == theirs, "the kept units differ"
        rows.append((wall_t / wall_o, cpu_t / cpu_o, size / 1e6 / cpu_t, size / 1e6 / cpu_o))
    return {
        "units": len(units), "megabytes": round(size / 1e6, 2), "kept": len(mine),
        "ratio_wall": [round(f(r[0] for r in rows), 1) for f in (statistics.median, min, max)],
        "ratio_cpu": [round(f(r[1] for r in rows), 1) for f in (statistics.median, min, max)],
        "mb_per_cpu_second_theirs": round(statistics.median(r[2] for r in rows), 2),
        "mb_per_cpu_second_ours": round(statistics.median(r[3] for r in rows), 2),
    }  # fmt: skip


def throughput(data: Path, unit: str) -> dict:
    """Our own filter on the whole corpus in this process, cutting included: MB of text a CPU second."""
    spec = CorpusSpec(sources=(str(data / "corpora/pg_children.parquet"),), unit=unit)
    words = load_vocabulary(str(data / "vocabulary/AOChildes_word_frequency.csv")).words
    sieve = Filter(words, Rule.of(spec))
    size, wall, cpu = 0, time.perf_counter(), time.process_time()
    for batch in batches(Reading(spec, resolve(spec))):
        size += sum(len(d.text.encode()) for d in batch.documents)
        sieve.keep(batch.documents)
    seconds = time.process_time() - cpu
    return {"unit": unit, "megabytes": round(size / 1e6), "mb_per_cpu_second": round(size / 1e6 / seconds, 1),
            "wall_seconds": round(time.perf_counter() - wall, 1), "kept": sieve.counts.units_kept,
            "seen": sieve.counts.units_seen}  # fmt: skip


def recipe(data: Path, **options) -> CorpusSpec:
    return CorpusSpec(
        sources=(str(data / "corpora/pg_children.parquet"),),
        vocabulary=str(data / "vocabulary/AOChildes_word_frequency.csv"),
        **options,
    )


def processes(data: Path, rounds: int = 3) -> dict:
    seconds: dict[int, list[float]] = {1: [], 2: []}
    digests = set()
    for _ in range(rounds):
        for n in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                wall = time.perf_counter()
                events = list(build_language(Path(folder), recipe(data), n))
                seconds[n].append(time.perf_counter() - wall)
                built = corpus_folder(Path(folder), events[-1].fingerprint)
                texts = b"".join((built / f"{s}.txt").read_bytes() for s in ("train", "validation", "test"))
                digests.add(hashlib.sha256(texts).hexdigest())
    ratios = [a / b for a, b in zip(seconds[1], seconds[2], strict=True)]
    return {"seconds_one": seconds[1], "seconds_two": seconds[2], "ratios": ratios, "identical": len(digests) == 1,
            "load_average": psutil.getloadavg()[0]}  # fmt: skip


def whole(data: Path) -> dict:
    with tempfile.TemporaryDirectory() as folder, Peak() as peak:
        wall = time.perf_counter()
        events = list(build_corpus(Path(folder), recipe(data, duplicates="near"), TokenizerSpec(vocab_size=8000)))
        corpus, tokenizer = (e for e in events if e.kind in ("corpus-built", "tokenizer-built"))
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
    for number in itertools.count():
        if written >= gigabytes * 1e9:
            return written
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


def memory(gigabytes: float) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts"
        texts.mkdir()
        size = synthetic(texts, gigabytes)
        spec = CorpusSpec(sources=(str(texts / "*.jsonl"),), vocabulary=str(texts / "words.txt"), duplicates="exact")
        with Peak() as peak:
            wall = time.perf_counter()
            events = list(build_corpus(Path(folder) / "lab", spec, TokenizerSpec(vocab_size=8000)))
            seconds = time.perf_counter() - wall
        corpus = next(e for e in events if e.kind == "corpus-built")
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
        "baseline": lambda: baseline(arguments.data, arguments.sentences, spans=False),
        "spans": lambda: baseline(arguments.data, 2_000, spans=True),
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
