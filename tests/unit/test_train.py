"""Masks, order, schedules, evaluation: what training is made of, each against what it must be."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shrunk_core.config.spec import ModelSpec, TrainSpec
from shrunk_core.errors import RunError
from shrunk_core.language.packing import MASK, NUM_SPECIAL, PAD, TokenStream, pack
from shrunk_core.model.heads import MaskedLanguageModel
from shrunk_core.model.init import initialise
from shrunk_core.train import checkpoint
from shrunk_core.train.masking import RowOrder, mask_for_evaluation, mask_for_training
from shrunk_core.train.optim import clip_gradients, learning_rate, warmup_updates
from shrunk_core.train.perplexity import clustered_mean, evaluate, unigram_cross_entropy, unigram_log_probabilities

IDS = np.random.default_rng(0).integers(NUM_SPECIAL, 200, (256, 64))
IDS[:, 0] = 0
IDS[:16, 40:] = PAD


def masked(masking: str, update: int = 1, seed: int = 0, padding: bool = False) -> tuple[np.ndarray, np.ndarray]:
    result = mask_for_training(
        IDS, seed=seed, update=update, share=0.15, masking=masking, vocab_size=200, padding_in_loss=padding
    )
    return result.inputs, result.scored


def test_masks_are_bernoulli_and_spare_specials() -> None:
    inputs, scored = masked("100/0/0")
    eligible = IDS >= NUM_SPECIAL
    assert not scored[~eligible].any()
    n = eligible.sum()
    assert abs(scored.sum() / n - 0.15) < 4 * math.sqrt(0.15 * 0.85 / n)
    assert (inputs[scored] == MASK).all()
    assert (inputs[~scored] == IDS[~scored]).all()


def test_eighty_ten_ten() -> None:
    inputs, scored = masked("80/10/10")
    n = scored.sum()
    hidden, kept = (inputs[scored] == MASK).mean(), (inputs[scored] == IDS[scored]).mean()
    assert abs(hidden - 0.8) < 4 * math.sqrt(0.16 / n)
    assert abs(kept - 0.1) < 4 * math.sqrt(0.09 / n) + 0.1 / 195  # a random token is the same one in 195
    assert (inputs[scored] >= MASK).all()
    assert (inputs[~scored] == IDS[~scored]).all()


def test_masks_are_functions_of_seed_and_update() -> None:
    assert np.array_equal(masked("80/10/10")[0], masked("80/10/10")[0])
    assert not np.array_equal(masked("80/10/10")[1], masked("80/10/10", update=2)[1])
    assert not np.array_equal(masked("80/10/10")[1], masked("80/10/10", seed=1)[1])


def test_padding_in_loss_scores_pads_unmasked() -> None:
    inputs, scored = masked("100/0/0", padding=True)
    assert scored[IDS == PAD].all()
    assert (inputs[IDS == PAD] == PAD).all()


def test_evaluation_masks_every_scored_token() -> None:
    result = mask_for_evaluation(IDS, evaluation_id="abc", block=0, padding_in_loss=False)
    assert (result.inputs[result.scored] == MASK).all()
    other = mask_for_evaluation(IDS, evaluation_id="abd", block=0, padding_in_loss=False)
    assert not np.array_equal(result.scored, other.scored)


@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 3))
def test_an_epoch_sees_every_row_once(rows: int, batch: int, seed: int) -> None:
    order = RowOrder(rows, seed)
    drawn = np.concatenate([order.rows(u, batch) for u in range(1, 2 * rows + 1)])
    for epoch in range(len(drawn) // rows):
        assert sorted(drawn[epoch * rows : (epoch + 1) * rows]) == list(range(rows))
    assert np.array_equal(RowOrder(rows, seed).rows(7, batch), order.rows(7, batch))


def test_the_papers_schedule() -> None:
    """w = 1,773 at 35,475 updates; peak 5e-4 there; inverse square root after."""
    train = TrainSpec(updates=35475, learning_rate=5e-4, schedule="noam", warmup_share=0.05, warmup_max=4000)
    w = warmup_updates(train)
    assert w == 1773
    for u in (1, 100, w, w + 1, 20000, 35475):
        assert learning_rate(train, u) == pytest.approx(5e-4 * math.sqrt(w) * min(u**-0.5, u * w**-1.5))
    assert warmup_updates(dataclasses.replace(train, updates=100_000)) == 4000


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant", "noam"])
def test_schedules_rise_to_the_peak_and_never_above(schedule: str) -> None:
    train = TrainSpec(updates=200, learning_rate=1e-2, schedule=schedule)
    rates = [learning_rate(train, u) for u in range(1, 201)]
    assert max(rates) == pytest.approx(1e-2)
    assert rates.index(max(rates)) == warmup_updates(train) - 1
    assert min(rates) > 0
    if schedule in ("linear", "cosine"):
        assert rates[-1] < 1e-3


def test_clipping_scales_to_the_norm() -> None:
    layer = torch.nn.Linear(3, 3)
    for p in layer.parameters():
        p.grad = torch.full_like(p, 2.0)
    assert clip_gradients(layer, 1.0).item() == pytest.approx(2 * math.sqrt(12))
    total = math.sqrt(sum(float((p.grad**2).sum()) for p in layer.parameters() if p.grad is not None))
    assert total == pytest.approx(1.0, rel=1e-4)


def test_clustered_error_is_larger_when_sequences_agree() -> None:
    rng = np.random.default_rng(0)
    counts = np.full(400, 10)
    alike = rng.normal(size=400) * 10
    apart = rng.normal(size=(400, 10)).sum(axis=1)
    assert clustered_mean(apart, counts)[1] == pytest.approx(1 / math.sqrt(4000), rel=0.1)
    assert clustered_mean(alike, counts)[1] == pytest.approx(1 / math.sqrt(400), rel=0.1)
    assert math.isnan(clustered_mean(apart[:1], counts[:1])[1])


def rows_of(ids: np.ndarray) -> TokenStream:
    n = len(ids)
    return TokenStream(ids, np.arange(0, n + 1, 20), np.arange(0, n + 1, 400), 200)


def test_evaluation_does_not_depend_on_the_batch() -> None:
    ids = np.random.default_rng(1).integers(NUM_SPECIAL, 200, 24_000).astype(np.uint16)
    rows = pack(rows_of(ids), sequence_length=32, packing="packed")
    model = MaskedLanguageModel(
        ModelSpec(
            embedding_size=16, hidden_size=16, intermediate_size=32, num_heads=2, vocab_size=200, max_positions=34
        )
    )
    initialise(model, "bert", 0)
    unigram = unigram_log_probabilities(np.bincount(ids, minlength=200), rows, False)
    settings = {"evaluation_id": "x", "padding_in_loss": False}
    results = [
        evaluate(model, rows, unigram, device=torch.device("cpu"), batch_size=b, **settings)  # type: ignore[arg-type]
        for b in (256, 37)
    ]
    assert results[0] is not None
    assert results[1] is not None
    assert results[0].num_masked_tokens == results[1].num_masked_tokens
    assert results[0].loss == pytest.approx(results[1].loss, rel=1e-6)
    assert results[0].unigram_loss == pytest.approx(unigram_cross_entropy(rows, unigram, **settings))  # type: ignore[arg-type]
    assert results[0].unigram_loss == pytest.approx(math.log(195), abs=0.02)


def test_unigram_is_add_one_over_scored_entries() -> None:
    counts = np.array([9, 9, 9, 9, 9, 2, 0, 1])
    rows = pack(TokenStream(np.array([5, 6], np.uint16), np.array([0, 2]), np.array([0, 2]), 8), sequence_length=8,
                packing="packed")  # fmt: skip
    p = np.exp(unigram_log_probabilities(counts, rows, False))
    assert p == pytest.approx([0, 0, 0, 0, 0, 3 / 6, 1 / 6, 2 / 6])


def test_checkpoints_are_whole_or_absent_and_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for update in (10, 20, 30, 40):
        checkpoint.save(tmp_path, checkpoint.Progress(update=update), {"model": {"w": torch.ones(3)}})
    (tmp_path / ".new-50").mkdir()
    checkpoint.prune(tmp_path, keep=1, best_update=20)
    assert checkpoint.saved_updates(tmp_path) == [20, 40]
    assert not (tmp_path / ".new-50").exists()
    (checkpoint.folder_of(tmp_path, 40) / checkpoint.STATE_FILE).write_bytes(b"broken")
    found = checkpoint.load_latest(tmp_path)
    assert found is not None
    assert found[0].update == 20

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match="Make space"):
        checkpoint.save(tmp_path, checkpoint.Progress(update=60), {})
    assert checkpoint.saved_updates(tmp_path) == [20, 40]
    assert not list(tmp_path.glob(".new*"))
