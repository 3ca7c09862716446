"""Building a reduced language and finding it again: sources -> vocabulary -> filter -> split -> tokenizer -> tokens.

A corpus is a folder named by its fingerprint, whole or absent:

    corpora/<fingerprint>/
      manifest.json               recipe, sources with digests, counts at every stage
      vocabulary.txt              the words that were allowed, one a line (not with filter = "none")
      train.txt validation.txt test.txt      kept units, one a line, a blank line after each document
      tokens/<tokenizer fingerprint>/        report.json, unigram.npy, {split}.bin, {split}.units.npy,
                                             {split}.documents.npy, {split}.words.npy
    tokenizers/<tokenizer fingerprint>/      tokenizer.json, tokenizer_config.json, report.json
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..config.language_spec import CorpusSpec, TokenizerSpec
from ..config.spec import digest, identity
from ..errors import ConfigError, DataError
from ..record.events import CorpusBuilt, CorpusProgress, Event, TokenizerBuilt
from ..record.lock import FileLock
from .building import continued_folder, disk_errors, new_folder
from .control import HELD_OUT, reference, take_held_out, train_pattern
from .crew import cores
from .packing import TokenStream
from .reduce import reduce_language
from .sources import resolve, source_digests, sources_digest
from .tokenizer import (
    Encoder,
    load_tokenizer,
    tokenizer_fingerprint,
    tokenizer_folder,
    train_tokenizer,
    write_tokenizer,
)
from .tokens import read_report, read_tokens, read_units, write_tokens
from .vocabulary import vocabulary_digest

RULES = 3
"""Raised when the same recipe and sources would give other kept units or another split."""


def corpus_fingerprint(spec: CorpusSpec, cache_file: Path | None = None) -> str:
    """12 hex digits over the rules of the recipe and the content of its sources and vocabulary; nothing is built.

    Where the files lie does not enter, nor do settings that the recipe does not use. cache_file: see `digest_cache`.
    """
    rules = identity(spec)
    del rules["sources"]
    rules["min_words"] = spec.fewest_words
    if spec.unit != "span":
        del rules["span_words"], rules["span_stride"]
    if spec.duplicates != "near":
        del rules["near_share"]
    if spec.filter == "none":
        del rules["vocabulary"], rules["max_oov"]
    else:
        rules["vocabulary"] = vocabulary_digest(spec.vocabulary)
    if spec.evaluation_from:
        other = reference(spec)
        rules["evaluation_from"] = other if isinstance(other, str) else corpus_fingerprint(other, cache_file)
    if spec.weights or spec.evaluation_from:
        rules["entries"] = [source.entry for source in resolve(spec, cache_file)]
    return digest({"rules": RULES, "recipe": rules, "sources": sources_digest(spec, cache_file)})


def digest_cache(lab: Path) -> Path:
    """Where a lab remembers the digests of files, so that planning is instant the second time."""
    return lab / ".shrunk" / "sources.json"


def corpus_folder(lab: Path, fingerprint: str) -> Path:
    """Where a corpus of this fingerprint lies, built or not."""
    return lab / "corpora" / fingerprint


def read_manifest(lab: Path, fingerprint: str) -> dict[str, Any]:
    """What a built corpus says about itself."""
    path = corpus_folder(lab, fingerprint) / "manifest.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"there is no corpus {fingerprint} in {lab}: {path} is missing") from None
    except ValueError as problem:
        raise DataError(f"{path} is damaged ({problem}). Remove {path.parent} and run again.") from problem


def corpora(lab: Path) -> list[dict[str, Any]]:
    """The manifests of all corpora of a lab, oldest first."""
    names = [p.parent.name for p in (lab / "corpora").glob("[!.]*/manifest.json")]
    return sorted((read_manifest(lab, name) for name in names), key=lambda m: (m["created_at"], m["fingerprint"]))


def open_tokens(lab: Path, corpus_fingerprint: str, tokenizer_fingerprint: str, split: str) -> TokenStream:
    """A split (`train`, `validation`, `test`) as token ids, mapped from disk; an unwanted test split is empty."""
    return read_tokens(_tokens_folder(lab, corpus_fingerprint, tokenizer_fingerprint), split)


def unigram_counts(lab: Path, corpus_fingerprint: str, tokenizer_fingerprint: str) -> np.ndarray:
    """int64 [V]: occurrences of each token in the train split; special tokens count 0."""
    folder = _tokens_folder(lab, corpus_fingerprint, tokenizer_fingerprint)
    read_report(folder)  # says what to do if the folder is not there
    return np.load(folder / "unigram.npy")


def _tokens_folder(lab: Path, corpus: str, tokenizer: str) -> Path:
    return corpus_folder(lab, corpus) / "tokens" / tokenizer


def build_corpus(
    lab: Path, corpus: CorpusSpec, tokenizer: TokenizerSpec, processes: int | None = None
) -> Iterator[Event]:
    """Build what is missing of a corpus, its tokenizer and its tokens: progress, then what was built.

    What is there already yields nothing. Another process that builds the same thing is waited for. On a DataError, a
    kill or an abandoned iterator no half-made folder counts as built; filtering that was interrupted is continued.
    processes: as for `build_language`.
    """
    yield from build_language(lab, corpus, processes)
    yield from build_tokens(lab, corpus_fingerprint(corpus, digest_cache(lab)), tokenizer)


def build_tokens(lab: Path, fingerprint: str, tokenizer: TokenizerSpec) -> Iterator[Event]:
    """Train a tokenizer on a built corpus and tokenize its splits, where that is missing."""
    with disk_errors(lab):
        progress = _Throttle(fingerprint)
        name = tokenizer_fingerprint(fingerprint, tokenizer)
        tokens = _tokens_folder(lab, fingerprint, name)
        trained = tokenizer_folder(lab, name)
        yield from _alone(
            trained,
            progress,
            lambda: _build_tokens(lab, tokenizer, fingerprint, name, progress),
            lambda: trained.is_dir() and tokens.is_dir(),
        )


def build_language(lab: Path, corpus: CorpusSpec, processes: int | None = None) -> Iterator[Event]:
    """Build a corpus if it is missing, without a tokenizer: progress, then what was built.

    processes: that filter at the same time; None takes all cores, or one where the sources are small. The corpus is the
    same, byte for byte.
    """
    check_recipe(corpus)
    with disk_errors(lab):
        lab.mkdir(parents=True, exist_ok=True)
        fingerprint = corpus_fingerprint(corpus, digest_cache(lab))
        other = reference(corpus) if corpus.evaluation_from else ""
        if isinstance(other, CorpusSpec):
            yield from build_language(lab, other, processes)
        elif other:
            read_manifest(lab, other)  # says what to do if it is not there
        progress = _Throttle(fingerprint)
        folder = corpus_folder(lab, fingerprint)
        build = lambda: _build_language(lab, corpus, fingerprint, progress, processes)  # noqa: E731
        yield from _alone(folder, progress, build, folder.is_dir)


def check_recipe(corpus: CorpusSpec) -> None:
    """ConfigError where settings of a recipe contradict each other."""
    for name in ("weights", "licences"):
        given = getattr(corpus, name)
        if given and len(given) != len(corpus.sources):
            raise ConfigError(
                f"[corpus] {name} has {len(given)} entries for {len(corpus.sources)} sources: one for each"
            )
    if any(not 0 < weight < float("inf") for weight in corpus.weights):
        raise ConfigError("[corpus] weights must be above 0; leave a source out of `sources` to take nothing of it")
    if corpus.weights and corpus.evaluation_from:
        raise ConfigError(
            "[corpus] weights and evaluation_from: a control has the mix of the corpus it is compared with"
        )
    if corpus.evaluation_from and corpus.filter != "none":
        raise ConfigError('[corpus] evaluation_from is for the control: set filter = "none", or leave it out')


_EVENT_SECONDS = 0.25


class _Throttle:
    """Makes progress events, at most four a second."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._next = 0.0

    def __call__(
        self, stage: str, done: int, total: int, unit: str = "bytes", message: str = "", always: bool = False
    ) -> Iterator[Event]:
        now = time.monotonic()
        if always or now >= self._next:
            self._next = now + _EVENT_SECONDS
            yield CorpusProgress(
                fingerprint=self.fingerprint, stage=stage, done=done, total=total, unit=unit, message=message
            )


