"""Minimal pairs: does the model give the good sentence more probability than the bad one?

A masked model scores a sentence by its pseudo-log-likelihood: the sum over its tokens of the log-probability of the token
where it is masked (Salazar et al. 2020). The copies of all sentences of one length are computed together, without
padding; the last block (but for its keys and values) and the head work on the scored positions alone. A causal model
needs one pass, which scores `</s>` too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..config.cell import CellSpec
from ..config.spec import RunSpec
from ..errors import DataError, RunError
from ..language.packing import BOS, EOS, MASK
from ..language.tokenizer import Encoder, load_tokenizer, tokenizer_folder
from ..language.vocabulary import load_vocabulary, vocabulary_digest
from ..language.word_starts import word_starts
from ..model.encoder import Block
from ..model.heads import MaskedLanguageModel
from ..model.product import linear
from ..record.cell_events import CellData, CellFinished, CellScored, CellStarted
from ..record.events import Event, Left
from ..record.rundir import RunDir, run_dir
from ..train.arithmetic import autocast
from ..train.runtime import Requests
from .pair_rows import Pairs, filter_pairs, read_pairs
from .predictions import gain_events, write_predictions
from .weights import load_weights

BATCH_TOKENS = 8192
"""Tokens of masked copies computed at once: their activations stay in cache."""

LEAST_PAIRS = 20
"""Fewer pairs left by the filter are refused with their number."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """Sentences as ids, each `<s> ... </s>`; words: for each token of a sentence the number of its word.

    Punctuation that is written onto a word belongs to it, as in whole-word masking.
    """

    ids: list[np.ndarray]
    words: list[np.ndarray]


class PairScorer:
    """Log-probabilities of sentences under one model."""

    def __init__(
        self, model: MaskedLanguageModel, *, causal: bool, method: str, precision: str, device: torch.device
    ) -> None:
        self.model = model.to(device).eval()
        self.causal, self.method, self.device, self.precision = causal, method, device, precision

    def scores(self, tokens: Tokens, requests: Requests | None = None) -> np.ndarray | None:
        """Log-probability of each sentence in nats, float64 [n]; None when somebody asked to leave."""
        lengths = np.array([len(ids) for ids in tokens.ids])
        out = np.zeros(len(lengths))
        with torch.inference_mode(), autocast(self.precision, self.device):
            for length in np.unique(lengths):
                same = np.flatnonzero(lengths == length)
                copies = max(1, length - 2) if not self.causal else 1
                step = max(1, BATCH_TOKENS // int(copies * length))
                for start in range(0, len(same), step):
                    if requests is not None and requests.reason():
                        return None
                    at = same[start : start + step]
                    ids = np.stack([tokens.ids[i] for i in at])
                    words = np.stack([tokens.words[i] for i in at])
                    out[at] = (self._causal(ids) if self.causal else self._masked(ids, words)).double().cpu().numpy()
        return out

    def _causal(self, ids_BS: np.ndarray) -> Tensor:
        ids = torch.from_numpy(ids_BS).to(self.device)
        logits = self.model(ids).float()[:, :-1]
        return -F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none").sum(1)

    def _masked(self, ids_BS: np.ndarray, words_BS: np.ndarray) -> Tensor:
        """Pseudo-log-likelihoods of sentences of one length, (B,)."""
        copies, scored, sentence = masked_copies(ids_BS, words_BS, self.method)
        ids = torch.from_numpy(copies).to(self.device)
        rows, columns = (torch.from_numpy(part).to(self.device) for part in scored)
        hidden = scored_states(self.model, ids, rows, columns)
        features = self.model.features(hidden)
        logits = linear(features, self.model.decoder_weight, self.model.decoder_bias).float()
        targets = torch.from_numpy(ids_BS[sentence, scored[1]]).to(self.device)
        losses = F.cross_entropy(logits, targets, reduction="none")
        return torch.zeros(len(ids_BS), device=losses.device).index_add_(
            0, torch.from_numpy(sentence).to(losses.device), -losses
        )


def masked_copies(
    ids_BS: np.ndarray, words_BS: np.ndarray, method: str
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The copies of B sentences of one length that a method needs, and what is scored where.

    Returns copies [C, S]; (copy, position) of each scored token, both [M]; and the sentence of each, [M].

    original: a copy a token, which is masked. within-word: the same, with the later tokens of its word masked too.
    whole-word: a copy a word, all of whose tokens are masked and scored at once.
    """
    batch, length = ids_BS.shape
    inner = np.arange(1, length - 1)
    if method == "whole-word":
        first = np.concatenate([np.ones((batch, 1), bool), np.diff(words_BS[:, 1:-1], axis=1) != 0], axis=1)
        sentence, start = np.nonzero(first)
        masked = words_BS[sentence] == words_BS[sentence, start + 1][:, None]
    else:
        sentence, start = np.repeat(np.arange(batch), length - 2), np.tile(inner, batch) - 1
        masked = np.arange(length)[None, :] == (start + 1)[:, None]
        if method == "within-word":
            same = words_BS[sentence] == words_BS[sentence, start + 1][:, None]
            masked = same & (np.arange(length)[None, :] >= (start + 1)[:, None])
    masked[:, 0] = masked[:, -1] = False
    copies = np.where(masked, MASK, ids_BS[sentence])
    if method == "whole-word":
        rows, columns = np.nonzero(masked)
        return copies, (rows, columns), sentence[rows]
    return copies, (np.arange(len(copies)), start + 1), sentence


