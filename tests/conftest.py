"""What tests share: the folder of real data that may be beside the checkout, tiny corpora and tiny labs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before datasets is imported anywhere: no test may wait for a network
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.pop("SHRUNK_LAB", None)

from shrunk_core.config.lab import init_lab  # noqa: E402
from shrunk_core.engine.desk import Desk  # noqa: E402

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real corpora, GLUE and learning curves; a fresh clone passes its tests without them."""
    named = os.environ.get("SHRUNK_SHARED_DATA")
    for folder in [Path(named)] if named else [ROOT / "../shared/data", ROOT / "../../shared/data"]:
        if folder.is_dir():
            return folder.resolve()
    pytest.skip("no shared data: set SHRUNK_SHARED_DATA, or put it at ../shared/data")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    """A new lab whose supervisor, if one was started, is gone when the test ends."""
    folder = init_lab(tmp_path / "lab")
    (folder / "shrunk.toml").write_text("idle_seconds = 0.5\nslots = 2\n")
    yield folder
    end_supervisor(folder)


def end_supervisor(lab: Path) -> None:
    """Ask the lab's supervisor to leave and wait until it has."""
    desk = Desk(lab)
    if not desk.serving():
        return
    import json

    try:
        os.kill(json.loads(desk.owner.read_text())["pid"], signal.SIGTERM)
    except (OSError, ValueError, KeyError):
        pass
    until = time.monotonic() + 15
    while desk.serving() and time.monotonic() < until:
        time.sleep(0.05)
