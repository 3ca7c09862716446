"""NVML played from a trace, and a trace made by hand, since none could be recorded: this code has not met a GPU.

A trace is a file as `benchmarks/record_nvml.py` writes it: one JSON line a sample, for each device every call of the monitor
by its NVML name with its result, or `{"error": number}`. `Trace` answers the same calls with the line of a chosen moment.
The made one (`made_trace`) follows NVML's documented structures and error numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml

GB = 1 << 30
ERROR = {"refused": pynvml.NVML_ERROR_NOT_SUPPORTED, "empty": pynvml.NVML_ERROR_NOT_FOUND}


@dataclass
class Trace:
    """Has the functions of NVML that are asked here. `at` chooses the line: the last one not after that moment."""

    lines: list[dict[str, Any]]
    at: float = 0.0
    started: bool = field(default=False, init=False)

    @classmethod
    def read(cls, text: str) -> Trace:
        return cls([json.loads(line) for line in text.splitlines()])

    @property
    def devices(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["t"] <= self.at][-1]["devices"]

    def nvmlInit(self) -> None:
        self.started = True

    def nvmlShutdown(self) -> None:
        self.started = False

    def nvmlDeviceGetCount(self) -> int:
        if not self.started:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> tuple[int, ...]:
        return (index,)

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: tuple[int, ...], index: int) -> tuple[int, ...]:
        slots = self.devices[handle[0]]["mig"]
        if index >= len(slots) or slots[index] is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return (*handle, index)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvmlDeviceGet"):
            raise AttributeError(name)

        def ask(handle: tuple[int, ...], *more: Any) -> Any:
            device = self.devices[handle[0]]
            value = device[name] if len(handle) == 1 else device["mig"][handle[1]][name]
            return answer(value)

        return ask


def answer(value: Any) -> Any:
    """A recorded result as NVML gives it."""
    if isinstance(value, dict):
        if "error" in value:
            raise pynvml.NVMLError(value["error"])
        return SimpleNamespace(**value)
    if isinstance(value, list):
        return [SimpleNamespace(**v) if isinstance(v, dict) else v for v in value]
    return value


def device(
    uuid: str,
    name: str = "NVIDIA H100 80GB HBM3",
    *,
    used: int,
    total: int = 80 * GB,
    busy: int | None = 0,
    watts: float | None = 70.0,
    pids: tuple[int, ...] = (),
    mig: list[Any] | None = None,
    is_slice: bool = False,
) -> dict[str, Any]:
    """What one device answers. A slice refuses utilisation, power, temperature, clocks and capability, as documented."""
    refused = {"error": ERROR["refused"]}
    processes = [{"pid": pid, "usedGpuMemory": None, "gpuInstanceId": 0, "computeInstanceId": 0} for pid in pids]
    return {
        "nvmlDeviceGetUUID": uuid,
        "nvmlDeviceGetName": name,
        "nvmlDeviceGetCudaComputeCapability": refused if is_slice else [9, 0],
        "nvmlDeviceGetMemoryInfo": {"total": total, "free": total - used, "used": used},
        "nvmlDeviceGetUtilizationRates": refused if busy is None else {"gpu": busy, "memory": busy // 2},
        "nvmlDeviceGetPowerUsage": refused if watts is None else int(watts * 1000),
        "nvmlDeviceGetTotalEnergyConsumption": refused if watts is None else 10**9,
        "nvmlDeviceGetTemperature": refused if is_slice else 35 + (busy or 0) // 4,
        "nvmlDeviceGetClockInfo": refused if is_slice else (1980 if busy else 345),
        "nvmlDeviceGetComputeRunningProcesses": processes,
        "nvmlDeviceGetMigMode": refused if is_slice else [int(mig is not None)] * 2,
        "nvmlDeviceGetMaxMigDeviceCount": refused if is_slice else (7 if mig is not None else 0),
        "mig": mig or [],
    }


A, B = "GPU-aaaaaaaa-0000-0000-0000-000000000001", "GPU-bbbbbbbb-0000-0000-0000-000000000002"
C = "GPU-cccccccc-0000-0000-0000-000000000003"
C1, C2 = "MIG-c1c1c1c1-0000-0000-0000-000000000004", "MIG-c2c2c2c2-0000-0000-0000-000000000005"


def made_trace() -> Trace:
    """Three cards for 20 s: A idles, works for us from 4 s on (2 GB and a context), and is filled by others from 12 s on;
    B is filled by others all the time; C is in MIG mode, with two slices in the slots 0 and 2 of its table."""
    lines = []
    for t in range(0, 21, 2):
        ours, others = t >= 4, t >= 12
        used = GB // 2 + ours * (2 * GB + (600 << 20)) + others * 60 * GB
        a = device(A, used=used, busy=95 if ours else 0, watts=350.0 if ours else 70.0, pids=(77,) if ours else ())
        b = device(B, used=61 * GB, busy=99, watts=600.0, pids=(4242,))
        parts = [
            device(uuid, "NVIDIA H100 80GB HBM3 MIG 3g.40gb", used=GB // 4, total=40 * GB, busy=None, watts=None, is_slice=True)
            for uuid in (C1, C2)
        ]  # fmt: skip
        c = device(C, used=GB, busy=None, watts=90.0, mig=[parts[0], None, parts[1]])
        worker = {"pid": 12, "uuid": A.removeprefix("GPU-"), "reserved": 2 * GB} if ours else None
        lines.append({"t": t, "logged_at": 1e9 + t, "worker": worker, "devices": [a, b, c]})
    return Trace.read("\n".join(map(json.dumps, lines)))
