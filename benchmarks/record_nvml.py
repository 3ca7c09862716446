"""Record what NVML says while a GPU idles, works and idles again: test data for the code that has no GPU to run on.

    python benchmarks/record_nvml.py --out nvml_trace.jsonl [--idle 6] [--load 20] [--every 0.5]

Needs nvidia-ml-py and, to make load, torch. One JSON line a sample: the moment, then for each device every call that the
monitor makes, by its NVML name with its plain result, or `{"error": NVML's number}` where the card refuses. The load is a
child process; lines carry what it says of itself (its own process id, its device's UUID as torch names it, the memory it
has reserved), because NVML's process ids mean nothing inside a container. Nothing on the card is changed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pynvml

LOAD = """
import json, os, sys, time, torch
size, seconds = int(sys.argv[1]), float(sys.argv[2])
device = torch.device("cuda")
a = torch.randn(size, size, device=device, dtype=torch.bfloat16)
held = torch.empty(2 << 30, dtype=torch.uint8, device=device)
until = time.monotonic() + seconds
told = 0.0
while time.monotonic() < until:
    for _ in range(20):
        b = a @ a
    torch.cuda.synchronize()
    if time.monotonic() - told > 0.25:
        told = time.monotonic()
        properties = torch.cuda.get_device_properties(device)
        print(json.dumps({"pid": os.getpid(), "uuid": str(properties.uuid), "name": properties.name,
                          "reserved": torch.cuda.memory_reserved(), "torch": torch.__version__}), flush=True)
"""


def plain(value: Any) -> Any:
    """A result of NVML as JSON: structures by their fields, bytes as text."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (int, float, str)) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    fields = [name for name, *_ in getattr(value, "_fields_", [])]
    if not fields:
        fields = [k for k in vars(value) if not k.startswith("_")]
    return {name: plain(getattr(value, name, None)) for name in fields}


def asked(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return plain(call(*arguments))
    except pynvml.NVMLError as problem:
        return {"error": int(problem.value)}


def device(handle: Any) -> dict[str, Any]:
    """Everything the monitor asks of one device or MIG slice."""
    return {
        "nvmlDeviceGetUUID": asked(pynvml.nvmlDeviceGetUUID, handle),
        "nvmlDeviceGetName": asked(pynvml.nvmlDeviceGetName, handle),
        "nvmlDeviceGetCudaComputeCapability": asked(pynvml.nvmlDeviceGetCudaComputeCapability, handle),
        "nvmlDeviceGetMemoryInfo": asked(pynvml.nvmlDeviceGetMemoryInfo, handle),
        "nvmlDeviceGetUtilizationRates": asked(pynvml.nvmlDeviceGetUtilizationRates, handle),
        "nvmlDeviceGetPowerUsage": asked(pynvml.nvmlDeviceGetPowerUsage, handle),
        "nvmlDeviceGetTotalEnergyConsumption": asked(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle),
        "nvmlDeviceGetTemperature": asked(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU),
        "nvmlDeviceGetClockInfo": asked(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM),
        "nvmlDeviceGetComputeRunningProcesses": asked(pynvml.nvmlDeviceGetComputeRunningProcesses, handle),
        "nvmlDeviceGetMigMode": asked(pynvml.nvmlDeviceGetMigMode, handle),
        "nvmlDeviceGetMaxMigDeviceCount": asked(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle),
    }


def sample() -> list[dict[str, Any]]:
    found = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        card = device(handle)
        slices = card["nvmlDeviceGetMaxMigDeviceCount"]
        card["mig"] = []
        for i in range(slices if isinstance(slices, int) else 0):
            try:
                card["mig"].append(device(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, i)))
            except pynvml.NVMLError:
                continue  # a slot of the table that holds no slice; later ones may
        found.append(card)
    return found


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--out", default="nvml_trace.jsonl")
    ask.add_argument("--idle", type=float, default=6.0, help="seconds before and after the load")
    ask.add_argument("--load", type=float, default=20.0, help="seconds of load, its start included")
    ask.add_argument("--every", type=float, default=0.5, help="seconds between samples")
    ask.add_argument("--size", type=int, default=6144, help="side of the matrices of the load")
    chosen = ask.parse_args()
    pynvml.nvmlInit()
    begin = time.monotonic()
    process: subprocess.Popen[str] | None = None
    said: dict[str, Any] | None = None
    costs = []
    with open(chosen.out, "w") as out:
        while (now := time.monotonic() - begin) < 2 * chosen.idle + chosen.load:
            if process is None and now >= chosen.idle:
                process = subprocess.Popen(
                    [sys.executable, "-c", LOAD, str(chosen.size), str(chosen.load - 5)],
                    stdout=subprocess.PIPE,
                    text=True,
                )
                assert process.stdout is not None
                os.set_blocking(process.stdout.fileno(), False)
            if process is not None and process.stdout is not None:
                while line := process.stdout.readline():
                    said = json.loads(line)
                if process.poll() is not None:
                    said = None
            started = time.perf_counter()
            devices = sample()
            costs.append(time.perf_counter() - started)
            line = {
                "t": round(now, 3),
                "logged_at": time.time(),
                "driver": plain(pynvml.nvmlSystemGetDriverVersion()),
                "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
                "worker": said,
                "seconds": round(costs[-1], 5),
                "devices": devices,
            }
            out.write(json.dumps(line) + "\n")
            time.sleep(chosen.every)
    if process is not None:
        process.wait(timeout=60)
        print(f"load ended with {process.returncode}", file=sys.stderr)
    costs.sort()
    print(f"{len(costs)} samples in {chosen.out}; asking takes {costs[len(costs) // 2] * 1e3:.2f} ms (median)")


if __name__ == "__main__":
    main()
