"""The compiled lookup of forms: a table that grows, and at hand, in a small one, what is met most often. See lexicon.py."""

from __future__ import annotations

import numpy as np
from numba import njit

from .byte_classes import LETTER
from .compiled import U

MIX = np.uint64(0xC2B2AE3D27D4EB4F)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_LOW = np.uint64(0xFFFFFFFF)

OFTEN = 1 << 14
"""Forms that are at hand."""

_OFTEN_SHIFT = np.uint64(64 - 14)


@njit(nogil=True, inline="always")
def _slot(key, second, size):
    return np.int64((((key * _SPREAD) ^ (second * MIX)) >> U(32)) & U(size - 1))


@njit(nogil=True)
def grown(rows):
    """A table with room for twice as many rows."""
    larger = np.zeros(2 * len(rows), dtype=np.uint64)
    size = len(larger) >> 2
    for row in range(0, len(rows), 4):
        if rows[U(row + 2)]:
            slot = _slot(rows[U(row)], rows[U(row + 1)], size)
            while larger[U(4 * slot + 2)]:
                slot = (slot + 1) & (size - 1)
            for k in range(4):
                larger[U(4 * slot + k)] = rows[U(row + k)]
    return larger


@njit(nogil=True)
def twice(array):
    larger = np.empty(2 * len(array), dtype=array.dtype)
    larger[: len(array)] = array
    return larger


@njit(nogil=True)
def from_often(found, forms, often, missing, numbers):
    """Numbers of those of the forms `found` that are met often; how many are `missing`, and which."""
    n = 0
    for form in range(forms):
        key = found[U(3 * form)]
        place = (key * _SPREAD) >> _OFTEN_SHIFT << U(1)
        numbers[U(form)] = often[place + U(1)]
        missing[U(n)] = form
        n += (often[place] != key) | (found[U(3 * form + 1)] != U(0))
    return n


@njit(nogil=True)
def number_missing(raw, folded, signs, found, missing, nth, n, rows, often, arena, ends, plain, known, used, numbers):
    """Give forms that are `missing`, from the `nth` on, their numbers, new ones to those not met before: where it stopped for
    want of room, and how many forms are known and bytes of `arena` used then.

    found: of each form two keys, and its length and first byte in one. rows: for each form its keys, its number and 1, and
    its length, all 0 where a row is free; a form is in the row that its keys say or the next free one behind. Of at most 16
    bytes the keys are all there is to know; of more the bytes are compared with those in `arena`, where each form lies before
    a space and before `ends`. often: a key and the number of the form of it that was met last, in the place the key says.
    """
    size = len(rows) >> 2
    while nth < n:
        form = missing[U(nth)]
        key, second, where = found[U(3 * form)], found[U(3 * form + 1)], found[U(3 * form + 2)]
        length, start = where >> U(32), where & _LOW
        slot = _slot(key, second, size)
        while True:
            row = U(4 * slot)
            number = rows[row + U(2)]
            same = rows[row] == key and rows[row + U(1)] == second
            if same and length > U(16):
                same = rows[row + U(3)] == length
                there = ends[number - U(1)] - np.int64(length)
                k = 0
                while same and k < length:
                    same = arena[U(there + k)] == folded[raw[start + U(k)]]
                    k += 1
            if same or number == 0:
                break
            slot = (slot + 1) & (size - 1)
        if number == 0:
            if 2 * known >= size or used + np.int64(length) + 1 > len(arena):
                break
            letters = length > U(1)
            for k in range(length):
                b = folded[raw[start + U(k)]]
                arena[U(used) + U(k)] = b
                letters &= signs[b] & LETTER != 0
            used += np.int64(length)
            arena[U(used)] = 32
            ends[U(known)] = used
            plain[U(known)] = letters
            used += 1
            known += 1
            number = U(known)
            rows[row] = key
            rows[row + U(1)] = second
            rows[row + U(2)] = number
            rows[row + U(3)] = length
        numbers[U(form)] = number - U(1)
        if second == 0:
            place = (key * _SPREAD) >> _OFTEN_SHIFT << U(1)
            often[place] = key
            often[place + U(1)] = number - U(1)
        nth += 1
    return nth, known, used
