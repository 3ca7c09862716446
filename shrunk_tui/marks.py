"""Colours and signs of curves. A curve has a number; its colour and its sign follow from it, on every screen."""

from __future__ import annotations

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    # Okabe and Ito 2008: told apart with every common colour blindness
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (150, 150, 150),
)
LIGHT_PALETTE: tuple[Colour, ...] = (
    # the same hues, darkened until they stand out on white (contrast of at least 3 to 1)
    (176, 112, 0),
    (30, 130, 190),
    (0, 128, 92),
    (140, 126, 0),
    (0, 90, 150),
    (190, 75, 0),
    (168, 78, 128),
    (110, 110, 110),
)
GLYPHS = ("●", "■", "▲", "◆", "✚", "○", "□", "△", "◇", "✕")
ASCII_GLYPHS = ("o", "x", "+", "*", "#", "@", "%", "&", "=", "~")


def colour_of(number: int, dark: bool = True) -> Colour:
    return (PALETTE if dark else LIGHT_PALETTE)[number % len(PALETTE)]


def glyph_of(number: int, ascii_only: bool = False) -> str:
    return (ASCII_GLYPHS if ascii_only else GLYPHS)[number % len(GLYPHS)]
