"""The frozen description of one run. What can change its numbers is in here and in its `run_id`; nothing else is."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from .language_spec import CorpusSpec, TokenizerSpec
from .setting import setting
from .train_spec import TrainSpec

RUN_ID_LENGTH = 12
"""Hex digits of a `run_id`, an `evaluation_id` and a fingerprint."""

POSITION_OFFSET = 2
"""RoBERTa numbers positions from pad_id + 1 = 2, so a sequence of S tokens needs S + 2 position rows (P = 130 for 128)."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Shape of one encoder, in the paper's five dimensions E, H, I, A, L, with V and P.

    In a grid file V comes from `[tokenizer] vocab_size`, P from `[train] sequence_length`, `causal` from `objective`.
    """

    embedding_size: int = setting(64, "E: width of token, position and type embeddings.", low=1)
    hidden_size: int = setting(128, "H: width of the encoder blocks.", low=1)
    intermediate_size: int = setting(512, "I: width of the feed-forward layer.", low=1)
    num_heads: int = setting(4, "A: attention heads; H must be divisible by it.", low=1)
    num_layers: int = setting(2, "L: encoder blocks.", low=1)
    tie: str = setting(
        "projected",
        "Output weights: `none` own matrix H x V (the paper's), `full` the token embedding itself (needs E = H), "
        "`projected` the token embedding after a layer H -> E (ELECTRA's generator).",
        choices=("none", "full", "projected"),
    )
    norm: str = setting(
        "pre", "Layer normalisation after (`post`, the paper) or before each sublayer.", choices=("post", "pre")
    )
    dropout: float = setting(0.0, "Dropout on embeddings and sublayer outputs.", unit="share", low=0.0, high=0.9)
    attention_dropout: float = setting(0.0, "Dropout on attention weights.", unit="share", low=0.0, high=0.9)
    layer_norm_eps: float = setting(1e-5, "Added to the variance in every LayerNorm.", low=1e-12, high=1e-2)
    fixed_heads: int = setting(
        0,
        "Heads really computed, whatever `num_heads` says; 0 means as asked. The paper's untied models always had 8 "
        "while its FLOPs and tables used the asked number.",
        low=0,
    )
    vocab_size: int = setting(2000, "V: rows of the token embedding.", low=1)
    max_positions: int = setting(66, "P: rows of the position embedding, sequence length + 2.", low=3)
    causal: bool = setting(False, "A token attends to itself and what precedes it only; follows from `objective`.")


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One run: model, language, training and seed.

    The fingerprints stand for the recipes and the content of the sources, so that the same files under another path
    are the same language.
    """

    model: ModelSpec
    corpus: CorpusSpec
    tokenizer: TokenizerSpec
    train: TrainSpec
    seed: int
    corpus_fingerprint: str
    tokenizer_fingerprint: str

    @property
    def evaluation_id(self) -> str:
        """What the validation loss is over; losses compare within one `evaluation_id` only."""
        return evaluation_id_of(self, "validation")

    @property
    def run_id(self) -> str:
        """First 12 hex digits of SHA-256 over the canonical JSON of everything that can change the run's numbers."""
        return digest(
            {
                "model": identity(self.model),
                "corpus": self.corpus_fingerprint,
                "tokenizer": self.tokenizer_fingerprint,
                "train": identity(self.train),
                "seed": self.seed,
            }
        )


def evaluation_id_of(spec: RunSpec, split: str) -> str:
    """Digest of the split, the tokenizer, the rows, the mask set (drawn from this id itself) and the padding rule."""
    return digest(
        {
            "split": split,
            "corpus": spec.corpus_fingerprint,
            "tokenizer": spec.tokenizer_fingerprint,
            "sequence_length": spec.train.sequence_length,
            "packing": spec.train.packing,
            "cross_documents": spec.train.cross_documents,
            "padding_in_loss": spec.train.padding_in_loss,
        }
        | ({"objective": "clm"} if spec.train.objective == "clm" else {})
    )


def identity(spec: Any) -> dict[str, Any]:
    """The fields of a spec that are part of a run's identity, by name. The updates expected in a budget of minutes are not."""
    fields = {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec) if f.metadata.get("identity", True)}
    if fields.get("minutes"):
        del fields["updates"]
    return fields


def canonical_json(value: Any) -> str:
    """One spelling for one content: sorted keys, no spaces, shortest floats."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: Any) -> str:
    """First 12 hex digits of SHA-256 over the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:RUN_ID_LENGTH]


def to_plain(spec: Any) -> dict[str, Any]:
    """A spec as plain data, for spec.json and config.json."""
    return dataclasses.asdict(spec)


def corpus_from_dict(data: dict[str, Any]) -> CorpusSpec:
    """A corpus recipe from plain data; lists become tuples."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return CorpusSpec(**values)


def from_dict(data: dict[str, Any]) -> RunSpec:
    """The inverse of `to_plain`. A setting that an older version did not write has its default; keys of a newer version
    that this one does not know are an error (TypeError)."""
    train: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["train"].items()}
    return RunSpec(
        **{
            **data,
            "model": ModelSpec(**data["model"]),
            "corpus": corpus_from_dict(data["corpus"]),
            "tokenizer": TokenizerSpec(**data["tokenizer"]),
            "train": TrainSpec(**train),
        }
    )
