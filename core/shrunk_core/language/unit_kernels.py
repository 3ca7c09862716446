"""The compiled loops over the forms of a text, and over the units that are kept."""

from __future__ import annotations

import numpy as np
from numba import types

from .compiled import U, compiled, reads, writes

_BYTES, _INT32, _INT64 = reads(types.uint8), reads(types.int32), reads(types.int64)
SMALL = 255

_OUT8, _OUT64 = writes(types.uint8), writes(types.int64)


@compiled(_INT32, _INT32, _BYTES, _INT64, _OUT64, _OUT64, types.int64)
def add_up(numbers, before, small, tally, sums, times, strange):
    """The tallies of all forms before each surface, and how often each form of a tally of `strange` and more is met.

    small: of each form its tally in one byte, so that all of them stay at hand: the lower 32 bits in four, the upper ones in
    the other four; `SMALL` says that it is too large for that, and to be found in `tally`.
    """
    total, surface = 0, 0
    for form in range(len(numbers)):
        while before[U(surface)] == form:
            sums[U(surface)] = total
            surface += 1
        number = U(numbers[U(form)])
        code = np.int64(small[number])
        of_form = (code & 15) | (code >> 4) << 32
        if code == SMALL:
            of_form = tally[number]
        total += of_form
        if of_form >= strange:
            times[number] += 1
    sums[surface:] = total


@compiled(_BYTES, _INT32, _INT32, _INT64, _INT64, _BYTES, _OUT8)
def copy_units(raw, begin, stop, starts, stops, letters, out):
    """Write units, ranges of surfaces, as lines with single spaces, each byte by the table `letters`; bytes written.

    Negative if a character may need more for lower case: any beyond ASCII but U+2000 to U+203F, where no capitals are.
    """
    size = 0
    others = False
    for unit in range(len(starts)):
        surface, behind = starts[U(unit)], stops[U(unit)]
        while surface < behind:
            # As many surfaces as are one byte apart.
            at = np.int64(begin[U(surface)])
            surface += 1
            while surface < behind and begin[U(surface)] - stop[U(surface - 1)] == 1:
                surface += 1
            end = np.int64(stop[U(surface - 1)])
            seen = 0
            for k in range(end - at):
                b = raw[U(at + k)]
                seen |= b
                out[U(size + k)] = letters[b]
            if seen >= 0x80:
                for k in range(at, end):
                    b = raw[U(k)]
                    others |= b >= 0xC2 and (b != 0xE2 or raw[U(k + 1)] != 0x80)
            size += end - at
            out[U(size)] = 32
            size += 1
        out[U(size - 1)] = 10
    return -size if others else size