def scored_states(model: MaskedLanguageModel, ids_CS: Tensor, rows_M: Tensor, columns_M: Tensor) -> Tensor:
    """The encoder's last hidden states at the scored positions only, (M, H): `encoder(ids)[rows, columns]`, cheaper.

    The last block computes keys and values everywhere, and queries, attention and feed-forward at scored positions.
    """
    encoder = model.encoder
    x = encoder.embeddings(ids_CS, None)
    if encoder.reduce is not None:
        x = encoder.reduce(x)
    if encoder.reduce_norm is not None:
        x = encoder.reduce_norm(x)
    *blocks, last = encoder.blocks
    for block in blocks:
        x = block(x, None)
    assert isinstance(last, Block)
    out = _last_block(last, x, rows_M, columns_M)
    return out if encoder.final_norm is None else encoder.final_norm(out)


def _last_block(block: Block, x_CSH: Tensor, rows_M: Tensor, columns_M: Tensor) -> Tensor:
    """One block at M positions, in the order of `Block.forward`."""
    hidden = x_CSH.shape[-1]
    heads, size = block.heads, hidden // block.heads
    here = x_CSH[rows_M, columns_M]
    inside = block.attention_norm(x_CSH) if block.pre else x_CSH
    weight, bias = block.query_key_value.weight, block.query_key_value.bias
    query = linear(inside[rows_M, columns_M], weight[:hidden], bias[:hidden]).view(-1, heads, 1, size)
    both = linear(inside, weight[hidden:], bias[hidden:]).view(*x_CSH.shape[:2], 2, heads, size)
    key, value = both.permute(2, 0, 3, 1, 4).unbind(0)  # each (C, A, S, D)
    if len(rows_M) != len(x_CSH):
        key, value = key[rows_M], value[rows_M]
    mixed = F.scaled_dot_product_attention(query, key, value).reshape(-1, hidden)
    attended = block.attention_out(mixed)
    if block.pre:
        here = here + attended
        return here + block.feed_forward(block.feed_forward_norm(here))
    here = block.attention_norm(here + attended)
    return block.feed_forward_norm(here + block.feed_forward(here))


def tokenize(encoder: Encoder, starts_word: np.ndarray, sentences: list[str], room: int) -> Tokens:
    """Sentences in lower case as tokens. starts_word: bool [V], tokens that begin a word. DataError for one that is
    longer than `room` tokens: a cut sentence has no probability."""
    flat, lengths = encoder.encode([sentence.lower() for sentence in sentences])
    ids, words = [], []
    for sentence, part in zip(sentences, np.split(flat, np.cumsum(lengths)[:-1]), strict=True):
        if len(part) + 1 > room:
            raise DataError(
                f'a sentence of {len(part)} tokens is longer than the model\'s {room}: "{sentence[:60]}..."'
            )
        whole = np.concatenate([[BOS], part])
        numbers = np.cumsum(starts_word[whole])
        numbers[0], numbers[-1] = -1, -2
        ids.append(whole)
        words.append(numbers)
    assert all(len(part) == 0 or part[-1] == EOS for part in ids)
    return Tokens(ids, words)


