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
    units = out[: abs(size) - 1].tobytes()
    if size > 0 or not lower:
        return units
    import pyarrow as pa
    import pyarrow.compute as pc

    # Arrow's lower case, which keeps to one character for one, and looks at no neighbours.
    return pc.call_function("utf8_lower", [pa.scalar(units.decode())]).as_py().encode()
