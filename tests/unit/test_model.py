"""The encoder: counted parameters are built ones, the fast loss is the plain loss, logits are Hugging Face's."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from shrunk_core.config.spec import ModelSpec
from shrunk_core.cost import num_params
from shrunk_core.model.export import TOKENIZER_FILES, from_hugging_face, hf_config, model_type, write_model
from shrunk_core.model.heads import MaskedLanguageModel
from shrunk_core.model.init import initialise, sinusoids

SHAPES = list(itertools.product(("none", "full", "projected"), ("post", "pre")))


def spec(tie: str, norm: str, **changes: object) -> ModelSpec:
    sizes = {"embedding_size": 64 if tie == "full" else 32, "hidden_size": 64, "intermediate_size": 128}
    return ModelSpec(
        **{**sizes, "num_heads": 4, "num_layers": 2, "vocab_size": 500, "max_positions": 34, **changes},  # type: ignore[arg-type]
        tie=tie,
        norm=norm,
    )


def model(shape: ModelSpec) -> MaskedLanguageModel:
    torch.manual_seed(0)
    built = MaskedLanguageModel(shape)
    initialise(built, "scaled", 0)
    with torch.no_grad():
        for p in built.parameters():
            p.add_(torch.randn_like(p) * 0.05)
    return built.eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(5, 500, (4, 32), generator=torch.Generator().manual_seed(1))
    ids[1, 20:] = 1
    return ids, ids != 1


@pytest.mark.parametrize(("tie", "norm"), SHAPES)
def test_built_parameters_are_the_counted(tie: str, norm: str) -> None:
    shape = spec(tie, norm)
    assert sum(p.numel() for p in MaskedLanguageModel(shape).parameters()) == num_params(shape)


@pytest.mark.parametrize(("tie", "norm"), SHAPES)
def test_loss_at_scored_positions_is_the_full_loss(tie: str, norm: str) -> None:
    """Value to 1e-6 and every gradient to 1e-4 relative, padding and several chunks included."""
    built = model(spec(tie, norm))
    ids, real = batch()
    ids, real = ids.repeat(8, 1), real.repeat(8, 1)
    scored = torch.nonzero(real.flatten()).flatten()[::2]
    targets = torch.randint(5, 500, (len(scored),), generator=torch.Generator().manual_seed(2))
    loss = built.loss_sum(ids, real, scored, targets)
    loss.backward()
    fast = {n: p.grad.clone() for n, p in built.named_parameters() if p.grad is not None}
    built.zero_grad()
    plain = F.cross_entropy(built(ids, real).flatten(0, 1)[scored], targets, reduction="sum")
    plain.backward()
    assert loss.item() == pytest.approx(plain.item(), rel=1e-6)
    for name, p in built.named_parameters():
        if p.grad is not None:
            assert (fast[name] - p.grad).norm() <= 1e-4 * p.grad.norm() + 1e-6, name
    losses = built.token_losses(ids, real, scored, targets)
    assert losses.sum().item() == pytest.approx(plain.item(), rel=1e-5)


@pytest.mark.parametrize(("tie", "norm"), SHAPES)
def test_hugging_face_gives_the_same_logits(tie: str, norm: str, tmp_path: Path) -> None:
    """A stock class where there is one, ours after `import shrunk_core.hf`; every tensor found, logits to 1e-5."""
    import shrunk_core.hf  # noqa: F401
    from transformers import AutoModelForMaskedLM

    shape = spec(tie, norm)
    built = model(shape)
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    for name in TOKENIZER_FILES:
        (tokenizer / name).write_text("{}")
    write_model(tmp_path / "model", shape, built.state_dict(), tokenizer, {})
    theirs, info = AutoModelForMaskedLM.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    expected = {("full", "post"): "Roberta", ("full", "pre"): "RobertaPreLayerNorm", ("projected", "post"): "Electra"}
    assert type(theirs).__name__ == expected.get((tie, norm), "Shrunk") + "ForMaskedLM"
    ids, real = batch()
    with torch.no_grad():
        ours = built(ids, real)
        logits = theirs.eval()(input_ids=ids, attention_mask=real.long()).logits
    assert (ours - logits)[real].abs().max() < 1e-5
    back = from_hugging_face(shape, load_file(tmp_path / "model" / "model.safetensors"))
    assert all(torch.equal(back[n], t) for n, t in built.state_dict().items())


def test_projected_with_equal_sizes_has_no_stock_class() -> None:
    """ELECTRA drops its projection when E = H; our shape keeps it, as its parameter count says."""
    shape = spec("projected", "post", embedding_size=64)
    assert model_type(shape) == "shrunk"
    assert hf_config(shape)["architectures"] == ["ShrunkForMaskedLM"]


def test_fixed_heads_change_the_attention_and_nothing_else() -> None:
    ids, real = batch()
    one, eight = spec("none", "post"), spec("none", "post", fixed_heads=8)
    assert num_params(one) == num_params(eight)
    with torch.no_grad():
        assert not torch.allclose(model(one)(ids, real), model(eight)(ids, real))


def test_initial_weights_follow_the_seed() -> None:
    first, again, other = (MaskedLanguageModel(spec("none", "post")) for _ in range(3))
    initialise(first, "paper", 3)
    initialise(again, "paper", 3)
    initialise(other, "paper", 4)
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(first.head.weight, other.head.weight)
    assert first.encoder.reduce_norm is not None
    assert torch.all(first.encoder.reduce_norm.weight == 0.01)
    assert torch.all(first.encoder.embeddings.norm.weight == 1.0)


def test_sinusoidal_positions_turn_by_one_rotation_a_step() -> None:
    table = sinusoids(130, 64).double()
    assert table.square().mean().item() == pytest.approx(1 / 64, rel=1e-6)  # as large as the tokens of `scaled`
    similarity = table @ table.T
    for shift in (1, 2, 7):  # how alike two positions are depends on their distance alone
        diagonal = similarity.diagonal(shift)
        assert torch.allclose(diagonal, diagonal[0].expand_as(diagonal), atol=1e-5)
    assert similarity[40].argsort(descending=True)[:3].sort().values.tolist() == [39, 40, 41]
    assert sinusoids(5, 7).shape == (5, 7)


def test_the_start_of_a_run_is_the_one_that_was_named() -> None:
    shape = spec("projected", "pre")
    built = MaskedLanguageModel(shape)
    initialise(built, "sinusoidal", 0)
    expected = sinusoids(shape.max_positions, shape.embedding_size)
    assert torch.equal(built.encoder.embeddings.position.weight, expected)
    other = MaskedLanguageModel(shape)
    initialise(other, "scaled", 0)
    assert torch.equal(built.encoder.embeddings.token.weight, other.encoder.embeddings.token.weight)


def test_a_causal_model_is_never_saved_as_a_class_that_looks_ahead() -> None:
    for tie, norm in SHAPES:
        assert model_type(spec(tie, norm, causal=True)) == "shrunk"
