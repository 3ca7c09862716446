"""Kept units as they are stored: one a line, with single spaces, in lower case."""

from __future__ import annotations

import re

import numpy as np

from .byte_classes import WHITE_ASCII

_BETWEEN = b"\0"
"""Stands between units on the way; it is white space in a text, and gone from it by then."""


def _table(lower: bool) -> bytes:
    table = bytearray(range(256))
    for byte in WHITE_ASCII:
        table[byte] = ord(" ")
    table[_BETWEEN[0]] = ord("\n")
    if lower:
        table[ord("A") : ord("Z") + 1] = bytes(range(ord("a"), ord("z") + 1))
    return bytes(table)


_AS_WRITTEN, _LOWER = _table(False), _table(True)
_OTHER_WHITE = re.compile(r"[^\S \n]")
_PLAIN_BEYOND_ASCII = np.array(
    [0x80 <= b < 0xC0 and not (b"\xe2\x80" + bytes([b])).decode(errors="ignore").isspace() for b in range(256)]
)
"""By the last byte, of U+2000 to U+203F: neither white space nor, as none there is, a capital."""


def joined_units(data: bytes, starts: np.ndarray, stops: np.ndarray, lower: bool) -> tuple[bytes, np.ndarray]:
    """Ranges of bytes of a text without NUL as lines, and int64 [n], the words of each."""
    if len(starts) == 0:
        return b"", np.empty(0, dtype=np.int64)
    text = _BETWEEN.join([data[a:b] for a, b in zip(starts.tolist(), stops.tolist(), strict=True)])
    text = text.translate(_LOWER if lower else _AS_WRITTEN)
    if not text.isascii() and not _only_punctuation_beyond_ascii(text):
        import pyarrow as pa
        import pyarrow.compute as pc

        written = _OTHER_WHITE.sub(" ", text.decode())
        # Arrow's lower case, which keeps to one character for one, and looks at no neighbours.
        text = (pc.call_function("utf8_lower", [pa.scalar(written)]).as_py() if lower else written).encode()
    raw = np.frombuffer(text, dtype=np.uint8)
    blank = raw == 32
    twice = blank[1:] & blank[:-1]
    if twice.any():
        single = np.append(~twice, True)
        raw, blank = raw[single], blank[single]
        text = raw.tobytes()
    ends = np.append(np.flatnonzero(raw == 10), len(raw))
    return text, np.diff(np.searchsorted(np.flatnonzero(blank), ends), prepend=0) + 1


def _only_punctuation_beyond_ascii(text: bytes) -> bool:
    raw = np.frombuffer(text, dtype=np.uint8)
    lead = np.flatnonzero(raw >= 0xC2)
    if (raw[lead] != 0xE2).any() or (raw[lead + 1] != 0x80).any():
        return False
    return bool(_PLAIN_BEYOND_ASCII[raw[lead + 2]].all())
