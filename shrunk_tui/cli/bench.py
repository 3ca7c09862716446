"""`shrunk bench`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from shrunk_core.config.lab import find_lab
from shrunk_core.engine import mps
from shrunk_core.engine.bench import SHAPES, measure, shape_of
from shrunk_core.engine.hardware import cores, gpus, resolve_precision
from shrunk_core.engine.machine import Machine, Measurement, machine_file, remember
from shrunk_core.errors import ConfigError

from .output import Format, FormatOption, LabOption, print_rows

TABLE = (
    "hidden_size",
    "num_layers",
    "vocab_size",
    "precision",
    "runs",
    "seconds_per_update",
    "tokens_per_second",
    "utilisation",
    "updates_measured",
)


def bench(
    shapes: Annotated[
        str,
        typer.Option(help="HIDDENxLAYERSxVOCABULARY[xLENGTHxBATCH], separated by commas; default: a spread of twelve."),
    ] = "",
    precision: Annotated[str, typer.Option(help="Precisions, separated by commas; default: those of the device.")] = "",
    device: Annotated[str, typer.Option(help="`cpu`, `cuda`, or `auto`.")] = "auto",
    packing: Annotated[
        str,
        typer.Option(help="Runs at once to try on the middle shape; default: 1 and the cores, or 1,2,4,8,16 on a GPU."),
    ] = "",
    seconds: Annotated[float, typer.Option(help="Measured for so long, each shape.", min=0.1)] = 1.0,
    lab: LabOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Measure what this machine does: tokens/s and the share of its matrix product's speed, by shape, precision, packing.

    What it finds is kept in the lab: `shrunk plan` tells minutes from it, and the supervisor its slots. On a CPU seconds are of
    processor time, so that other programs disturb little.

    Example: shrunk bench --shapes 128x2x8000 --precision fp32,bf16
    """
    folder = find_lab(lab)
    where = device if device != "auto" else ("cuda" if gpus() else "cpu")
    kinds = [p.strip() for p in precision.split(",") if p.strip()] or ["fp32", "bf16"]
    for kind in kinds:
        resolve_precision(kind, where)
    jobs = [shape_of(*_numbers(text)) for text in shapes.split(",")] if shapes else [shape_of(*s) for s in SHAPES]
    many = (
        [_count(n) for n in packing.split(",")] if packing else ([1, cores()] if where == "cpu" else [1, 2, 4, 8, 16])
    )
    found: list[Measurement] = []
    for kind in kinds:
        print(f"{kind} on {where}: {len(jobs)} shapes", file=sys.stderr)
        found += measure(jobs, precision=kind, device=where, seconds=seconds)
    middle = jobs[len(jobs) // 2]
    together = sorted(set(many) - {1})
    shared = where != "cpu" and mps.running()
    for count in together:
        print(f"{count} runs at once{' with NVIDIA MPS' if shared else ''}", file=sys.stderr)
        found += measure(
            [middle], precision=kinds[-1], device=where, packed=count, seconds=max(2.0, seconds), mps=shared
        )
    if where != "cpu" and not shared:
        with mps.service() as environment:
            for count in together if environment else ():
                print(f"{count} runs at once with NVIDIA MPS", file=sys.stderr)
                found += measure(
                    [middle], precision=kinds[-1], device=where, packed=count, seconds=max(2.0, seconds), mps=True,
                    base=environment or {},
                )  # fmt: skip
    machine = remember(folder, found)
    rows = [_row(m) for m in found]
    print_rows(rows, list(rows[0]), format, table_columns=TABLE)
    slots = machine.slots(where)
    told = "" if slots is None else f"; {slots} runs at once give the most tokens a second"
    print(f"kept in {machine_file(folder)}{told}", file=sys.stderr)
    if where != "cpu" and not shared:
        _tell_of_mps(machine)


def _tell_of_mps(machine: Machine) -> None:
    """Whether the service would pay here, where it was tried."""
    without, with_it = (max(machine.packing("cuda", shared).values(), default=0.0) for shared in (False, True))
    if with_it:
        advice = f": start `{mps.CONTROL} -d` before `shrunk run`" if with_it > 1.05 * without else ""
        print(f"at best {without:.1f} times one run; with NVIDIA MPS {with_it:.1f} times{advice}", file=sys.stderr)


def _row(m: Measurement) -> dict[str, object]:
    return {
        "hidden_size": m.model["hidden_size"],
        "num_layers": m.model["num_layers"],
        "vocab_size": m.model["vocab_size"],
        "sequence_length": m.train["sequence_length"],
        "batch_size": m.train["batch_size"],
        "precision": m.precision,
        "device": m.device,
        "execution": m.execution,
        "runs": m.packed,
        "mps": m.mps,
        "seconds_per_update": round(m.seconds, 6),
        "cpu_seconds_per_update": round(m.cpu_seconds, 6),
        "tokens_per_second": round(m.tokens_per_second),
        "utilisation": round(m.utilisation, 4),
        "matmul_flops_per_second": round(m.matmul_flops_per_second),
        "updates_measured": m.updates,
    }


def _numbers(text: str) -> tuple[int, int, int, int, int]:
    try:
        parts = [int(part) for part in text.strip().split("x")]
        if min(parts) < 1 or len(parts) not in (3, 5):
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"--shapes {text!r}: write HIDDENxLAYERSxVOCABULARY, as 128x2x8000, or with xLENGTHxBATCH"
        ) from None
    hidden, layers, vocabulary, *rest = parts
    length, batch = rest or (128, 32)
    return hidden, layers, vocabulary, length, batch


def _count(text: str) -> int:
    if not text.strip().isdigit() or int(text) < 1:
        raise ConfigError(f"--packing {text!r}: write numbers of runs, as 1,2,4")
    return int(text)
