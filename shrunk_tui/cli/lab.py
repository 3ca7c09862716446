"""`shrunk init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from shrunk_core.config.lab import SETTINGS_FILE, init_lab

from .output import say


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the new lab; made when it is not there.")],
    shared: Annotated[
        bool,
        typer.Option(
            "--shared",
            help="For the group of the folder: everybody in it may run, stop and write. Also of a lab that is there.",
        ),
    ] = False,
) -> None:
    """Make a new lab: a folder with settings, runs, corpora and a database. A lab that is there stays as it is.

    A shared lab belongs to the group that its folder belongs to (chgrp before, where that is another than yours).

    Examples: shrunk init mylab && cd mylab

    shrunk init /data/ourlab --shared
    """
    was = (folder / SETTINGS_FILE).exists()
    lab = init_lab(folder, shared=shared)
    say(f"{'already a lab' if was else 'made the lab'}: {lab}")
    print(lab)
