"""How loops over bytes and words become machine code: at their first use on a machine, by numba, in some seconds.

What is made is kept beside the file of the loop or, where that cannot be written, in the user's cache (`NUMBA_CACHE_DIR`
says where else). Numba takes half a second to load, so the files of loops are imported only where text is really read.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .machine_code import SOURCES

U = np.uint64
"""Numbers of 64 bits without a sign: an index of that kind is not looked at for being negative."""


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Of several processes that need the same loops the first compiles them, and the others find them made."""
    with open(__file__, "rb") as here:
        with contextlib.suppress(OSError):  # not every file system locks
            fcntl.flock(here, fcntl.LOCK_EX)
        yield


def compiled(*arguments: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile for arguments of these types, or take what was compiled before; in memory only if nothing can be kept."""

    def of(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__qualname__ += SOURCES  # part of the name of the file that is kept
        try:
            kernel: Any = njit(cache=True, nogil=True)(function)
            with _one_at_a_time():
                kernel.compile(arguments)
        except (RuntimeError, OSError):  # no folder for a cache, or a full one
            kernel = njit(nogil=True)(function)
            kernel.compile(arguments)
        kernel.disable_compile()
        return kernel

    return of


def reads(of: Any, dimensions: int = 1) -> Any:
    """The type of an array that is only read."""
    return types.Array(of, dimensions, "C", readonly=True)


def writes(of: Any) -> Any:
    """The type of an array that is written to."""
    return types.Array(of, 1, "C")


def _trailing_zeros(_: Any, of: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


trailing_zeros: Any = intrinsic(_trailing_zeros)
"""Zero bits below the lowest one of a number that is not 0: one instruction, for which numba has no name."""
