"""`shrunk init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from shrunk_core.config.lab import SETTINGS_FILE, init_lab

from .output import say


def init(folder: Annotated[Path, typer.Argument(help="Folder of the new lab; made when it is not there.")]) -> None:
    """Make a new lab: a folder with settings, runs, corpora and a database. A lab that is there stays as it is.

    Example: shrunk init mylab && cd mylab
    """
    was = (folder / SETTINGS_FILE).exists()
    lab = init_lab(folder)
    say(f"{'already a lab' if was else 'made the lab'}: {lab}")
    print(lab)
