"""Objectives, schedules, budgets and interruptions of training, in this process on the tiny language; what a machine tells."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from shrunk_core.config.grid import load_grid
from shrunk_core.config.lab import init_lab
from shrunk_core.config.spec import ModelSpec, TrainSpec
from shrunk_core.engine.bench import SHAPES, shape_of
from shrunk_core.engine.machine import Machine, Measurement, features, read_machine, remember
from shrunk_core.engine.plan import make_plan
from shrunk_core.engine.worker import read_language
from shrunk_core.errors import ConfigError
from shrunk_core.language.corpus import build_corpus
from shrunk_core.language.packing import EOS, MASK, NUM_SPECIAL, PAD
from shrunk_core.model import product
from shrunk_core.model.attention import attend
from shrunk_core.model.heads import chunked_cross_entropy
from shrunk_core.model.noise import Noise, scale
from shrunk_core.model.product import Linear
from shrunk_core.record.events import Evaluated, Finished, Noted, Step
from shrunk_core.record.rundir import RunDir
from shrunk_core.train.arithmetic import onednn_products, products_are_fp32
from shrunk_core.train.masking import mask_for_training, next_tokens
from shrunk_core.train.optim import decay_updates, learning_rate
from shrunk_core.train.pretrain import Trainer
from shrunk_core.train.runtime import Requests, Runtime
from shrunk_core.train.update import device_inputs, host_inputs

from tests.tiny import write_grid


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trainer(folder: Path, train: str = "", updates: int = 40, **model: object) -> Trainer:
    lab = init_lab(folder / "lab")
    grid = write_grid(folder, updates=updates, evaluate_every=10, train=train)
    spec = make_plan(lab, load_grid(grid)).runs[0].spec
    assert spec is not None
    spec = dataclasses.replace(spec, model=dataclasses.replace(spec.model, **model))
    for _ in build_corpus(lab, spec.corpus, spec.tokenizer):
        pass
    run = RunDir(lab / "runs" / spec.run_id)
    run.path.mkdir(exist_ok=True)
    runtime = Runtime(device=torch.device("cpu"), threads=1, micro_batch=8)
    return Trainer(spec, read_language(spec, lab), run, runtime, Requests(run.control), 1)


def test_causal_attention_sees_no_future() -> None:
    qkv = torch.randn(2, 8, 48, generator=torch.Generator().manual_seed(0))
    settings = {"blocked_B1SS": None, "causal": True, "dropout": 0.0, "noise": Noise()}
    whole = attend(qkv, 4, **settings)  # type: ignore[arg-type]
    changed = qkv.clone()
    changed[:, 5:] += 1.0
    again = attend(changed, 4, **settings)  # type: ignore[arg-type]
    assert torch.allclose(whole[:, :5], again[:, :5])
    assert not torch.allclose(whole[:, 5:], again[:, 5:])


@pytest.mark.parametrize("causal", [False, True])
def test_attention_and_its_gradient_are_torchs(causal: bool) -> None:
    qkv = torch.randn(3, 16, 48, generator=torch.Generator().manual_seed(0), requires_grad=True)
    blocked = torch.zeros(3, 1, 1, 16, dtype=torch.bool)
    blocked[1, ..., 12:] = True
    ours = attend(qkv, 2, blocked_B1SS=blocked, causal=causal, dropout=0.0, noise=Noise())
    query, key, value = qkv.view(3, 16, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
    allowed = ~blocked.expand(3, 1, 16, 16)
    if causal:
        allowed = allowed & torch.ones(16, 16, dtype=torch.bool).tril()
    theirs = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed).transpose(1, 2).reshape(3, 16, 16)
    assert torch.allclose(ours, theirs, atol=1e-6)
    weight = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    (one,) = torch.autograd.grad((ours * weight).sum(), qkv)
    (two,) = torch.autograd.grad((theirs * weight).sum(), qkv)
    assert torch.allclose(one, two, atol=1e-5)


def test_attention_drops_weights_as_its_masks_say() -> None:
    """Value and gradient of softmax, mask, factor and product written out, with the masks of the same seed."""
    qkv = torch.randn(2, 16, 48, generator=torch.Generator().manual_seed(0), requires_grad=True)
    noise = Noise()
    noise.seed(1, 2, 3, torch.device("cpu"))
    ours = attend(qkv, 2, blocked_B1SS=None, causal=False, dropout=0.3, noise=noise)
    noise.seed(1, 2, 3, torch.device("cpu"))
    keep = noise.keep((4, 16, 16), 0.3, torch.float32).view(2, 2, 16, 16)
    assert 0.5 < keep.mean() < 0.9
    query, key, value = qkv.view(2, 16, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
    weights = torch.softmax(query @ key.transpose(-1, -2) / 8**0.5, -1) * keep * scale(0.3)
    theirs = (weights @ value).transpose(1, 2).reshape(2, 16, 16)
    assert torch.allclose(ours, theirs, atol=1e-6)
    weight = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    (one,) = torch.autograd.grad((ours * weight).sum(), qkv)
    (two,) = torch.autograd.grad((theirs * weight).sum(), qkv)
    assert torch.allclose(one, two, atol=1e-5)


def test_bf16_without_units_for_it_is_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products by way of fp32 round where bf16 units do: a layer's value and gradients are autocast's to a rounding."""
    generator = torch.Generator().manual_seed(0)
    layer = Linear(32, 48)
    x = torch.randn(5, 7, 32, generator=generator)
    weight = torch.randn(5, 7, 48, generator=generator)
    results = []
    for units in (True, False):
        monkeypatch.setattr(product, "has_bf16_units", lambda units=units: units)
        own = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = layer(own)
        assert out.dtype == torch.bfloat16
        results.append([out.float(), *torch.autograd.grad((out.float() * weight).sum(), (own, *layer.parameters()))])
    for real, by_way in zip(*results, strict=True):
        assert real.dtype == by_way.dtype
        assert (real - by_way).abs().max() <= 2**-7 * real.abs().max()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = layer(x).float()
    assert not torch.equal(rounded, torch.nn.functional.linear(x, layer.weight, layer.bias))


