"""Our two themes; Textual's own are there as well."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="shrunk-dark",
    primary="#56B4E9",
    secondary="#009E73",
    accent="#E69F00",
    warning="#E69F00",
    error="#F2777A",
    success="#3DC79A",
    foreground="#E4E4E4",
    background="#101418",
    surface="#161B20",
    panel="#20272E",
    dark=True,
)
LIGHT = Theme(
    name="shrunk-light",
    primary="#0B5F94",
    secondary="#00735A",
    accent="#A65500",
    warning="#A65500",
    error="#B3261E",
    success="#00735A",
    foreground="#1B1F23",
    background="#FBFBF8",
    surface="#F3F3EE",
    panel="#E6E6DF",
    dark=False,
)
THEMES = (DARK, LIGHT)
