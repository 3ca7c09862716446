"""Pre-training of one run as a generator of events.

A worker drains it to disk, a test into a list, a person in a REPL prints it. The generator never writes the log: where
order on disk matters it yields a `Barrier`, and the consumer makes everything before it durable before going on.

An update: rows by the run's order, masks by (seed, update), loss summed over scored tokens of the whole batch divided by
their number (so that micro-batches weigh exactly), one AdamW step. Losses stay on the device and are read in blocks.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from ..config.spec import RunSpec, evaluation_id_of
from ..config.train_spec import TrainSpec
from ..cost import flops_per_sequence, scored_share
from ..errors import DataError, RunError
from ..language.packing import PackedRows
from ..model.export import write_model
from ..model.heads import MaskedLanguageModel
from ..model.init import initialise
from ..record.events import CheckpointSaved, Evaluated, Event, Finished, Left, Noted, Step
from ..record.rundir import RunDir
from . import checkpoint
from .masking import Masked, RowOrder, mask_for_training, next_tokens
from .optim import decay_updates, learning_rate
from .perplexity import Evaluation, evaluate, unigram_cross_entropy, unigram_log_probabilities
from .runtime import Requests, Runtime, out_of_memory
from .update import Updater

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
    word_starts: np.ndarray | None = None
    """bool [V], tokens that begin a word; needed for whole-word masks only."""


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
        padded = bool((language.train.lengths < spec.train.sequence_length - 1).any())
        self.updater = Updater(spec, self.model, runtime, padded=padded)
        self.progress = checkpoint.Progress()
        self._order = RowOrder(len(language.train), spec.seed)
        self._unigram = unigram_log_probabilities(
            language.unigram_counts, language.train, spec.train.padding_in_loss, spec.train.objective
        )
        self._flops = flops_per_sequence(spec.model, spec.train.sequence_length, "paper", scored_share(spec.train))
        self._saved = 0
        self._told = "nothing reported", 0.0
        self._unreported: list[tuple[int, torch.Tensor, float, torch.Tensor]] = []
        self._reported = self._evaluation_started = time.monotonic()

    def unigram_loss(self) -> float:
        """Cross-entropy of the train split's unigram on the masked validation tokens, in nats."""
        return unigram_cross_entropy(
            self.language.validation,
            self._unigram,
            evaluation_id=self.spec.evaluation_id,
            padding_in_loss=self.spec.train.padding_in_loss,
            objective=self.spec.train.objective,
        )

    def restore(self) -> bool:
        """Load the latest readable checkpoint of the run; False when there is none."""
        found = checkpoint.load_latest(self.run.checkpoints)
        if found is None:
            return False
        self.progress, state = found
        self._saved = self.progress.update
        self.updater.load(state)
        self.updater.micro_batch = self.progress.micro_batch or self.updater.micro_batch
        return True

    def events(self) -> Iterator[Event]:
        """Train from where the run stands to its end, or until somebody asks it to leave."""
        train = self.spec.train
        evaluate_every = train.evaluate_every or max(1, train.updates // 10)
        checkpoint_every = train.checkpoint_every or evaluate_every
        points = tuple(max(1, round(share * train.updates)) for share in train.decay_points)
        first = self.progress.update + 1
        self._reported = time.monotonic()  # what was done to get here is no training time
        while True:
            update, done = self.progress.update, self._done()
            if update and self.progress.evaluated < update and (update % evaluate_every == 0 or done):
                result = self._evaluate(self.language.validation, self.spec.evaluation_id)
                if result is None:
                    yield from self._leave()
                    return
                yield self._evaluated("validation", self.spec.evaluation_id, update, result)
                self._take_note(result.loss)
                yield from self._save()
            elif update > self._saved and update % checkpoint_every == 0:
                yield from self._save()
            if done:
                break
            if train.patience and self.progress.waited >= train.patience:
                yield Noted(
                    attempt=self.attempt,
                    update=update,
                    message=f"stopped early: {train.patience} evaluations without a validation loss lower by more than "
                    f"{train.patience_gain:g} nats",
                )
                break
            for point in points[self.progress.decayed :]:
                if update < point - decay_updates(replace(train, updates=point)):
                    break
                yield from self._decay(point)
                if self.requests.reason():
                    yield from self._leave()
                    return
            if not (yield from self._step(update + 1)):
                yield from self._report()
                yield from self._leave()
                return
            self.progress = replace(self.progress, update=update + 1)
            boundary = (update + 1) % evaluate_every == 0 or (update + 1) % checkpoint_every == 0
            begun = update + 1 == first  # told at once: who waits for a run wants to see that it has begun
            if boundary or begun or self._done() or time.monotonic() - self._reported >= BLOCK_SECONDS:
                yield from self._report()
        yield from self._finish()

    def _done(self) -> bool:
        train = self.spec.train
        if not train.minutes:
            return self.progress.update >= train.updates
        return self.progress.update > 0 and self._seconds() >= 60 * train.minutes

    def _seconds(self) -> float:
        """Time spent in updates, those that are not reported yet included."""
        return self.progress.seconds + (time.monotonic() - self._reported if self._unreported else 0.0)

    def _take_note(self, loss: float) -> None:
        """Keep what an evaluation means for the best checkpoint and for patience."""
        progress, train = self.progress, self.spec.train
        fell = progress.best_loss is None or loss < progress.best_loss - train.patience_gain
        self.progress = replace(
            progress, evaluated=progress.update, last_loss=loss, waited=0 if fell else progress.waited + 1
        )
        if progress.best_loss is None or loss < progress.best_loss:
            self.progress = replace(self.progress, best_update=progress.update, best_loss=loss)

    def _rate(self, update: int, train: TrainSpec) -> float:
        """The schedule; under a budget of minutes as if the updates were spread over them as they have been so far."""
        if train.minutes:
            share = min(1.0, self._seconds() / (60 * train.minutes))
            update = 1 + round(share * (train.updates - 1))
        return learning_rate(train, update)

    def _batch(self, update: int) -> Masked:
        train = self.spec.train
        ids = self.language.train.batch(self._order.rows(update, train.batch_size))
        if train.objective == "clm":
            return next_tokens(ids)
        return mask_for_training(
            ids,
            seed=self.spec.seed,
            update=update,
            share=train.mask_share,
            masking=train.masking,
            vocab_size=self.spec.model.vocab_size,
            padding_in_loss=train.padding_in_loss,
            word_starts=self.language.word_starts,
        )

    def _step(self, update: int, train: TrainSpec | None = None) -> Generator[Event, None, bool]:
        """One update; False, with nothing changed, when somebody asks the worker to leave before it is done.

        Out of memory halves the micro-batch and does the update again: the effective batch stays.
        """
        rate = self._rate(update, train or self.spec.train)
        batch = self._batch(update)
        while True:
            try:
                result = self.updater.run(update, batch, rate, lambda: bool(self.requests.reason()))
            except (RuntimeError, MemoryError) as problem:
                if not out_of_memory(problem):
                    raise
                before = self.updater.micro_batch
                if not self.updater.halve():
                    raise
            else:
                break
            self.progress = replace(self.progress, micro_batch=self.updater.micro_batch)
            yield Noted(
                attempt=self.attempt,
                update=update,
                message=f"out of memory with {before} sequences at once; goes on with {self.updater.micro_batch}, "
                f"accumulated to the same {self.spec.train.batch_size}",
            )
        if result is None:
            return False
        if train is None:
            self._unreported.append((update, result[0], rate, result[1]))
        return True

    def _decay(self, point: int) -> Iterator[Event]:
        """A decayed point of a `wsd` run: a copy goes on to `point` as if that were the budget, is scored and kept as
        `decayed/update-<n>`; then the run stands where it stood. Left half-way it is begun again on resume.
        """
        yield from self._report()
        train = replace(self.spec.train, updates=point)
        state = copy.deepcopy(self.updater.state())
        whole = True
        for update in range(self.progress.update + 1, point + 1):
            if not (yield from self._step(update, train)):
                whole = False
                break
        result = self._evaluate(self.language.validation, self.spec.evaluation_id) if whole else None
        if result is not None:
            yield self._evaluated("decayed", self.spec.evaluation_id, point, result)
            notes = {"run_id": self.spec.run_id, "update": point, "validation_loss": result.loss}
            folder = self.run.path / "decayed" / checkpoint.folder_of(self.run.checkpoints, point).name
            folder.parent.mkdir(exist_ok=True)
            write_model(folder, self.spec.model, self.model.state_dict(), self.language.tokenizer, notes)
        self.updater.load(state)
        self._reported = time.monotonic()  # a branch is no training time of the run
        if result is not None:
            self.progress = replace(self.progress, decayed=self.progress.decayed + 1)
            yield from self._save()

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
            skipped = (
                self.spec.train.precision == "fp16"
            )  # a scaled gradient overflowed: the scaler left this update out
            if not (math.isfinite(loss) and (math.isfinite(norm) or skipped)):
                raise self._non_finite(update, f"loss {loss}, gradient norm {norm}", rate)
        self._told = f"after loss {losses[-1]:.4g}, gradient norm {norms[-1]:.3g}", unreported[-1][2]

    def _non_finite(self, update: int, found: str, rate: float) -> NonFinite:
        good = max(checkpoint.saved_updates(self.run.checkpoints), default=0)
        kept = f"The checkpoint of update {good} is good" if good else "There is no checkpoint yet"
        return NonFinite(
            f"update {update}: {found} at learning rate {rate:.3g}. {kept}. Try a lower learning_rate or clip_norm = 1.0."
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
            objective=self.spec.train.objective,
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
        """Durable order: all events so far, then the checkpoint by rename, then the event that names it.

        NonFinite rather than a checkpoint of weights that are no numbers: the loss tells of them one update late.
        """
        update = self.progress.update
        if not self.updater.finite():
            raise self._non_finite(update, f"weights that are no numbers, {self._told[0]}", self._told[1])
        yield Barrier()
        size = checkpoint.save(self.run.checkpoints, self.progress, self.updater.state())
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