def pair_events(
    lab: Path, folder: RunDir, cell: CellSpec, run: RunSpec, device: torch.device, requests: Requests, birth: Any
) -> Iterator[Event]:
    """The events of a cell of minimal pairs. The scores come at once at the end; a killed cell begins again."""
    assert cell.pairs is not None
    attempt = birth["attempt"]
    before = read_pairs(Path(cell.source))
    if before.fingerprint != cell.data_fingerprint:
        raise DataError(f"{cell.source} has changed since this cell was asked for; ask again")
    pairs = before
    if cell.filtered:
        if vocabulary_digest(cell.vocabulary) != cell.vocabulary_digest:
            raise DataError(f"the word list {cell.vocabulary} has changed since this cell was asked for; ask again")
        pairs = filter_pairs(before, load_vocabulary(cell.vocabulary).words)
    if len(pairs) < LEAST_PAIRS:
        raise DataError(
            f"{len(pairs)} of {len(before)} pairs are left by the filter, fewer than {LEAST_PAIRS}: refused"
        )
    tokenizer = tokenizer_folder(lab, run.tokenizer_fingerprint)
    model = MaskedLanguageModel(run.model)
    model.load_state_dict(load_weights(lab, run_dir(lab, cell.run_id), run, cell.checkpoint))
    encoder, starts = Encoder(load_tokenizer(tokenizer)), word_starts(tokenizer)
    room = run.model.max_positions - 2
    began = time.monotonic()
    yield CellStarted(**birth, from_update=0)
    yield CellData(attempt=attempt, split="pairs", seen=len(before), labels=("",), kept=(len(pairs),))
    scorer = PairScorer(
        model,
        causal=run.model.causal,
        method=cell.pairs.method,
        precision=cell.pairs.precision,
        device=device,
    )
    good = scorer.scores(tokenize(encoder, starts, pairs.good, room), requests)
    bad = None if good is None else scorer.scores(tokenize(encoder, starts, pairs.bad, room), requests)
    if good is None or bad is None:
        yield Left(attempt=attempt, update=0, reason=requests.reason())
        return
    if not (np.isfinite(good).all() and np.isfinite(bad).all()):
        raise RunError("a sentence has no finite probability: the checkpoint is damaged or diverged")
    write_predictions(
        folder, {"pairs": np.ones(len(pairs), dtype=np.int64)}, {"pairs": np.stack([bad, good], axis=1)}
    )  # the greater one is the answer, and a tie is "bad"
    yield from pair_scores(pairs, good > bad, attempt)
    yield from gain_events(lab, cell, attempt)
    yield CellFinished(attempt=attempt, update=0, epoch=0, seconds=round(time.monotonic() - began, 3))


def pair_scores(pairs: Pairs, right: np.ndarray, attempt: int) -> Iterator[CellScored]:
    """Accuracy of everything (group ""), of each phenomenon, and of each paradigm (`phenomenon/uid`). A tie is wrong.

    The pairs of a paradigm share their contrast, so that a model prefers one side in most of them whatever it knows: errors
    are over paradigms where there are several, and binomial within one.
    """
    groups: dict[str, list[int]] = {"": list(range(len(pairs)))}
    for i, (phenomenon, uid) in enumerate(zip(pairs.phenomenon, pairs.uid, strict=True)):
        groups.setdefault(phenomenon, []).append(i)
        groups.setdefault(f"{phenomenon}/{uid}", []).append(i)
    for group, places in groups.items():
        n, share = len(places), float(right[places].mean())
        yield CellScored(
            attempt=attempt,
            split="pairs",
            group=group,
            metric="accuracy",
            place=0,
            value=share,
            stderr=_error(right[places], [pairs.uid[i] for i in places]),
            n=n,
            epoch=0,
            learning_rate=0.0,
        )


def _error(right: np.ndarray, uid: list[str]) -> float:
    """Standard error of the share of `right` [n], clustered by paradigm; binomial when all are of one."""
    share, n = float(right.mean()), len(right)
    _, cluster = np.unique(uid, return_inverse=True)
    clusters = int(cluster.max()) + 1
    if clusters == 1:
        return (share * (1 - share) / n) ** 0.5
    sums = np.bincount(cluster, weights=right - share)
    return float(np.sqrt((sums**2).sum() * clusters / (clusters - 1)) / n)
