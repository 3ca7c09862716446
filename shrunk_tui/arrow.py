"""pyarrow without pandas. With the first value that is made or taken out, pyarrow looks whether pandas is installed, by
importing it: 0.4 s and 45 MB for something that no screen uses. Here it is told once that there is none.
"""

from __future__ import annotations

import math
import sys
from types import ModuleType
from typing import Any

import numpy as np


class _Absent:
    """An import hook for which there is no pandas."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not wanted here", name=name)


def pyarrow_alone() -> ModuleType:
    """pyarrow, which has looked for pandas and not found it. Who imports pandas later can still do so."""
    import pyarrow.lib

    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _Absent)  # type: ignore[arg-type]
        try:
            _ = pyarrow.lib._pandas_api.have_pandas  # asked once; the answer is kept
        finally:
            sys.meta_path.remove(_Absent)  # type: ignore[arg-type]
    return pyarrow


def as_array(column: Any) -> np.ndarray:
    """A column of numbers without a copy where that can be; null is NaN. `to_numpy` would import pandas after all."""
    pyarrow = pyarrow_alone()
    whole = column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column
    return np.from_dlpack(whole.fill_null(math.nan) if whole.null_count else whole)
