"""A lab: the folder, its settings file, and how a command finds it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from .loader import Place, read_section, read_toml
from .setting import setting

SETTINGS_FILE = "shrunk.toml"

TEMPLATE = """\
# Settings of this lab. Every key may be left out; the values here are the defaults.

slots = 0               # runs at once; 0: as many as the GPUs take well, or without one as many as there are cores
threads = 1             # threads of one run; tiny models gain more from a second run than from a second thread
idle_seconds = 20.0     # the supervisor leaves when nothing has been queued or running for so long
order = "longest"       # within a grid: longest, shortest, breadth (every shape once before any twice), grid (as listed)
retries = 3             # a worker that is killed so often without getting further is not started again; -1: no limit
retry_seconds = 2.0     # pause before a killed run is started again; doubles with each death in a row

others_memory = 0.5     # a GPU is left alone when other people's processes hold more than this share of its memory
others_utilisation = 0.3  # ... or keep it busier than this while nothing of ours is on it

notify = ""             # command for alerts, run by sh with SHRUNK_ALERT, _SEVERITY, _RUN, _GRID, _MESSAGE set
divergence_rise = 0.5   # alert: mean training loss of 50 updates this many nats above its lowest
stall_minutes = 10.0    # alert: a running run has logged nothing for so long
slow_share = 0.3        # alert: a run is slower than this share of what its shape has reached here
"""


@dataclass(frozen=True, kw_only=True)
class LabSettings:
    """What shrunk.toml may say."""

    slots: int = setting(0, "Runs at once; 0: one a GPU, or without one as many as there are cores.", low=0, high=1024)
    threads: int = setting(1, "Threads of one run.", low=1, high=1024)
    idle_seconds: float = setting(
        20.0, "The supervisor leaves when nothing has been queued or running for so long.", unit="seconds", low=0.0
    )
    order: str = setting("longest", "Order of runs within a grid.", choices=("longest", "shortest", "breadth", "grid"))
    retries: int = setting(
        3, "A worker killed so often without getting further is not started again; -1: no limit.", low=-1, high=1000000
    )
    retry_seconds: float = setting(
        2.0, "Pause before a killed run is started again; doubles with each death in a row.", unit="seconds", low=0.0
    )
    others_memory: float = setting(
        0.5, "A GPU is left alone when other people hold more than this share of its memory.", low=0.0, high=1.0
    )
    others_utilisation: float = setting(
        0.3, "A GPU is left alone when others keep it busier than this.", low=0.0, high=1.0
    )
    notify: str = setting("", "Command for alerts, run by sh with SHRUNK_ALERT and SHRUNK_MESSAGE set.")
    divergence_rise: float = setting(
        0.5, "Alert when the mean loss of 50 updates is so far above its lowest.", unit="nats", low=0.0
    )
    stall_minutes: float = setting(10.0, "Alert when a run has logged nothing for so long.", unit="minutes", low=0.1)
    slow_share: float = setting(
        0.3, "Alert when a run is slower than this share of what its shape has reached here.", low=0.0, high=1.0
    )


def init_lab(folder: Path) -> Path:
    """Make `folder` a lab (or leave the lab that it is) and return its absolute path.

    ConfigError when the folder is a file or cannot be written.
    """
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("corpora", "tokenizers", "runs", "journal", "exports", ".shrunk"):
            (folder / name).mkdir(exist_ok=True)
        settings = folder / SETTINGS_FILE
        if not settings.exists():
            settings.write_text(TEMPLATE)
    except OSError as problem:
        raise ConfigError(f"cannot make a lab in {folder}: {problem.strerror}") from None
    return folder


def find_lab(chosen: Path | None = None, start: Path | None = None) -> Path:
    """The lab to work on: `chosen` (--lab), else $SHRUNK_LAB, else the nearest folder upwards with a shrunk.toml."""
    named = chosen or (Path(os.environ["SHRUNK_LAB"]) if os.environ.get("SHRUNK_LAB") else None)
    if named is not None:
        folder = named.expanduser().absolute()
        if (folder / SETTINGS_FILE).is_file():
            return folder
        raise ConfigError(f"{folder} is no lab (no {SETTINGS_FILE} in it); `shrunk init {named}` makes one")
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / SETTINGS_FILE).is_file():
            return folder
    raise ConfigError(
        f"no lab here: neither {here} nor a folder above it has a {SETTINGS_FILE}. "
        "`shrunk init DIR` makes a lab, `shrunk demo` makes one and fills it; --lab DIR or SHRUNK_LAB name one."
    )


def read_settings(lab: Path) -> LabSettings:
    """The settings of a lab, strictly."""
    table, text = read_toml(lab / SETTINGS_FILE)
    return read_section(LabSettings, table, Place(lab / SETTINGS_FILE, text))