def _alone(
    folder: Path, progress: _Throttle, build: Callable[[], Iterator[Event]], built: Callable[[], bool]
) -> Iterator[Event]:
    """Run `build` as the only process that builds `folder`, unless it is `built` by then."""
    if built():
        return
    lock = FileLock(folder.parent / f".{folder.name}.lock")
    try:
        while not lock.take(seconds=2.0):
            yield from progress("filter", 0, 0, message="another process is building it; waiting", always=True)
        if not built():
            yield from build()
    finally:
        lock.release()


SMALL = 64_000_000
"""Bytes of sources, as files, of which one process is done before others have started and been handed the text."""

SMALL_TO_COMPARE = 16_000_000
"""The same where near-duplicates are looked for, which takes ten times as long as the filter."""


def _build_language(
    lab: Path, corpus: CorpusSpec, fingerprint: str, progress: _Throttle, processes: int | None
) -> Iterator[Event]:
    began = time.monotonic()
    sources = resolve(corpus, digest_cache(lab))
    if processes is None:
        small = SMALL_TO_COMPARE if corpus.duplicates == "near" else SMALL
        sizes = [source.path.stat().st_size if source.path else small for source in sources]
        processes = cores() if sum(sizes) >= small else 1
    other: dict[str, Any] | None = None
    if corpus.evaluation_from:
        found = reference(corpus)
        name = found if isinstance(found, str) else corpus_fingerprint(found, digest_cache(lab))
        other = read_manifest(lab, name)
    pattern = train_pattern(corpus, other) if other else ()
    with continued_folder(corpus_folder(lab, fingerprint)) as folder:
        reduced = yield from reduce_language(folder, corpus, sources, progress, processes, pattern)
        if other:
            take_held_out(corpus_folder(lab, other["fingerprint"]), folder)
            for split in HELD_OUT:
                reduced["splits"][split] = other["splits"][split]
        digests = source_digests(sources, digest_cache(lab))
        for entry, content in zip(reduced["sources"], digests, strict=True):
            entry["digest"] = content
        if corpus.filter == "vocabulary":
            reduced["vocabulary"]["digest"] = vocabulary_digest(corpus.vocabulary)
        manifest = {
            "fingerprint": fingerprint,
            "rules": RULES,
            "version": __version__,
            "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "recipe": {**identity(corpus), "min_words": corpus.fewest_words},
            "licences": list(corpus.licences),
            "evaluation_from": other["fingerprint"] if other else "",
            **reduced,
            "seconds": round(time.monotonic() - began, 3),
        }
        (folder / "manifest.json").write_text(
            json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    yield CorpusBuilt(
        fingerprint=fingerprint,
        sources=corpus.sources,
        vocabulary=corpus.vocabulary if corpus.filter == "vocabulary" else "",
        vocabulary_words=manifest["vocabulary"]["words"],
        unit=corpus.unit,
        max_oov=corpus.max_oov,
        documents=manifest["documents"],
        units_seen=manifest["units_seen"],
        units_kept=manifest["units_kept"],
        words_seen=manifest["words_seen"],
        words_kept=manifest["words_kept"],
        filter=corpus.filter,
        evaluation_from=manifest["evaluation_from"],
        train_words=manifest["splits"]["train"]["words"],
        validation_units=manifest["splits"]["validation"]["units"],
        validation_words=manifest["splits"]["validation"]["words"],
        seconds=manifest["seconds"],
    )


def training_units(corpus: Path, megabytes: int) -> Iterator[str]:
    """The train units of a corpus folder; of more than so many megabytes, those of documents evenly spread."""
    share = min(1.0, megabytes * 1e6 / max(1, (corpus / "train.txt").stat().st_size))
    for number, units in enumerate(read_units(corpus, "train")):
        if int((number + 1) * share) > int(number * share):
            yield from units


def _build_tokens(lab: Path, spec: TokenizerSpec, corpus: str, name: str, progress: _Throttle) -> Iterator[Event]:
    began = time.monotonic()
    text = corpus_folder(lab, corpus)
    trained = tokenizer_folder(lab, name)
    if not trained.is_dir():
        yield from progress("tokenizer", 0, spec.vocab_size, "tokens", always=True)
        with new_folder(trained) as folder:
            tokenizer = train_tokenizer(training_units(text, spec.train_megabytes), spec)
            write_tokenizer(folder, tokenizer, spec, corpus=corpus, seconds=time.monotonic() - began)
        yield from progress("tokenizer", spec.vocab_size, spec.vocab_size, "tokens", always=True)
    tokens = _tokens_folder(lab, corpus, name)
    if not tokens.is_dir():
        with new_folder(tokens) as folder:
            for done, total in write_tokens(text, folder, Encoder(load_tokenizer(trained)), spec.vocab_size):
                yield from progress("tokens", done, total)
    report = read_report(tokens)
    yield TokenizerBuilt(
        fingerprint=name,
        corpus_fingerprint=corpus,
        tokenizer_kind=spec.kind,
        vocab_size=report["vocab_size"],
        train_tokens=report["train_tokens"],
        validation_tokens=report["validation_tokens"],
        test_tokens=report["test_tokens"],
        seconds=round(time.monotonic() - began, 3),
    )
