"""What a lab's screens looked like when they were left: one small JSON file a lab and user, written when it changed.

A view comes back as it was: screen, cursor, filters, columns, pins. Losing the file loses nothing else, so a file that
cannot be read or written is no error.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any


def state_file(lab: Path, read_only: bool) -> Path:
    """`.shrunk/ui-<user>.json` in the lab; of a lab that is only looked at, a file in the user's own state folder."""
    if not read_only and os.access(lab / ".shrunk", os.W_OK):
        return lab / ".shrunk" / f"ui-{_user()}.json"
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    with contextlib.suppress(OSError):
        (home / "shrunk").mkdir(parents=True, exist_ok=True)
    return home / "shrunk" / f"ui-{hashlib.sha256(str(lab).encode()).hexdigest()[:16]}.json"


def _user() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        name = str(os.getuid())
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)


class ViewState:
    """Saved values by name, such as `runs.filter`. Values are what JSON can hold."""

    def __init__(self, path: Path | None) -> None:
        """path: None keeps everything in memory only."""
        self.path = path
        self._values: dict[str, Any] = {}
        self._saved: str = "{}"
        if path is not None:
            with contextlib.suppress(OSError, ValueError):
                found = json.loads(path.read_text())
                self._values = found if isinstance(found, dict) else {}
                self._saved = json.dumps(self._values, sort_keys=True)

    def get(self, name: str, default: Any) -> Any:
        """The saved value, or `default` when none is there or it is of another type than `default`."""
        value = self._values.get(name, default)
        if default is not None and not isinstance(value, type(default)):
            return default
        return value

    def set(self, name: str, value: Any) -> None:
        self._values[name] = value

    def save(self) -> None:
        """Write the file if something changed. May be called in a thread, while values are set."""
        text = json.dumps(dict(self._values), sort_keys=True)
        if self.path is None or text == self._saved:
            return
        from shrunk_core.record.rundir import write_atomically

        with contextlib.suppress(OSError):
            write_atomically(self.path, text)
            self._saved = text