def test_noise_is_bernoulli_and_a_function_of_its_seed() -> None:
    noise = Noise()
    noise.seed(1, 2, 3, torch.device("cpu"))
    first = noise.keep((400, 501), 0.1, torch.float32)
    noise.seed(1, 2, 3, torch.device("cpu"))
    assert torch.equal(first, noise.keep((400, 501), 0.1, torch.float32))
    assert abs(float((first == 0).float().mean()) - 0.1) < 0.003
    assert abs(float(first.mean()) * scale(0.1) - 1.0) < 0.004
    dropped = noise.drop(torch.ones(400, 501), 0.1)
    assert dropped.unique().tolist() == pytest.approx([0.0, scale(0.1)])


def test_entries_of_weight_zero_change_nothing() -> None:
    """A static masked count, as CUDA graphs need: the same loss and gradients with the batch padded."""
    g = torch.Generator().manual_seed(0)
    x, w = torch.randn(9, 6, generator=g, requires_grad=True), torch.randn(30, 6, generator=g, requires_grad=True)
    bias, targets = torch.zeros(30), torch.randint(0, 30, (9,), generator=g)
    plain = chunked_cross_entropy(x, w, bias, targets)
    plain_grads = torch.autograd.grad(plain, (x, w))
    more = torch.cat([x, x[:1].expand(4, -1)])
    weights = torch.tensor([1.0] * 9 + [0.0] * 4)
    padded = chunked_cross_entropy(more, w, bias, torch.cat([targets, targets.new_zeros(4)]), weights)
    padded_grads = torch.autograd.grad(padded, (x, w))
    assert padded.item() == pytest.approx(plain.item(), rel=1e-6)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(plain_grads, padded_grads, strict=True))


@pytest.mark.parametrize(
    ("low", "high"), [(0, 200), (-60, 60), (-85, 20), (20, 85), (-95, -85), (85, 88), (-300, -290)]
)
def test_a_loss_beyond_what_a_probability_can_hold_is_exact(low: float, high: float) -> None:
    """Far logits of either sign, the less likely of two being the target; the gradients are those of plain cross-entropy."""
    x, w = torch.tensor([[1.0]], requires_grad=True), torch.tensor([[float(low)], [float(high)]], requires_grad=True)
    ours = chunked_cross_entropy(x, w, torch.zeros(2), torch.tensor([0]))
    plain = torch.nn.functional.cross_entropy(x @ w.t(), torch.tensor([0]))
    assert ours.item() == pytest.approx(plain.item(), rel=1e-5)
    for one, other in zip(torch.autograd.grad(ours, (x, w)), torch.autograd.grad(plain, (x, w)), strict=True):
        assert torch.allclose(one, other, rtol=1e-4)


