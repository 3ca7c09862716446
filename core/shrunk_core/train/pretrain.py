"""Pre-training of one run as a generator of events.

A worker drains it to disk, a test into a list, a person in a REPL prints it. The generator never writes the log: where
order on disk matters it yields a `Barrier`, and the consumer makes everything before it durable before going on.

An update: rows by the run's order, masks by (seed, update), loss summed over scored tokens of the whole batch divided by
their number (so that micro-batches weigh exactly), one AdamW step. Losses stay on the device and are read in blocks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from ..config.spec import RunSpec, evaluation_id_of
from ..cost import flops_per_sequence
from ..errors import DataError, RunError
from ..language.packing import PAD, PackedRows
from ..model.export import write_model
from ..model.heads import MaskedLanguageModel
from ..model.init import initialise
from ..record.events import CheckpointSaved, Evaluated, Event, Finished, Left, Step
from ..record.rundir import RunDir
from . import checkpoint
from .masking import RowOrder, mask_for_training
from .optim import clip_gradients, learning_rate, make_optimizer
from .perplexity import Evaluation, evaluate, unigram_cross_entropy, unigram_log_probabilities
from .runtime import Requests, Runtime

BLOCK_SECONDS = 0.5
"""Losses are read from the device and reported this often."""


@dataclass(frozen=True, kw_only=True)
class Barrier(Event):
    """Not logged: asks the consumer to sync what it has been given before it takes the next event."""

    kind: ClassVar[str] = "barrier"


class NonFinite(RunError):
    """The loss or the gradient is no number any more."""


@dataclass(frozen=True, eq=False)
class Language:
    """What a run reads: packed rows of the splits, unigram counts [V] of the train split, the tokenizer's folder."""

    train: PackedRows
    validation: PackedRows
    test: PackedRows | None
    unigram_counts: np.ndarray
    tokenizer: Path


