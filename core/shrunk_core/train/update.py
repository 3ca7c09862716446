"""One optimiser update: micro-batches forward and backward, the gradient clipped, one AdamW step. Nothing here waits.

Loss and gradient norm stay on the device; the caller reads many at once. On a GPU the inputs of a micro-batch have one
fixed size (M is padded with entries of weight 0), so that its kernels can be recorded once as a CUDA graph and replayed:
at these sizes launching them one by one takes longer than running them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config.spec import RunSpec
from ..cost import scored_share
from ..language.packing import PAD
from ..model.heads import MaskedLanguageModel
from .arithmetic import autocast
from .masking import Masked
from .optim import clip_gradients, make_optimizer
from .runtime import Runtime

WARM_UPS = 3
"""Micro-batches computed before a graph is recorded, so that libraries have chosen their kernels and buffers."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What the loss of one micro-batch needs, on the device. real_BS, weights_M: None where all are."""

    ids_BS: Tensor
    real_BS: Tensor | None
    scored_M: Tensor
    targets_M: Tensor
    weights_M: Tensor | None


class Updater:
    """Model and optimiser of one run, and how an update of them is computed.

    padded: rows of this run may hold padding; where none does, attention needs no mask.
    """

    def __init__(self, spec: RunSpec, model: MaskedLanguageModel, runtime: Runtime, *, padded: bool) -> None:
        self.spec, self.model, self.runtime, self.padded = spec, model, runtime, padded
        device = runtime.device
        self.rate: Tensor | None = torch.zeros((), device=device) if device.type == "cuda" else None
        self.optimizer = make_optimizer(model, spec.train, self.rate)
        self.scaler = torch.amp.GradScaler(device.type, enabled=spec.train.precision == "fp16")
        self.micro_batch = runtime.micro_batch
        self.dropout = spec.model.dropout > 0 or spec.model.attention_dropout > 0
        self._total = torch.zeros((), device=device)
        self._share = torch.zeros((), device=device)
        self._graphs: _Graphs | None = None
        self._forward: Callable[..., Tensor] = model.loss_sum
        if runtime.execution == "compiled":
            self._forward = torch.compile(model.loss_sum, dynamic=False)  # one graph, recorded as the eager one is

    def state(self) -> dict[str, Any]:
        """For a checkpoint; the inverse of `load`."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take weights, moments and scale from a checkpoint. A recorded graph goes on from them: it reads the same memory."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate if self.rate is not None else group["lr"]
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self._graphs = None

    def run(self, update: int, batch: Masked, rate: float, leave: Callable[[], bool]) -> tuple[Tensor, Tensor] | None:
        """(mean loss, gradient norm before clipping) as tensors; None, with nothing changed, when `leave()` turned true."""
        scored = max(1, int(batch.scored.sum()))
        self._set_rate(rate)
        self._total.zero_()
        self._share.fill_(1.0 / scored)
        for part, start in enumerate(range(0, len(batch.inputs), self.micro_batch)):
            if leave():
                self.drop_gradients()
                return None
            self._accumulate(batch, slice(start, start + self.micro_batch), lambda part=part: self._seed(update, part))
        if self._graphs is not None:
            norm = self._graphs.step()
        else:
            norm = self._step()
            self.optimizer.zero_grad(set_to_none=True)
        return self._total.clone(), norm

    def finite(self) -> bool:
        """True if every weight is a number."""
        return bool(torch.stack([p.detach().isfinite().all() for p in self.model.parameters()]).all())

    def drop_gradients(self) -> None:
        """Forget an update that was begun."""
        self.optimizer.zero_grad(set_to_none=self._graphs is None)

    def halve(self) -> bool:
        """After memory ran out: half the micro-batch from now on; False when it is a single sequence already."""
        self.optimizer.zero_grad(set_to_none=True)
        self._graphs = None
        if self.runtime.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.micro_batch == 1:
            return False
        self.micro_batch = math.ceil(self.micro_batch / 2)
        return True

    def _set_rate(self, rate: float) -> None:
        if self.rate is not None:
            self.rate.fill_(rate)
            return
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _seed(self, update: int, part: int) -> None:
        if self.dropout:
            self.model.encoder.noise.seed(self.spec.seed, update, part, self.runtime.device)

    def _accumulate(self, batch: Masked, part: slice, seed: Callable[[], None]) -> None:
        if self.runtime.device.type == "cpu":
            seed()
            self._backward(cpu_inputs(batch, part))
            return
        capacity = self._capacity(batch.inputs.shape[1])
        host = host_inputs(batch, part, capacity, self.padded)
        whole = len(batch.inputs[part]) == self.micro_batch and host.shape[0] == self._size(capacity, batch)
        if self.runtime.execution == "eager" or not whole or self.scaler.is_enabled():
            seed()
            staged = torch.from_numpy(host).pin_memory().to(self.runtime.device, non_blocking=True)
            self._backward(device_inputs(staged, batch.inputs[part].shape, self.padded))
            return
        if self._graphs is None:
            self._graphs = _Graphs(self, host, batch.inputs[part].shape)
        seed()
        self._graphs.accumulate(host)

    def _size(self, capacity: int, batch: Masked) -> int:
        return 2 * self.micro_batch * batch.inputs.shape[1] + 3 * capacity

    def _capacity(self, length: int) -> int:
        """Entries for scored tokens of a micro-batch: what 6 standard deviations of a Bernoulli count never pass."""
        slots = self.micro_batch * length
        train = self.spec.train
        if train.objective == "clm" or train.padding_in_loss:
            return slots
        share = scored_share(train)
        pieces = 1.0 if train.masking != "whole-word" else 4.0  # words of many pieces spread the count
        spread = 6.0 * math.sqrt(pieces * slots * share * (1.0 - share))
        return min(slots, 64 * math.ceil((slots * share + spread) / 64))

    def _backward(self, inputs: Inputs) -> None:
        with autocast(self.spec.train.precision, self.runtime.device):
            loss = self._forward(inputs.ids_BS, inputs.real_BS, inputs.scored_M, inputs.targets_M, inputs.weights_M)
        loss = loss * self._share
        self.scaler.scale(loss).backward()
        self._total += loss.detach()

    def _step(self) -> Tensor:
        self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(self.model, self.spec.train.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return norm


class _Graphs:
    """The kernels of one micro-batch and of one optimiser step, recorded. Inputs and outputs stay where they are."""

    def __init__(self, updater: Updater, host: np.ndarray, shape: tuple[int, ...]) -> None:
        self.updater = updater
        device = updater.runtime.device
        self._staged = torch.from_numpy(host).to(device)
        total = updater._total.clone()
        before = [None if p.grad is None else p.grad.clone() for p in updater.model.parameters()]
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                updater._backward(device_inputs(self._staged, shape, updater.padded))
            self._initialise_moments()
        torch.cuda.current_stream(device).wait_stream(stream)
        for p, old in zip(updater.model.parameters(), before, strict=True):
            if p.grad is not None:
                p.grad.zero_() if old is None else p.grad.copy_(old)
        self._micro, self._update = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._micro):
            updater._backward(device_inputs(self._staged, shape, updater.padded))
        with torch.cuda.graph(self._update, pool=self._micro.pool()):
            self._norm = updater._step()
            for p in updater.model.parameters():
                if p.grad is not None:
                    p.grad.zero_()
        updater._total.copy_(total)

    def _initialise_moments(self) -> None:
        """AdamW makes its moments at its first step; inside a recording they would be made again at every replay."""
        optimizer, rate = self.updater.optimizer, self.updater.rate
        assert rate is not None
        if optimizer.state:
            return
        kept = rate.clone()
        rate.zero_()
        gradients = [p.grad.clone() for p in self.updater.model.parameters() if p.grad is not None]
        for p in self.updater.model.parameters():
            if p.grad is not None:
                p.grad.zero_()
        optimizer.step()
        for state in optimizer.state.values():
            for moment in state.values():
                moment.zero_()
        for p, gradient in zip(
            (p for p in self.updater.model.parameters() if p.grad is not None), gradients, strict=True
        ):
            assert p.grad is not None
            p.grad.copy_(gradient)
        rate.copy_(kept)

    def accumulate(self, host: np.ndarray) -> None:
        self._staged.copy_(torch.from_numpy(host).pin_memory(), non_blocking=True)
        self._micro.replay()

    def step(self) -> Tensor:
        self._update.replay()
        return self._norm.clone()


def cpu_inputs(batch: Masked, part: slice) -> Inputs:
    """A micro-batch on a CPU: exactly the scored tokens, and a padding mask only where a row is padded."""
    ids, scored = batch.inputs[part], batch.scored[part]
    flat = np.flatnonzero(scored)
    padded = ids == PAD
    return Inputs(
        ids_BS=torch.from_numpy(ids),
        real_BS=torch.from_numpy(~padded) if padded.any() else None,
        scored_M=torch.from_numpy(flat),
        targets_M=torch.from_numpy(batch.targets[part].reshape(-1)[flat]),
        weights_M=None,
    )


def host_inputs(batch: Masked, part: slice, capacity: int, padded: bool) -> np.ndarray:
    """A micro-batch as one int64 vector, so that one copy moves it: ids, targets of scored tokens, positions, weights, real."""
    ids, scored = batch.inputs[part], batch.scored[part]
    flat = np.flatnonzero(scored)
    room = max(capacity, len(flat))
    host = np.zeros(2 * ids.size + 3 * room, dtype=np.int64)
    host[: ids.size] = ids.reshape(-1)
    tail = host[ids.size : ids.size + 3 * room].reshape(3, room)
    tail[0, : len(flat)] = flat
    tail[1, : len(flat)] = batch.targets[part].reshape(-1)[flat]
    tail[2, : len(flat)] = 1
    if padded:
        host[ids.size + 3 * room :] = (ids != PAD).reshape(-1)
    return host


def device_inputs(staged: Tensor, shape: tuple[int, ...], padded: bool) -> Inputs:
    """Views of what `host_inputs` made, once it is on the device."""
    slots = shape[0] * shape[1]
    room = (len(staged) - 2 * slots) // 3
    scored, targets, weights = staged[slots : slots + 3 * room].view(3, room).unbind(0)
    return Inputs(
        ids_BS=staged[:slots].view(shape),
        real_BS=staged[slots + 3 * room :].view(shape).bool() if padded else None,
        scored_M=scored,
        targets_M=targets,
        weights_M=weights.float(),
    )
