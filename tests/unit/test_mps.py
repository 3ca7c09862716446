"""NVIDIA's service, by a stand-in for its program: started for a block, asked, told to leave."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from shrunk_core.engine import mps

PROGRAM = """#!/bin/sh
if [ "$1" = "-d" ]; then echo start >> "$CUDA_MPS_PIPE_DIRECTORY/../../said"; touch "$CUDA_MPS_PIPE_DIRECTORY/control"; exit 0; fi
read word
test -e "$CUDA_MPS_PIPE_DIRECTORY/control" || exit 1
echo "$word" >> "$CUDA_MPS_PIPE_DIRECTORY/../../said"
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "bin" / mps.CONTROL
    file.parent.mkdir()
    file.write_text(PROGRAM)
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{file.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_service_lives_as_long_as_its_block(program: Path) -> None:
    assert mps.available() and not mps.running()
    with mps.service() as environment:
        assert environment is not None
        assert Path(environment["CUDA_MPS_PIPE_DIRECTORY"], "control").exists()
    assert (program / "said").read_text().split() == ["start", "quit"]
    assert not list(program.glob("shrunk-mps-*"))


def test_a_running_service_is_seen(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = program / "a" / "b" / "pipe"
    pipe.mkdir(parents=True)
    (pipe / "control").touch()
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(pipe))
    assert mps.running()


def test_a_machine_without_it_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not mps.available() and not mps.running()
    with mps.service() as environment:
        assert environment is None
