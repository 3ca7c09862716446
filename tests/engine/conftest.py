"""What tests with real processes share, because it takes seconds: a language, and a lab whose supervisor is warm."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shrunk_core.config.grid import load_grid
from shrunk_core.config.lab import init_lab
from shrunk_core.engine.client import cancel
from shrunk_core.engine.plan import make_plan
from shrunk_core.engine.watch import read_standings
from shrunk_core.language.corpus import build_corpus

from tests.conftest import end_supervisor
from tests.tiny import wait_for, write_grid


@pytest.fixture(scope="session")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab in which there is the corpus of `tests.tiny` and nothing else."""
    folder = tmp_path_factory.mktemp("language")
    lab = init_lab(folder / "lab")
    (planned,) = make_plan(lab, load_grid(write_grid(folder))).runs
    assert planned.spec is not None
    for _ in build_corpus(lab, planned.spec.corpus, planned.spec.tokenizer):
        pass
    return lab


def give_language(lab: Path, language: Path) -> Path:
    """Put the corpus where a supervisor would have built it."""
    for name in ("corpora", "tokenizers"):
        shutil.copytree(language / name, lab / name, dirs_exist_ok=True)
    return lab


@pytest.fixture
def lab(lab: Path, language: Path) -> Path:
    """A new lab that has the corpus of `tests.tiny` already."""
    return give_language(lab, language)


@pytest.fixture(scope="session")
def warm_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The lab behind `served`. Its first run builds the corpus, as a person's would."""
    folder = init_lab(tmp_path_factory.mktemp("served") / "lab")
    (folder / "shrunk.toml").write_text("idle_seconds = 600\nslots = 2\n")
    yield folder
    end_supervisor(folder)


@pytest.fixture
def served(warm_lab: Path) -> Iterator[Path]:
    """A lab that tests use one after the other: a supervisor with a warm spare serves it from the first one on. Each has
    grids of its own names and seeds, leaves nobody dead, and finds nothing under way."""
    yield warm_lab

    def under_way() -> list[str]:
        now = time.time()
        return [r for r, s in read_standings(warm_lab).items() if s.status(now).status in ("queued", "running")]

    if left := under_way():
        cancel(warm_lab, left)
        wait_for(lambda: not under_way(), "the end of what a test left")
