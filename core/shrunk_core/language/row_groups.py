"""Parts of a Parquet file that can be read by themselves."""

from __future__ import annotations

from pathlib import Path

PART = 16_000_000
"""Bytes of text in a part, at least, as far as there are so many."""

MOST = 64_000_000
"""Bytes of text in a row group that is held at once, at most."""


def row_groups(path: Path, text_column: str) -> list[tuple[int, int]]:
    """Row groups in parts: the first of each, and the one behind its last. No parts where a group is too
    large to be held at once, or the file is not as it should be, which its reader reports."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
        columns = [i for i in range(metadata.num_columns) if metadata.schema.column(i).path == text_column]
        groups = range(metadata.num_row_groups)
        sizes = [metadata.row_group(i).column(columns[0]).total_uncompressed_size for i in groups] if columns else []
    except (pa.ArrowException, OSError):
        return []
    if max(sizes, default=MOST) > MOST:
        return []
    parts = []
    first = size = 0
    for group, of_group in enumerate(sizes, 1):
        size += of_group
        if size >= PART or group == len(sizes):
            parts.append((first, group))
            first, size = group, 0
    return parts
