"""A lab: the folder, its settings file, and how a command finds it."""

from __future__ import annotations

import os
import stat
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

checkpoint_gigabytes = 0.0  # checkpoints of the lab hold at most so much; 0: no limit. What goes first: shrunk gc --help

notify = ""             # command for alerts, run by sh with SHRUNK_ALERT, _SEVERITY, _RUN, _GRID, _MESSAGE set
divergence_rise = 0.5   # alert: mean training loss of 50 updates this many nats above its lowest
stall_minutes = 10.0    # alert: a running run has logged nothing for so long
slow_share = 0.3        # alert: a run is slower than this share of what its shape has reached here
disk_gigabytes = 1.0    # alert: the lab's disk has less than this left
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
    checkpoint_gigabytes: float = setting(
        0.0, "Checkpoints of the lab hold at most so much together; 0: no limit.", unit="GB", low=0.0
    )
    notify: str = setting("", "Command for alerts, run by sh with SHRUNK_ALERT and SHRUNK_MESSAGE set.")
    divergence_rise: float = setting(
        0.5, "Alert when the mean loss of 50 updates is so far above its lowest.", unit="nats", low=0.0
    )
    stall_minutes: float = setting(10.0, "Alert when a run has logged nothing for so long.", unit="minutes", low=0.01)
    slow_share: float = setting(
        0.3, "Alert when a run is slower than this share of what its shape has reached here.", low=0.0, high=1.0
    )
    disk_gigabytes: float = setting(1.0, "Alert when the lab's disk has less than this left.", unit="GB", low=0.0)


def init_lab(folder: Path, *, shared: bool = False) -> Path:
    """Make `folder` a lab (or leave the lab that it is) and return its absolute path.

    shared: everything in it, now and later, is for the group of the folder to read and to write. ConfigError when the
    folder is a file or cannot be written, or holds files of others that cannot be shared by us.
    """
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if shared:
            folder.chmod(folder.stat().st_mode | SHARED_FOLDER)
        join_group(folder)
        for name in ("corpora", "tokenizers", "runs", "journal", "exports", ".shrunk"):
            (folder / name).mkdir(exist_ok=True)
        settings = folder / SETTINGS_FILE
        if not settings.exists():
            settings.write_text(TEMPLATE)
        if shared:
            _share(folder)
    except OSError as problem:
        raise ConfigError(f"cannot make a lab in {folder}: {problem.strerror} ({problem.filename})") from None
    return folder


SHARED_FOLDER = stat.S_ISGID | stat.S_IRWXG
"""What the mode of a shared lab's folders has: new files in them belong to the folder's group, which may do everything."""


def join_group(lab: Path) -> None:
    """In a shared lab whatever this process and its children make from now on is the group's as well.

    A lab is shared when its own folder is (mode g+rwxs), whoever made it so. Of the umask only the group's part is given up.
    """
    if lab.stat().st_mode & SHARED_FOLDER == SHARED_FOLDER:
        os.umask(os.umask(0o077) & ~stat.S_IRWXG)


def _share(lab: Path) -> None:
    """Give what is in the lab already to the group of its folder. What cannot be written by its owner stays so."""
    group = lab.stat().st_gid
    for path in (lab, *lab.rglob("*")):
        if path.is_symlink():
            continue
        found = path.stat()
        if found.st_gid != group:
            os.chown(path, -1, group)
        owner = found.st_mode & stat.S_IRWXU
        wanted = SHARED_FOLDER if path.is_dir() else owner >> 3
        if found.st_mode & wanted != wanted:
            path.chmod(found.st_mode | wanted)


def find_lab(chosen: Path | None = None, start: Path | None = None) -> Path:
    """The lab to work on: `chosen` (--lab), else $SHRUNK_LAB, else the nearest folder upwards with a shrunk.toml.

    In a lab that a group shares this process joins the group (`join_group`)."""
    named = chosen or (Path(os.environ["SHRUNK_LAB"]) if os.environ.get("SHRUNK_LAB") else None)
    if named is not None:
        folder = named.expanduser().absolute()
        if (folder / SETTINGS_FILE).is_file():
            join_group(folder)
            return folder
        raise ConfigError(f"{folder} is no lab (no {SETTINGS_FILE} in it); `shrunk init {named}` makes one")
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / SETTINGS_FILE).is_file():
            join_group(folder)
            return folder
    raise ConfigError(
        f"no lab here: neither {here} nor a folder above it has a {SETTINGS_FILE}. "
        "`shrunk init DIR` makes a lab, `shrunk demo` makes one and fills it; --lab DIR or SHRUNK_LAB name one."
    )


def read_settings(lab: Path) -> LabSettings:
    """The settings of a lab, strictly."""
    table, text = read_toml(lab / SETTINGS_FILE)
    return read_section(LabSettings, table, Place(lab / SETTINGS_FILE, text))
