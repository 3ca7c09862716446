"""The compiled loops: over the bytes of a text, over its forms, over what is kept. scan.py says what they are for.

They are compiled at the first use on a machine, which takes seconds, and kept beside this file or, where that cannot be
written, in the user's cache; so this module is imported only where text is really read. Everything that is looked up
comes as an argument: what a compiled function takes from around it is fixed for good.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba import njit, types

from .byte_classes import (
    BLANK,
    CLOSES,
    DIGIT,
    FORM_BELOW,
    JOINT,
    LEAD,
    LETTER,
    OPENS,
    SEPARATOR,
    STOP,
    UPPER,
    WHITE,
)

# Where `_cut` goes on: places in its `state`.
AT, DOCUMENT, ENDED, INSIDE, DOUBTFUL, FORMS, SURFACES, HEADS, DOUBTS = range(9)

# Documents are cut at stops and blank lines, at blank lines only, or at stops whatever follows them.
AS_WRITTEN, READY, LOWER_CASED = range(3)

# Whether a sentence ends here or starts there; a rule in Python must be asked where bytes do not tell.
NO, YES, ASK, SURELY = range(4)
ASK_END, ASK_START = 1, 2

_M0, _M1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_LOW = np.uint64(0xFFFFFFFF)
_SEVEN_BITS, _HIGH_BITS = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x8080808080808080)
_ONES = np.uint64(0x0101010101010101)
_U = np.uint64
_TOGETHER = 1024


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Of several processes that need the same loops the first compiles them, and the others find them made."""
    with open(__file__, "rb") as here:
        with contextlib.suppress(OSError):  # not every file system locks
            fcntl.flock(here, fcntl.LOCK_EX)
        yield


