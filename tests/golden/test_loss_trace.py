"""A tiny CPU run whose losses a refactor must reproduce.

Recipe: the tiny language of tests/tiny.py, H 16, L 1, 40 updates of 8 x 16 tokens, fp32, one thread, seed 0, init bert. Tolerance:
relative 1e-4, because other CPU capabilities round differently. A deliberate change of the numbers is made with
`SHRUNK_REBASELINE=1 .venv/bin/python -m pytest tests/golden/test_loss_trace.py`.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
import torch
from shrunk_core.config.grid import load_grid
from shrunk_core.config.lab import init_lab
from shrunk_core.engine.plan import make_plan
from shrunk_core.engine.worker import read_language
from shrunk_core.language.corpus import build_corpus
from shrunk_core.record.events import Evaluated, Step
from shrunk_core.record.rundir import RunDir
from shrunk_core.train.pretrain import NonFinite, Trainer
from shrunk_core.train.runtime import Requests, Runtime

from tests.tiny import write_grid

GOLDEN = Path(__file__).with_name("loss_trace.json")


def trainer(folder: Path, updates: int = 40) -> Trainer:
    """A trainer in this process, as a worker would make it."""
    torch.set_num_threads(1)
    lab = init_lab(folder / "lab")
    plan = make_plan(lab, load_grid(write_grid(folder, updates=updates, evaluate_every=20, train='init = "bert"')))
    spec = plan.runs[0].spec
    assert spec is not None
    for _ in build_corpus(lab, spec.corpus, spec.tokenizer):
        pass
    run = RunDir(lab / "runs" / spec.run_id)
    run.path.mkdir(exist_ok=True)
    runtime = Runtime(device=torch.device("cpu"), threads=1, micro_batch=8)
    return Trainer(spec, read_language(spec, lab), run, runtime, Requests(run.control), 1)


def test_losses_are_the_golden_ones(tmp_path: Path) -> None:
    events = list(trainer(tmp_path).events())
    found = {
        "train": [e.loss for e in events if isinstance(e, Step)],
        "evaluated": [[e.split, e.update, e.num_masked_tokens, e.loss] for e in events if isinstance(e, Evaluated)],
    }
    if os.environ.get("SHRUNK_REBASELINE"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    golden = json.loads(GOLDEN.read_text())
    assert found["train"] == pytest.approx(golden["train"], rel=1e-4)
    for ours, theirs in zip(found["evaluated"], golden["evaluated"], strict=True):
        assert ours[:3] == theirs[:3]
        assert ours[3] == pytest.approx(theirs[3], rel=1e-4)


def test_micro_batches_weigh_exactly(tmp_path: Path) -> None:
    """Accumulated over micro-batches of 3 the same losses come out, to rounding."""
    whole = trainer(tmp_path, updates=10)
    parts = trainer(tmp_path, updates=10)
    parts.updater.micro_batch = 3
    one = [e.loss for e in whole.events() if isinstance(e, Step)]
    two = [e.loss for e in parts.events() if isinstance(e, Step)]
    assert two == pytest.approx(one, rel=1e-4)


def test_a_non_finite_loss_names_update_rate_and_norm(tmp_path: Path) -> None:
    broken = trainer(tmp_path)
    with torch.no_grad():
        broken.model.decoder_bias[7] = math.inf
    with pytest.raises(NonFinite, match=r"update 1: loss .* gradient norm .* learning rate"):
        list(broken.events())
