"""Lines of a log as columns. A handful goes through `json`; a long log through Arrow's reader.

Arrow's takes a third of the time and, above all, lets the interpreter go meanwhile: a key pressed during a cold load
is answered. It refuses what is not plain numbers (a loss of nan, a damaged line); then every line is read by itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

MANY = 4_000
"""From so many lines on importing Arrow (0.1 s, once) is worth it."""


def columns_of(lines: Sequence[bytes], fields: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of float64, NaN where a line has no such field. Lines that are no objects give no row."""
    if len(lines) >= MANY and (found := _at_once(lines, fields)) is not None:
        return found
    bodies = parse(lines)
    out = {}
    for field in fields:
        values = [body.get(field) for body in bodies]
        try:
            out[field] = np.array(values, dtype=np.float64)
        except (TypeError, ValueError):  # nan and inf are words in the log
            out[field] = np.array([number(v) for v in values], dtype=np.float64)
    return out


def _at_once(lines: Sequence[bytes], fields: Sequence[str]) -> dict[str, np.ndarray] | None:
    """The columns as Arrow's reader finds them; None where it refuses a line."""
    import pyarrow
    import pyarrow.json

    from .arrow import as_array

    schema = pyarrow.schema([(field, pyarrow.float64()) for field in fields])
    options = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    try:
        table = pyarrow.json.read_json(pyarrow.py_buffer(b"\n".join(lines)), parse_options=options)
    except pyarrow.ArrowInvalid:
        return None
    return {field: as_array(table.column(field)) for field in fields}


def parse(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """Log lines as plain objects; what is none is left out."""
    lines = [line for line in lines if line]
    try:
        bodies = json.loads(b"[" + b",".join(lines) + b"]")
    except ValueError:
        bodies = []
        for line in lines:
            try:
                bodies.append(json.loads(line))
            except ValueError:
                continue
    return [body for body in bodies if isinstance(body, dict)]


def number(value: Any) -> float:
    """A number of a log, where the words nan, inf and -inf stand for themselves; NaN for what is absent."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
