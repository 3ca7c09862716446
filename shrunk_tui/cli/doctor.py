"""`shrunk doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from shrunk_core import __version__
from shrunk_core.config.lab import find_lab, read_settings
from shrunk_core.engine.desk import Desk
from shrunk_core.engine.hardware import cores, gpus, worker_devices
from shrunk_core.errors import ConfigError, ShrunkError
from shrunk_core.record.rundir import run_dirs
from shrunk_core.store.store import open_store

from ..format import size
from .output import Format, FormatOption, LabOption, print_rows

LIBRARIES = (
    "torch",
    "transformers",
    "datasets",
    "tokenizers",
    "duckdb",
    "plotext",
    "typer",
    "rich",
    "numpy",
    "pyarrow",
)
LITTLE_SPACE = 2 * 1024**3

TORCH_PROBE = (
    "import torch; print(torch.__version__, torch.version.cuda or 'cpu', torch.cuda.is_available(), "
    "torch.cuda.device_count(), torch.backends.cpu.get_cpu_capability())"
)


def doctor(lab: LabOption = None, how: FormatOption = Format.table) -> None:
    """Check Python, torch against the driver, devices, libraries, and the lab. Exit 1 when something is wrong.

    Example: shrunk doctor --format json
    """
    rows = [*_installation(), *_machine(), *_torch(), *_lab(lab)]
    print_rows(rows, ("check", "state", "value", "advice"), how)
    if any(r["state"] == "wrong" for r in rows):
        sys.exit(1)


def _row(check: str, value: object, state: str = "ok", advice: str = "") -> dict[str, Any]:
    return {"check": check, "state": state, "value": str(value), "advice": advice}


def _installation() -> list[dict[str, Any]]:
    rows = [_row("shrunk-tui", __version__), _row("python", platform.python_version())]
    for name in LIBRARIES:
        try:
            rows.append(_row(name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            rows.append(_row(name, "missing", "wrong", "install shrunk-tui again"))
    return rows


def _machine() -> list[dict[str, Any]]:
    rows = [_row("cores", cores())]
    found = gpus()
    for gpu in found:
        major, minor = gpu.capability
        rows.append(_row(f"gpu {gpu.index}", f"{gpu.name}, {size(gpu.memory_total)}, capability {major}.{minor}"))
    if not found:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        note = (
            f"CUDA_VISIBLE_DEVICES={hidden!r}" if hidden is not None else "no NVIDIA driver answers; runs use the CPU"
        )
        rows.append(_row("gpu", "none", "note", note))
    return rows


def _torch() -> list[dict[str, Any]]:
    """torch is asked in a process of its own: importing it here would cost every command a second and 220 MB."""
    done = subprocess.run([sys.executable, "-P", "-c", TORCH_PROBE], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return [_row("torch import", last, "wrong", "install torch again, see the README")]
    version, cuda, available, count, capability = done.stdout.split()
    build = "CPU build" if cuda == "cpu" else f"CUDA {cuda} build"
    if gpus() and available == "False":
        advice = "the GPU is not used: install a torch build for this driver, see the README"
        return [_row("torch build", f"{version}, {build}", "wrong", advice)]
    return [_row("torch build", f"{version}, {build}, {count} GPUs, CPU {capability}")]


def _lab(chosen: Path | None) -> list[dict[str, Any]]:
    try:
        lab = find_lab(chosen)
    except ConfigError as problem:
        if chosen is not None:
            raise
        return [_row("lab", "none here", "note", str(problem).split(";")[0])]
    rows = [_row("lab", lab)]
    try:
        settings = read_settings(lab)
        rows.append(
            _row(
                "settings", f"{settings.slots or len(worker_devices()) or cores()} slots of {settings.threads} threads"
            )
        )
    except ShrunkError as problem:
        rows.append(_row("settings", problem, "wrong", "mend shrunk.toml"))
    free = shutil.disk_usage(lab).free
    rows.append(_row("disk", f"{size(free)} free", *(("note", "nearly full") if free < LITTLE_SPACE else ())))
    writable = os.access(lab, os.W_OK)
    rows.append(
        _row("writable", "yes" if writable else "no", *(() if writable else ("wrong", "nothing can be trained")))
    )
    rows.append(_row("runs", len(run_dirs(lab))))
    rows.append(_row("supervisor", "serving" if Desk(lab).serving() else "none"))
    if writable:
        try:
            report = open_store(lab).refresh()
            rows.append(_row("index", "up to date" if not report.busy else "being refreshed by another process"))
            rows += [_row(f"log {p.source}", p.message, "wrong", "see the file") for p in report.problems]
        except ShrunkError as problem:
            rows.append(_row("index", problem, "wrong", "delete .shrunk/index.duckdb; it is built anew from the logs"))
    return rows
