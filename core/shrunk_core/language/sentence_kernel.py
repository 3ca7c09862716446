"""The compiled rule for ends and starts of sentences (sentences.py), as far as plain bytes tell; elsewhere it is to be asked.

ASCII is settled here; other alphabets, `J.`, `Mr.`, numbers and dots in a row are asked of the rule itself.
"""

from __future__ import annotations

from numba import njit

from .byte_classes import ASK, CLOSES, DIGIT, NO, OPENS, STOP, UPPER, YES
from .compiled import U
from .letter_kernel import is_letter


@njit(nogil=True, inline="always")
def ending(one, two, three):
    """Where the last letters of a word, the last one first, are in `ABBREVIATION_ENDINGS`."""
    third = three & 31 if is_letter(three) else 0
    return (one & 31) << 10 | (two & 31) << 5 | third


@njit(nogil=True, inline="always")
def after_dot(one, two, length, abbreviation):
    """If a sentence may end with a dot: not after what may be an abbreviation or an initial; after no plain word the rule is
    asked. one, two: the bytes before the dot, the last one first. length: of what is before the dot."""
    if length == 1 and one >= 65 and one <= 90 and one != 73:
        return NO
    if not is_letter(one) or not is_letter(two):
        return ASK
    if abbreviation:
        return NO if length == abbreviation else ASK
    return YES


@njit(nogil=True, inline="always")
def may_end(raw, place, behind, signs, endings):
    """If a sentence may end after the surface of these bytes."""
    at = behind
    while at > place:
        b = raw[U(at - 1)]
        if signs[b] & CLOSES:
            at -= 1
        elif (b == 0x9D or b == 0x99) and at - place > 2 and raw[U(at - 2)] == 0x80 and raw[U(at - 3)] == 0xE2:
            at -= 3
        elif b == 0xBB and at - place > 1 and raw[U(at - 2)] == 0xC2:
            at -= 2
        else:
            break
    if at == place:
        return NO
    stop = raw[U(at - 1)]
    if signs[stop] & STOP == 0:
        ellipsis = stop == 0xA6 and at - place > 2 and raw[U(at - 2)] == 0x80 and raw[U(at - 3)] == 0xE2
        return YES if ellipsis else NO
    if at < behind or stop != 46:
        return YES
    at -= 1
    one, two, three = raw[U(at - 1)], raw[U(at - 2)], raw[U(at - 3)]
    return after_dot(one, two, at - place, endings[ending(one, two, three)])


@njit(nogil=True, inline="always")
def may_start(raw, at, signs):
    """If a sentence may start with the surface that begins here."""
    while True:
        b = raw[U(at)]
        if signs[b] & OPENS:
            at += 1
        elif b == 0xE2 and raw[U(at + 1)] == 0x80 and (raw[U(at + 2)] in (0x9C, 0x98, 0x94)):
            at += 3
        elif b == 0xC2 and raw[U(at + 1)] == 0xAB:
            at += 2
        else:
            break
    if b >= 0x80:
        return ASK
    return YES if signs[b] & (UPPER | DIGIT) else NO
