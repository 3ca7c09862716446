"""Parameters and FLOPs against the numbers of the paper, to the last digit."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest
from shrunk_core.config.spec import ModelSpec, TrainSpec
from shrunk_core.cost import COUNTINGS, costs, embedding_params, flops_per_sequence, memory_bytes, num_params


def shape(
    e: int, h: int, i: int, a: int, layers: int, tie: str = "none", v: int = 19010, norm: str = "post"
) -> ModelSpec:
    return ModelSpec(
        embedding_size=e,
        hidden_size=h,
        intermediate_size=i,
        num_heads=a,
        num_layers=layers,
        tie=tie,
        norm=norm,
        vocab_size=v,
        max_positions=130,
    )


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (shape(32, 32, 64, 1, 1), 1_250_722),
        (shape(256, 256, 1024, 8, 8), 16_237_122),
        (shape(256, 256, 1024, 8, 8, "full"), 11_304_258),
        (shape(256, 256, 1024, 8, 8, "full", norm="pre"), 11_304_770),
        (shape(64, 128, 1024, 8, 4), 5_022_274),
        (shape(64, 128, 512, 4, 2, "projected", 8000), 941_824),
    ],
)
def test_parameters_of_the_paper(model: ModelSpec, expected: int) -> None:
    assert num_params(model) == expected


@pytest.mark.parametrize(
    ("model", "counting", "expected"),
    [
        (shape(32, 32, 128, 1, 1), "paper", 947_109_888),
        (shape(64, 128, 1024, 8, 4), "paper", 3_820_781_568),
        (shape(256, 256, 1024, 8, 8), "paper", 12_165_316_608),
        (shape(256, 256, 1024, 8, 8), "hoffmann", 12_769_296_384),
        (shape(256, 256, 1024, 8, 8), "kaplan", 8_706_246_144),
    ],
)
def test_flops_of_the_paper(model: ModelSpec, counting: str, expected: int) -> None:
    assert flops_per_sequence(model, 128, counting) == expected


def test_executed_counts_what_is_computed() -> None:
    """By hand for a tiny shape: E -> H, one block, head at a quarter of 8 positions."""
    model = dataclasses.replace(shape(2, 4, 8, 2, 1, "projected", 10), max_positions=10)
    s, e, h, i, v, a = 8, 2, 4, 8, 10, 2
    block = 2 * s * h * 3 * h + 2 * s * s * h + 3 * a * s * s + 2 * s * s * h + 2 * s * h * h + 2 * s * h * i * 2
    head = 2 * (2 * h * e + 2 * e * v)
    assert flops_per_sequence(model, s, "executed", 0.25) == 3 * (2 * s * e * h + block + head)


def test_unknown_counting_is_refused() -> None:
    with pytest.raises(ValueError, match="kaplan"):
        flops_per_sequence(shape(32, 32, 64, 1, 1), 128, "chinchilla")


def test_costs_carry_every_counting() -> None:
    found = costs(shape(32, 32, 64, 1, 1), TrainSpec(sequence_length=128))
    assert set(found) == {"num_params", "embedding_params", *(f"flops_{c}" for c in COUNTINGS)}
    assert all(isinstance(v, int) for v in found.values())


def test_memory_grows_with_batch() -> None:
    model = shape(64, 64, 256, 2, 2)
    assert memory_bytes(model, 64, 128) > memory_bytes(model, 32, 128) > 16 * num_params(model)


def test_all_runs_of_the_paper(shared_data: Path) -> None:
    """42 shapes: total and embedding parameters, and FLOPs of a sequence."""
    with open(shared_data / "scaling" / "paper_test_results.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 42
    for row in rows:
        sizes = [
            int(float(row[k]))
            for k in (
                "embedding_size",
                "hidden_size",
                "intermediate_size",
                "num_attention_heads",
                "num_hidden_layers",
            )
        ]
        e, h, i, a, layers = sizes
        total = int(float(row["Total parameters"]))
        models = [shape(e, h, i, a, layers, tie) for tie in ("none", "full") if tie == "none" or e == h]
        assert total in [num_params(m) for m in models]
        assert embedding_params(models[0]) == int(float(row["Embedding parameters"]))
        assert flops_per_sequence(models[0], 128, "paper") == int(float(row["FLOPS Hoffman per sequence"]))
