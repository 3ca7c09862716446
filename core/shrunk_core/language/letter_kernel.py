"""The compiled search for ASCII letters, eight bytes at a time as one number."""

from __future__ import annotations

import numpy as np
from numba import njit

from .compiled import U, trailing_zeros

_SEVEN_BITS, _HIGH_BITS = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x8080808080808080)


@njit(nogil=True, inline="always")
def is_letter(b):
    return (b >= 65 and b <= 90) or (b >= 97 and b <= 122)


@njit(nogil=True, inline="always")
def _non_letters(window):
    """The highest bit of each of eight bytes that is no ASCII letter."""
    low = (window | U(0x2020202020202020)) & _SEVEN_BITS
    # Of a letter, once the case is gone, from 0x61 to 0x7A, and of ASCII.
    letters = (low + U(0x1F1F1F1F1F1F1F1F)) & ~(low + U(0x0505050505050505)) & ~window
    return ~letters & _HIGH_BITS


@njit(nogil=True, inline="always")
def first_letters(window, fold):
    """Of eight bytes as a number: how many ASCII letters it begins with, and these."""
    others = _non_letters(window)
    if others == 0:
        return 8, window | fold
    return np.int64(trailing_zeros(others) >> U(3)), (window | fold) & ((others ^ (others - U(1))) >> U(8))


@njit(nogil=True)
def other_bytes(windows, size):
    """A bit for each byte that is no ASCII letter, 64 in a number; behind the `size` bytes of the text all are set."""
    masks = np.empty((size >> 6) + 2, dtype=np.uint64)
    for n in range(len(masks)):
        mask = U(0)
        for k in range(8):
            at = 64 * n + 8 * k
            if at + 8 <= size:
                # Each highest bit to its place among eight.
                bits = ((_non_letters(windows[U(at)]) >> U(7)) * U(0x0102040810204080)) >> U(56)
                mask |= bits << U(8 * k)
            else:
                for byte in range(8):
                    other = at + byte >= size or not is_letter(windows[U(at + byte - 7)] >> U(56))
                    mask |= U(other) << U(8 * k + byte)
        masks[U(n)] = mask
    return masks
