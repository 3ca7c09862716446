"""How far off are the minutes that `shrunk plan` tells? `shrunk bench` measures, runs that it did not measure are trained.

    python benchmarks/bench_estimates.py [--seconds 1] [--keep FILE] [--packed]

First what `shrunk bench` does, in a lab made for it. Then runs of other shapes, batches, lengths, ties, objectives and dropout
on the embedded corpus, from a grid file, through the trainer that workers run. Told is what the plan says of an update, real
is what one took: CPU seconds of the training process between its first and its last report, reading, masking and reporting
included. Bar: every run within 25 %.

--packed also measures shapes that `shrunk bench` did not, two at once, against its estimate (the plan's seconds times what
packing cost the shape that was measured packed). Wall time: on a busy machine it says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent / "core"))

import torch  # noqa: E402
from shrunk_core.config.grid import load_grid  # noqa: E402
from shrunk_core.config.lab import init_lab  # noqa: E402
from shrunk_core.cost import micro_batch  # noqa: E402
from shrunk_core.engine.bench import SHAPES, measure, shape_of  # noqa: E402
from shrunk_core.engine.machine import Machine, Measurement, read_machine, remember  # noqa: E402
from shrunk_core.engine.plan import PlannedRun, make_plan  # noqa: E402
from shrunk_core.engine.worker import read_language  # noqa: E402
from shrunk_core.language.corpus import build_corpus  # noqa: E402
from shrunk_core.record.events import Step  # noqa: E402
from shrunk_core.record.rundir import RunDir  # noqa: E402
from shrunk_core.train.arithmetic import set_up  # noqa: E402
from shrunk_core.train.pretrain import Trainer  # noqa: E402
from shrunk_core.train.runtime import Requests, Runtime  # noqa: E402

CASES: tuple[dict[str, object], ...] = (
    # E, H, I, A, L, V, S, B and what else differs from the plainest run
    {"size": (48, 48, 192, 3, 2, 3000, 64, 32)},
    {"size": (64, 96, 384, 3, 3, 4000, 64, 16)},
    {"size": (64, 192, 768, 6, 2, 6000, 128, 8)},
    {"size": (64, 128, 512, 4, 2, 8000, 128, 32), "model.dropout": 0.1, "model.attention_dropout": 0.1},
    {"size": (160, 160, 640, 5, 1, 8000, 32, 64), "model.tie": "full", "model.norm": "post"},
    {"size": (32, 64, 128, 2, 6, 1500, 96, 24), "model.tie": "none"},
    {"size": (64, 64, 256, 4, 1, 2000, 16, 128), "train.mask_share": 0.3},
    {"size": (24, 24, 96, 2, 1, 1000, 48, 48)},
    {"size": (64, 128, 512, 4, 2, 4000, 64, 16), "train.objective": "clm"},
    {"size": (64, 256, 1024, 8, 3, 3000, 64, 16), "train.masking": "whole-word"},
    {"size": (64, 64, 256, 4, 2, 4000, 128, 128)},
    {"size": (64, 128, 512, 4, 2, 8000, 128, 32), "train.precision": "bf16"},
    {"size": (48, 48, 192, 3, 2, 3000, 64, 32), "train.precision": "bf16"},
)
PACKED = ((96, 3, 4000, 64, 16), (192, 2, 6000, 128, 8))


def grid_text(case: dict[str, object], updates: int) -> str:
    """A grid file of one run."""
    e, h, i, a, layers, v, s, b = case["size"]  # type: ignore[misc]
    tables: dict[str, dict[str, object]] = {
        "corpus": {"sources": ["embedded:kjv"], "vocabulary": "top:3000", "max_oov": 0.5},
        "tokenizer": {"kind": "byte-bpe", "vocab_size": v},
        "model": {
            "embedding_size": e, "hidden_size": h, "intermediate_size": i, "num_heads": a, "num_layers": layers,
            "tie": "projected", "norm": "pre",
        },
        "train": {
            "updates": updates, "evaluate_every": updates, "batch_size": b, "sequence_length": s, "precision": "fp32",
        },
    }  # fmt: skip
    for key, value in case.items():
        if "." in key:
            table, name = key.split(".")
            tables[table][name] = value
    lines = ['name = "estimates"']
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def planned(lab: Path, case: dict[str, object], updates: int) -> PlannedRun:
    file = lab / "estimates.toml"
    file.write_text(grid_text(case, updates))
    return make_plan(lab, load_grid(file)).runs[0]


def train(lab: Path, run: PlannedRun) -> float:
    """CPU seconds of one update in a real run, the first ones apart."""
    spec = run.spec
    assert spec is not None
    for _ in build_corpus(lab, spec.corpus, spec.tokenizer):
        pass
    set_up(spec.train.precision, torch.device("cpu"))
    at_once = micro_batch(spec.train.micro_batch, spec.train.batch_size, spec.train.sequence_length)
    runtime = Runtime(device=torch.device("cpu"), threads=1, micro_batch=at_once)
    folder = RunDir(lab / "runs" / spec.run_id)
    seen: list[
        tuple[int, float]
    ] = []  # the updates that are done, and when: a block of losses is read after its last one
    for event in Trainer(spec, read_language(spec, lab), folder, runtime, Requests(folder.control), 1).events():
        if isinstance(event, Step):
            seen.append((event.update, time.process_time()))
        elif seen and seen[-1][0] == spec.train.updates:
            break
    blocks = [seen[i] for i in range(len(seen)) if i + 1 == len(seen) or seen[i + 1][1] - seen[i][1] > 0.02]
    assert len(blocks) > 1, "too few updates to tell"
    return (blocks[-1][1] - blocks[0][1]) / (blocks[-1][0] - blocks[0][0])


def measured(lab: Path, options: argparse.Namespace) -> Machine:
    """What `shrunk bench` keeps, from a file if there is one."""
    if options.keep and options.keep.exists():
        return remember(lab, [Measurement(**m) for m in json.loads(options.keep.read_text())])
    jobs = [shape_of(*sizes) for sizes in SHAPES]
    found = [
        m for kind in ("fp32", "bf16") for m in measure(jobs, precision=kind, device="cpu", seconds=options.seconds)
    ]
    if options.packed:
        middle = jobs[len(jobs) // 2]
        found += measure([middle], precision="fp32", device="cpu", packed=2, seconds=max(2.0, options.seconds))
    if options.keep:
        options.keep.write_text(json.dumps([asdict(m) for m in found], indent=1))
    return remember(lab, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="measured for so long, each shape of the bench")
    parser.add_argument(
        "--keep", type=Path, help="a file of the bench's measurements: read if it is there, else written"
    )
    parser.add_argument("--packed", action="store_true", help="two unmeasured shapes two at once as well")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        lab = init_lab(Path(folder))
        machine = measured(lab, options)
        assert read_machine(lab).measurements == machine.measurements
        print("| E, H, I, A, L, V, S, B | what else | told, ms | real, ms | told / real |\n|---|---|---|---|---|")
        worst = 0.0
        for case in CASES:
            guess = planned(lab, case, 10).row()["seconds"] / 10 or 0.01
            updates = max(12, round(3.0 / guess))
            run = planned(lab, case, updates)
            told, real = run.row()["seconds"] / updates, train(lab, run)
            worst = max(worst, told / real, real / told)
            other = ", ".join(f"{key.split('.')[1]} {value}" for key, value in case.items() if key != "size")
            sizes = ", ".join(map(str, case["size"]))  # type: ignore[call-overload]
            print(f"| {sizes} | {other or '-'} | {1e3 * told:.1f} | {1e3 * real:.1f} | {told / real:.2f} |", flush=True)
        print(f"\nfurthest apart: a factor of {worst:.2f} (bar 1.25)")
        if options.packed:
            pairs(machine)


def pairs(machine: Machine) -> None:
    for sizes in PACKED:
        (found,) = measure([shape_of(*sizes)], precision="fp32", device="cpu", packed=2, seconds=3.0)
        told = machine.seconds_beside(found.model_spec, found.train_spec, "fp32", "cpu", packed=2)
        assert told is not None
        print(
            f"two at once, {sizes}: told {1e3 * told:.1f} ms, real {1e3 * found.seconds:.1f}, {told / found.seconds:.2f}"
        )


if __name__ == "__main__":
    main()
