"""The compiled loops between products against torch's operations, which stand in for them on other processors."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from shrunk_core.config.spec import ModelSpec
from shrunk_core.model import fused, kernels
from shrunk_core.model.attention import attend
from shrunk_core.model.heads import MaskedLanguageModel, chunked_cross_entropy
from shrunk_core.model.noise import Noise

SPEC = ModelSpec(
    embedding_size=32, hidden_size=32, intermediate_size=64, num_heads=2, num_layers=2, vocab_size=500, max_positions=34,
    tie="full", norm="post", dropout=0.1, attention_dropout=0.1,
)  # fmt: skip


@pytest.fixture(params=[True, False], ids=["loops", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(fused, "load", lambda: kernels if request.param else None)
    return request.param


def powers(x: torch.Tensor) -> torch.Tensor:
    """2^x of a matrix, by the loop."""
    return by_the_loop(x)[0]


def by_the_loop(x: torch.Tensor) -> list[torch.Tensor]:
    """(2^x, sums of rows, what is at the third place of each)."""
    y, sums, chosen = x.clone(), torch.empty(len(x)), torch.empty(len(x))
    kernels.numerators(y.numpy(), np.full(len(x), 2), sums.numpy(), chosen.numpy())
    return [y, sums, chosen]


@pytest.mark.parametrize("columns", [3, 256, 19_001])
def test_sums_of_rows_are_those_of_what_is_in_them(columns: int) -> None:
    y, sums, chosen = by_the_loop(4 * torch.randn(5, columns, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(chosen, y[:, 2])
    assert (sums.double() / y.double().sum(1) - 1).abs().max() < 2e-7


def test_powers_of_two_are_exact_to_two_units_in_the_last_place() -> None:
    """Over all that fp32 holds but subnormals, at lengths that are no multiple of a block."""
    x = torch.linspace(-126, 127.4, 3 * 70_001).view(3, -1)
    expected = torch.exp2(x.double())
    assert ((powers(x).double() - expected).abs() / expected).max() < 2 * 2**-24


def test_powers_beyond_fp32_are_nought_infinity_and_not_a_number() -> None:
    x = torch.tensor([-torch.inf, -1e30, -200.0, 128.0, 1e30, torch.inf, torch.nan]).repeat(1, 100)
    for found in (powers(x)[0, :7], powers(x)[0, -7:]):  # in a block, after the last
        assert found[:3].tolist() == [0.0] * 3 and found[3:6].tolist() == [torch.inf] * 3 and bool(found[6].isnan())


def test_gelu_and_its_derivative_are_the_exact_ones(way: bool) -> None:
    x = torch.cat([torch.linspace(-12, 12, 100_001), torch.tensor([-1e30, 1e30, torch.nan])]).requires_grad_()
    y = fused.gelu(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    exact = x.detach().double().requires_grad_()
    expected = F.gelu(exact)
    (derivative,) = torch.autograd.grad(expected.sum(), exact)
    assert y[-3:-1].tolist() == [0.0, x[-2].item()] and bool(y[-1].isnan()) and bool(slope[-1].isnan())
    assert (y - expected)[:-3].abs().max() < 1e-6
    assert (slope - derivative)[:-3].abs().max() < 1e-6


@pytest.mark.parametrize("length", [1, 7, 128])
def test_attention_is_the_same_by_loops_and_by_torch(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Value and gradient, with dropout, a mask and rows of any length; scores far from nought too."""
    qkv = (8 * torch.randn(2, length, 48, generator=torch.Generator().manual_seed(0))).requires_grad_()
    blocked = torch.zeros(2, 1, 1, length, dtype=torch.bool)
    blocked[1, 0, 0, length // 2 + 1 :] = True
    weight = torch.randn(2, length, 16, generator=torch.Generator().manual_seed(1))
    found = []
    for loops in (kernels, None):
        monkeypatch.setattr(fused, "load", lambda loops=loops: loops)
        noise = Noise()
        noise.seed(1, 2, 3, torch.device("cpu"))
        mixed = attend(qkv, 2, blocked_B1SS=blocked, causal=False, dropout=0.3, noise=noise)
        found.append((mixed.detach(), *torch.autograd.grad((mixed * weight).sum(), qkv)))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-5)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-4)


def test_a_loss_is_the_same_by_loops_and_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole model with dropout on: loss to 1e-6, every gradient to 1e-5, twice by loops bit for bit."""
    torch.manual_seed(0)
    model = MaskedLanguageModel(SPEC).train()
    ids = torch.randint(5, 500, (8, 32))
    scored = torch.arange(0, 256, 3)
    found = []
    for loops in (kernels, kernels, None):
        monkeypatch.setattr(fused, "load", lambda loops=loops: loops)
        model.zero_grad()
        model.encoder.noise.seed(1, 2, 3, torch.device("cpu"))
        loss = model.loss_sum(ids, None, scored, ids.flatten()[scored])
        loss.backward()
        found.append((loss.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    (one, gradients), (two, again), (theirs, expected) = found
    assert torch.equal(one, two) and all(torch.equal(a, b) for a, b in zip(gradients, again, strict=True))
    assert one.item() == pytest.approx(theirs.item(), rel=1e-6)
    assert all((a - b).norm() <= 1e-5 * b.norm() + 1e-7 for a, b in zip(gradients, expected, strict=True))


@pytest.mark.parametrize("problem", [torch.inf, -torch.inf, torch.nan])
def test_a_loss_that_is_no_number_stays_none(problem: float, way: bool) -> None:
    features = torch.full((3, 8), problem)
    loss = chunked_cross_entropy(features, torch.rand(500, 8), torch.zeros(500), torch.tensor([1, 2, 3]))
    assert not loss.isfinite()


def test_loops_are_for_one_thread_in_fp32(way: bool) -> None:
    x = torch.zeros(1)
    assert (fused.loops(x) is kernels) is way
    assert fused.loops(x.bfloat16()) is None and fused.loops(x.to("meta")) is None
    torch.set_num_threads(2)
    try:
        assert fused.loops(x) is None
    finally:
        torch.set_num_threads(1)


def test_where_nothing_can_be_compiled_torch_computes_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setitem(sys.modules, "shrunk_core.model.kernels", None)
    monkeypatch.delattr("shrunk_core.model.kernels")
    with pytest.warns(RuntimeWarning, match="not compiled"):
        assert fused.load.__wrapped__() is None
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert fused.load.__wrapped__() is None
