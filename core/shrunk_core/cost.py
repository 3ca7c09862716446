"""What a shape costs: parameters, FLOPs in four countings, memory. Integers from formulas, nothing measured.

Symbols of the paper (Deshpande et al. 2023, arXiv 2305.17266): E embedding, H hidden and I intermediate size, A heads,
L layers, V vocabulary, P position rows, s tokens of a sequence. One FLOP is one multiplication or one addition, so a
matrix product of (m, k) with (k, n) is 2mkn; a training step is three forward passes.

The countings (never mixed; every number says which one made it):

- `paper`     the paper's own, exact for its 42 runs. It charges the embedding lookup and the head as full matrix
              products over all s positions and leaves out the attention-weighted values and the output projection.
              The formula knows no `tie`: its tied runs were counted with it too.
- `hoffmann`  `paper` plus those two terms: Hoffmann et al. 2022 (arXiv 2203.15556), appendix F.
- `kaplan`    6 x non-embedding parameters x s: Kaplan et al. 2020 (arXiv 2001.08361), section 2.1.
- `executed`  what this engine computes: no product for the lookup, the head at scored positions only, values and output
              projection included, the head that `tie` really has. Hardware utilisation is quoted on it alone.
"""

from __future__ import annotations

from .config.spec import ModelSpec, TrainSpec

COUNTINGS = ("paper", "hoffmann", "kaplan", "executed")
DEFAULT_COUNTING = "paper"

BYTES_FP32 = 4
ADAM_STATES = 2

MICRO_BATCH_TOKENS = 8192
"""Tokens computed at once when nobody says: more gains no speed on a CPU and costs memory."""


def embedding_params(model: ModelSpec) -> int:
    """Token, position and two type embeddings and their LayerNorm: V*E + P*E + 4*E."""
    return (model.vocab_size + model.max_positions + 4) * model.embedding_size


def num_params(model: ModelSpec) -> int:
    """All trained parameters, each counted once (a tied matrix belongs to the embedding)."""
    e, h, i, v = model.embedding_size, model.hidden_size, model.intermediate_size, model.vocab_size
    block = 4 * (h * h + h) + 4 * h + 2 * h * i + i + h
    total = embedding_params(model) + model.num_layers * block
    if model.tie == "none":
        total += (e * h + 3 * h) + (h * h + 3 * h) + h * v + v
    elif model.tie == "full":
        total += (h * h + 3 * h) + v
    else:
        total += (e * h + h) + (h * e + 3 * e) + v
    if model.norm == "pre":
        total += 2 * h
    return total


def flops_per_sequence(model: ModelSpec, sequence_length: int, counting: str, mask_share: float = 0.15) -> int:
    """Training FLOPs of one sequence of `sequence_length` tokens.

    mask_share: expected share of scored positions; only `executed` depends on it, and is rounded to an integer.
    """
    e, h, i, v = model.embedding_size, model.hidden_size, model.intermediate_size, model.vocab_size
    a, layers, s = model.num_heads, model.num_layers, sequence_length
    if counting == "kaplan":
        return 6 * (num_params(model) - embedding_params(model)) * s
    values_and_output = 2 * s * s * h + 2 * s * h * h
    block = 6 * s * h * h + 2 * s * s * h + 3 * a * s * s + 4 * s * h * i
    if counting == "paper":
        return 3 * (2 * s * v * e + 2 * s * e * h + layers * block + 2 * s * h * v)
    if counting == "hoffmann":
        return 3 * (2 * s * v * e + 2 * s * e * h + layers * (block + values_and_output) + 2 * s * h * v)
    if counting != "executed":
        raise ValueError(f"unknown counting {counting!r}; one of {', '.join(COUNTINGS)}")
    reduce = 0 if model.tie == "full" else 2 * s * e * h
    head_per_token = 2 * h * e + 2 * e * v if model.tie == "projected" else 2 * h * h + 2 * h * v
    return round(3 * (reduce + layers * (block + values_and_output) + mask_share * s * head_per_token))


def scored_share(train: TrainSpec) -> float:
    """Expected share of positions whose logits are computed: the masked ones, or all in causal training."""
    return 1.0 if train.objective == "clm" else train.mask_share


def flops_per_update(model: ModelSpec, train: TrainSpec, counting: str = DEFAULT_COUNTING) -> int:
    """FLOPs of one update of `batch_size` sequences."""
    return train.batch_size * flops_per_sequence(model, train.sequence_length, counting, scored_share(train))


def costs(model: ModelSpec, train: TrainSpec) -> dict[str, int]:
    """What a run's spec.json carries, so that readers need no formula: parameters, and FLOPs a sequence by counting."""
    return {
        "num_params": num_params(model),
        "embedding_params": embedding_params(model),
        **{f"flops_{c}": flops_per_sequence(model, train.sequence_length, c, scored_share(train)) for c in COUNTINGS},
    }


def micro_batch(asked: int, batch_size: int, sequence_length: int) -> int:
    """Sequences computed at once."""
    return min(batch_size, asked or max(1, MICRO_BATCH_TOKENS // sequence_length))


def memory_bytes(model: ModelSpec, micro_batch: int, sequence_length: int, mask_share: float = 0.15) -> int:
    """Estimated peak of training tensors in fp32, without the program itself (about 300 MB with torch).

    Weights, gradients and two Adam moments, the activations kept for the backward pass (per token and layer: 4H + 4H
    around the norms and residuals, 3H queries, keys and values, 2I of the feed-forward, H attention output), and logits
    with their gradient at the scored positions.
    """
    tokens = micro_batch * sequence_length
    per_layer = 12 * model.hidden_size + 2 * model.intermediate_size
    activations = tokens * (model.num_layers * per_layer + 3 * model.embedding_size + 2 * model.hidden_size)
    logits = round(2 * mask_share * tokens * model.vocab_size)
    states = num_params(model) * (2 + ADAM_STATES)
    return BYTES_FP32 * (states + activations + logits)


def disk_bytes(model: ModelSpec, train: TrainSpec) -> int:
    """Most that a run leaves on disk: kept checkpoints (weights and moments), the best one, and `model/`."""
    weights = BYTES_FP32 * num_params(model)
    return (train.keep_checkpoints + 2) * (1 + ADAM_STATES) * weights + weights
