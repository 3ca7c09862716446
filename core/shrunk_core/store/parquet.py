"""Every view of a lab as one Parquet file each, streamed: whoever has pandas, R or polars needs no DuckDB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StoreError

if TYPE_CHECKING:
    from .store import Store

BATCH_ROWS = 100_000


@dataclass(frozen=True, kw_only=True)
class ExportedView:
    """One file that was written. num_bytes: of the file."""

    view: str
    path: Path
    rows: int
    num_bytes: int


def export_views(store: Store, folder: Path) -> list[ExportedView]:
    """Write each view of the published copy, people's own included, to `folder`/VIEW.parquet (zstd).

    Each file appears whole, under its name, when it is done. StoreError when the folder cannot be written.
    """
    import pyarrow.parquet

    cursor = store.cursor()
    cursor.execute("use lab")
    names = cursor.execute("select view_name from duckdb_views() where not internal order by 1").fetchall()
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for (name,) in names:
            path, rows = folder / f"{name}.parquet", 0
            partial = path.with_name(f".{path.name}.part")
            quoted = name.replace('"', '""')
            reader = cursor.sql(f'from "{quoted}"').to_arrow_reader(BATCH_ROWS)
            with pyarrow.parquet.ParquetWriter(partial, reader.schema, compression="zstd") as file:
                for batch in reader:
                    file.write_batch(batch)
                    rows += batch.num_rows
            partial.replace(path)
            written.append(ExportedView(view=name, path=path, rows=rows, num_bytes=path.stat().st_size))
    except OSError as problem:
        raise StoreError(f"{folder} cannot be written: {problem.strerror or problem}") from None
    return written
