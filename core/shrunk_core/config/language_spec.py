"""What language a run learns: the corpus recipe and the tokenizer recipe."""

from __future__ import annotations

from dataclasses import dataclass

from .setting import setting


@dataclass(frozen=True, kw_only=True)
class CorpusSpec:
    """A reduced language: sources, the vocabulary they are reduced to, the rule that keeps a unit, and the split.

    The split and the filter depend on this alone, never on a run's seed, so that all runs of a grid are scored on the
    same masked tokens.
    """

    sources: tuple[str, ...] = setting(
        doc="Text: files, folders, globs, `embedded:kjv`, `hub:OWNER/NAME[:CONFIG][:SPLIT]`. "
        "Text, JSON lines, Parquet and CSV, plain or as .gz, .xz, .zst."
    )
    text_column: str = setting("text", "Column or field that holds the text in JSON lines, Parquet, CSV and hub data.")
    document: str = setting(
        "auto",
        "What a document is, and with it the grain of the split: `row` of a table, `file`, `paragraph` (blank-line block of "
        "a text file), or `auto`: rows for tables, paragraphs for a single text file, files for several.",
        choices=("auto", "row", "file", "paragraph"),
    )
    filter: str = setting(
        "vocabulary",
        "`vocabulary` keeps units whose words are in the list; `none` keeps all of them (the unconstrained control).",
        choices=("vocabulary", "none"),
    )
    vocabulary: str = setting(
        "top:3000",
        "The words of the reduced language: a word list (one a line), a CSV with a `word` column, `top:N` of the sources "
        "themselves, or `wordfreq:en:N`.",
    )
    unit: str = setting(
        "sentence",
        "What is kept or dropped as a whole. A verse of the embedded corpus is its sentence.",
        choices=("document", "sentence", "span"),
    )
    min_words: int = setting(6, "A unit with fewer counted words is dropped.", unit="words", low=1)
    max_oov: float = setting(
        0.0, "Largest share of a unit's words that may be outside the vocabulary.", unit="share", low=0.0, high=1.0
    )
    span_words: int = setting(110, 'Length of a span, for `unit = "span"`.', unit="words", low=2)
    span_stride: int = setting(30, "Distance between the starts of two spans of a document.", unit="words", low=1)
    validation_share: float = setting(
        0.05, "Share of documents held out for validation.", unit="share", low=0.0001, high=0.5
    )
    test_share: float = setting(
        0.05, "Share of documents held out for the final test.", unit="share", low=0.0, high=0.5
    )


@dataclass(frozen=True, kw_only=True)
class TokenizerSpec:
    """A subword tokenizer trained on the train split of the reduced language."""

    kind: str = setting("byte-bpe", "Model of the tokenizer: byte-level BPE, as RoBERTa's.", choices=("byte-bpe",))
    vocab_size: int = setting(
        2000,
        "Entries, the 5 special tokens and 256 bytes among them. A text that cannot fill it is refused, so that the "
        "number is always the model's V.",
        unit="tokens",
        low=261,
        high=1_000_000,
    )
