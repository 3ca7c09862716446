"""A corpus on its way: a folder of growing files, continued after an interruption and made whole at the end.

Of each split there are `SPLIT.text` (kept units), `SPLIT.documents` (rows of `DOCUMENT`) and a file a column of its
units. `state.json` says how long each file was when everything before a point of the sources was written; what a killed
builder wrote after that is cut off.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

import numpy as np

from .building import sync, write_json
from .fingers import BANDS
from .shrinker import DOCUMENT, Shrunk
from .split import SPLITS

_STATE = "state.json"
FORMAT = 2
"""Raised when a state means something else, or other batches are made of the same sources: an older draft is begun again."""
COLUMNS: dict[str, tuple[str, int]] = {"words": ("<u4", 0), "hashes": ("<u8", 0), "bands": ("<u8", BANDS)}
"""Type and, where there are several, numbers a unit of each column."""


class Draft:
    """The growing files of one corpus. columns: names of those it has."""

    def __init__(self, folder: Path, columns: tuple[str, ...]) -> None:
        self.folder = folder
        self._names = [f"{split}.{name}" for split in SPLITS for name in ("text", "documents", *columns)]
        self._files: dict[str, IO[bytes]] = {}

    def begin(self) -> dict[str, Any] | None:
        """Open the files where the last state left them; that state, or None for a new draft."""
        try:
            state = json.loads((self.folder / _STATE).read_text())
            sizes = state["sizes"]
            if state.get("format") != FORMAT or any(
                (self.folder / name).stat().st_size < sizes[name] for name in self._names
            ):
                state = None
        except (OSError, ValueError, KeyError):
            state = None
        for name in self._names:
            file = open(self.folder / name, "ab")
            file.truncate(state["sizes"][name] if state else 0)
            file.seek(0, os.SEEK_END)
            self._files[name] = file
        return state

    def write(self, shrunk: Shrunk) -> None:
        for split in SPLITS:
            self._files[f"{split}.text"].write(shrunk.text[split])
            self._files[f"{split}.documents"].write(shrunk.documents[split].tobytes())
            for name, values in shrunk.columns[split].items():
                self._files[f"{split}.{name}"].write(values.tobytes())

    def save(self, state: dict[str, Any]) -> None:
        """Make all that was written durable, then say so."""
        for file in self._files.values():
            file.flush()
            os.fdatasync(file.fileno())
        sizes = {name: file.tell() for name, file in self._files.items()}
        write_json(self.folder / _STATE, {**state, "format": FORMAT, "sizes": sizes}, indent=None)
        sync(self.folder)

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def remove(self) -> None:
        """Remove the files that only a draft has."""
        for name in (_STATE, *self._names):
            (self.folder / name).unlink(missing_ok=True)

    def text(self, split: str) -> Path:
        return self.folder / f"{split}.text"

    def documents(self, split: str) -> np.ndarray:
        """Rows of `DOCUMENT` of a split, mapped from disk."""
        return _mapped(self.folder / f"{split}.documents", DOCUMENT)

    def column(self, split: str, name: str) -> np.ndarray:
        """A column of the units of a split, mapped from disk: [units], or [units, several]."""
        kind, several = COLUMNS[name]
        values = _mapped(self.folder / f"{split}.{name}", np.dtype(kind))
        return values.reshape(-1, several) if several else values


def _mapped(path: Path, dtype: np.dtype) -> np.ndarray:
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.empty(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r")
