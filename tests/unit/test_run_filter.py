"""The filter bar's language, and the lines of the table that come of it."""

from __future__ import annotations

import pytest
from shrunk_core.errors import ConfigError

from shrunk_tui.run_filter import parse_filter

RUN = {
    "name": "H64 L2", "grid": "width by depth", "run_id": "abc123def456", "status": "running", "shape": "E64 H64 L2",
    "tags": "best old", "hidden_size": 64, "embedding_size": 128, "num_params": 5_000_000, "loss": 4.25,
    "perplexity": None, "train.learning_rate": 2e-3, "corpus.sources": ("embedded:kjv",),
}  # fmt: skip


@pytest.mark.parametrize(
    "text, holds",
    [
        ("", True),
        ("hidden_size>=64 and status:running", True),
        ("hidden_size >= 64 status:running", True),
        ("hidden_size>64 or loss<4.3", True),
        ("hidden_size>64 or loss<4.2", False),
        ("not status:failed", True),
        ("-status:failed", True),
        ("-status:running", False),
        ("(status:failed or status:running) loss<5", True),
        ("width", True),
        ("h64*", True),
        ("H32*", False),
        ('grid:"width by depth"', True),
        ("grid:width*", True),
        ("#best", True),
        ("tag:ol*", True),
        ("#new", False),
        ("params>=5M", True),
        ("params>5M", False),
        ("hidden_size < embedding_size / 1", True),
        ("hidden_size<embedding_size/4", False),
        ("hidden_size == embedding_size / 2", True),
        ("perplexity<100", False),
        ("perplexity<num_params / 2", False),
        ("train.learning_rate=2e-3", True),
        ("status!=failed", True),
        ("corpus.sources:*kjv*", True),
        ("abc12", True),
    ],
)
def test_filter(text: str, holds: bool) -> None:
    assert parse_filter(text, RUN)(RUN) is holds


@pytest.mark.parametrize("text, said", [("hidden_sise>3", "hidden_size"), ("(a", "closed"), ("a )", "`)`"),
                                        ("a or", "missing"), ("not", "missing")])  # fmt: skip
def test_what_cannot_be_read_is_refused_with_a_hint(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match="filter|no setting") as problem:
        parse_filter(text, RUN)
    assert said in str(problem.value)