class Trainer:
    """State of one run in training: model, optimiser, where it stands. `events()` is the loop."""

    def __init__(
        self, spec: RunSpec, language: Language, run: RunDir, runtime: Runtime, requests: Requests, attempt: int
    ) -> None:
        if len(language.train) < 1 or len(language.validation) < 2:
            raise DataError(
                f"the corpus gives {len(language.train)} training and {len(language.validation)} validation rows of "
                f"{spec.train.sequence_length} tokens; it needs at least 1 and 2. Loosen the filter or add text."
            )
        self.spec, self.language, self.run, self.runtime = spec, language, run, runtime
        self.requests, self.attempt = requests, attempt
        self.model = MaskedLanguageModel(spec.model)
        initialise(self.model, spec.train.init, spec.seed)
        self.model.to(runtime.device).train()
        self.optimizer = make_optimizer(self.model, spec.train)
        self.progress = checkpoint.Progress()
        self._order = RowOrder(len(language.train), spec.seed)
        self._unigram = unigram_log_probabilities(language.unigram_counts, language.train, spec.train.padding_in_loss)
        self._flops = flops_per_sequence(spec.model, spec.train.sequence_length, "paper", spec.train.mask_share)
        self._saved = 0
        self._unreported: list[tuple[int, torch.Tensor, float, torch.Tensor]] = []
        self._reported = self._evaluation_started = time.monotonic()
        self._dropout = spec.model.dropout > 0 or spec.model.attention_dropout > 0

    def unigram_loss(self) -> float:
        """Cross-entropy of the train split's unigram on the masked validation tokens, in nats."""
        return unigram_cross_entropy(
            self.language.validation,
            self._unigram,
            evaluation_id=self.spec.evaluation_id,
            padding_in_loss=self.spec.train.padding_in_loss,
        )

    def restore(self) -> bool:
        """Load the latest readable checkpoint of the run; False when there is none."""
        found = checkpoint.load_latest(self.run.checkpoints)
        if found is None:
            return False
        self.progress, state = found
        self._saved = self.progress.update
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        return True

    def events(self) -> Iterator[Event]:
        """Train from where the run stands to its end, or until somebody asks it to leave."""
        train = self.spec.train
        evaluate_every = train.evaluate_every or max(1, train.updates // 10)
        checkpoint_every = train.checkpoint_every or evaluate_every
        while True:
            update = self.progress.update
            if (
                update
                and self.progress.evaluated < update
                and (update % evaluate_every == 0 or update == train.updates)
            ):
                result = self._evaluate(self.language.validation, self.spec.evaluation_id)
                if result is None:
                    yield from self._leave()
                    return
                yield self._evaluated("validation", self.spec.evaluation_id, update, result)
                self.progress = replace(self.progress, evaluated=update, last_loss=result.loss)
                if self.progress.best_loss is None or result.loss < self.progress.best_loss:
                    self.progress = replace(self.progress, best_update=update, best_loss=result.loss)
                yield from self._save()
            elif update > self._saved and update % checkpoint_every == 0:
                yield from self._save()
            if update == train.updates:
                break
            if not self._step(update + 1):
                yield from self._report()
                yield from self._leave()
                return
            self.progress = replace(self.progress, update=update + 1)
            boundary = (update + 1) % evaluate_every == 0 or (update + 1) % checkpoint_every == 0
            if boundary or update + 1 == train.updates or time.monotonic() - self._reported >= BLOCK_SECONDS:
                yield from self._report()
        yield from self._finish()

    def _step(self, update: int) -> bool:
        """One update; False, with nothing changed, when somebody asks the worker to leave before it is done."""
        train = self.spec.train
        ids = self.language.train.batch(self._order.rows(update, train.batch_size))
        masked = mask_for_training(
            ids,
            seed=self.spec.seed,
            update=update,
            share=train.mask_share,
            masking=train.masking,
            vocab_size=self.spec.model.vocab_size,
            padding_in_loss=train.padding_in_loss,
        )
        scored = max(1, int(masked.scored.sum()))
        if self._dropout:
            torch.manual_seed(self.spec.seed * 1_000_003 + update)
        total = torch.zeros((), device=self.runtime.device)
        for start in range(0, len(ids), self.runtime.micro_batch):
            if self.requests.reason():
                self.optimizer.zero_grad(set_to_none=True)
                return False
            part = slice(start, start + self.runtime.micro_batch)
            loss = self._loss_sum(ids[part], masked.inputs[part], masked.scored[part]) / scored
            loss.backward()
            total += loss.detach()
        rate = learning_rate(train, update)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm = clip_gradients(self.model, train.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._unreported.append((update, total, rate, norm))
        return True

    def _loss_sum(self, ids: np.ndarray, inputs: np.ndarray, scored: np.ndarray) -> torch.Tensor:
        device = self.runtime.device
        flat = np.flatnonzero(scored)
        real = torch.from_numpy(ids != PAD).to(device, non_blocking=True) if (ids == PAD).any() else None
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.spec.train.precision == "bf16"):
            return self.model.loss_sum(
                torch.from_numpy(inputs).to(device, non_blocking=True),
                real,
                torch.from_numpy(flat).to(device, non_blocking=True),
                torch.from_numpy(ids.reshape(-1)[flat]).to(device, non_blocking=True),
            )

    def _report(self) -> Iterator[Event]:
        """Read the losses of the updates since the last report. NonFinite names the first that is no number."""
        now = time.monotonic()
        elapsed, self._reported = now - self._reported, now
        self.progress = replace(self.progress, seconds=self.progress.seconds + elapsed)
        slots = self.spec.train.batch_size * self.spec.train.sequence_length
        speed = len(self._unreported) * slots / max(elapsed, 1e-9)
        unreported, self._unreported = self._unreported, []
        if not unreported:
            return
        losses = torch.stack([total for _, total, _, _ in unreported]).tolist()
        norms = torch.stack([norm for _, _, _, norm in unreported]).tolist()
        for (update, _, rate, _), loss, norm in zip(unreported, losses, norms, strict=True):
            yield Step(
                attempt=self.attempt,
                update=update,
                tokens=update * slots,
                flops=self._flops_at(update),
                loss=loss,
                learning_rate=rate,
                grad_norm=norm,
                tokens_per_second=round(speed, 1),
            )
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise NonFinite(
                    f"update {update}: loss {loss}, gradient norm {norm} at learning rate {rate:.3g}. The checkpoint of "
                    f"update {max(checkpoint.saved_updates(self.run.checkpoints), default=0)} is good. Try a lower "
                    "learning_rate or clip_norm = 1.0."
                )

    def _evaluate(self, rows: PackedRows, evaluation_id: str) -> Evaluation | None:
        self._evaluation_started = time.monotonic()
        return evaluate(
            self.model,
            rows,
            self._unigram,
            evaluation_id=evaluation_id,
            padding_in_loss=self.spec.train.padding_in_loss,
            device=self.runtime.device,
            leave=lambda: bool(self.requests.reason()),
        )

    def _evaluated(self, split: str, evaluation_id: str, update: int, result: Evaluation) -> Evaluated:
        now = time.monotonic()
        seconds, self._reported = now - self._evaluation_started, now  # evaluation is no training time
        return Evaluated(
            attempt=self.attempt,
            update=update,
            tokens=update * self.spec.train.batch_size * self.spec.train.sequence_length,
            flops=self._flops_at(update),
            split=split,
            evaluation_id=evaluation_id,
            seconds=round(seconds, 4),
            **asdict(result),
        )

    def _flops_at(self, update: int) -> int:
        return update * self.spec.train.batch_size * self._flops

    def _save(self) -> Iterator[Event]:
        """Durable order: all events so far, then the checkpoint by rename, then the event that names it."""
        yield Barrier()
        update = self.progress.update
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        size = checkpoint.save(self.run.checkpoints, self.progress, state)
        self._saved = update
        yield CheckpointSaved(
            attempt=self.attempt,
            update=update,
            path=checkpoint.folder_of(self.run.checkpoints, update).name,
            best=self.progress.best_update == update,
            num_bytes=size,
        )
        checkpoint.prune(self.run.checkpoints, self.spec.train.keep_checkpoints, self.progress.best_update)

    def _leave(self) -> Iterator[Event]:
        if self.progress.update > self._saved:
            yield from self._save()
        yield Left(attempt=self.attempt, update=self.progress.update, reason=self.requests.reason())

    def _finish(self) -> Iterator[Event]:
        """Score the best checkpoint on the test split, write it as `model/`, and say so."""
        progress = self.progress
        assert progress.best_loss is not None and progress.last_loss is not None
        if progress.best_update != progress.update:
            self.model.load_state_dict(checkpoint.load(self.run.checkpoints, progress.best_update)[1]["model"])
        if self.language.test is not None and len(self.language.test) > 1:
            identity = evaluation_id_of(self.spec, "test")
            result = self._evaluate(self.language.test, identity)
            if result is None:
                yield Left(attempt=self.attempt, update=progress.update, reason=self.requests.reason())
                return
            yield self._evaluated("test", identity, progress.best_update, result)
        notes = {
            "run_id": self.spec.run_id,
            "update": progress.best_update,
            "validation_loss": progress.best_loss,
            "evaluation_id": self.spec.evaluation_id,
        }
        write_model(self.run.model, self.spec.model, self.model.state_dict(), self.language.tokenizer, notes)
        yield Finished(
            attempt=self.attempt,
            update=progress.update,
            tokens=progress.update * self.spec.train.batch_size * self.spec.train.sequence_length,
            flops=self._flops_at(progress.update),
            best_update=progress.best_update,
            best_loss=progress.best_loss,
            final_loss=progress.last_loss,
            seconds=round(progress.seconds, 3),
        )
