"""Scores of minimal pairs against the plainest way to compute them: full logits, one masked copy a token, one at a time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from shrunk_core.config.spec import ModelSpec
from shrunk_core.downstream.minimal_pairs import PairScorer, Tokens, masked_copies, pair_scores
from shrunk_core.downstream.pair_rows import Pairs
from shrunk_core.language.packing import BOS, EOS, MASK
from shrunk_core.model.heads import MaskedLanguageModel
from shrunk_core.model.init import initialise
from torch import Tensor

SPEC = ModelSpec(
    embedding_size=8,
    hidden_size=16,
    intermediate_size=32,
    num_heads=2,
    num_layers=2,
    vocab_size=60,
    max_positions=20,
)
SHAPES = {
    "projected, pre": SPEC,
    "projected, post": dataclasses.replace(SPEC, norm="post"),
    "none, post, one layer": dataclasses.replace(SPEC, tie="none", norm="post", num_layers=1),
    "full, pre, one layer": dataclasses.replace(SPEC, tie="full", embedding_size=16, num_layers=1),
}
WORDS = ([0], [0, 0, 1], [0, 1, 2, 3], [0, 0, 0, 1], [0, 1, 1, 2, 2, 2], [0, 0, 1, 1, 1, 2], [0, 1, 2, 3, 4, 5])
"""The word of each token, sentence by sentence: lengths that meet and lengths that do not."""


def sentences() -> Tokens:
    rng = np.random.default_rng(0)
    ids = [np.array([BOS, *rng.integers(5, SPEC.vocab_size, len(words)), EOS]) for words in WORDS]
    return Tokens(ids, [np.array([-1, *words, -2]) for words in WORDS])


def model_of(spec: ModelSpec) -> MaskedLanguageModel:
    model = MaskedLanguageModel(spec)
    initialise(model, "scaled", 1)
    return model.eval()


def naive(model: MaskedLanguageModel, ids: np.ndarray, words: np.ndarray, method: str) -> float:
    """Sum over the tokens between `<s>` and `</s>` of the log-probability of each, from the logits of all positions."""
    total = 0.0
    for place in range(1, len(ids) - 1):
        copy = ids.copy()
        for other in range(1, len(ids) - 1):
            same = words[other] == words[place]
            if other == place or method == "whole-word" and same or method == "within-word" and same and other > place:
                copy[other] = MASK
        with torch.no_grad():
            logits = model(torch.from_numpy(copy)[None])[0, place].double()
        total += float(logits.log_softmax(0)[ids[place]])
    return total


@pytest.mark.parametrize("method", ["original", "within-word", "whole-word"])
@pytest.mark.parametrize("shape", SHAPES)
def test_pseudo_log_likelihoods_are_those_of_one_masked_copy_a_token(
    shape: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shrunk_core.downstream.minimal_pairs.BATCH_TOKENS", 60)  # several batches of one length
    model, tokens = model_of(SHAPES[shape]), sentences()
    found = PairScorer(model, causal=False, method=method, precision="fp32", device=torch.device("cpu")).scores(tokens)
    assert found is not None
    wanted = [naive(model, ids, words, method) for ids, words in zip(tokens.ids, tokens.words, strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_causal_score_is_the_log_likelihood_of_everything_after_the_first_token() -> None:
    model, tokens = model_of(dataclasses.replace(SPEC, causal=True)), sentences()
    found = PairScorer(model, causal=True, method="original", precision="fp32", device=torch.device("cpu")).scores(
        tokens
    )
    wanted = []
    for ids in tokens.ids:
        total = 0.0
        for place in range(1, len(ids)):  # what follows is not even shown
            with torch.no_grad():
                logits: Tensor = model(torch.from_numpy(ids[:place])[None])[0, -1].double()
            total += float(logits.log_softmax(0)[ids[place]])
        wanted.append(total)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_copies_mask_what_the_method_says() -> None:
    ids, words = np.array([[BOS, 10, 11, 12, EOS]]), np.array([[-1, 0, 0, 1, -2]])
    copies, _, _ = masked_copies(ids, words, "original")
    assert copies[:, 1:-1].tolist() == [[MASK, 11, 12], [10, MASK, 12], [10, 11, MASK]]
    copies, _, _ = masked_copies(ids, words, "within-word")
    assert copies[:, 1:-1].tolist() == [[MASK, MASK, 12], [10, MASK, 12], [10, 11, MASK]]
    copies, scored, sentence = masked_copies(ids, words, "whole-word")
    assert copies[:, 1:-1].tolist() == [[MASK, MASK, 12], [10, 11, MASK]]
    assert [part.tolist() for part in scored] == [[0, 0, 1], [1, 2, 3]] and sentence.tolist() == [0, 0, 0]


def test_accuracy_is_told_for_all_for_a_phenomenon_and_for_a_paradigm() -> None:
    pairs = Pairs(["g"] * 4, ["b"] * 4, ["u1", "u1", "u2", "u3"], ["p", "p", "p", "q"])
    scores = {s.group: (s.value, s.n) for s in pair_scores(pairs, np.array([True, False, True, False]), 1)}
    assert scores == {
        "": (0.5, 4),
        "p": (2 / 3, 3),
        "p/u1": (0.5, 2),
        "p/u2": (1.0, 1),
        "q": (0.0, 1),
        "q/u3": (0.0, 1),
    }


def test_the_error_is_over_paradigms_because_pairs_of_one_share_their_contrast() -> None:
    """A model without knowledge answers a whole paradigm alike: 20 paradigms are 20 tosses, not 1,000."""
    rng = np.random.default_rng(0)
    uid = [f"u{i // 50}" for i in range(1000)]
    pairs = Pairs(["g"] * 1000, ["b"] * 1000, uid, ["p"] * 1000)
    alike = np.repeat(rng.permutation([True, False] * 10), 50)
    by_group = {s.group: s for s in pair_scores(pairs, alike, 1)}
    assert by_group[""].value == 0.5 and by_group[""].stderr == pytest.approx(0.5 / np.sqrt(19))
    assert by_group["p/u0"].stderr == 0.0
    tossed = {s.group: s for s in pair_scores(pairs, rng.random(1000) < 0.5, 1)}
    assert tossed[""].stderr == pytest.approx(0.5 / np.sqrt(1000), rel=0.5)
    share = tossed["p/u0"].value
    assert tossed["p/u0"].stderr == pytest.approx((share * (1 - share) / 50) ** 0.5)
