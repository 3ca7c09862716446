"""`shrunk report --control`: reduced languages against their unconstrained controls, shape by shape."""

from __future__ import annotations

from typing import Any

from shrunk_core.analysis.control import Side, compare_with_control
from shrunk_core.errors import PlanError
from shrunk_core.store.control_rows import controlled_runs
from shrunk_core.store.store import Store

from .output import Format, print_rows, say

COLUMNS = (
    "name", "corpus", "control", "runs_reduced", "runs_control", "flops_reduced", "flops_control",
    "above_unigram_reduced", "above_unigram_reduced_sd", "above_unigram_control", "above_unigram_control_sd",
    "above_unigram_difference", "nats_per_word_reduced", "nats_per_word_reduced_sd", "nats_per_word_control",
    "nats_per_word_control_sd", "nats_per_word_difference",
)  # fmt: skip


def print_controls(store: Store, how: Format) -> None:
    """Every shape trained on a reduced corpus and on a control of it: loss minus unigram, nats per word, differences."""
    rows: list[dict[str, Any]] = [
        {
            "name": c.name,
            "corpus": c.corpus,
            "control": c.control,
            **_side(c.reduced, "reduced"),
            **_side(c.unconstrained, "control"),
            "above_unigram_difference": c.above_unigram_difference,
            "nats_per_word_difference": c.nats_per_word_difference,
        }
        for c in compare_with_control(controlled_runs(store))
    ]
    if not rows:
        raise PlanError(
            "no shape has finished both on a reduced corpus and on a control of it. A control is a grid whose [corpus] has "
            'filter = "none" and evaluation_from = "REDUCED.toml", with the same [model], [train] and axes'
        )
    table = ("name", "runs_reduced", "runs_control", "above_unigram_reduced", "above_unigram_control",
             "above_unigram_difference", "nats_per_word_reduced", "nats_per_word_control", "nats_per_word_difference")  # fmt: skip
    print_rows(rows, COLUMNS, how, dict.fromkeys(table[3:], lambda v: f"{v:.4f}"), table)
    if how is Format.table:
        say(
            "above_unigram: validation loss minus that of a unigram model, nats a masked token; differences are reduced"
        )
        say("minus control, below 0 where the reduced language did better; _sd (json, csv) is between seeds")


def _side(side: Side, name: str) -> dict[str, Any]:
    return {
        f"runs_{name}": len(side.runs),
        f"flops_{name}": side.flops,
        f"above_unigram_{name}": side.above_unigram,
        f"above_unigram_{name}_sd": side.above_unigram_sd,
        f"nats_per_word_{name}": side.nats_per_word,
        f"nats_per_word_{name}_sd": side.nats_per_word_sd,
    }
