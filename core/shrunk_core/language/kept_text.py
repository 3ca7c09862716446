"""Kept units as they are stored: one a line, with single spaces, in lower case."""

from __future__ import annotations

import numpy as np

from .lexicon import Scan, Text


def joined_units(text: Text, scan: Scan, first: np.ndarray, last: np.ndarray, lower: bool) -> bytes:
    """Units, surfaces from `first` to before `last`, as lines, the last without its end."""
    from .unit_kernels import copy_units

    if len(first) == 0:
        return b""
    out = np.empty(int((scan.stop[last - 1] - scan.begin[first] + 1).sum()), dtype=np.uint8)
    raw = np.frombuffer(text.data, dtype=np.uint8)
    size = copy_units(raw, scan.begin, scan.stop, first, last, lower, out)
    units = out[: abs(size) - 1]
    return units.tobytes() if size > 0 or not lower else _lower(units)


def _lower(text: np.ndarray) -> bytes:
    """Lower case by Arrow, which keeps to one character for one, and looks at no neighbours."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # From the bytes as they are: `pa.scalar` would load pandas, for half a second.
    bounds = np.array([0, len(text)], dtype=np.int64)
    strings = pa.LargeStringArray.from_buffers(1, pa.py_buffer(bounds), pa.py_buffer(text))
    _, bounds_of_lower, lower = pc.call_function("utf8_lower", [strings]).buffers()
    return lower[: int(np.frombuffer(bounds_of_lower, dtype=np.int64)[1])].to_pybytes()
