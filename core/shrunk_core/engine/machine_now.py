"""The machine at one moment, for looking at: cores, memory, disk, GPUs, and who uses them. Nothing is recorded.

Asked of the operating system and of NVML; a reading that a card or a driver does not give is None, never zero.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pynvml

MOST_PROCESSES = 40


@dataclass(frozen=True, kw_only=True)
class GpuNow:
    """One GPU. utilisation: busy share, 0 to 1; memory in bytes; power in watts; clock in MHz. None: not told."""

    index: int
    name: str
    utilisation: float | None
    memory_used: int | None
    memory_total: int | None
    power_watts: float | None
    power_limit_watts: float | None
    temperature_c: float | None
    clock_mhz: float | None


@dataclass(frozen=True, kw_only=True)
class ProcessNow:
    """One process. cpu_percent: 100 is one core, since the sample before; gpu: index of the card it computes on."""

    pid: int
    user: str
    command: str
    cpu_percent: float
    rss_bytes: int
    gpu: int | None = None
    gpu_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class MachineNow:
    """One look. cpu: busy share of all cores; at: seconds since 1970 UTC; processes: the busiest, by GPU, then by CPU."""

    at: float
    cores: int
    cpu: float
    load: float
    memory_used: int
    memory_total: int
    disk_free: int
    disk_total: int
    gpus: tuple[GpuNow, ...]
    processes: tuple[ProcessNow, ...]


class Looker:
    """Looks again and again. CPU shares are since the look before, so the first look's are of a tenth of a second."""

    def __init__(self, lab: Path) -> None:
        self.lab = lab
        self._known: dict[int, psutil.Process] = {}

    def look(self) -> MachineNow:
        """The machine now. Takes some tens of milliseconds: for threads."""
        cards, on_cards = read_gpus()
        cpu = psutil.cpu_percent(interval=None if self._known else 0.1) / 100
        memory = psutil.virtual_memory()
        disk = shutil.disk_usage(self.lab)
        return MachineNow(
            at=time.time(),
            cores=psutil.cpu_count() or 1,
            cpu=cpu,
            load=os.getloadavg()[0],
            memory_used=memory.total - memory.available,
            memory_total=memory.total,
            disk_free=disk.free,
            disk_total=disk.total,
            gpus=cards,
            processes=self._processes(on_cards),
        )

    def _processes(self, on_cards: Mapping[int, tuple[int, int | None]]) -> tuple[ProcessNow, ...]:
        alive: dict[int, psutil.Process] = {}
        found = []
        for process in psutil.process_iter():
            process = self._known.get(process.pid, process)
            try:
                with process.oneshot():
                    busy = process.cpu_percent(None)
                    alive[process.pid] = process
                    card, held = on_cards.get(process.pid, (None, None))
                    rss = process.memory_info().rss
                    if card is None and busy < 1.0 and rss < 200 * 2**20:
                        continue
                    found.append(
                        ProcessNow(
                            pid=process.pid,
                            user=process.username(),
                            command=" ".join(process.cmdline()) or process.name(),
                            cpu_percent=busy,
                            rss_bytes=rss,
                            gpu=card,
                            gpu_bytes=held,
                        )
                    )
            except (psutil.Error, OSError):  # ended meanwhile, or not ours to look at
                continue
        self._known = alive
        found.sort(key=lambda p: (p.gpu is None, -(p.gpu_bytes or 0), -p.cpu_percent, -p.rss_bytes))
        return tuple(found[:MOST_PROCESSES])


def read_gpus() -> tuple[tuple[GpuNow, ...], dict[int, tuple[int, int | None]]]:
    """The cards, and by pid the card and the bytes of every process that computes on one; nothing without a driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return (), {}
    cards, users = [], {}
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            cards.append(_card(index, handle))
            for user in _told(pynvml.nvmlDeviceGetComputeRunningProcesses, handle) or ():
                users[int(user.pid)] = (index, None if user.usedGpuMemory is None else int(user.usedGpuMemory))
    except pynvml.NVMLError:
        pass  # the driver went away in between: what was read is shown
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    return tuple(cards), users


def _card(index: int, handle: Any) -> GpuNow:
    use = _told(pynvml.nvmlDeviceGetUtilizationRates, handle)
    memory = _told(pynvml.nvmlDeviceGetMemoryInfo, handle)
    power, limit = _told(pynvml.nvmlDeviceGetPowerUsage, handle), _told(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    name = _told(pynvml.nvmlDeviceGetName, handle)
    return GpuNow(
        index=index,
        name=name.decode() if isinstance(name, bytes) else str(name or f"GPU {index}"),
        utilisation=None if use is None else use.gpu / 100,
        memory_used=None if memory is None else int(memory.used),
        memory_total=None if memory is None else int(memory.total),
        power_watts=None if power is None else power / 1000,
        power_limit_watts=None if limit is None else limit / 1000,
        temperature_c=_told(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU),
        clock_mhz=_told(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM),
    )


def _told(ask: Callable[..., Any], *arguments: Any) -> Any:
    """A reading, or None when the card does not give it."""
    try:
        return ask(*arguments)
    except pynvml.NVMLError:
        return None
