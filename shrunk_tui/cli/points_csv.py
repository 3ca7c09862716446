"""Points from a CSV file and a map of names to its columns.

Files of results carry debris: unnamed index columns, columns of text, padding. All of that is read and left alone; what
a name is mapped to is read strictly.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from shrunk_core.errors import ConfigError, DataError

from .points import NAMES, NUMBERS, SHAPE, Points, loose, pair, unknown

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
    columns = [name for name in dict.fromkeys(header) if name]
    mapped: dict[str, str] = {}
    for text in maps:
        name, column = pair(text, "--map", "NAME=COLUMN")
        if name not in NAMES:
            raise unknown("--map", name, NAMES, "the list of names")
        if column not in columns:
            raise unknown("--map", column, columns, str(path))
        if header.count(column) > 1:
            raise ConfigError(f"{path} has {header.count(column)} columns `{column}`: which one is {name}?")
        if name in mapped:
            raise ConfigError(f"--map {name} is given twice: `{mapped[name]}` and `{column}`")
        mapped[name] = column
    found = dict(mapped)
    for name, spellings in BY_NAME.items():
        for column in spellings:
            if name not in found and header.count(column) == 1 and column not in mapped.values():
                found[name] = column
    at = {name: header.index(name) for name in columns} | {name: header.index(column) for name, column in found.items()}
    cells = [[loose(cell) for cell in line] for line in lines]
    points = Points(
        source=str(path),
        rows=[{name: row[i] for name, i in at.items()} for row in cells],
        places=places,
        columns=(*found, *(name for name in columns if name not in found)),
        described=tuple(name for name in (*SHAPE, "tie") if name in found),
        mapped=frozenset(mapped),
        own={column: name for name, column in found.items() if column not in found},
        counting=counting,
    ).where(where)
    for name in mapped:
        points.numbers(name) if name in NUMBERS else points.texts(name)
    return points


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
