"""The frozen description of a downstream cell: one task, one checkpoint of a run, one seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .setting import setting
from .spec import digest, identity, to_plain

CHECKPOINTS = ("best", "final", "untrained")
"""Names of checkpoints; a number of updates names any other that the run has kept."""

METRICS = ("matthews", "accuracy", "f1", "macro-f1", "pearson", "spearman")
"""Names of the metrics a task may ask for."""


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """What a task's rows look like and how it is scored: one or two sentences, and a label or a number."""

    name: str = setting(doc="What the task is called.")
    fields: tuple[str, ...] = setting(doc="Columns of the sentence, or of the two sentences.")
    label: str = setting("label", "Column of the label: a whole number from 0, or a number when `labels` is empty.")
    labels: tuple[str, ...] = setting((), "Names of the labels by their number; empty for a task of numbers.")
    metrics: tuple[str, ...] = setting(
        ("accuracy",), f"What is reported, the first one first; of {', '.join(METRICS)}."
    )
    splits: tuple[str, ...] = setting(("validation",), "Splits that are scored, each with all metrics.")
    hub: str = setting("", "Data set on the hub, OWNER/NAME or OWNER/NAME:CONFIG.", identity=False)
    skip_unlabelled: bool = setting(False, "Rows with the label -1 (nobody agreed on one) are left out, not refused.")
    average: bool = setting(True, "Counts in task averages.", identity=False)
    low: float = setting(0.0, "Least label of a task of numbers.", identity=False)
    high: float = setting(5.0, "Largest label of a task of numbers.", identity=False)

    @property
    def regression(self) -> bool:
        return not self.labels


@dataclass(frozen=True, kw_only=True)
class FinetuneSpec:
    """How a checkpoint is fine-tuned; the same for the pre-trained and the untrained one."""

    name: str = setting("default", "The settings these came from.", identity=False)
    learning_rates: tuple[float, ...] = setting(
        (1e-3,), "Peak learning rates; of several, the one that is best on the selection slice is reported."
    )
    epochs: int = setting(5, "Passes over the training rows.", unit="epochs", low=1, high=1000)
    batch_size: int = setting(32, "Examples an update.", unit="examples", low=1)
    max_length: int = setting(128, "Longer examples are cut, the longer sentence first.", unit="tokens", low=8)
    warmup_share: float = setting(0.06, "Share of updates spent in linear warm-up.", unit="share", low=0.0, high=1.0)
    weight_decay: float = setting(0.01, "Decoupled weight decay.", low=0.0, high=10.0)
    beta2: float = setting(0.999, "AdamW's second decay; the first is .9.", low=0.0, high=0.99999)
    clip_norm: float = setting(1.0, "Largest gradient norm; 0 means no clipping.", low=0.0)
    dropout: float = setting(0.1, "Dropout of encoder and head while fine-tuning.", unit="share", low=0.0, high=0.9)
    pooling: str = setting(
        "mean",
        "What the head sees: the mean over real tokens, or the first one (`<s>`, as RoBERTa's).",
        choices=("mean", "first"),
    )
    select_share: float = setting(
        0.1,
        "Share of the training rows cut off to choose epoch and learning rate, phrases of one sentence together; 0 reports "
        "the last epoch. The rows that are reported never choose anything.",
        unit="share",
        low=0.0,
        high=0.5,
    )
    select_max: int = setting(2000, "Most rows of that slice.", unit="examples", low=10)
    train_examples: int = setting(
        0, "Fine-tune on at most so many training rows, drawn by the seed: how scores grow with data; 0: all.",
        unit="examples", low=0,
    )  # fmt: skip
    bucketing: bool = setting(
        True, "Batches of examples of similar length, in random order; off: random batches. Both pad to the longest."
    )
    precision: str = setting("auto", "Arithmetic of the matrix products.", choices=("auto", "fp32", "bf16"))
    min_examples: int = setting(
        100, "A task with fewer training or scored examples is refused.", unit="examples", low=2, identity=False
    )

    @property
    def described(self) -> str:
        """The name, and what was changed of the settings of that name: `default, epochs=2`."""
        base = SETTINGS.get(self.name)
        if base is None:
            return self.name
        resolved = {"precision"} if base.precision == "auto" else set()
        usual = identity(base)
        changed = [
            f"{name}={list(value) if isinstance(value, tuple) else value}"
            for name, value in identity(self).items()
            if name not in resolved and value != usual[name]
        ]
        return ", ".join([self.name, *changed])


