"""What a lab's supervisor says of itself between two heartbeats: who it is, its slots, the machine, the order that waits."""

from __future__ import annotations

import json
import time
from typing import Any

from shrunk_core.engine.desk import Desk
from shrunk_core.engine.watch import Watch

from ..format import size

CPU = "cpu"
SILENT_SECONDS = 15.0
"""A supervisor that serves and has renewed its claim for so long no more cannot write, or is stopped."""


def serving_lines(desk: Desk, now: float | None = None) -> list[str]:
    """The machine as the supervisor read it last, then the supervisor itself; one line when none serves."""
    now = time.time() if now is None else now
    if not desk.serving():
        owner = desk.served_elsewhere(now)
        if owner is None:
            return ["no supervisor runs; `shrunk run GRID` starts one"]
        silent = now - owner["heartbeat"]
        return [f"a supervisor on {owner['host']} serves this lab (pid {owner['pid']}, heard {silent:.0f} s ago)"]
    claim = desk.claim()
    if claim is None:  # it has just begun
        return ["a supervisor serves this lab"]
    who = f"a supervisor serves this lab (pid {claim['pid']}): {claim.get('taken')} of {claim.get('slots')} slots taken"
    silent = now - claim["heartbeat"]
    if silent > SILENT_SECONDS:
        who += f". It has not been heard for {silent:.0f} s: is the disk full or read-only? {desk.log} may say"
    return [*machine_lines(claim.get("devices", [])), who]


def machine_lines(devices: list[dict[str, Any]]) -> list[str]:
    """A line a device, from the readings of a heartbeat; without a GPU the processor's line says so."""
    cards = [d for d in devices if d.get("device") != CPU]
    lines = [f"{d.get('name') or d['device']}: {_readings(d)}" for d in cards]
    for host in (d for d in devices if d.get("device") == CPU):
        lines.append(f"processor: {_readings(host)}" + ("" if cards else "; no GPU can be read here"))
    return lines


def _readings(device: dict[str, Any]) -> str:
    """What a device told, in words; what it did not tell is left out."""
    said = []
    if (busy := device.get("utilisation")) is not None:
        said.append(f"{busy:.0%} busy")
    if (used := device.get("memory_used")) is not None and (total := device.get("memory_total")):
        said.append(f"{size(used)} of {size(total)} of memory used")
    if (power := device.get("power_watts")) is not None:
        said.append(f"{power:.0f} W")
    if (heat := device.get("temperature_c")) is not None:
        said.append(f"{heat:.0f} °C")
    if (free := device.get("disk_free")) is not None:
        said.append(f"{size(free)} of disk free")
    return ", ".join(said) or "tells nothing"


def places(desk: Desk, watch: Watch) -> dict[str, int]:
    """Every waiting run's place, the next one's is 1, as the supervisor would start them now; empty when none serves."""
    try:
        ids = json.loads(desk.order.read_text()) if desk.serving() else []
    except (OSError, ValueError):
        return {}
    waiting = [run_id for run_id in ids if watch.status(run_id).status == "queued"]  # some may have begun meanwhile
    return {run_id: place for place, run_id in enumerate(waiting, 1)}
