"""`shrunk replay`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from shrunk_core.config.lab import find_lab
from shrunk_core.errors import ConfigError

from .output import LabOption


def replay(
    grid: Annotated[str, typer.Argument(help="A grid or a run of the lab.")],
    lab: LabOption = None,
    speed: Annotated[float, typer.Option(min=0.1, help="How many times faster than it was.")] = 60.0,
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Draw with ASCII signs only.")] = False,
) -> None:
    """Play the logs of a finished grid through the screens again, for talks and for reports of what went wrong.

    The lab is only read: what is shown is a copy of the logs that grows as they grew. Nights between two attempts are
    passed over. Example: shrunk replay "width by depth" --speed 60
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError(
            "replay needs a terminal; `shrunk logs RUN` prints a log, `shrunk plot --x updates` its curve"
        )
    from ..app import ShrunkApp, wants_ascii
    from ..replay import Replay, runs_of
    from ..session import LabSession

    folder = find_lab(lab)
    chosen = runs_of(folder, grid)
    with tempfile.TemporaryDirectory(prefix="shrunk-replay-") as stage:
        played = Replay(folder, chosen, Path(stage) / folder.name)
        session = LabSession(played.stage, read_only=True, ascii_only=wants_ascii(ascii_only), stage=True)
        played.start(speed)
        try:
            ShrunkApp(session, "runs", note=f"REPLAY x{speed:g}").run()
        finally:
            played.stop()
