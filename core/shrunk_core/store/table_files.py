"""An answer as a file: CSV, Parquet, JSON or Markdown, told by its ending."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from .result import plain

if TYPE_CHECKING:
    import pyarrow

ENDINGS = (".csv", ".parquet", ".json", ".md")
CHUNK_ROWS = 10_000


def write_table(table: pyarrow.Table, path: Path) -> Path:
    """Write a table in the format that the file's ending names. StoreError for another ending or an unwritable place."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise StoreError(f"{path.name}: the ending says the format; one of {', '.join(ENDINGS)}")
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if ending == ".parquet":
            import pyarrow.parquet

            pyarrow.parquet.write_table(table, partial, compression="zstd")
        else:
            with open(partial, "w", encoding="utf-8", newline="") as file:
                file.writelines({".csv": csv_lines, ".json": json_lines, ".md": markdown_lines}[ending](table))
        partial.replace(path)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written: {problem.strerror or problem}") from None
    return path


def rows_of(table: pyarrow.Table) -> Iterator[list[Any]]:
    """Rows of plain values, some thousands of them in memory at once."""
    for batch in table.to_batches(max_chunksize=CHUNK_ROWS):
        columns = [[plain(v) for v in column.to_pylist()] for column in batch.columns]
        yield from ([c[i] for c in columns] for i in range(batch.num_rows))


def csv_lines(table: pyarrow.Table) -> Iterator[str]:
    """CSV with a header, as `shrunk sql --format csv` prints it: nothing for NULL, times as ISO 8601."""
    import csv
    import io

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in rows_of(table):
        writer.writerow(["" if v is None else _cell(v) for v in row])
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def json_lines(table: pyarrow.Table) -> Iterator[str]:
    """An array of one object a row; NaN and infinities are null."""
    yield "["
    for number, row in enumerate(rows_of(table)):
        yield (",\n " if number else "\n ") + json.dumps(dict(zip(table.column_names, row, strict=True)))
    yield "\n]\n"


def markdown_lines(table: pyarrow.Table) -> Iterator[str]:
    """A table of GitHub's Markdown, numbers to the right."""
    import pyarrow.types as types

    number = [types.is_integer(f.type) or types.is_floating(f.type) or types.is_decimal(f.type) for f in table.schema]
    yield "| " + " | ".join(map(_escaped, table.column_names)) + " |\n"
    yield "|" + "|".join("---:" if right else "---" for right in number) + "|\n"
    for row in rows_of(table):
        yield "| " + " | ".join("" if v is None else _escaped(_cell(v)) for v in row) + " |\n"


def _cell(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (list, dict)) else str(value)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
