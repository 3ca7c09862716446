"""`shrunk` without a command: the terminal UI."""

from __future__ import annotations

from pathlib import Path

from shrunk_core.config.lab import find_lab

from ..app import open_ui


def open_terminal(lab: Path | None, *, read_only: bool, ascii_only: bool) -> None:
    """Open the UI on the lab that is meant."""
    open_ui(find_lab(lab), read_only=read_only, ascii_only=ascii_only)
