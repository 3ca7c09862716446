"""Meters and their history as lines of text: a bar, the number, and what it was before. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from shrunk_core.engine.machine_now import MachineNow

from .format import size

SPARKS = "▁▂▃▄▅▆▇█"
ASCII_SPARKS = "_.:-=+*#"
NAME, BAR, WORDS = 6, 20, 22


def bar(share: float, width: int, ascii_only: bool) -> str:
    """A share from 0 to 1 as a bar of `width` cells."""
    full = round(max(0.0, min(1.0, share)) * width)
    on, off = ("#", ".") if ascii_only else ("█", "░")
    return on * full + off * (width - full)


def spark(shares: Sequence[float | None], width: int, ascii_only: bool) -> str:
    """The last `width` values, newest at the right; a space where nothing is known."""
    signs = ASCII_SPARKS if ascii_only else SPARKS
    last = list(shares)[-width:] if width > 0 else []
    marks = [" " if s is None else signs[min(len(signs) - 1, int(max(0.0, s) * len(signs)))] for s in last]
    return "".join(marks).rjust(max(0, width))


def shares(now: MachineNow) -> dict[str, float | None]:
    """Every meter's share by its name, in the order of the screen."""
    found: dict[str, float | None] = {"CPU": now.cpu, "RAM": now.memory_used / now.memory_total}
    found["disk"] = 1 - now.disk_free / now.disk_total
    for gpu in now.gpus:
        memory = None if gpu.memory_used is None or not gpu.memory_total else gpu.memory_used / gpu.memory_total
        limit = gpu.power_limit_watts
        found[f"GPU{gpu.index}"] = gpu.utilisation
        found[f"mem{gpu.index}"] = memory
        found[f"pow{gpu.index}"] = None if gpu.power_watts is None or not limit else gpu.power_watts / limit
        found[f"temp{gpu.index}"] = None if gpu.temperature_c is None else gpu.temperature_c / 100
    return found


def words(now: MachineNow) -> dict[str, str]:
    """What stands beside each bar, with its unit."""
    found = {
        "CPU": f"{now.cpu:.0%} of {now.cores}, load {now.load:.1f}",
        "RAM": f"{size(now.memory_used)} of {size(now.memory_total)}",
        "disk": f"{size(now.disk_free)} free",
    }
    for gpu in now.gpus:
        i = gpu.index
        found[f"GPU{i}"] = "-" if gpu.utilisation is None else f"{gpu.utilisation:.0%} {gpu.name}"
        found[f"mem{i}"] = f"{size(gpu.memory_used)} of {size(gpu.memory_total)}"
        limit = "" if gpu.power_limit_watts is None else f" of {gpu.power_limit_watts:.0f} W"
        found[f"pow{i}"] = "-" if gpu.power_watts is None else f"{gpu.power_watts:.0f} W{limit}"
        clock = "" if gpu.clock_mhz is None else f", {gpu.clock_mhz:.0f} MHz"
        found[f"temp{i}"] = "-" if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} C{clock}"
    return found


def meter_lines(
    now: MachineNow, history: Sequence[dict[str, float | None]], width: int, most: int, ascii_only: bool
) -> list[str]:
    """One line a meter: name, bar, number, history. The bar narrows and the history gives way when there is no room.

    most: lines that there is room for; of a machine with more meters than that, one line says all of a GPU.
    """
    told, known = words(now), shares(now)
    words_width = WORDS
    if len(known) > most:
        for gpu in now.gpus:
            i = gpu.index
            told[f"GPU{i}"] = "  ".join(
                [
                    "-" if gpu.utilisation is None else f"{gpu.utilisation:4.0%}",
                    f"{size(gpu.memory_used)} of {size(gpu.memory_total)}",
                    "-" if gpu.power_watts is None else f"{gpu.power_watts:.0f} W",
                    "-" if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} C",
                ]
            )
            known = {name: share for name, share in known.items() if name not in (f"mem{i}", f"pow{i}", f"temp{i}")}
        words_width = max(WORDS, *(len(told[name]) for name in known))
    bar_width = BAR if width >= 70 else 10
    room = width - NAME - bar_width - words_width - 3
    lines = []
    for name, share in known.items():
        drawn = bar(share, bar_width, ascii_only) if share is not None else " " * bar_width
        text = told[name]
        text = text if len(text) <= words_width else text[: words_width - 1] + ("~" if ascii_only else "…")
        past = spark([h.get(name) for h in history], room, ascii_only) if room >= 10 else ""
        lines.append(f"{name:<{NAME}}{drawn} {text:<{words_width}} {past}".rstrip())
    if not now.gpus:
        lines.append(f"{'GPU':<{NAME}}none that can be read: runs train on the CPU")
    return lines
