"""Named sets of defaults. A recipe fills in what the grid file leaves open; what the file names stays."""

from __future__ import annotations

from typing import Any

PAPER: dict[str, dict[str, Any]] = {
    # Deshpande et al. 2023 (arXiv 2305.17266) and its public code: base shape, untied decoder, post-LN, no clipping.
    "model": {
        "embedding_size": 256,
        "hidden_size": 256,
        "intermediate_size": 1024,
        "num_heads": 8,
        "num_layers": 8,
        "tie": "none",
        "norm": "post",
        "dropout": 0.1,
        "attention_dropout": 0.1,
    },
    "train": {
        "updates": 35475,
        "batch_size": 256,
        "sequence_length": 128,
        "packing": "grouped",
        "cross_documents": True,
        "masking": "100/0/0",
        "padding_in_loss": True,
        "learning_rate": 5e-4,
        "schedule": "noam",
        "warmup_share": 0.05,
        "warmup_max": 4000,
        "beta2": 0.95,
        "weight_decay": 0.01,
        "decay_all": True,
        "clip_norm": 0.0,
        "init": "paper",
        "precision": "fp32",
        "evaluate_every": 1000,
    },
}
RECIPES: dict[str, dict[str, dict[str, Any]]] = {"default": {"model": {}, "train": {}}, "paper": PAPER}

PAPER_UNTIED_HEADS = 8
"""The paper's untied models computed 8 heads whatever was asked; its tied ones (`RobertaForMaskedLM`) did as asked."""
