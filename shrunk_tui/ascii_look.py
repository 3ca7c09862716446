"""ASCII signs in place of all others, at the last moment before a line is drawn: borders, scrollbars, boxes, dots, words.

The charts and tables of the project choose ASCII signs themselves (`session.ascii`), as theirs are dots of a finer
raster; everything else, Textual's own widgets included, is changed here, one cell for one cell.
"""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter


def _table() -> dict[int, str]:
    across, down = "─━┄┅┈┉╌╍═╴╶╸╺▔▁▀▄‾", "│┃┆┇┊┋╎╏║╵╷╹╻▏▎▍▌▐▕▊▋▉"
    table = dict.fromkeys(map(ord, across), "-") | dict.fromkeys(map(ord, down), "|")
    for code in range(0x2500, 0x2580):  # every corner and crossing that is left
        table.setdefault(code, "+")
    table |= dict.fromkeys(map(ord, "▂▃▅▆▇█▓▒"), "#")
    table |= {ord(a): b for a, b in zip("░·•…±×–—−▲▼▶◀✓✗→←↑↓⏎●■◆", "....~x---^v><+x><^v<o##", strict=True)}
    return table


SIGNS = _table()


class AsciiSigns(LineFilter):
    """Changes the signs of a line; letters of other alphabets in people's own names stay."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(s.text if s.text.isascii() else s.text.translate(SIGNS), s.style, s.control) for s in segments]
