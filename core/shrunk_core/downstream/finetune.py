"""Fine-tuning one checkpoint on one task as a generator of events.

Every random choice is a function of (seed, trial, update), so that a killed cell goes on from its last whole epoch to the
same numbers to the last digit. A trial is one learning rate; of several the one whose best epoch is best on the
selection slice is reported, and of a trial the epoch that is. The scored rows never choose.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config.cell import FinetuneSpec, TaskSpec
from ..config.spec import ModelSpec
from ..errors import RunError
from ..record.cell_events import CellEpoch, CellStep
from ..record.events import Event, Left, Noted
from ..record.rundir import RunDir
from ..train import checkpoint
from ..train.arithmetic import autocast
from ..train.optim import clip_gradients
from ..train.runtime import Requests
from .classifier import Classifier, loss_of
from .examples import Examples, scoring_batches, training_batches
from .metrics import metric_or_nan
from .predictions import decide

REPORT_UPDATES = 50
"""Training losses are averaged over this many updates and reported once."""

SAVE_SECONDS = 20.0
"""After an epoch the state is saved if the last saving was this long ago: a killed cell loses little more."""

SCORING_BATCH = 128


@dataclass(frozen=True, eq=False)
class CellData:
    """What a cell reads: training examples, the selection slice (None without one), and the scored splits in order."""

    train: Examples
    selection: Examples | None
    scored: dict[str, Examples]


@dataclass(frozen=True, eq=False)
class Chosen:
    """The best epoch so far: its trial and number, its selection score, and its answers to the scored splits.

    answers: label scores [n, labels] or numbers [n, 1] of each split, float32.
    """

    trial: int
    epoch: int
    learning_rate: float
    selection: float
    answers: dict[str, Tensor]


@dataclass
class Progress:
    """Where fine-tuning stands: epochs done of the current trial, updates done over all trials."""

    trial: int = 0
    epoch: int = 0
    update: int = 0
    chosen: Chosen | None = None
    seconds: float = 0.0
    diverged: list[float] = field(default_factory=list)


class FineTuner:
    """State of one cell in fine-tuning. `events()` is the loop; after it `progress.chosen` is the result."""

    def __init__(
        self,
        task: TaskSpec,
        spec: FinetuneSpec,
        model: ModelSpec,
        encoder: dict[str, Tensor],
        data: CellData,
        *,
        seed: int,
        device: torch.device,
        cell: RunDir,
        requests: Requests,
        attempt: int,
    ) -> None:
        self.task, self.spec, self.data, self.seed = task, spec, data, seed
        self.device, self.cell, self.requests, self.attempt = device, cell, requests, attempt
        self.encoder = encoder
        outputs = 1 if task.regression else len(task.labels)
        self.model = Classifier(
            replace(model, dropout=spec.dropout), outputs, pooling=spec.pooling, dropout=spec.dropout
        ).to(device)
        self.progress = Progress()
        self._lengths = data.train.lengths
        self._labels = data.train.labels.astype(np.float32) if task.regression else data.train.labels
        self._updates_per_epoch = math.ceil(len(data.train) / spec.batch_size)
        self._saved_at = time.monotonic()
        self._begin_trial()

    @property
    def updates(self) -> int:
        """Updates of one trial."""
        return self._updates_per_epoch * self.spec.epochs

    def restore(self) -> bool:
        """Go on from the state that an earlier attempt saved; False when there is none."""
        found = checkpoint.load_latest(self.cell.checkpoints)
        if found is None:
            return False
        state = found[1]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        chosen = Chosen(**state["chosen"]) if state["chosen"] else None
        self.progress = Progress(**state["progress"], chosen=chosen)
        return True

    def _begin_trial(self) -> None:
        self.model.start(self.encoder, self.seed)
        self.model.to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=self.spec.learning_rates[min(self.progress.trial, len(self.spec.learning_rates) - 1)],
            betas=(0.9, self.spec.beta2),
            weight_decay=self.spec.weight_decay,
            fused=True,
        )

    def events(self) -> Iterator[Event]:
        """Train all trials from where the cell stands, or until somebody asks the worker to leave (then `Left` is last).

        RunError when every learning rate diverges.
        """
        while self.progress.trial < len(self.spec.learning_rates):
            rate = self.spec.learning_rates[self.progress.trial]
            while self.progress.epoch < self.spec.epochs:
                began = time.monotonic()
                losses, left = yield from self._epoch(rate)
                if left:
                    yield Left(attempt=self.attempt, update=self.progress.update, reason=self.requests.reason())
                    return
                if not math.isfinite(losses):
                    self.progress.diverged.append(rate)
                    yield Noted(
                        attempt=self.attempt, update=self.progress.update, message=f"learning rate {rate:g} diverged"
                    )
                    break
                seconds = time.monotonic() - began
                self.progress.seconds += seconds
                self.progress.epoch += 1
                yield self._choose(rate, losses, len(self.data.train) / max(seconds, 1e-9))
                self._save_now_and_then()
            self.progress.trial += 1
            self.progress.epoch = 0
            if self.progress.trial < len(self.spec.learning_rates):
                self._begin_trial()
        if self.progress.chosen is None:
            rates = ", ".join(f"{rate:g}" for rate in self.spec.learning_rates)
            raise RunError(f"fine-tuning diverged or gave no score at learning rate {rates}; try a lower one")

    def _epoch(self, peak: float) -> Iterator[Event]:
        """One epoch; returns (mean loss, False), or (NaN, True) when it was left in the middle."""
        progress, spec = self.progress, self.spec
        batches = training_batches(
            self._lengths, spec.batch_size, seed=self.seed, epoch=progress.epoch, bucketing=spec.bucketing
        )
        first = progress.epoch * self._updates_per_epoch
        self.model.train()
        total, reported, unread = 0.0, 0, []
        for i, at in enumerate(batches):
            if self.requests.reason():
                progress.update -= i  # the epoch is done again
                return math.nan, True
            update = first + i + 1
            rate = scheduled(peak, update, self.updates, spec.warmup_share)
            unread.append(self._step(at, update, rate))
            progress.update += 1
            if len(unread) == REPORT_UPDATES or i + 1 == len(batches):
                losses = torch.stack(unread).tolist()
                unread = []
                total += sum(losses)
                reported += len(losses)
                yield CellStep(
                    attempt=self.attempt,
                    trial=progress.trial,
                    update=update,
                    loss=sum(losses) / len(losses),
                    learning_rate=rate,
                )
                if not math.isfinite(total):
                    return math.nan, False
        return total / reported, False

    def _step(self, at: np.ndarray, update: int, rate: float) -> Tensor:
        ids, real = self.data.train.batch(at)
        if self.spec.dropout > 0:
            self.model.encoder.noise.seed(self.seed, update, self.progress.trial, self.device)
        with autocast(self.spec.precision, self.device):
            outputs = self.model(self._tensor(ids), None if real is None else self._tensor(real))
        loss = loss_of(outputs, self._tensor(self._labels[at]))
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        clip_gradients(self.model, self.spec.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)

    def answers(self, examples: Examples) -> Tensor:
        """Outputs for all examples in their order, float32 [n, outputs] on the CPU."""
        self.model.eval()
        parts, places = [], []
        with torch.inference_mode(), autocast(self.spec.precision, self.device):
            for at in scoring_batches(examples.lengths, SCORING_BATCH):
                ids, real = examples.batch(at)
                parts.append(self.model(self._tensor(ids), None if real is None else self._tensor(real)).float().cpu())
                places.append(at)
        out = torch.empty_like(torch.cat(parts))
        out[torch.from_numpy(np.concatenate(places))] = torch.cat(parts)
        return out

    def _choose(self, rate: float, loss: float, speed: float) -> CellEpoch:
        """Score the epoch, and keep its answers if it is the best so far or, without a slice, the last."""
        progress, metric = self.progress, self.task.metrics[0]
        answers = {split: self.answers(examples) for split, examples in self.data.scored.items()}
        first, examples = next(iter(self.data.scored.items()))
        score = metric_or_nan(metric, examples.labels, decide(answers[first].numpy()))
        selection = math.nan
        if self.data.selection is not None:
            selection = metric_or_nan(
                metric, self.data.selection.labels, decide(self.answers(self.data.selection).numpy())
            )
            best = progress.chosen
            better = best is None or (selection > best.selection or math.isnan(best.selection))
        else:
            better = progress.epoch == self.spec.epochs
        if better:
            progress.chosen = Chosen(progress.trial, progress.epoch, rate, selection, answers)
        return CellEpoch(
            attempt=self.attempt,
            trial=progress.trial,
            epoch=progress.epoch,
            update=progress.update,
            learning_rate=rate,
            loss=loss,
            score=score,
            selection=selection,
            examples_per_second=round(speed, 1),
        )

    def _save_now_and_then(self) -> None:
        """After an epoch, the whole state; nothing right after the last one, which ends the cell anyway."""
        progress = self.progress
        last = progress.epoch == self.spec.epochs and progress.trial + 1 == len(self.spec.learning_rates)
        if last or time.monotonic() - self._saved_at < SAVE_SECONDS:
            return
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "chosen": vars(progress.chosen) if progress.chosen else None,
            "progress": {name: value for name, value in vars(progress).items() if name != "chosen"},
        }
        checkpoint.save(self.cell.checkpoints, checkpoint.Progress(update=progress.update), state)
        checkpoint.prune(self.cell.checkpoints, 1, progress.update)
        self._saved_at = time.monotonic()


def scheduled(peak: float, update: int, updates: int, warmup_share: float) -> float:
    """Learning rate of an update, from 1: linear warm-up, then linearly to zero one update after the last."""
    warmup = math.floor(warmup_share * updates)
    if update <= warmup:
        return peak * update / warmup
    return peak * (updates + 1 - update) / (updates + 1 - warmup) if warmup else peak * (updates + 1 - update) / updates