def test_inputs_for_a_device_are_the_batch() -> None:
    ids = np.random.default_rng(0).integers(NUM_SPECIAL, 90, (4, 16))
    ids[2, 9:] = PAD
    batch = mask_for_training(
        ids, seed=0, update=1, share=0.3, masking="80/10/10", vocab_size=90, padding_in_loss=False
    )
    host = host_inputs(batch, slice(0, 4), 64, padded=True)
    inputs = device_inputs(torch.from_numpy(host), (4, 16), padded=True)
    assert inputs.real_BS is not None and inputs.weights_M is not None
    assert np.array_equal(inputs.ids_BS.numpy(), batch.inputs)
    assert np.array_equal(inputs.real_BS.numpy(), ids != PAD)
    count = int(batch.scored.sum())
    assert inputs.weights_M.tolist() == [1.0] * count + [0.0] * (64 - count)
    assert np.array_equal(inputs.scored_M[:count].numpy(), np.flatnonzero(batch.scored))
    assert np.array_equal(inputs.targets_M[:count].numpy(), ids[batch.scored])


def test_whole_words_share_their_lot_and_the_share_stays() -> None:
    starts = np.zeros(50, dtype=bool)
    starts[NUM_SPECIAL:20] = True
    ids = np.random.default_rng(0).integers(NUM_SPECIAL, 50, (400, 64))
    ids[:, 0] = 0
    result = mask_for_training(
        ids,
        seed=0,
        update=1,
        share=0.15,
        masking="whole-word",
        vocab_size=50,
        padding_in_loss=False,
        word_starts=starts,
    )
    follows = ~starts[ids[:, 2:]]
    assert (result.scored[:, 2:] == result.scored[:, 1:-1])[follows].all()
    assert abs(result.scored[:, 1:].mean() - 0.15) < 0.01
    assert 0.75 < (result.inputs[result.scored] == MASK).mean() < 0.85


def test_causal_targets_are_the_next_tokens() -> None:
    ids = np.array([[0, 7, 8, EOS, PAD, PAD]])
    result = next_tokens(ids)
    assert result.scored.tolist() == [[True, True, True, False, False, False]]
    assert result.targets[0, :3].tolist() == [7, 8, EOS]


def test_wsd_is_constant_then_falls_to_zero() -> None:
    train = TrainSpec(updates=100, schedule="wsd", learning_rate=1e-2, decay_share=0.2)
    rates = [learning_rate(train, u) for u in range(1, 101)]
    assert decay_updates(train) == 20
    assert set(rates[4:81]) == {1e-2}
    assert 0 < rates[-1] < rates[-2] < 1e-2


def test_products_are_exact_where_they_are_fast() -> None:
    before = torch.backends.mkldnn.matmul.fp32_precision
    with onednn_products():
        assert products_are_fp32()
    assert torch.backends.mkldnn.matmul.fp32_precision == before


