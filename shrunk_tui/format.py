"""Numbers for people: short, with units, never more digits than are known."""

from __future__ import annotations


def count(value: float | None) -> str:
    """12345 -> 12.3k, 2.2e15 -> 2.20e15. A dash for nothing."""
    if value is None:
        return "-"
    for limit, unit in ((1e3, ""), (1e6, "k"), (1e9, "M"), (1e12, "G")):
        if abs(value) < limit:
            scaled = value / (limit / 1e3)
            return f"{scaled:.0f}{unit}" if not unit or scaled >= 100 else f"{scaled:.3g}{unit}"
    return f"{value:.2e}".replace("e+", "e")


def flops(value: float | None) -> str:
    """FLOPs span too many sizes for letters: 7.57e11."""
    if not value:
        return "-" if value is None else "0"
    return f"{value:.2e}".replace("e+", "e")


def size(num_bytes: float | None) -> str:
    """Bytes in binary units."""
    if num_bytes is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(num_bytes) < 1024:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1024
    return f"{num_bytes:.1f} TiB"


def duration(seconds: float | None) -> str:
    """Seconds as 42s, 3m 05s, 2h 10m, 3d 4h."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.1f}s"
    total = round(seconds)
    if total < 60:
        return f"{total}s"
    if total < 3600:
        return f"{total // 60}m {total % 60:02d}s"
    if total < 86400:
        return f"{total // 3600}h {total % 3600 // 60:02d}m"
    return f"{total // 86400}d {total % 86400 // 3600}h"


def number(value: float | None, digits: int = 4) -> str:
    """A measured number with `digits` significant digits."""
    return "-" if value is None else f"{value:.{digits}g}"


def short(value: float | None) -> str:
    """Three significant digits for legends and titles: 2.63e15, 0.0872."""
    return "-" if value is None else f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def several(count: int, noun: str) -> str:
    """1 run, 2 runs, 1,000 runs."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def fitting(title: str, width: int) -> str:
    """A title without its last parts, by commas, where they do not fit: better none than half a word."""
    while len(title) > width and ", " in title:
        title = title.rpartition(", ")[0]
    return title
