"""`shrunk` without a command: the terminal UI."""

from __future__ import annotations

from pathlib import Path

from shrunk_core.config.lab import SETTINGS_FILE, find_lab, init_lab
from shrunk_core.errors import ConfigError

from ..app import open_ui, wants_ascii


def open_terminal(lab: Path | None, *, read_only: bool, ascii_only: bool) -> None:
    """Open the UI on the lab that is meant; where there is none, ask what to do."""
    try:
        folder = find_lab(lab)
    except ConfigError:
        if lab is not None and (lab.exists() and not lab.is_dir() or read_only):
            raise
        welcome(Path.cwd() if lab is None else lab.parent, read_only=read_only, ascii_only=ascii_only)
        return
    open_ui(folder, read_only=read_only, ascii_only=ascii_only)


def welcome(here: Path, *, read_only: bool, ascii_only: bool) -> None:
    """Offer to make a lab, to open one, or to play the demo in one."""
    from ..welcome import WelcomeApp

    chosen = WelcomeApp(here.absolute(), wants_ascii(ascii_only)).run()
    if chosen is None:
        return
    what, folder = chosen
    if what == "demo":
        start_demo(folder)
    elif what == "lab":
        init_lab(folder)
    elif not (folder / SETTINGS_FILE).is_file():
        raise ConfigError(f"{folder} is no lab (no {SETTINGS_FILE} in it)")
    open_ui(folder.absolute(), read_only=read_only, ascii_only=ascii_only, start="design" if what == "lab" else "runs")


def start_demo(folder: Path) -> None:
    """Hand the demo's grid to the supervisor of a new lab, to be watched."""
    from shrunk_core.config.grid import load_grid
    from shrunk_core.engine.client import submit
    from shrunk_core.engine.plan import make_plan

    from .demo import GRID
    from .output import say

    lab = init_lab(folder)
    say("planning the demo ...")
    planned = make_plan(lab, load_grid(GRID))
    if any(r.status != "finished" for r in planned.runs):
        submit(lab, planned)
