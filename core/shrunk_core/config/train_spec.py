"""How a run is trained: objective, budget, batch, masks, schedule, optimiser, precision."""

from __future__ import annotations

from dataclasses import dataclass

from .setting import setting


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """How a run is trained. Budgets in tokens or FLOPs are resolved to `updates` when the grid is expanded."""

    objective: str = setting(
        "mlm",
        "`mlm`: masked tokens from both sides; `clm`: each next token from those before it, same encoder, causal mask.",
        choices=("mlm", "clm"),
    )
    recipe: str = setting(
        "default",
        "`paper` changes the defaults of every switch to the settings of Deshpande et al. (2023); keys that the file "
        "names keep their value.",
        choices=("default", "paper"),
        identity=False,
    )
    updates: int = setting(2000, "Optimiser updates.", unit="updates", low=1)
    minutes: float = setting(
        0.0,
        "Budget in minutes of training (evaluation apart); 0 means none. The schedule follows the time spent, `updates` is "
        "only what is expected, and two runs are not bitwise alike.",
        unit="minutes",
        low=0.0,
    )
    batch_size: int = setting(32, "Sequences an update, whatever fits on the device at once.", unit="sequences", low=1)
    sequence_length: int = setting(64, "Tokens of a row, `<s>` included.", unit="tokens", low=8)
    packing: str = setting(
        "packed",
        "`packed`: a document's units joined and cut into full rows; `documents`: one unit a row, padded; `grouped`: units "
        "joined in order until they have sequence_length / 1.2 words (the paper), padded.",
        choices=("packed", "documents", "grouped"),
    )
    cross_documents: bool = setting(
        False,
        "Let a packed row (no padding at all then) or a group continue into the next document. Attention then crosses "
        "documents.",
    )
    mask_share: float = setting(
        0.15, "Share of tokens selected in training (Bernoulli).", unit="share", low=0.01, high=0.9
    )
    masking: str = setting(
        "80/10/10",
        "What becomes of a selected token in training: `<mask>`, random or kept in these percentages; `whole-word` is "
        "80/10/10 with all pieces of a word sharing one lot. Evaluation always masks tokens, and all that it selects.",
        choices=("80/10/10", "100/0/0", "whole-word"),
    )
    padding_in_loss: bool = setting(
        False, "Quirk of the paper: padding positions count in training and validation loss, which deflates both."
    )
    learning_rate: float = setting(2e-3, "Peak learning rate.", low=1e-8, high=10.0)
    schedule: str = setting(
        "linear",
        "After the warm-up: `linear` or `cosine` to zero, `noam` (inverse square root), `constant`, or `wsd`: constant, "
        "then linear to zero over the last `decay_share` of the updates.",
        choices=("linear", "cosine", "noam", "constant", "wsd"),
    )
    decay_share: float = setting(0.2, "Share of a `wsd` budget spent in its decay.", unit="share", low=0.01, high=1.0)
    decay_points: tuple[float, ...] = setting(
        (),
        "Earlier budgets of a `wsd` run, as shares of its updates: at each a copy is decayed and scored as if that had been "
        "the budget, then the run goes on undecayed. Rows of the split `decayed`.",
    )
    patience: int = setting(
        0,
        "Stop early after so many evaluations without a validation loss lower by `patience_gain`; 0 means never.",
        unit="evaluations",
        low=0,
    )
    patience_gain: float = setting(0.0, "What counts as lower for `patience`.", unit="nats", low=0.0)
    warmup_share: float = setting(0.05, "Share of updates spent in linear warm-up.", unit="share", low=0.0, high=1.0)
    warmup_max: int = setting(0, "Most updates of warm-up; 0 means no limit.", unit="updates", low=0)
    beta1: float = setting(0.9, "AdamW's first decay.", low=0.0, high=0.9999)
    beta2: float = setting(0.98, "AdamW's second decay.", low=0.0, high=0.99999)
    adam_eps: float = setting(1e-8, "AdamW's epsilon.", low=0.0, high=1.0)
    weight_decay: float = setting(0.01, "Decoupled weight decay.", low=0.0, high=10.0)
    decay_all: bool = setting(False, "Decay biases, norms and embeddings too (the paper), not matrices only.")
    clip_norm: float = setting(1.0, "Largest gradient norm; 0 means no clipping.", low=0.0)
    init: str = setting(
        "sinusoidal",
        "`bert`: normal .02; `scaled`: normal 1/sqrt(fan-in) for matrices; `sinusoidal`: the same with positions that start "
        "as sinusoids, which leaves the unigram plateau soonest; `paper`: Xavier normal, other vectors .01.",
        choices=("bert", "scaled", "sinusoidal", "paper"),
    )
    precision: str = setting(
        "auto",
        "Arithmetic of the matrix products: `fp32`; `tf32` (GPUs from capability 8.0); `bf16`; `fp16` with loss scaling (GPUs); "
        "`auto` is resolved for the device when the run is planned. Weights and optimiser are always fp32.",
        choices=("auto", "fp32", "tf32", "bf16", "fp16"),
    )
    evaluate_every: int = setting(0, "Updates between evaluations; 0 means a tenth of the run.", unit="updates", low=0)
    checkpoint_every: int = setting(
        0, "Updates between checkpoints; 0 means at every evaluation.", unit="updates", low=0, identity=False
    )
    keep_checkpoints: int = setting(
        1, "Latest checkpoints kept beside the best one; older are pruned.", low=1, identity=False
    )
    device: str = setting("auto", "`cpu`, `cuda`, `cuda:N`, or `auto`: a GPU if there is one.", identity=False)
    micro_batch: int = setting(
        0,
        "Sequences computed at once; 0 lets the worker choose. Kept on resume.",
        unit="sequences",
        low=0,
        identity=False,
    )
