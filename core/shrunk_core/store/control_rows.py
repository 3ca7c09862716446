"""Finished runs with what a comparison of a reduced language and its unconstrained control needs."""

from __future__ import annotations

from dataclasses import dataclass

from .store import Store


@dataclass(frozen=True, kw_only=True)
class ControlledRun:
    """The last validation loss of a run that has spent its budget, and the corpus it was trained on.

    control_of: fingerprint of the corpus whose held-out splits it is scored on; empty if its own. shape: everything but
    language, vocabulary size and seed that a fair comparison holds equal. words, units, tokens: of the validation split,
    tokens with the `</s>` of each unit.
    """

    run_id: str
    name: str
    corpus: str
    control_of: str
    shape: tuple[int | float | str | bool, ...]
    seed: int
    loss: float
    unigram_loss: float
    flops: float
    words: int
    units: int
    tokens: int


SHAPE = (
    "embedding_size", "hidden_size", "intermediate_size", "num_heads", "num_layers", "tie", "norm", "updates",
    "batch_size", "sequence_length", "packing", "learning_rate", "schedule", "objective",
)  # fmt: skip
"""Columns of `runs` that two runs must share to be compared."""


def controlled_runs(store: Store) -> list[ControlledRun]:
    """Every finished run of a corpus that is a control or has one."""
    shape = ", ".join(f"r.{name}" for name in SHAPE)
    rows = store.query(
        "with pairs as (select distinct evaluation_from as f from corpora where evaluation_from <> '') "
        "select r.run_id, r.name, c.fingerprint, c.evaluation_from, r.seed, e.loss, e.unigram_loss, "
        "(e.update * r.batch_size * r.flops_paper)::double, c.validation_words, c.validation_units, "
        f"t.validation_tokens, {shape} from evaluations e join runs r on r.run_id = e.run_id "
        "join corpora c on c.fingerprint = r.corpus_fingerprint join tokenizers t on t.fingerprint = r.tokenizer_fingerprint "
        "where e.split = 'validation' and isfinite(e.loss) and e.update = r.updates "
        "and (c.evaluation_from <> '' or c.fingerprint in (select f from pairs)) order by r.run_id"
    ).rows
    return [
        ControlledRun(
            run_id=row[0], name=row[1], corpus=row[2], control_of=row[3], seed=row[4], loss=row[5], unigram_loss=row[6],
            flops=row[7], words=row[8], units=row[9], tokens=row[10], shape=tuple(row[11:]),
        )
        for row in rows
    ]  # fmt: skip
