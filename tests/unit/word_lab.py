"""A lab with a built language of a few words and no run trained: enough for probes and for cells of untrained starts."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

from shrunk_core.config.lab import init_lab
from shrunk_core.config.language_spec import TokenizerSpec
from shrunk_core.config.spec import RunSpec
from shrunk_core.language.corpus import corpus_folder
from shrunk_core.language.tokenizer import tokenizer_folder, train_tokenizer, write_tokenizer
from shrunk_core.record.rundir import write_spec
from store_lab import COSTS, spec

NAMES = "anna ben carla david ella frank gina henry".split()
VERBS = "sees likes finds follows hears wants".split()
THINGS = "ball house dog road tree door book extraordinarily-long-thing".split()

SHAPE = {
    "vocab_size": 320, "embedding_size": 8, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "num_layers": 1,
    "max_positions": 66,
}  # fmt: skip


def sentence(rng: random.Random) -> str:
    words = [rng.choice(NAMES), rng.choice(VERBS), "the", rng.choice(THINGS), "and", rng.choice(NAMES)]
    return " ".join([*words, *rng.choices(VERBS, k=2 + rng.randrange(3)), "it."])


def word_lab(folder: Path, sequence_length: int = 64, held_out: int = 20) -> tuple[Path, RunSpec]:
    """The lab and the spec of its one run, which has no model."""
    lab, rng = init_lab(folder / "lab"), random.Random(0)
    run = spec(**SHAPE)
    run = dataclasses.replace(run, train=dataclasses.replace(run.train, sequence_length=sequence_length))
    corpus = corpus_folder(lab, run.corpus_fingerprint)
    corpus.mkdir(parents=True)
    units: list[str] = []
    for split, documents in (("train", 120), ("validation", held_out), ("test", held_out)):
        blocks = [[sentence(rng) for _ in range(5)] for _ in range(documents)]
        (corpus / f"{split}.txt").write_text("".join("\n".join(block) + "\n\n" for block in blocks))
        units += [unit for block in blocks for unit in block]
    recipe = TokenizerSpec(vocab_size=SHAPE["vocab_size"])
    tokenizer = tokenizer_folder(lab, run.tokenizer_fingerprint)
    tokenizer.mkdir(parents=True)
    write_tokenizer(tokenizer, train_tokenizer(units, recipe), recipe, corpus=run.corpus_fingerprint, seconds=0.0)
    write_spec(lab, run, name="words", grid="grid", costs=COSTS)
    return lab, run


def write_task(folder: Path, name: str, **splits: int) -> Path:
    """Rows of a task of two labels: whether the sentence ends in "ball" or "house". Returns the folder of tasks."""
    rng, rows = random.Random(name), folder / "tasks" / name
    rows.mkdir(parents=True)
    for split, n in splits.items():
        lines = []
        for i in range(n):
            words = f"{rng.choice(NAMES)} {rng.choice(VERBS)} the {('ball', 'house')[i % 2]}"
            lines.append(json.dumps({"sentence": words, "label": i % 2}))
        (rows / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "tasks"
