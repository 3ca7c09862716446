"""What the machine has, asked without torch: GPUs through NVML, cores and memory through the operating system.

NVML and CUDA number cards in different orders, so a card is known by its UUID, and so is what a worker is given. Numbers
in CUDA_VISIBLE_DEVICES are CUDA's own; where more than one card could be meant, CUDA is asked once which ones they are.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pynvml

from ..errors import ConfigError

CPU = "cpu"
"""How the processor is called among devices."""

CGROUP = Path("/sys/fs/cgroup")

ORDER_PROBE = (
    "import torch\nfor i in range(torch.cuda.device_count()):\n    print(torch.cuda.get_device_properties(i).uuid)"
)
"""CUDA's own order of what is visible; torch is asked in a process of its own, since nobody here may import it."""

PROBE_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU, or one MIG slice of a GPU, as NVML names it; `capability` is the CUDA compute capability (8, 0).

    index: NVML's number of the card. part_of: UUID of the card that a slice is of, "" for a card.
    """

    index: int
    name: str
    uuid: str
    memory_total: int
    capability: tuple[int, int]
    part_of: str = ""


def gpus() -> tuple[Gpu, ...]:
    """What a worker may be given: cards, and of a card in MIG mode its slices instead. None without a driver, or when
    CUDA_VISIBLE_DEVICES hides them all."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and not visible_names(visible):
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return list_gpus(pynvml)
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def list_gpus(nvml: Any) -> tuple[Gpu, ...]:
    """The same from a started NVML, or from anything with its functions (a recorded trace)."""
    found: list[Gpu] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
        uuid = text(nvml.nvmlDeviceGetUUID(handle))
        parts = [(part, uuid) for part in slices(nvml, handle)] if in_slices(nvml, handle) else [(handle, "")]
        found += [
            Gpu(
                index=index,
                name=text(nvml.nvmlDeviceGetName(part)),
                uuid=text(nvml.nvmlDeviceGetUUID(part)),
                memory_total=int(nvml.nvmlDeviceGetMemoryInfo(part).total),
                capability=(int(major), int(minor)),
                part_of=card,
            )
            for part, card in parts
        ]
    return tuple(found)


def in_slices(nvml: Any, handle: Any) -> bool:
    """True for a card in MIG mode: CUDA gives its slices only."""
    mode = told(nvml.nvmlDeviceGetMigMode, handle)
    return mode is not None and mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE


def slices(nvml: Any, handle: Any) -> list[Any]:
    """MIG slices of a card; slots of the table that are empty raise, and are passed over."""
    count = told(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0
    found = (told(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, i) for i in range(count))
    return [part for part in found if part is not None]


def told(call: Callable[..., Any], *arguments: Any) -> Any:
    """A reading, or None when the card does not give it."""
    try:
        return call(*arguments)
    except pynvml.NVMLError:
        return None


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


# ---------------------------------------------------------------- what a worker is given


def visible_names(visible: str) -> list[str]:
    """The devices of a CUDA_VISIBLE_DEVICES: as CUDA reads it, up to the first that cannot be one."""
    names = []
    for part in (p.strip() for p in visible.split(",")):
        if not (part.isdigit() or part.upper().startswith(("GPU-", "MIG-"))):
            break
        names.append(part)
    return names


def worker_devices() -> tuple[str, ...]:
    """What CUDA_VISIBLE_DEVICES may be for one worker each; empty without a GPU. UUIDs, but for a number of the user's
    that nobody can explain: that is passed on as it is."""
    return devices_of(gpus(), os.environ, ask_cuda)


def devices_of(found: tuple[Gpu, ...], environment: Mapping[str, str], ask: Callable[[], list[str]]) -> tuple[str, ...]:
    """The rule behind `worker_devices`. ask: CUDA's own order of the visible devices, asked only where it matters.

    A UUID may be shortened as CUDA allows, while it means one device. A number means the card that NVML numbers so when
    CUDA counts by PCI bus (CUDA_DEVICE_ORDER) as NVML does, the only card when there is one, and otherwise what CUDA says.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if not found or visible is None:
        return tuple(gpu.uuid for gpu in found)
    names = visible_names(visible)
    order: list[str] | None = None
    devices = []
    for place, name in enumerate(names):
        if not name.isdigit():
            hits = [g.uuid for g in found if g.uuid.lower().startswith(name.lower())]
            devices.append(hits[0] if len(hits) == 1 else name)
        elif environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or len(found) == 1:
            hits = [g.uuid for g in found if g.index == int(name)]
            devices.append(hits[0] if len(hits) == 1 else name)
        else:
            order = ask() if order is None else order
            uuid = order[place] if len(order) == len(names) else ""
            devices.append(match(uuid, [g.uuid for g in found]) or name)
    return tuple(devices)


def ask_cuda() -> list[str]:
    """UUIDs of the visible devices in CUDA's order; none when torch cannot tell."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", ORDER_PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.split() if done.returncode == 0 else []


def match(uuid: str, names: list[str]) -> str:
    """The one name that means this device, "" for none: torch says a UUID without `GPU-` or `MIG-`."""
    hits = [name for name in names if uuid and bare(name) == bare(uuid)]
    return hits[0] if len(hits) == 1 else ""


def bare(uuid: str) -> str:
    """A UUID without what stands before it."""
    return uuid.lower().removeprefix("gpu-").removeprefix("mig-")


# ---------------------------------------------------------------- cores and memory


def cores() -> int:
    """Cores this process may use: of its affinity, and of its container's share of time, rounded down."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
        return max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):  # no container, or no limit ("max")
        return allowed


def host_memory() -> tuple[int, int]:
    """Bytes of memory that are used and that there are: the machine's, or the container's where it has a smaller limit.
    File caches count as free."""
    memory = psutil.virtual_memory()
    used, total = memory.total - memory.available, memory.total
    try:
        limit = int((CGROUP / "memory.max").read_text())
        held = int((CGROUP / "memory.current").read_text())
        cached = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        if limit < total:
            return max(0, held - int(cached.get("inactive_file", 0))), limit
    except (OSError, ValueError):
        pass
    return used, total


def resolve_precision(precision: str, device: str) -> str:
    """What `auto` means on a device: bf16 on GPUs that multiply in it (capability 8 and up), fp32 elsewhere.

    ConfigError for a precision that the device does not have.
    """
    found = () if device == "cpu" else gpus()
    capable = bool(found) and min(g.capability for g in found) >= (8, 0)
    if precision == "auto":
        return "bf16" if capable else "fp32"
    if precision == "fp16" and not found:
        raise ConfigError('precision = "fp16" needs a GPU; without one "bf16" and "fp32" run')
    if precision == "tf32" and not capable:
        raise ConfigError('precision = "tf32" needs a GPU of capability 8.0 or later; "fp32" runs everywhere')
    return precision
