"""`shrunk cost`."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer
from shrunk_core.config.grid import impossible
from shrunk_core.config.spec import ModelSpec
from shrunk_core.cost import COUNTINGS, embedding_params, flops_per_sequence, num_params
from shrunk_core.errors import ConfigError

from .output import Format, print_object


class Tie(str, Enum):
    none = "none"
    full = "full"
    projected = "projected"


class Norm(str, Enum):
    post = "post"
    pre = "pre"


Size = Annotated[int, typer.Option(min=1)]


def cost(
    embedding_size: Size,
    hidden_size: Size,
    intermediate_size: Size,
    num_heads: Size,
    num_layers: Size,
    vocab_size: Size,
    max_positions: Size,
    sequence_length: Size,
    tie: Annotated[
        Tie, typer.Option(help="Output weights: own, the embedding's, or the embedding's through H -> E.")
    ] = Tie.none,
    norm: Annotated[Norm, typer.Option(help="Layer normalisation after or before the sublayers.")] = Norm.post,
    mask_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Scored share; only `executed` uses it.")] = 0.15,
    how: Annotated[Format, typer.Option("--format", help="How data is printed on stdout.")] = Format.json,
) -> None:
    """Parameters and training FLOPs of one sequence, in four countings.

    paper: Deshpande et al. 2023. hoffmann: that plus attention-weighted values and output projection. kaplan: 6 x
    non-embedding parameters x tokens. executed: what this engine computes (no product for the embedding lookup, the head
    at scored positions only).

    Example: shrunk cost --embedding-size 256 --hidden-size 256 --intermediate-size 1024 --num-heads 8 --num-layers 8
    --vocab-size 19010 --max-positions 130 --sequence-length 128
    """
    model = ModelSpec(
        embedding_size=embedding_size,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_heads=num_heads,
        num_layers=num_layers,
        vocab_size=vocab_size,
        max_positions=max_positions,
        tie=tie.value,
        norm=norm.value,
    )
    if problem := impossible(model):
        raise ConfigError(problem)
    print_object(
        {
            "num_params": num_params(model),
            "embedding_params": embedding_params(model),
            "flops_per_sequence": {c: flops_per_sequence(model, sequence_length, c, mask_share) for c in COUNTINGS},
        },
        how,
    )
