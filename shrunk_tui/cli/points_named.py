"""From a table with a header to points: which column a name stands for, said by --map or found by its spelling.

Tables of results carry debris: unnamed index columns, columns of text, padding. All of that is read and left alone; what
a name is mapped to is read strictly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shrunk_core.errors import ConfigError

from .points import NAMES, NUMBERS, SHAPE, Points, pair, unknown


def named_points(
    source: str,
    header: Sequence[str],
    lines: Sequence[Sequence[Any]],
    places: list[str],
    maps: Sequence[str],
    where: str | None,
    *,
    spellings: Mapping[str, Sequence[str]],
    described: Iterable[str] = (),
    counting: str = "",
    evaluation_id: str = "",
) -> Points:
    """Points from the lines under a header.

    maps       NAME=COLUMN each. where: an expression on the columns; rows for which it does not hold are not read strictly.
    spellings  headers that are taken for a name which nobody mapped.
    described  columns, besides the shape and tie, that say how a row's model was made.

    ConfigError for a name or a column that does not exist; DataError for a mapped cell that cannot be read.
    """
    columns = [name for name in dict.fromkeys(header) if name]
    mapped: dict[str, str] = {}
    for text in maps:
        name, column = pair(text, "--map", "NAME=COLUMN")
        if name not in NAMES:
            raise unknown("--map", name, NAMES, "the list of names")
        if column not in columns:
            raise unknown("--map", column, columns, source)
        if header.count(column) > 1:
            raise ConfigError(f"{source} has {header.count(column)} columns `{column}`: which one is {name}?")
        if name in mapped:
            raise ConfigError(f"--map {name} is given twice: `{mapped[name]}` and `{column}`")
        mapped[name] = column
    found = dict(mapped)
    for name, known in spellings.items():
        for column in known:
            if name not in found and header.count(column) == 1 and column not in mapped.values():
                found[name] = column
    at = {name: header.index(name) for name in columns} | {name: header.index(column) for name, column in found.items()}
    shown = (*(name for name in (*SHAPE, "tie") if name in found), *(name for name in described if name in columns))
    points = Points(
        source=source,
        rows=[{name: line[i] for name, i in at.items()} for line in lines],
        places=places,
        columns=(*found, *(name for name in columns if name not in found)),
        described=tuple(dict.fromkeys(shown)),
        mapped=frozenset(mapped),
        own={column: name for name, column in found.items() if column not in found},
        counting=counting,
        evaluation_id=evaluation_id,
    ).where(where)
    for name in mapped:
        points.numbers(name) if name in NUMBERS else points.texts(name)
    return points
