"""The compiled loops over the forms of a text, and over the units that are kept."""

from __future__ import annotations

import numpy as np
from numba import types

from .compiled import U, compiled, reads, writes

_BYTES, _INT32, _INT64 = reads(types.uint8), reads(types.int32), reads(types.int64)
LOOK = 16

_END = 0xFF
"""Of a unit, while its white space still is as it was written; no byte of UTF-8."""

_OUT8, _OUT64 = writes(types.uint8), writes(types.int64)


@compiled(_INT32, _INT32, _BYTES, _INT64, _OUT64, _OUT64, types.int64)
def add_up(numbers, marks, small, tally, sums, times, strange):
    """The tallies of all forms before each of the marks, and how often each form of a tally of `strange` and more is met.

    small: the tallies of forms as far as they fit into four bits, so that all of them stay at hand; of the others `LOOK`, that
    they are in `tally`. Those are gone through later: not to branch at each form takes half the time.
    """
    others = np.empty(len(numbers) + 1, dtype=np.uint64)
    n, start = 0, 0
    for mark in range(len(marks) + 1):
        stop = np.int64(marks[U(mark)]) if mark < len(marks) else len(numbers)
        total = 0
        for form in range(start, stop):
            number = U(numbers[U(form)])
            code = np.int64(small[number])
            total += code & (LOOK - 1)
            others[U(n)] = (U(mark) << U(32)) | number
            n += code >> 4
        start = stop
        if mark < len(marks):
            sums[U(mark)] = total
    for k in range(n):
        number, mark = others[U(k)] & U(0xFFFFFFFF), others[U(k)] >> U(32)
        of_form = tally[number]
        if mark < U(len(sums)):
            sums[mark] += of_form
        if of_form >= strange:
            times[number] += 1
    total = 0
    for mark in range(len(sums)):
        total += sums[U(mark)]
        sums[U(mark)] = total


@compiled(_BYTES, _INT32, _INT32, _INT64, _INT64, types.boolean, _OUT8)
def copy_units(raw, begin, stop, starts, stops, lower, out):
    """Write units, ranges of surfaces, as lines with single spaces, ASCII capitals as small letters if `lower`; bytes written.

    Negative if a character may need more for lower case: any beyond ASCII but U+2000 to U+203F, where no capitals are.
    """
    size = 0
    for unit in range(len(starts)):
        surface, behind = starts[U(unit)], stops[U(unit)]
        while surface < behind:
            # As many surfaces as are one byte apart.
            at = np.int64(begin[U(surface)])
            surface += 1
            while surface < behind and begin[U(surface)] - stop[U(surface - 1)] == 1:
                surface += 1
            end = np.int64(stop[U(surface - 1)])
            for k in range(end - at):
                out[U(size + k)] = raw[U(at + k)]
            size += end - at
            out[U(size)] = 32
            size += 1
        out[U(size - 1)] = _END
    seen = np.uint8(0)
    for k in range(size):  # by comparing rather than looking up, which is done for many bytes at once
        b = out[U(k)]
        seen |= b & 0x7F if b == _END else b
        c = np.uint8(32) if (b == 0) | ((b >= 9) & (b <= 13)) | ((b >= 28) & (b <= 31)) else b
        c = np.uint8(c | 32) if lower & (c >= 65) & (c <= 90) else c
        out[U(k)] = np.uint8(10) if c == _END else c
    others = False
    if seen >= 0x80:
        for k in range(size - 1):
            b = out[U(k)]
            others |= (b >= 0xC2) & ((b != 0xE2) | (out[U(k + 1)] != 0x80))
    return -size if others else size
