"""An answer of a query as a table: a million rows cost what is on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual_fastdatatable import ArrowBackend, DataTable

from ..arrow import as_array, pyarrow_alone

if TYPE_CHECKING:
    import pyarrow

WIDEST_CELL = 48
WIDEST_FLOAT = 12
"""Six digits, a point, two signs and an exponent."""
EXACT_ROWS = 20_000
"""Up to so many rows every number is measured; of more the widest is assumed."""


class AnswerTable(DataTable):
    """Arrow columns shown as they are; NULL is a dash. For threads: `measured` prepares the data."""

    DEFAULT_CSS = """
    AnswerTable { height: 1fr; border: round $panel; background: $background; scrollbar-size-vertical: 1;
                  scrollbar-size-horizontal: 1; }
    AnswerTable:focus { border: round $primary; }
    """

    def __init__(self, backend: ArrowBackend, *, id: str | None = None) -> None:
        super().__init__(
            backend=backend,
            render_markup=False,
            null_rep="-",
            max_column_content_width=WIDEST_CELL,
            cursor_type="range",
            id=id,
        )


def measured(table: pyarrow.Table) -> ArrowBackend:
    """The data of a table with its column widths worked out, which takes the time of a look at every cell."""
    pyarrow = pyarrow_alone()
    backend = ArrowBackend(table)
    backend.render_markup = False
    widths = backend.column_content_widths
    for i, column in enumerate(table.columns):
        if pyarrow.types.is_floating(column.type):
            widths[i] = max(widths[i], _float_width(column))
    return backend


def _float_width(column: pyarrow.ChunkedArray) -> int:
    """Cells of the widest number. The backend looks at the least and the greatest only, which may be the shortest."""
    if len(column) > EXACT_ROWS:
        return WIDEST_FLOAT
    return max((len(f"{value:n}") for value in as_array(column) if value == value), default=0)


def as_text(values: list[tuple[Any, ...]]) -> str:
    """Cells as people paste them into a spreadsheet: tabs between columns."""
    return "\n".join("\t".join("" if v is None else str(v) for v in row) for row in values)
