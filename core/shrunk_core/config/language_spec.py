"""What language a run learns: the corpus recipe and the tokenizer recipe."""

from __future__ import annotations

from dataclasses import dataclass

from .setting import setting

MIN_WORDS = {"document": 1, "sentence": 6, "span": 40, "grown-span": 32}
"""Fewest counted words of a unit unless the file says so: the paper's, and 32 of its follow-up."""


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
    weights: tuple[float, ...] = setting(
        (),
        "Mixing weights, one for each of `sources`: what share of the kept words each gives, in proportion. The source "
        "that is scarcest for its weight is used whole, of the others documents are left out by the hash of their text. "
        "Without weights everything is used.",
    )
    licences: tuple[str, ...] = setting(
        (), "Notes on the licence of each of `sources`, for the manifest and the corpus card.", identity=False
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
    evaluation_from: str = setting(
        "",
        "For the control: the grid file, or the fingerprint, of the reduced corpus whose validation and test splits this "
        "one is evaluated on. Its train split then has as many words of each source as that corpus, if there are so many, "
        "and no document that the other holds out.",
    )
    train_words: int = setting(
        0,
        "Most words of the train split; documents beyond are left out by the hash of their text. 0: no limit.",
        unit="words",
        low=0,
    )
    vocabulary: str = setting(
        "top:3000",
        "The words of the reduced language: a word list (one a line), a CSV with a `word` column, `top:N` of the sources "
        "themselves, or `wordfreq:en:N`.",
    )
    unit: str = setting(
        "sentence",
        "What is kept or dropped as a whole: a whole document, a sentence (a verse of the embedded corpus), a `span` of "
        "`span_words` words every `span_stride`, or a `grown-span`: from the start of a sentence on, cut before the word "
        "that would exceed `max_oov`.",
        choices=("document", "sentence", "span", "grown-span"),
    )
    min_words: int = setting(
        0,
        "A unit with fewer counted words is dropped. 0: 6 for sentences, 40 for spans, 32 for grown spans, 1 for documents.",
        unit="words",
        low=0,
    )
    max_oov: float = setting(
        0.0, "Largest share of a unit's words that may be outside the vocabulary.", unit="share", low=0.0, high=1.0
    )
    span_words: int = setting(110, 'Length of a span, for `unit = "span"`.', unit="words", low=2)
    span_stride: int = setting(30, "Distance between the starts of two spans of a document.", unit="words", low=1)
    lower_case: bool = setting(True, "Words are compared in lower case; `false`: as written, in the list too.")
    split_hyphens: bool = setting(
        True, "A hyphen separates words: `well-known` is two. `false`: it belongs to its word, in the list too."
    )
    join_apostrophes: bool = setting(
        True, "Apostrophes are deleted: `don't` is `dont`. `false`: they separate, `don` and `t`, in the list too."
    )
    numbers_known: bool = setting(
        True, "Numbers (12, 3,000.50, 10:30, 3rd) are in every vocabulary. `false`: as words."
    )
    links_known: bool = setting(True, "Links are in every vocabulary. `false`: their parts are words.")
    skip_letters: bool = setting(True, "Words of one letter do not count. `false`: they count like others.")
    skip_punctuation: bool = setting(
        True, "Punctuation does not count. `false`: each run of it is a word that the list must have (`,` `!?`)."
    )
    store_lower_case: bool = setting(True, "Kept text is stored in lower case. `false`: as it was written.")
    duplicates: str = setting(
        "keep",
        "Units that repeat another: `keep`; `exact` removes those with the same text; `near` also those that share most "
        "of their word triples. Of two in different splits the held-out one stays.",
        choices=("keep", "exact", "near"),
    )
    near_share: float = setting(
        0.8,
        'For `duplicates = "near"`: the share of common word triples (Jaccard) from which two units count as one.',
        unit="share",
        low=0.5,
        high=1.0,
    )
    validation_share: float = setting(
        0.05, "Share of documents held out for validation.", unit="share", low=0.0001, high=0.5
    )
    test_share: float = setting(
        0.05, "Share of documents held out for the final test.", unit="share", low=0.0, high=0.5
    )

    @property
    def fewest_words(self) -> int:
        """`min_words`, or the unit's own where the file leaves it open."""
        return self.min_words or MIN_WORDS[self.unit]


@dataclass(frozen=True, kw_only=True)
class TokenizerSpec:
    """A subword tokenizer trained on the train split of the reduced language."""

    kind: str = setting(
        "byte-bpe",
        "Model of the tokenizer: `byte-bpe` (RoBERTa's, the paper's), `bpe` over characters, `wordpiece` (BERT's), "
        "`unigram` (a language model over pieces, SentencePiece's). Training is reproducible bit for bit for the two bpe "
        "kinds only.",
        choices=("byte-bpe", "bpe", "wordpiece", "unigram"),
    )
    vocab_size: int = setting(
        2000,
        "Entries, the 5 special tokens and, for byte-bpe, 256 bytes among them. A text that cannot fill it is refused, so "
        "that the number is always the model's V.",
        unit="tokens",
        low=32,
        high=1_000_000,
    )
    train_megabytes: int = setting(
        1000,
        "Most text of the train split that the tokenizer is trained on; of more, documents evenly spread.",
        unit="MB",
        low=1,
    )
