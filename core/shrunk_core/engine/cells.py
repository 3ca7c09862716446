"""Handing downstream cells to the lab's supervisor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config.cell import CellSpec, cell_to_dict
from .client import ask


def submit_cells(lab: Path, cells: list[CellSpec]) -> dict[str, Any]:
    """Hand cells to the lab's supervisor. Returns `job_ids` of all and `queued`, those that will be worked on now."""
    return ask(lab, {"action": "submit-cells", "cells": [cell_to_dict(cell) for cell in cells]})