def test_decayed_points_leave_the_run_as_it_was(tmp_path: Path) -> None:
    """The long run's losses are those of a run without points, and each point is scored once and kept."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = [e.loss for e in trainer(tmp_path / "a", 'schedule = "wsd"').events() if isinstance(e, Step)]
    run = trainer(tmp_path / "b", 'schedule = "wsd"\ndecay_points = [0.25, 0.5]')
    events = list(run.events())
    assert [e.loss for e in events if isinstance(e, Step)] == plain
    assert [e.update for e in events if isinstance(e, Evaluated) and e.split == "decayed"] == [10, 20]
    assert (run.run.path / "decayed" / "update-000000010" / "model.safetensors").exists()


def test_patience_ends_a_run_early(tmp_path: Path) -> None:
    events = list(trainer(tmp_path, "patience = 1\npatience_gain = 50.0").events())
    assert any(isinstance(e, Noted) and "stopped early" in e.message for e in events)
    last = events[-1]
    assert isinstance(last, Finished) and last.update == 20


def test_minutes_end_a_run(tmp_path: Path) -> None:
    """It trains until its time is spent, however many updates were expected, and its rate has come down by then."""
    made = trainer(tmp_path, updates=40)
    made.spec = dataclasses.replace(made.spec, train=dataclasses.replace(made.spec.train, minutes=0.01))
    events = list(made.events())
    last = events[-1]
    assert isinstance(last, Finished)
    assert 0.6 <= last.seconds < 10
    rates = [e.learning_rate for e in events if isinstance(e, Step)]
    assert rates[-1] < 0.2 * max(rates)


def test_memory_running_out_halves_the_micro_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The update is done again with half as much at once; losses are the undisturbed run's to rounding."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = [e.loss for e in trainer(tmp_path / "a", updates=10).events() if isinstance(e, Step)]
    made = trainer(tmp_path / "b", updates=10)
    right = made.updater._forward

    def small(ids: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        if len(ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return right(ids, *rest)

    monkeypatch.setattr(made.updater, "_forward", small)
    events = list(made.events())
    assert [e.message for e in events if isinstance(e, Noted)][0].startswith("out of memory with 8 sequences at once")
    assert made.progress.micro_batch == 2
    assert [e.loss for e in events if isinstance(e, Step)] == pytest.approx(plain, rel=1e-4)


def test_bf16_on_a_cpu_is_near_fp32(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    full = [e.loss for e in trainer(tmp_path / "a", 'precision = "fp32"').events() if isinstance(e, Step)]
    half = [e.loss for e in trainer(tmp_path / "b", 'precision = "bf16"').events() if isinstance(e, Step)]
    assert half != full
    assert half == pytest.approx(full, abs=0.02)


def test_a_causal_model_learns_and_is_scored_on_every_next_token(tmp_path: Path) -> None:
    made = trainer(tmp_path, 'objective = "clm"', updates=40)
    assert made.spec.model.causal
    scores = [e for e in made.events() if isinstance(e, Evaluated) and e.split == "validation"]
    assert scores[-1].loss < scores[0].loss
    assert scores[-1].num_masked_tokens > 10 * scores[-1].num_sequences


def test_dropout_resumes_bitwise(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    noisy = {"dropout": 0.1, "attention_dropout": 0.1}
    whole = [e.loss for e in trainer(tmp_path / "a", updates=20, **noisy).events() if isinstance(e, Step)]
    broken = trainer(tmp_path / "b", updates=20, **noisy)
    head = []
    for event in broken.events():
        if isinstance(event, Step):
            head.append(event.loss)
        if event.kind == "checkpoint-saved":
            break
    again = Trainer(broken.spec, broken.language, broken.run, broken.runtime, broken.requests, 2)
    assert again.restore()
    tail = [e.loss for e in again.events() if isinstance(e, Step)]
    assert head[: again._saved or 10][:10] + tail[-10:] == whole


def test_the_papers_recipe_trains_with_padding_in_the_loss(tmp_path: Path) -> None:
    made = trainer(
        tmp_path,
        'recipe = "paper"\npacking = "documents"\ncross_documents = false\npadding_in_loss = true\nmasking = "100/0/0"',
        updates=20,
    )
    scores = [e for e in made.events() if isinstance(e, Evaluated) and e.split == "validation"]
    assert scores[-1].num_masked_tokens > scores[-1].num_sequences
    assert scores[-1].unigram_loss < 4.0  # padding is scored, and easy to foretell
    assert scores[-1].loss < scores[0].loss


@pytest.mark.parametrize(
    "train",
    [
        "decay_points = [0.5]",
        'schedule = "wsd"\ndecay_points = [0.5, 0.2]',
        'objective = "clm"\npadding_in_loss = true',
    ],
)
def test_contradictions_are_refused(tmp_path: Path, train: str) -> None:
    with pytest.raises(ConfigError, match=r"decay_points|padding_in_loss"):
        load_grid(write_grid(tmp_path, train=train)).points()


def measured(prices: np.ndarray, packed: int = 1, speed: float = 1.0) -> list[Measurement]:
    """Measurements of a machine whose updates cost exactly these prices."""
    out = []
    for sizes in SHAPES:
        job = shape_of(*sizes)
        model, train = ModelSpec(**job["model"]), TrainSpec(**job["train"])  # type: ignore[arg-type]
        seconds = float(features(model, train) @ prices)
        out.append(
            Measurement(
                model=job["model"], train=job["train"], precision="fp32", device="cpu", device_name="x",  # type: ignore[arg-type]
                execution="eager", packed=packed, mps=False, seconds=seconds, cpu_seconds=seconds, updates=9,
                tokens_per_second=speed, utilisation=0.5, matmul_flops_per_second=1e11, measured_at=1.0,
            )
        )  # fmt: skip
    return out


def test_a_machine_tells_shapes_that_were_not_measured(tmp_path: Path) -> None:
    prices = np.array([5e-12, 1e-11, 1e-9, 5e-10, 1e-9, 1e-9, 1e-9, 1e-5])
    lab = init_lab(tmp_path / "lab")
    assert read_machine(lab).seconds_per_update(ModelSpec(), TrainSpec(), "fp32", "cpu") is None
    remember(lab, measured(prices))
    found = read_machine(lab).seconds_per_update(ModelSpec(), TrainSpec(), "fp32", "cpu")
    assert found == pytest.approx(float(features(ModelSpec(), TrainSpec()) @ prices), rel=0.05)
    assert read_machine(lab).seconds_per_update(ModelSpec(), TrainSpec(), "bf16", "cpu") is None


def test_slots_follow_the_packing_that_gave_most() -> None:
    prices = np.ones(8) * 1e-12
    machine = Machine("here", tuple(measured(prices) + measured(prices, 2, 1.9) + measured(prices, 4, 1.7)))
    assert machine.slots("cpu") == 2
    assert machine.slots("cuda") is None
