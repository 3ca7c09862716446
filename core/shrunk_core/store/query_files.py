"""Queries that are kept: saved ones as files that `shrunk sql -f` runs too, and the history of what was asked.

queries/<name>.sql           in the lab, one query a file; its first comment line says what it is for
.shrunk/history.sql.jsonl    one line a query: when, how it ended, the text
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import StoreError
from ..record.rundir import write_atomically

HISTORY_LENGTH = 500
"""Queries that the history shows, and keeps when its file is cut."""

HISTORY_BYTES = 1 << 20
"""Size at which the history's file is cut."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A saved query. note: its first comment line."""

    name: str
    path: Path
    text: str

    @property
    def note(self) -> str:
        first = self.text.lstrip().split("\n", 1)[0]
        return first[2:].strip() if first.startswith("--") else ""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One query of the history. at: seconds since 1970 UTC; rows: of the answer, None when it failed or was stopped."""

    at: float
    text: str
    rows: int | None
    seconds: float


def queries_folder(lab: Path) -> Path:
    return lab / "queries"


def saved_queries(lab: Path) -> list[Saved]:
    """All saved queries by name; a file that cannot be read is left out."""
    found = []
    for path in sorted(queries_folder(lab).glob("*.sql")):
        try:
            found.append(Saved(name=path.stem, path=path, text=path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError):
            continue
    return found


def save_query(lab: Path, name: str, text: str) -> Path:
    """Write a query under a name, over one of the same name. StoreError for a name that is no file name."""
    name = name.strip().removesuffix(".sql")
    if not _NAME.fullmatch(name):
        raise StoreError(f"`{name}` cannot name a query: letters, digits, spaces, dots and dashes, not first a dot")
    path = queries_folder(lab) / f"{name}.sql"
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.rstrip() + "\n", encoding="utf-8")
    except OSError as problem:
        raise StoreError(f"{path} cannot be written: {problem.strerror}") from None
    return path


def _history_file(lab: Path) -> Path:
    return lab / ".shrunk" / "history.sql.jsonl"


def history(lab: Path) -> list[Asked]:
    """What was asked in this lab, oldest first, the same text once (the last time)."""
    try:
        lines = _history_file(lab).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    asked: dict[str, Asked] = {}
    for line in lines:
        try:
            one = Asked(**json.loads(line))
        except (ValueError, TypeError):  # a torn line, or one of another version
            continue
        asked.pop(one.text, None)
        asked[one.text] = one
    return list(asked.values())[-HISTORY_LENGTH:]


def remember(lab: Path, text: str, *, rows: int | None, seconds: float) -> None:
    """Add a query to the history. A lab that cannot be written keeps none: that is no reason to fail a query."""
    path = _history_file(lab)
    one = Asked(at=time.time(), text=text.strip(), rows=rows, seconds=round(seconds, 3))
    try:
        path.parent.mkdir(exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(one)) + "\n")
            long = file.tell() > HISTORY_BYTES
        if long:
            write_atomically(path, "".join(json.dumps(asdict(kept)) + "\n" for kept in history(lab)))
    except OSError:
        return