def _compiled(*arguments: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile for arguments of these types, or take what was compiled before; in memory only if nothing can be kept."""

    def of(function: Callable[..., Any]) -> Callable[..., Any]:
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


def _read(of: Any, dimensions: int = 1) -> Any:
    return types.Array(of, dimensions, "C", readonly=True)


def _written(of: Any) -> Any:
    return types.Array(of, 1, "C")


_BYTES, _INT32, _INT64 = _read(types.uint8), _read(types.int32), _read(types.int64)
_WINDOWS = types.Array(types.uint64, 1, "A", readonly=True, aligned=False)
_OUT8, _OUT32, _OUT64, _ROWS = (_written(t) for t in (types.uint8, types.int32, types.int64, types.uint64))


@njit(nogil=True, inline="always")
def _kind_of_character(raw, at, of_characters):
    """`WHITE`, `SEPARATOR` or 0 of the character beyond ASCII that begins here with a `LEAD`."""
    lead, second = raw[_U(at)], raw[_U(at + 1)]
    if lead == 0xC2:
        return of_characters[0, second & 63]
    if lead == 0xE2:
        if second == 0x80:
            return of_characters[2, raw[_U(at + 2)] & 63]
        if second == 0x81:
            return of_characters[3, raw[_U(at + 2)] & 63]
    elif lead == 0xE3:
        if second == 0x80:
            return of_characters[4, raw[_U(at + 2)] & 63]
    elif second == 0x9A:
        return of_characters[1, raw[_U(at + 2)] & 63]
    return of_characters.dtype.type(0)


@njit(nogil=True, inline="always")
def _joins_numbers(raw, at, form, kinds, of_characters, signs):
    """`3,000.50` and `10:30` are one form each: their joints do not separate. So with any non-ASCII neighbour, which may
    be a digit too."""
    if signs[raw[_U(at)]] & JOINT == 0 or at == form:
        return False
    before, behind = raw[_U(at - 1)], raw[_U(at + 1)]
    if signs[before] & DIGIT == 0 and before < 0x80:
        return False
    if behind < 0x80:
        return signs[behind] & DIGIT != 0
    return kinds[behind] < FORM_BELOW or _kind_of_character(raw, at + 1, of_characters) == 0


@njit(nogil=True, inline="always")
def _may_end(raw, place, behind, signs, abbreviation_endings):
    """If a sentence may end after the surface of these bytes."""
    at = behind
    while at > place:
        b = raw[_U(at - 1)]
        if signs[b] & CLOSES:
            at -= 1
        elif (b == 0x9D or b == 0x99) and at - place > 2 and raw[_U(at - 2)] == 0x80 and raw[_U(at - 3)] == 0xE2:
            at -= 3
        elif b == 0xBB and at - place > 1 and raw[_U(at - 2)] == 0xC2:
            at -= 2
        else:
            break
    if at == place:
        return NO
    stop = raw[_U(at - 1)]
    if signs[stop] & STOP == 0:
        ellipsis = stop == 0xA6 and at - place > 2 and raw[_U(at - 2)] == 0x80 and raw[_U(at - 3)] == 0xE2
        return YES if ellipsis else NO
    if at < behind or stop != 46:
        return YES
    # A dot at the end: not after what may be an abbreviation or an initial; after no plain word the rule is asked.
    at -= 1
    one, two, three = raw[_U(at - 1)], raw[_U(at - 2)], raw[_U(at - 3)]
    if at - place == 1 and signs[one] & UPPER and one != 73:
        return NO
    if signs[one] & LETTER == 0 or signs[two] & LETTER == 0:
        return ASK
    third = signs[three] & LETTER != 0
    code = np.int64(one | 32) + (np.int64(two | 32) << 8) + (np.int64(three | 32) << 16 if third else 0)
    for k in range(len(abbreviation_endings)):
        if abbreviation_endings[k] == code:
            return NO if at - place == 2 else ASK
    return YES


@njit(nogil=True, inline="always")
def _may_start(raw, at, signs):
    """If a sentence may start with the surface that begins here."""
    while True:
        b = raw[_U(at)]
        if signs[b] & OPENS:
            at += 1
        elif b == 0xE2 and raw[_U(at + 1)] == 0x80 and (raw[_U(at + 2)] in (0x9C, 0x98, 0x94)):
            at += 3
        elif b == 0xC2 and raw[_U(at + 1)] == 0xAB:
            at += 2
        else:
            break
    if b >= 0x80:
        return ASK
    return YES if signs[b] & (UPPER | DIGIT) else NO


@njit(nogil=True, inline="always")
def _letters(window, fold):
    """Of eight bytes as a number: how many ASCII letters it begins with, and these."""
    low = (window | _U(0x2020202020202020)) & _SEVEN_BITS
    # The highest bit of each byte says if it is a letter: from 0x61 to 0x7A once the case is gone, and of ASCII.
    letters = (low + _U(0x1F1F1F1F1F1F1F1F)) & ~(low + _U(0x0505050505050505)) & ~window
    others = ~letters & _HIGH_BITS
    if others == 0:
        return 8, window | fold
    lowest = others & (~others + _U(1))
    number = np.int64((((lowest - _U(1)) & _ONES) * _ONES) >> _U(56)) - 1
    return number, (window | fold) & ((lowest >> _U(7)) - _U(1))


@njit(nogil=True)
def _grown(rows):
    """A table with room for twice as many rows."""
    larger = np.zeros(2 * len(rows), dtype=np.uint64)
    size = len(larger) >> 1
    for row in range(len(rows) >> 1):
        if rows[_U(2 * row + 1)]:
            slot = _slot(rows[_U(2 * row)], size)
            while larger[_U(2 * slot + 1)]:
                slot = (slot + 1) & (size - 1)
            larger[_U(2 * slot)] = rows[_U(2 * row)]
            larger[_U(2 * slot + 1)] = rows[_U(2 * row + 1)]
    return larger


@njit(nogil=True)
def _twice(array):
    larger = np.empty(2 * len(array), dtype=array.dtype)
    larger[: len(array)] = array
    return larger


@njit(nogil=True, inline="always")
def _slot(key, size):
    return np.int64(((key * _M0) >> _U(32)) & _U(size - 1))


@njit(nogil=True)
def _number(raw, folded, signs, keys, starts, lengths, form, forms, rows, arena, ends, plain, known, used, numbers):
    """Give forms, from `form` on, their numbers, new ones to those not met before: where it stopped for want of room, and
    how many forms are known and bytes of `arena` used then.

    rows: for each form its key, and its length and number in one, both 0 where a row is free; a form is in the row that its
    key says or the next free one behind. Of at most seven bytes the key is all there is to know; of more the bytes are
    compared with those in `arena`, where each form lies before a space and before `ends`.
    """
    size = len(rows) >> 1
    while form < forms:
        key, length, start = keys[_U(form)], np.int64(lengths[_U(form)]), np.int64(starts[_U(form)])
        slot = _slot(key, size)
        while True:
            found = rows[_U(2 * slot + 1)]
            same = rows[_U(2 * slot)] == key and np.int64(found >> _U(32)) == length
            if same and length >= 8:
                there = ends[_U(np.int64(found & _LOW))] - length
                for k in range(length):
                    same &= arena[_U(there + k)] == folded[raw[_U(start + k)]]
            if same or found == 0:
                break
            slot = (slot + 1) & (size - 1)
        if found == 0:
            if 2 * known >= size or used + length + 1 > len(arena):
                break
            letters = length > 1
            for k in range(length):
                b = folded[raw[_U(start + k)]]
                arena[_U(used + k)] = b
                letters &= signs[b] & LETTER != 0
            arena[_U(used + length)] = 32
            ends[_U(known)] = used + length
            plain[_U(known)] = letters
            found = (_U(length) << _U(32)) | _U(known)
            rows[_U(2 * slot)] = key
            rows[_U(2 * slot + 1)] = found
            known += 1
            used += length + 1
        numbers[_U(form)] = found & _LOW
        form += 1
    return form, known, used


@njit(nogil=True)
def _cut(
    raw, windows, fold, limits, ways, links,
    kinds, of_characters, signs, abbreviation_endings,
    state, keys, starts, lengths, begin, stop, before, first, heads, asked, doubts,
):  # fmt: skip
    """Cut documents into surfaces and forms, from where `state` says, until there are as many forms as `keys` holds. Returns
    how many there are; fewer at the end of the text."""
    at, document, ended, inside = state[AT], state[DOCUMENT], state[ENDED], state[INSIDE] != 0
    doubtful, forms_before = state[DOUBTFUL] != 0, state[FORMS]
    surfaces, n_heads, n_doubts = state[SURFACES], state[HEADS], state[DOUBTS]
    forms = 0
    while document < len(limits):
        limit, way = limits[document, 1], ways[document]
        if at < limits[document, 0]:
            at = limits[document, 0]
            ended = SURELY
            first[document] = surfaces
        while True:
            if not inside:
                # The gap before a surface; a blank line in it ends a sentence.
                newline = False
                while at < limit:
                    b = raw[_U(at)]
                    kind = kinds[b]
                    if kind == WHITE:
                        if b == 10:
                            if newline:
                                ended = SURELY
                            newline = True
                        elif signs[b] & BLANK == 0:
                            newline = False
                        at += 1
                    elif kind == LEAD and _kind_of_character(raw, at, of_characters) == WHITE:
                        newline = False
                        at += 2 if b == 0xC2 else 3
                    else:
                        break
                if at >= limit:
                    break
                if ended != NO:
                    starting = SURELY
                    if ended != SURELY:
                        starting = YES if way == LOWER_CASED else _may_start(raw, at, signs)
                    if starting != NO:
                        heads[_U(n_heads)] = surfaces
                        asked[_U(n_heads)] = (ASK_END if ended == ASK else 0) | (ASK_START if starting == ASK else 0)
                        n_heads += 1
                # Most surfaces are a few letters before a space.
                some = False
                while forms < len(keys):
                    letters, key = _letters(windows[_U(at)], fold)
                    if letters == 0 or letters == 8 or raw[_U(at + letters)] != 32:
                        break
                    some = True
                    begin[_U(surfaces)] = at
                    before[_U(surfaces)] = forms_before + forms
                    keys[_U(forms)] = key
                    starts[_U(forms)] = at
                    lengths[_U(forms)] = letters
                    at += letters
                    stop[_U(surfaces)] = at
                    at += 1
                    surfaces += 1
                    forms += 1
                if some:
                    ended = NO
                    continue
                doubtful = False
                begin[_U(surfaces)] = at
                before[_U(surfaces)] = forms_before + forms
            # The surface: forms, and what separates them.
            inside = True
            while forms < len(keys):
                form = at
                # Most are a few letters and then something that is no part of a form.
                key, mixed = _U(0), _U(0)
                while True:
                    letters, key = _letters(windows[_U(at)], fold)
                    at += letters
                    if letters < 8:
                        break
                    mixed = ((mixed ^ key) * _M1) ^ (key >> _U(29))
                b = raw[_U(at)]
                kind = kinds[b]
                if kind < SEPARATOR or at == form:
                    at = form
                    key, mixed = _U(0), _U(0)
                    shift = 0
                    while True:
                        b = raw[_U(at)]
                        kind = kinds[b]
                        if kind >= FORM_BELOW:
                            if kind == LEAD:
                                kind = _kind_of_character(raw, at, of_characters)
                                if kind != 0:
                                    break
                            elif kind == WHITE or not _joins_numbers(raw, at, form, kinds, of_characters, signs):
                                break
                            kind = b
                        key |= _U(kind) << _U(shift)
                        shift += 8
                        at += 1
                        if shift == 64:
                            mixed = ((mixed ^ key) * _M1) ^ (key >> _U(29))
                            key = _U(0)
                            shift = 0
                length = at - form
                if length > 0:
                    if length >= 8:
                        key = ((mixed ^ key) * _M1) ^ (mixed >> _U(29))
                    keys[_U(forms)] = key
                    starts[_U(forms)] = form
                    lengths[_U(forms)] = length
                    forms += 1
                if kind == WHITE:
                    inside = False
                    break
                if links:
                    if b == 58:
                        doubtful |= raw[_U(at + 1)] == 47 and raw[_U(at + 2)] == 47
                    elif b == 46:
                        doubtful |= (raw[_U(at - 1)] | 32) == 119 and (raw[_U(at - 2)] | 32) == 119 and (raw[_U(at - 3)] | 32) == 119
                if b < 0x80:
                    at += 1
                else:
                    at += 2 if b == 0xC2 else 3
            if inside:
                break
            stop[_U(surfaces)] = at
            if doubtful:
                doubts[_U(n_doubts)] = surfaces
                n_doubts += 1
            ended = NO
            b = raw[_U(at - 1)]
            if way != READY and (b >= 0x80 or signs[b] & (STOP | CLOSES)):
                ended = _may_end(raw, begin[_U(surfaces)], at, signs, abbreviation_endings)
            surfaces += 1
        if inside:
            break
        document += 1
    state[AT], state[DOCUMENT], state[ENDED], state[INSIDE], state[DOUBTFUL] = at, document, ended, inside, doubtful
    state[FORMS], state[SURFACES], state[HEADS], state[DOUBTS] = forms_before + forms, surfaces, n_heads, n_doubts
    return forms


@_compiled(
    _BYTES, _WINDOWS, types.uint64, _read(types.int64, 2), _BYTES, types.boolean,  # the text
    _BYTES, _BYTES, _read(types.uint8, 2), _BYTES, _INT64,  # tables
    _ROWS, _OUT8, _OUT64, _OUT8, types.int64, types.int64,  # the lexicon
    _OUT32, _OUT32, _OUT32, _OUT32, _OUT64, _OUT32, _OUT8, _OUT32,
)  # fmt: skip
def scan(
    raw, windows, fold, limits, ways, links,
    kinds, folded, of_characters, signs, abbreviation_endings,
    rows, arena, ends, plain, known, used,
    begin, stop, before, numbers, first, heads, asked, doubts,
):  # fmt: skip
    """Cut documents into surfaces and forms, number the forms, find starts of sentences. Returns the lexicon, and how many
    surfaces, forms, starts of sentences and doubts there are.

    raw: the text, white space around each document. windows: the eight bytes from each one on. fold: bits of letters that
    do not count. limits: int64 [documents, 2], first byte and the one behind it. ways: uint8 [documents]. links: whether to
    doubt surfaces that may be links. rows, arena, ends, plain: see `_number`; larger ones are returned where there was no
    room. Written: `begin` and `stop` of each surface, `before`, the forms before it; `numbers` of forms; `first`, the
    surfaces before each document; `heads`, surfaces that start sentences if what is `asked` is answered so; `doubts`,
    surfaces that may be links.
    """
    # Some forms are looked up together, so that none waits for the memory of another.
    keys = np.empty(_TOGETHER, dtype=np.uint64)
    starts, lengths = np.empty(_TOGETHER, dtype=np.int32), np.empty(_TOGETHER, dtype=np.int32)
    state = np.zeros(9, dtype=np.int64)
    while True:
        done = state[FORMS]
        forms = _cut(
            raw, windows, fold, limits, ways, links, kinds, of_characters, signs, abbreviation_endings,
            state, keys, starts, lengths, begin, stop, before, first, heads, asked, doubts,
        )  # fmt: skip
        form = 0
        while True:
            form, known, used = _number(
                raw, folded, signs, keys, starts, lengths, form, forms,
                rows, arena, ends, plain, known, used, numbers[done:],
            )  # fmt: skip
            if form == forms:
                break
            if 2 * known >= len(rows) >> 1:
                rows, ends, plain = _grown(rows), _twice(ends), _twice(plain)
            else:
                arena = _twice(arena)
        if forms < _TOGETHER:
            break
    first[len(limits)] = state[SURFACES]
    before[state[SURFACES]] = state[FORMS]
    return rows, arena, ends, plain, known, used, state[SURFACES], state[FORMS], state[HEADS], state[DOUBTS]


@_compiled(_INT32, _INT32, _INT64, _OUT64, _OUT64, types.int64)
def add_up(numbers, before, tally, sums, times, strange):
    """The tallies of all forms before each surface, and how often each form of a tally of `strange` and more is met."""
    total = 0
    form = 0
    for surface in range(len(before)):
        while form < before[_U(surface)]:
            number = numbers[_U(form)]
            of_form = tally[_U(number)]
            total += of_form
            if of_form >= strange:
                times[_U(number)] += 1
            form += 1
        sums[_U(surface)] = total


@_compiled(_BYTES, _INT32, _INT32, _INT64, _INT64, _BYTES, _OUT8)
def copy_units(raw, begin, stop, starts, stops, letters, out):
    """Write units, ranges of surfaces, as lines with single spaces, each byte by the table `letters`; bytes written.

    Negative if a character may need more for lower case: any beyond ASCII but U+2000 to U+203F, where no capitals are.
    """
    size = 0
    others = False
    for unit in range(len(starts)):
        for surface in range(starts[_U(unit)], stops[unit]):
            for at in range(begin[_U(surface)], stop[_U(surface)]):
                b = raw[_U(at)]
                out[_U(size)] = letters[b]
                size += 1
                if b >= 0xC2:
                    others |= b != 0xE2 or raw[_U(at + 1)] != 0x80
            out[_U(size)] = 32
            size += 1
        out[_U(size - 1)] = 10
    return -size if others else size
