"""The engine against Hugging Face's RobertaForMaskedLM with the same weights: logits, loss and every gradient."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from shrunk_core.config.spec import CorpusSpec, ModelSpec, RunSpec, TokenizerSpec, TrainSpec
from shrunk_core.model import heads
from shrunk_core.model.export import from_hugging_face
from shrunk_core.model.heads import MaskedLanguageModel
from shrunk_core.train.masking import Masked
from shrunk_core.train.runtime import Runtime
from shrunk_core.train.update import Updater, cpu_inputs, device_inputs, host_inputs

SPEC = ModelSpec(
    embedding_size=64, hidden_size=64, intermediate_size=128, num_heads=4, num_layers=2, vocab_size=500, max_positions=34,
    tie="full", norm="post",
)  # fmt: skip


def roberta() -> torch.nn.Module:
    from transformers import RobertaConfig, RobertaForMaskedLM

    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=500, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=34, type_vocab_size=2, layer_norm_eps=1e-5, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    network = RobertaForMaskedLM(config)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(torch.randn_like(p) * 0.05)
    return network


def masked(rows: int = 8, share: float = 0.3) -> Masked:
    rng = np.random.default_rng(1)
    ids = rng.integers(5, 500, (rows, 32))
    ids[1, 20:] = 1
    scored = (rng.random(ids.shape) < share) & (ids >= 5)
    return Masked(np.where(scored, 4, ids), ids, scored)


@pytest.mark.parametrize("training", [False, True])
def test_logits_loss_and_gradients_are_robertas(training: bool) -> None:
    """fp32, dropout 0: logits to 1e-5, the gathered loss to 1e-6 of theirs over all logits, gradients to 1e-4 relative."""
    network = roberta().train(training)
    ours = MaskedLanguageModel(SPEC)
    ours.load_state_dict(from_hugging_face(SPEC, {k: v.clone() for k, v in network.state_dict().items()}))
    ours.train(training)
    batch = masked()
    inputs = cpu_inputs(batch, slice(0, len(batch.inputs)))
    assert inputs.real_BS is not None
    labels = torch.from_numpy(np.where(batch.scored, batch.targets, -100))
    theirs = network(input_ids=inputs.ids_BS, attention_mask=inputs.real_BS.long(), labels=labels)
    with torch.no_grad():
        logits = ours(inputs.ids_BS, inputs.real_BS)
    assert (logits - theirs.logits)[inputs.real_BS].abs().max() < 1e-5
    loss = ours.loss_sum(inputs.ids_BS, inputs.real_BS, inputs.scored_M, inputs.targets_M) / int(batch.scored.sum())
    assert loss.item() == pytest.approx(theirs.loss.item(), rel=1e-6)
    loss.backward()
    theirs.loss.backward()
    gradients = {name: p.grad for name, p in network.named_parameters(remove_duplicate=False) if p.grad is not None}
    expected = from_hugging_face(SPEC, {n: g for n, g in gradients.items() if g is not None})
    compared = 0
    for name, p in ours.named_parameters():
        assert p.grad is not None, name
        assert (p.grad - expected[name]).norm() <= 1e-4 * expected[name].norm() + 1e-8, name
        compared += 1
    assert compared == len(expected) == len(list(ours.parameters()))


def updater(micro_batch: int = 8, clip_norm: float = 1.0) -> Updater:
    train = TrainSpec(clip_norm=clip_norm, batch_size=8, sequence_length=32, precision="fp32", mask_share=0.3)
    spec = RunSpec(
        model=SPEC, train=train, corpus=CorpusSpec(sources=("embedded:kjv",)), tokenizer=TokenizerSpec(), seed=0,
        corpus_fingerprint="0" * 12, tokenizer_fingerprint="0" * 12,
    )  # fmt: skip
    torch.manual_seed(0)
    model = MaskedLanguageModel(SPEC)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0.0, 0.1)
    return Updater(
        spec, model.train(), Runtime(device=torch.device("cpu"), threads=1, micro_batch=micro_batch), padded=True
    )


@pytest.mark.parametrize("capacity", [16, 128])
def test_a_fixed_count_of_entries_changes_neither_masks_nor_gradients(capacity: int) -> None:
    """What a GPU gets for a recorded graph, computed here: the same loss, whether the count pads the scored tokens or is
    fewer than they are, in which case it grows: none is left out."""
    batch, made = masked(), updater()
    part = slice(0, len(batch.inputs))
    host = host_inputs(batch, part, capacity, padded=True)
    fixed = device_inputs(torch.from_numpy(host), (8, 32), padded=True)
    assert fixed.weights_M is not None
    assert int(fixed.weights_M.sum()) == int(batch.scored.sum())
    assert len(fixed.weights_M) == max(capacity, int(batch.scored.sum()))
    losses, gradients = [], []
    for inputs in (cpu_inputs(batch, part), fixed):
        made.model.zero_grad()
        loss = made.model.loss_sum(inputs.ids_BS, inputs.real_BS, inputs.scored_M, inputs.targets_M, inputs.weights_M)
        loss.backward()
        losses.append(loss.item())
        gradients.append([p.grad.clone() for p in made.model.parameters() if p.grad is not None])
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    assert all((a - b).norm() <= 1e-5 * a.norm() + 1e-7 for a, b in zip(*gradients, strict=True))


def test_the_fixed_count_holds_any_bernoulli_draw() -> None:
    """Six standard deviations: the largest of a thousand counts stays far below, and memory is not given away."""
    made = updater()
    capacity = made._capacity(32)
    counts = np.random.default_rng(0).binomial(8 * 32, 0.3, 1000)
    assert counts.max() < capacity < 8 * 32


def test_an_update_that_is_left_half_way_changes_nothing() -> None:
    """Asked to leave after the first of four micro-batches: no weight moves, no gradient stays, and the update made again
    is the one of a run that was never asked."""
    asked, never = updater(micro_batch=2), updater(micro_batch=2)
    before = [p.clone() for p in asked.model.parameters()]
    answers = iter([False, True])
    assert asked.run(1, masked(), 1e-2, lambda: next(answers)) is None
    assert all(torch.equal(p, old) for p, old in zip(asked.model.parameters(), before, strict=True))
    assert all(p.grad is None for p in asked.model.parameters())
    again, plain = (made.run(1, masked(), 1e-2, lambda: False) for made in (asked, never))
    assert again is not None and plain is not None
    assert torch.equal(again[0], plain[0]) and torch.equal(again[1], plain[1])
    assert all(torch.equal(a, b) for a, b in zip(asked.model.parameters(), never.model.parameters(), strict=True))
    assert not all(torch.equal(p, old) for p, old in zip(asked.model.parameters(), before, strict=True))


def test_micro_batches_of_any_size_make_the_same_update() -> None:
    """Rows have different counts of scored tokens; each token weighs the same whatever part it falls into."""
    batch = masked()
    assert len(set(batch.scored.reshape(4, -1).sum(axis=1).tolist())) > 1
    whole = updater(micro_batch=8)
    expected = whole.run(1, batch, 1e-2, lambda: False)
    assert expected is not None
    for size in (1, 3):
        made = updater(micro_batch=size)
        found = made.run(1, batch, 1e-2, lambda: False)
        assert found is not None
        assert found[0].item() == pytest.approx(expected[0].item(), rel=1e-5)
        assert found[1].item() == pytest.approx(expected[1].item(), rel=1e-4)


def test_a_clipped_update_moves_as_if_the_gradient_had_that_norm() -> None:
    """The norm that is reported is the one before clipping."""
    made = updater(clip_norm=0.05)
    result = made.run(1, masked(), 1e-2, lambda: False)
    assert result is not None and result[1].item() > 0.1
    first = [state["exp_avg"] for state in made.optimizer.state.values()]
    norm = torch.linalg.vector_norm(torch.stack([m.norm() for m in first])) / (1 - 0.9)
    assert norm.item() == pytest.approx(0.05, rel=1e-3)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own doing
def test_the_loss_of_a_gpu_is_one_graph_for_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout and gradients included, nothing falls back to Python. Tensors without a place stand for those of a card."""

    def of_a_card(*parts: torch.Tensor | None) -> torch.Tensor:
        return heads._ChunkedCrossEntropy.apply(*parts, torch.bfloat16)  # type: ignore[return-value]

    monkeypatch.setattr(
        heads, "chunked_cross_entropy", of_a_card
    )  # it asks for autocast, which no-place knows nothing of
    model = MaskedLanguageModel(dataclasses.replace(SPEC, dropout=0.1, attention_dropout=0.1)).to("meta").train()
    whole = torch.compile(model.loss_sum, fullgraph=True, backend="aot_eager", dynamic=False)
    ids = torch.zeros(4, 16, dtype=torch.int64, device="meta")
    scored, weights = ids[0], torch.ones(16, device="meta")
    whole(ids, ids == 0, scored, scored, weights).backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in model.parameters())
