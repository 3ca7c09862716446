"""What the machine has, asked without torch: GPUs through NVML, cores through the operating system."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pynvml

from ..errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU as NVML names it; `capability` is the CUDA compute capability (8, 0)."""

    index: int
    name: str
    uuid: str
    memory_total: int
    capability: tuple[int, int]


def gpus() -> tuple[Gpu, ...]:
    """GPUs that a worker may use: none without a driver, or when CUDA_VISIBLE_DEVICES hides them all."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
            found.append(
                Gpu(
                    index=index,
                    name=str(pynvml.nvmlDeviceGetName(handle)),
                    uuid=str(pynvml.nvmlDeviceGetUUID(handle)),
                    memory_total=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
                    capability=(int(major), int(minor)),
                )
            )
        return tuple(found)
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def worker_devices() -> tuple[str, ...]:
    """What CUDA_VISIBLE_DEVICES may be for one worker each; empty without a GPU.

    What the user made visible is passed on word for word; else UUIDs, because NVML and CUDA may number cards differently.
    """
    found = gpus()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not found or visible is None:
        return tuple(gpu.uuid for gpu in found)
    return tuple(part.strip() for part in visible.split(",") if part.strip())


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


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
