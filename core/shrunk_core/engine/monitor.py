"""What the machine does while runs train: a sample of every device and of every run, as journal events.

GPUs are read through NVML, the host through psutil; either may know less than everything, and what is unknown is None.
NVML's process ids are not used: inside a container they are those of another namespace. A run's memory on its card is
what its worker reports of itself.

Energy: the power of a card is split equally between the runs that are on it at that moment. A run's energy is the sum
of its share times the time since the sample before, so a card that idles costs nobody anything. Of a MIG slice no power
is known, only of its whole card: a run there has no energy, and neither has one on the processor.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil
import pynvml

from ..record.lab_events import HardwareSampled
from .hardware import CPU, host_memory, slices, text, told

SAMPLE_SECONDS = 2.0
LONGEST_GAP_SECONDS = 10.0
"""A sample stands for no more time than this: a supervisor that slept knows nothing of what happened meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """A run that works now. device: what it was given, a GPU's UUID or `cpu`; pid: on this host, 0 for a process of another;
    memory: on its card, bytes by its own report, 0 before it has one."""

    run_id: str
    device: str
    pid: int
    memory: int = 0


TOLD = (
    "device", "name", "utilisation", "memory_used", "memory_total", "power_watts", "temperature_c", "disk_free",
)  # fmt: skip
"""Readings that a person who asks how the lab stands is told."""


class Sampler(Protocol):
    """Readings of some devices, each with `device` set and no run."""

    def read(self) -> list[HardwareSampled]: ...


class NvmlSampler:
    """GPUs and MIG slices through NVML, or through anything with the same functions (a recorded trace)."""

    def __init__(self, nvml: Any = pynvml) -> None:
        self.nvml = nvml
        self._ready = False

    def read(self) -> list[HardwareSampled]:
        """One reading a card, and one a MIG slice of it; none without a driver. A reading that a card refuses is None."""
        nvml = self.nvml
        try:
            if not self._ready:
                nvml.nvmlInit()
                self._ready = True
            handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        except pynvml.NVMLError:
            return []
        return [self._reading(part) for handle in handles for part in (handle, *slices(nvml, handle))]

    def _reading(self, handle: Any) -> HardwareSampled:
        nvml = self.nvml
        memory = told(nvml.nvmlDeviceGetMemoryInfo, handle)
        busy = told(nvml.nvmlDeviceGetUtilizationRates, handle)
        power = told(nvml.nvmlDeviceGetPowerUsage, handle)
        heat = told(nvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
        clock = told(nvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM)
        return HardwareSampled(
            device=text(told(nvml.nvmlDeviceGetUUID, handle) or "gpu"),
            name=text(told(nvml.nvmlDeviceGetName, handle) or ""),
            utilisation=None if busy is None else busy.gpu / 100,
            memory_used=None if memory is None else int(memory.used),
            memory_total=None if memory is None else int(memory.total),
            power_watts=None if power is None else power / 1000,
            temperature_c=None if heat is None else float(heat),
            clock_mhz=None if clock is None else float(clock),
        )


class HostSampler:
    """CPU, memory and the lab's disk through psutil."""

    def __init__(self, lab: Path) -> None:
        self.lab = lab
        psutil.cpu_percent()  # the first answer is of no interval

    def read(self) -> list[HardwareSampled]:
        used, total = host_memory()
        busy = psutil.cpu_percent()
        return [
            HardwareSampled(
                device=CPU,
                utilisation=round(busy / 100, 4),
                memory_used=used,
                memory_total=total,
                temperature_c=processor_heat(),
                cpu_percent=round(busy * (psutil.cpu_count() or 1), 1),
                disk_free=psutil.disk_usage(str(self.lab)).free,
            )
        ]


def processor_heat() -> float | None:
    """Degrees Celsius of the hottest sensor of the processor; None where the system tells none."""
    sensors = getattr(psutil, "sensors_temperatures", dict)()
    heat = [s.current for name in PROCESSOR_SENSORS for s in sensors.get(name, ()) if s.current]
    return max(heat) if heat else None


PROCESSOR_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


class Monitor:
    """Samples all devices and splits them between the runs on them."""

    def __init__(self, samplers: list[Sampler]) -> None:
        self.samplers = samplers
        self.latest: list[HardwareSampled] = []
        self._at: float | None = None
        self._processes: dict[int, psutil.Process] = {}

    def sample(self, loads: list[Load]) -> list[HardwareSampled]:
        """Readings of now: every device as a whole, then every run's part of its device."""
        now = time.monotonic()
        seconds = 0.0 if self._at is None else round(min(now - self._at, LONGEST_GAP_SECONDS), 3)
        self._at = now
        devices = [_with(r, seconds=seconds) for sampler in self.samplers for r in sampler.read()]
        self.latest = devices
        self._processes = {
            load.pid: self._process(load.pid) for load in loads if load.pid and psutil.pid_exists(load.pid)
        }
        return devices + [r for r in split(devices, loads, seconds) for r in [self._with_process(r, loads)]]

    def told(self) -> list[dict[str, Any]]:
        """The last readings of the devices, without what they did not tell."""
        return [{k: v for k, v in vars(r).items() if k in TOLD and v not in (None, "")} for r in self.latest]

    def _process(self, pid: int) -> psutil.Process:
        return self._processes.get(pid) or psutil.Process(pid)

    def _with_process(self, reading: HardwareSampled, loads: list[Load]) -> HardwareSampled:
        """The part of a run with its process's CPU and resident memory; None when it has just ended."""
        pid = next(load.pid for load in loads if load.run_id == reading.run_id)
        try:
            process = self._processes[pid]
            return _with(reading, cpu_percent=process.cpu_percent(), rss_bytes=process.memory_info().rss)
        except (KeyError, psutil.Error):
            return reading


def split(devices: list[HardwareSampled], loads: list[Load], seconds: float) -> list[HardwareSampled]:
    """Every run's part of its device: its own memory, an equal share of the power, the device's other readings."""
    by_device = {reading.device: reading for reading in devices}
    parts = []
    for load in loads:
        sharing = sum(other.device == load.device for other in loads)
        whole = by_device.get(load.device)
        power = None if whole is None or whole.power_watts is None else round(whole.power_watts / sharing, 3)
        parts.append(
            HardwareSampled(
                device=load.device,
                name=whole.name if whole else "",
                run_id=load.run_id,
                seconds=seconds,
                memory_used=load.memory or None,
                memory_total=whole.memory_total if whole else None,
                power_watts=power,
            )
        )
    return parts


def _with(reading: HardwareSampled, **changes: Any) -> HardwareSampled:
    return HardwareSampled(**{**vars(reading), **changes})
