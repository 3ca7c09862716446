"""The compiled loop over the bytes of a text: surfaces, forms and their numbers, starts of sentences. See lexicon.py.

Everything that is looked up comes as an argument; constants from around are compiled in.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from .byte_classes import (
    ASK,
    ASK_END,
    ASK_START,
    BLANK,
    CLOSES,
    DIGIT,
    FORM_BELOW,
    JOINT,
    LEAD,
    LOWER_CASED,
    NO,
    READY,
    SEPARATOR,
    STOP,
    SURELY,
    WHITE,
    YES,
)
from .compiled import U, compiled, reads, trailing_zeros, writes
from .letter_kernel import first_letters, other_bytes
from .number_kernel import MIX, from_often, grown, number_missing, twice
from .sentence_kernel import after_dot, ending, may_end, may_start

# Where `_cut` goes on: places in its `state`.
AT, DOCUMENT, ENDED, INSIDE, DOUBTFUL, FORMS, SURFACES, HEADS, DOUBTS = range(9)

_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)

_TOGETHER = 1024
"""Forms that are looked up together."""

_BYTES = reads(types.uint8)
_WINDOWS = types.Array(types.uint64, 1, "A", readonly=True, aligned=False)
_OUT8, _OUT32, _OUT64, _ROWS = (writes(t) for t in (types.uint8, types.int32, types.int64, types.uint64))


@njit(nogil=True, inline="always")
def _place(lead, second, third):
    """Where a character beyond ASCII that begins with a `LEAD` is in `of_characters`."""
    if lead == 0xC2:
        return second & 63
    if lead == 0xE2:
        if second == 0x80:
            return 128 + (third & 63)
        if second == 0x81:
            return 192 + (third & 63)
    elif lead == 0xE3:
        if second == 0x80:
            return 256 + (third & 63)
    elif second == 0x9A:
        return 64 + (third & 63)
    return 320


@njit(nogil=True, inline="always")
def _joins_numbers(raw, at, kinds, of_characters, signs):
    """`3,000.50` and `10:30` are one form each: their joints do not separate. So with any non-ASCII neighbour, which may
    be a digit too."""
    before, behind = raw[U(at - 1)], raw[U(at + 1)]
    if signs[before] & DIGIT == 0 and before < 0x80:
        return False
    if behind < 0x80:
        return signs[behind] & DIGIT != 0
    return kinds[behind] < FORM_BELOW or of_characters[_place(behind, raw[U(at + 2)], raw[U(at + 3)])] == 0


@njit(nogil=True, inline="always")
def _joined(key, second, chunk, nth):
    """The keys of a form with eight more bytes, or the last few: of up to 16 themselves, of more a mix."""
    if nth == 0:
        return chunk, second
    if nth == 1:
        return key, chunk
    return ((key ^ chunk) * MIX) ^ (key >> U(29)), second


@njit(nogil=True)
def _cut(
    raw, windows, masks, fold, limits, ways, links,
    kinds, of_characters, signs, endings,
    state, found, begin, stop, before, first, heads, asked, doubts,
):  # fmt: skip
    """Cut documents into surfaces and forms, from where `state` says, until `_TOGETHER` forms are found. Returns how many
    there are; fewer at the end of the text."""
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
                    b = raw[U(at)]
                    kind = kinds[b]
                    if kind == WHITE:
                        if b == 10:
                            if newline:
                                ended = SURELY
                            newline = True
                        elif signs[b] & BLANK == 0:
                            newline = False
                        at += 1
                    elif kind == LEAD and of_characters[_place(b, raw[U(at + 1)], raw[U(at + 2)])] == WHITE:
                        newline = False
                        at += 2 if b == 0xC2 else 3
                    else:
                        break
                if at >= limit:
                    break
                if ended != NO:
                    starting = SURELY
                    if ended != SURELY:
                        starting = YES if way == LOWER_CASED else may_start(raw, at, signs)
                    if starting != NO:
                        heads[U(n_heads)] = surfaces
                        asked[U(n_heads)] = (ASK_END if ended == ASK else 0) | (ASK_START if starting == ASK else 0)
                        n_heads += 1
                # Most surfaces are some letters, and perhaps one sign, before a space.
                some = False
                nth = at >> 6
                others = masks[U(nth)] & (_ALL << U(at & 63))
                while forms < _TOGETHER:
                    while others == 0:
                        nth += 1
                        others = masks[U(nth)]
                    end = (nth << 6) + np.int64(trailing_zeros(others))
                    others &= others - U(1)
                    letters = end - at
                    if letters == 0 or letters >= 16:
                        break
                    b = raw[U(end)]
                    kind = kinds[b]
                    stops = False
                    if kind != WHITE:
                        # One sign between may end a sentence.
                        if kind != SEPARATOR or kinds[raw[U(end + 1)]] != WHITE:
                            break
                        end += 1
                        while others == 0:
                            nth += 1
                            others = masks[U(nth)]
                        others &= others - U(1)
                        stops = signs[b] & STOP != 0 and way != READY
                    some = True
                    key, second = windows[U(at)] | fold, U(0)
                    if letters > 8:
                        second = (windows[U(at + 8)] | fold) & ((U(2) << U(8 * letters - 65)) - U(1))
                    else:
                        key &= (U(2) << U(8 * letters - 1)) - U(1)
                    begin[U(surfaces)] = at
                    stop[U(surfaces)] = end
                    before[U(surfaces)] = forms_before + forms
                    found[U(3 * forms)] = key
                    found[U(3 * forms + 1)] = second
                    found[U(3 * forms + 2)] = (U(letters) << U(32)) | U(at)
                    surfaces += 1
                    forms += 1
                    at = end
                    ended = NO
                    if stops:
                        ended = YES
                        if b == 46:
                            one, two, three = raw[U(end - 2)], raw[U(end - 3)], raw[U(end - 4)]
                            ended = after_dot(one, two, letters, endings[ending(one, two, three)])
                    b = raw[U(end)]
                    if ended != NO or (b != 32 and (b != 10 or end >= limit or kinds[raw[U(end + 1)]] >= LEAD)):
                        break
                    at += 1
                if some:
                    continue
                doubtful = False
                begin[U(surfaces)] = at
                before[U(surfaces)] = forms_before + forms
            # The surface: forms, and what separates them.
            inside = True
            while forms < _TOGETHER:
                form = at
                # Most are letters and then something that is no part of a form.
                key, second = U(0), U(0)
                nth = 0
                while True:
                    letters, chunk = first_letters(windows[U(at)], fold)
                    if letters:
                        key, second = _joined(key, second, chunk, nth)
                    at += letters
                    nth += 1
                    if letters < 8:
                        break
                b = raw[U(at)]
                kind = kinds[b]
                if kind < SEPARATOR or at == form:
                    at = form
                    key, second, chunk = U(0), U(0), U(0)
                    shift = nth = 0
                    while True:
                        b = raw[U(at)]
                        kind = kinds[b]
                        if kind >= FORM_BELOW:
                            if kind == LEAD:
                                kind = of_characters[_place(b, raw[U(at + 1)], raw[U(at + 2)])]
                                if kind != 0:
                                    break
                            elif kind == WHITE or at == form or signs[b] & JOINT == 0:
                                break
                            elif not _joins_numbers(raw, at, kinds, of_characters, signs):
                                break
                            kind = b
                        chunk |= U(kind) << U(shift)
                        shift += 8
                        at += 1
                        if shift == 64:
                            key, second = _joined(key, second, chunk, nth)
                            chunk = U(0)
                            shift = 0
                            nth += 1
                    if shift:
                        key, second = _joined(key, second, chunk, nth)
                if at > form:
                    found[U(3 * forms)] = key
                    found[U(3 * forms + 1)] = second
                    found[U(3 * forms + 2)] = (U(at - form) << U(32)) | U(form)
                    forms += 1
                if kind == WHITE:
                    inside = False
                    break
                if links:
                    if b == 58:
                        doubtful |= raw[U(at + 1)] == 47 and raw[U(at + 2)] == 47
                    elif b == 46:
                        doubtful |= (
                            (raw[U(at - 1)] | 32) == 119
                            and (raw[U(at - 2)] | 32) == 119
                            and (raw[U(at - 3)] | 32) == 119
                        )
                if b < 0x80:
                    at += 1
                else:
                    at += 2 if b == 0xC2 else 3
                if kinds[raw[U(at)]] == WHITE:
                    inside = False
                    break
            if inside:
                break
            stop[U(surfaces)] = at
            if doubtful:
                doubts[U(n_doubts)] = surfaces
                n_doubts += 1
            ended = NO
            b = raw[U(at - 1)]
            if way != READY and (b >= 0x80 or signs[b] & (STOP | CLOSES)):
                ended = may_end(raw, begin[U(surfaces)], at, signs, endings)
            surfaces += 1
        if inside:
            break
        document += 1
    state[AT], state[DOCUMENT], state[ENDED], state[INSIDE], state[DOUBTFUL] = at, document, ended, inside, doubtful
    state[FORMS], state[SURFACES], state[HEADS], state[DOUBTS] = forms_before + forms, surfaces, n_heads, n_doubts
    return forms


@compiled(
    _BYTES, _WINDOWS, types.uint64, reads(types.int64, 2), _BYTES, types.boolean,  # the text
    _BYTES, _BYTES, _BYTES, _BYTES, _BYTES,  # tables
    _ROWS, _ROWS, _OUT8, _OUT64, _OUT8, types.int64, types.int64,  # the lexicon
    _OUT32, _OUT32, _OUT32, _OUT32, _OUT64, _OUT32, _OUT8, _OUT32,
)  # fmt: skip
def scan(
    raw, windows, fold, limits, ways, links,
    kinds, folded, of_characters, signs, endings,
    rows, often, arena, ends, plain, known, used,
    begin, stop, before, numbers, first, heads, asked, doubts,
):  # fmt: skip
    """Cut documents into surfaces and forms, number the forms, find starts of sentences. Returns the lexicon, and how many
    surfaces, forms, starts of sentences and doubts there are.

    raw: the text, white space around each document. windows: the eight bytes from each one on. fold: bits of letters that
    do not count. limits: int64 [documents, 2], first byte and the one behind it. ways: uint8 [documents]. links: whether to
    doubt surfaces that may be links. rows, arena, ends, plain: see number_kernel.py; larger ones are returned where there was no
    room. Written: `begin` and `stop` of each surface, `before`, the forms before it; `numbers` of forms; `first`, the
    surfaces before each document; `heads`, surfaces that start sentences if what is `asked` is answered so; `doubts`,
    surfaces that may be links.
    """
    # Some forms are looked up together, so that none waits for the memory of another.
    found = np.empty(3 * _TOGETHER, dtype=np.uint64)
    missing = np.empty(_TOGETHER + 1, dtype=np.int32)
    state = np.zeros(9, dtype=np.int64)
    masks = other_bytes(windows, len(raw))
    while True:
        done = state[FORMS]
        forms = _cut(
            raw, windows, masks, fold, limits, ways, links, kinds, of_characters, signs, endings,
            state, found, begin, stop, before, first, heads, asked, doubts,
        )  # fmt: skip
        n = from_often(found, forms, often, missing, numbers[done:])
        nth = 0
        while True:
            nth, known, used = number_missing(
                raw, folded, signs, found, missing, nth, n,
                rows, often, arena, ends, plain, known, used, numbers[done:],
            )  # fmt: skip
            if nth == n:
                break
            if 2 * known >= len(rows) >> 2:
                rows, ends, plain = grown(rows), twice(ends), twice(plain)
            else:
                arena = twice(arena)
        if forms < _TOGETHER:
            break
    first[len(limits)] = state[SURFACES]
    before[state[SURFACES]] = state[FORMS]
    return rows, arena, ends, plain, known, used, state[SURFACES], state[FORMS], state[HEADS], state[DOUBTS]
