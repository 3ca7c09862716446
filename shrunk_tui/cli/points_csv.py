"""Points from a CSV file and a map of names to its columns."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from shrunk_core.errors import ConfigError, DataError

from .points import NAMES, Points, loose
from .points_named import named_points

BY_NAME: dict[str, tuple[str, ...]] = {
    name: (name,)
    for name in NAMES
    if name not in ("x", "y", "n", "d")  # too short to mean one thing in every file
} | {
    "run": ("run", "run_name", "run_id"),
    "num_heads": ("num_heads", "num_attention_heads"),
    "num_layers": ("num_layers", "num_hidden_layers"),
}
"""Headers that are taken for a name which nobody mapped: our own, and those of Hugging Face configurations."""


def csv_points(path: Path, maps: Sequence[str], where: str | None = None, counting: str = "") -> Points:
    """Read a file with a header line.

    maps      NAME=COLUMN each. where: an expression on the columns; rows for which it does not hold are not read strictly.
    counting  what its FLOPs are in, if it is known.

    ConfigError for a file, a name or a column that does not exist; DataError for content that cannot be read.
    """
    header, lines, places = _read(path)
    cells = [[loose(cell) for cell in line] for line in lines]
    return named_points(str(path), header, cells, places, maps, where, spellings=BY_NAME, counting=counting)


def _read(path: Path) -> tuple[list[str], list[list[str]], list[str]]:
    """Header, rows padded to it, and where each row is. Empty lines are left out."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            lines, places = [], []
            for line in reader:
                if any(cell.strip() for cell in line):
                    if len(line) > len(header):
                        raise DataError(
                            f"{path}, line {reader.line_num}: {len(line)} cells under {len(header)} columns; is a comma not quoted?"
                        )
                    lines.append(line + [""] * (len(header) - len(line)))
                    places.append(f"row {len(places) + 1} (line {reader.line_num})")
    except (FileNotFoundError, IsADirectoryError, PermissionError) as problem:
        raise ConfigError(f"{path}: {problem.strerror}; name a CSV file with a header line") from None
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"{path}: {getattr(problem, 'strerror', None) or problem}") from None
    if not any(header):
        raise DataError(f"{path} is empty: a header line and rows are needed")
    if not lines:
        raise DataError(f"{path} has a header and no rows")
    return header, lines, places
