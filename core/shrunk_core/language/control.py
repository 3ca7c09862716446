"""The unconstrained control of a reduced corpus: other text to learn from, the same text to be scored on.

`[corpus] filter = "none"` with `evaluation_from` takes the train documents of its own sources, as many words of each as
the reduced corpus has, and the validation and test splits of the reduced corpus as they are. Both cut documents and hold
them out by the same rules, so that no document that one is scored on is in the other's train split.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from ..config.grid import load_grid
from ..config.language_spec import CorpusSpec
from ..errors import ConfigError, DataError

HELD_OUT = ("validation", "test")
_FINGERPRINT = re.compile(r"[0-9a-f]{12}")
_ALIKE = ("document", "text_column", "validation_share", "test_share")


def reference(corpus: CorpusSpec) -> CorpusSpec | str:
    """The reduced corpus that `evaluation_from` names: its fingerprint, or the recipe of a grid file."""
    name = corpus.evaluation_from
    if _FINGERPRINT.fullmatch(name):
        return name
    if not name.endswith(".toml"):
        raise ConfigError(
            f'[corpus] evaluation_from = "{name}": name the grid file of the reduced corpus (NAME.toml), or its '
            "fingerprint (12 hex digits; `shrunk corpus list` shows them)"
        )
    recipes = {point.corpus for point in load_grid(Path(name)).points()}
    if len(recipes) > 1:
        raise ConfigError(
            f'[corpus] evaluation_from = "{name}": its axes make {len(recipes)} corpora; name the fingerprint of one '
            "(`shrunk corpus list`)"
        )
    found = recipes.pop()
    if found.evaluation_from:
        raise ConfigError(f'[corpus] evaluation_from = "{name}" is itself a control; name the reduced corpus')
    return found


def train_pattern(corpus: CorpusSpec, manifest: dict[str, Any]) -> list[int]:
    """Train words of each source that the control should have; DataError if the two cannot be compared."""
    recipe = manifest["recipe"]
    for name in _ALIKE:
        if getattr(corpus, name) != recipe[name]:
            raise DataError(
                f"[corpus] {name} = {getattr(corpus, name)!r}, but the corpus {manifest['fingerprint']} of evaluation_from "
                f"has {recipe[name]!r}: held-out documents would be in the train split. Set it to the same."
            )
    words = manifest["splits"]["train"]["words_by_source"]
    if len(words) != len(corpus.sources):
        raise DataError(
            f"[corpus] sources has {len(corpus.sources)} entries, the corpus {manifest['fingerprint']} of evaluation_from "
            f"{len(words)}: a control takes as much of each, so name the same ones in the same order"
        )
    return words


def take_held_out(corpus_folder: Path, folder: Path) -> None:
    """Copy the held-out splits of a built corpus."""
    for split in HELD_OUT:
        shutil.copyfile(corpus_folder / f"{split}.txt", folder / f"{split}.txt")
