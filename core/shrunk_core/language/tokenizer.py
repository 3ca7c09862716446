"""The subword tokenizer, with RoBERTa's special tokens, trained on the kept units of the train split.

On disk it is a folder that `AutoTokenizer.from_pretrained` opens offline with the same ids: `tokenizer.json`,
`tokenizer_config.json`, and `report.json` with sizes and seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config.language_spec import TokenizerSpec
from ..config.spec import digest, identity
from ..errors import DataError
from .byte_classes import ByteClasses
from .lexicon import Growing, Lexicon, Text
from .packing import BOS, EOS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""Ids 0 to 4, in this order."""

MOST_CHARACTERS = 1000
"""Characters that `bpe` and `wordpiece` know; rarer ones are `<unk>`."""

RULES = 2
"""Raised when training would give other ids for the same recipe and text."""


def tokenizer_fingerprint(corpus_fingerprint: str, spec: TokenizerSpec) -> str:
    """12 hex digits: one for each corpus and tokenizer recipe."""
    return digest({"rules": RULES, "corpus": corpus_fingerprint, "tokenizer": identity(spec)})


def tokenizer_folder(lab: Path, fingerprint: str) -> Path:
    """Where a tokenizer of this fingerprint lies, built or not."""
    return lab / "tokenizers" / fingerprint


def train_tokenizer(units: Iterable[str], spec: TokenizerSpec) -> Tokenizer:
    """A tokenizer of exactly `spec.vocab_size` entries, trained on a stream of units.

    A text too small to fill it raises DataError with the largest size that it can fill.
    """
    from tokenizers import processors

    tokenizer, trainer = untrained(spec.kind, spec.vocab_size)
    tokenizer.train_from_iterator(units, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", EOS), ("<s>", BOS), add_prefix_space=False)
    size = tokenizer.get_vocab_size()
    if size > spec.vocab_size:
        raise DataError(
            f'[tokenizer] vocab_size = {spec.vocab_size}: kind = "{spec.kind}" needs at least {size} entries for special '
            f"tokens and single {'bytes' if spec.kind == 'byte-bpe' else 'characters'}. Set it to {size} or more."
        )
    if size < spec.vocab_size:
        raise DataError(
            f"[tokenizer] vocab_size = {spec.vocab_size}: the train split of this corpus supports at most {size} "
            f"entries. Set vocab_size to {size} or less, or keep more text."
        )
    return tokenizer


def untrained(kind: str, vocab_size: int) -> tuple[Tokenizer, Any]:
    """An empty tokenizer of a kind, and the trainer that fills it. All kinds cut at white space first, so that a word has
    the same ids wherever it stands."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    # Plain strings but for <mask>, which takes the space before it: "of <mask>" must not leave a lone space token.
    special: list[Any] = [*SPECIAL_TOKENS[:-1], AddedToken("<mask>", lstrip=True, special=True, normalized=False)]
    common: dict[str, Any] = {"vocab_size": vocab_size, "special_tokens": special, "show_progress": False}
    if kind == "byte-bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        return tokenizer, trainers.BpeTrainer(initial_alphabet=alphabet, min_frequency=2, **common)
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece(prefix="##")
        return tokenizer, trainers.WordPieceTrainer(min_frequency=2, limit_alphabet=MOST_CHARACTERS, **common)
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>") if kind == "bpe" else models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always", split=True)
    if kind == "bpe":
        return tokenizer, trainers.BpeTrainer(min_frequency=2, limit_alphabet=MOST_CHARACTERS, **common)
    assert kind == "unigram"
    return tokenizer, trainers.UnigramTrainer(unk_token="<unk>", **common)


def write_tokenizer(folder: Path, tokenizer: Tokenizer, spec: TokenizerSpec, *, corpus: str, seconds: float) -> None:
    """Write the tokenizer's files into an existing folder."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        # Not "RobertaTokenizer": that class rebuilds the pre-tokenizer without the prefix space and gives other ids.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "cls_token": "<s>",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    import tokenizers

    report = {
        "kind": spec.kind,
        "vocab_size": tokenizer.get_vocab_size(),
        "corpus_fingerprint": corpus,
        "seconds": round(seconds, 3),
        "tokenizers_version": tokenizers.__version__,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a folder, as the `tokenizers` library's own object."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise DataError(f"{path} is missing: build the corpus again (`shrunk run` does), or restore the folder")
    return Tokenizer.from_file(str(path))


class Encoder:
    """Turns units into ids, each distinct surface once: no tokenizer of ours joins across a space, so that a unit's ids
    are those of its surfaces in a row. `<s>` and the like written in a text are text, not special tokens.
    """

    _LIMIT = 1_000_000
    """Surfaces remembered at once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self._begin()

    def _begin(self) -> None:
        # Number 0 is the end of a unit.
        self._lexicon = Lexicon(ByteClasses(None), self._learn, ("</s>",))
        self._table = np.array([EOS], dtype=np.int64)  # ids of all forms, one after the other
        self._offsets, self._lengths = Growing(), Growing()
        self._offsets.add(np.array([0]))
        self._lengths.add(np.array([1]))

    def encode(self, units: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """ids int64 [n] of the units, each ended by `</s>`, and int64 [units]: how many ids each unit has."""
        if len(self._lexicon) > self._LIMIT:
            self._begin()
        scan = self._lexicon.scan(Text.of(unit.encode() for unit in units))
        numbers = np.insert(scan.numbers, scan.first[1:], 0)  # a surface is one form here
        lengths = self._lengths.array()[numbers]
        stops = np.cumsum(lengths)
        total = int(stops[-1]) if len(stops) else 0
        ids = self._table[np.repeat(self._offsets.array()[numbers] - (stops - lengths), lengths) + np.arange(total)]
        return ids, np.diff(stops[numbers == 0], prepend=0)

    def _learn(self, first: int, plain: np.ndarray) -> None:
        new = self._lexicon.names[first:]
        encoded = [e.ids for e in self._tokenizer.encode_batch(new, add_special_tokens=False)]
        lengths = np.array([len(ids) for ids in encoded], dtype=np.int64)
        table = np.fromiter((i for ids in encoded for i in ids), dtype=np.int64, count=int(lengths.sum()))
        self._offsets.add(len(self._table) + np.cumsum(lengths) - lengths)
        self._lengths.add(lengths)
        self._table = np.concatenate([self._table, table])