SETTINGS: dict[str, FinetuneSpec] = {
    "default": FinetuneSpec(),
    # Deshpande et al. 2023: lr 2e-4, five epochs, no decay, no warm-up, last epoch
    "paper": FinetuneSpec(
        name="paper",
        learning_rates=(2e-4,),
        warmup_share=0.0,
        weight_decay=0.0,
        pooling="first",
        select_share=0.0,
        bucketing=False,
        precision="fp32",
    ),
}
"""Settings by name."""


@dataclass(frozen=True, kw_only=True)
class PairsSpec:
    """How minimal pairs are scored."""

    method: str = setting(
        "original",
        "Masked models: `original` masks one token a copy (Salazar et al. 2020); `within-word` also the later tokens of "
        "its word, which does not reward a model for splitting words (Kauf and Ivanova 2023); `whole-word` masks and "
        "scores a word at once, a copy a word: the cheapest. Causal models need no choice.",
        choices=("original", "within-word", "whole-word"),
    )
    precision: str = setting("auto", "Arithmetic of the matrix products.", choices=("auto", "fp32", "bf16"))


@dataclass(frozen=True, kw_only=True)
class CellSpec:
    """One cell. Its id leaves out the run, so that the same question to two runs has the same id."""

    run_id: str
    checkpoint: str
    task: TaskSpec
    data_fingerprint: str
    """Digest of the rows before any filter."""
    source: str
    """Where the rows are: a folder, `hub`, or `probe`. Not part of the identity: the fingerprint is."""
    vocabulary: str
    """Word list of the filter, as a path or name; "" for none. Not part of the identity."""
    vocabulary_digest: str
    """Digest of that list; "" for none."""
    seed: int
    finetune: FinetuneSpec | None = None
    pairs: PairsSpec | None = None

    @property
    def filtered(self) -> bool:
        return bool(self.vocabulary_digest)

    @property
    def question(self) -> dict[str, Any]:
        """Everything but run, checkpoint and seed: cells of one question are compared with each other."""
        question: dict[str, Any] = {
            "task": identity(self.task),
            "data": self.data_fingerprint,
            "vocabulary": self.vocabulary_digest,
            "finetune": identity(self.finetune) if self.finetune else None,
            "pairs": identity(self.pairs) if self.pairs else None,
        }
        if self.finetune and self.finetune.select_share:
            question["slice"] = "families"  # cells whose slice was cut row by row chose their epoch by another rule
        return question

    @property
    def comparison(self) -> str:
        return digest(self.question)

    @property
    def cell_id(self) -> str:
        return digest({"question": self.question, "checkpoint": self.checkpoint, "seed": self.seed})

    @property
    def job_id(self) -> str:
        return f"{self.run_id}/{self.cell_id}"

    @property
    def name(self) -> str:
        filtered = ", filtered" if self.filtered else ""
        return f"{self.task.name} of {self.checkpoint}, seed {self.seed}{filtered}"


def cell_to_dict(spec: CellSpec) -> dict[str, Any]:
    return to_plain(spec)


def cell_from_dict(data: dict[str, Any]) -> CellSpec:
    """The inverse of `cell_to_dict`; keys that this version does not know are an error (TypeError)."""
    return CellSpec(
        **{
            **data,
            "task": _tuples(TaskSpec, data["task"]),
            "finetune": _tuples(FinetuneSpec, data["finetune"]) if data["finetune"] else None,
            "pairs": PairsSpec(**data["pairs"]) if data["pairs"] else None,
        }
    )


def _tuples(cls: Any, data: dict[str, Any]) -> Any:
    """JSON has lists where specs have tuples."""
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})
