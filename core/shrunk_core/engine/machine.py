"""What was measured on this machine, kept in the lab's `.shrunk/machine.json`, and what it tells of other shapes.

The seconds of an update are a sum of few things: products (executed FLOPs), logits that are exponentiated, activations
that are passed over, attention weights, parameters that AdamW moves, kernels that are launched. Their prices are fitted to
the measured shapes (non-negative, relative errors); a shape that was not measured is the same sum.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from ..config.spec import ModelSpec, TrainSpec
from ..cost import flops_per_update, num_params, scored_share
from ..record.rundir import write_atomically

VERSION = 1
FEWEST = 4
"""Measured shapes that an estimate of another shape needs at least."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One shape on one device: seconds of an update while `packed` runs shared the device (or, on a CPU, its cores).

    model, train: the fields that were measured, as in spec.json. utilisation: executed FLOPs a second of all packed runs
    over `matmul_flops_per_second` (of one process alone). `cpu_seconds` leave out what other programs took.
    """

    model: dict[str, object]
    train: dict[str, object]
    precision: str
    device: str
    device_name: str
    execution: str
    packed: int
    mps: bool
    seconds: float
    cpu_seconds: float
    updates: int
    tokens_per_second: float
    utilisation: float
    matmul_flops_per_second: float
    measured_at: float

    @property
    def price_seconds(self) -> float:
        """What an update costs a run that has its core or device to itself."""
        return self.cpu_seconds if self.device == "cpu" else self.seconds


@dataclass(frozen=True)
class Machine:
    """All measurements of one host."""

    host: str
    measurements: tuple[Measurement, ...] = ()
    kept_prices: dict[tuple[str, str], np.ndarray] | None = None
    """As they were fitted when the file was written: who only reads it needs no solver."""

    def seconds_per_update(self, model: ModelSpec, train: TrainSpec, precision: str, device: str) -> float | None:
        """Estimated seconds of one update of a run alone; None where too little was measured for this precision."""
        prices = self.prices.get((device, precision))
        return None if prices is None else float(features(model, train) @ prices)

    def slots(self, device: str) -> int | None:
        """How many runs at once gave the most tokens a second on this device, over the shapes measured packed; None when
        packing was not measured. A CPU's answer is for single-threaded runs on all cores.
        """
        total: dict[int, list[float]] = {}
        shapes = {_shape(m) for m in self.measurements if m.packed > 1 and m.device == device}
        for shape in shapes:
            same = [m for m in self.measurements if _shape(m) == shape and m.device == device]
            alone = [m.tokens_per_second for m in same if m.packed == 1]
            for m in same:
                if alone:
                    total.setdefault(m.packed, []).append(m.tokens_per_second / alone[-1])
        if not total:
            return None
        return max(total, key=lambda packed: (float(np.mean(total[packed])), -packed))

    @cached_property
    def prices(self) -> dict[tuple[str, str], np.ndarray]:
        """What each of the `features` costs, seconds, by device and precision that enough was measured of."""
        if self.kept_prices is not None:
            return self.kept_prices
        from scipy.optimize import nnls

        found = {}
        for key in {(m.device, m.precision) for m in self.measurements}:
            alone = [m for m in self.measurements if (m.device, m.precision) == key and m.packed == 1]
            if len({_shape(m) for m in alone}) < FEWEST:
                continue
            rows = np.array([features(ModelSpec(**m.model), TrainSpec(**m.train)) / m.price_seconds for m in alone])  # type: ignore[arg-type]
            scale = rows.max(axis=0)
            scale[scale == 0] = 1.0
            found[key] = nnls(rows / scale, np.ones(len(alone)))[0] / scale
        return found


def features(model: ModelSpec, train: TrainSpec) -> np.ndarray:
    """What an update is made of: executed FLOPs, logits, activations, attention weights, parameters, kernels."""
    tokens = train.batch_size * train.sequence_length
    heads = model.fixed_heads or model.num_heads
    noisy = 2.0 if model.dropout or model.attention_dropout else 1.0
    return np.array(
        [
            flops_per_update(model, train, "executed"),
            scored_share(train) * tokens * model.vocab_size,
            tokens
            * (model.num_layers * (12 * model.hidden_size + 2 * model.intermediate_size) + 4 * model.embedding_size),
            noisy * tokens * train.sequence_length * heads * model.num_layers,
            num_params(model),
            60 * model.num_layers + 80,
        ],
        dtype=np.float64,
    )


def machine_file(lab: Path) -> Path:
    return lab / ".shrunk" / "machine.json"


def read_machine(lab: Path) -> Machine:
    """What `shrunk bench` measured on this host; nothing when it never ran here, or what it wrote cannot be read."""
    path = machine_file(lab)
    try:
        stat = path.stat()
        return _read(path, stat.st_mtime_ns, stat.st_size, socket.gethostname())
    except OSError:
        return Machine(socket.gethostname())


@lru_cache(maxsize=8)
def _read(path: Path, changed: int, size: int, host: str) -> Machine:
    """A file of measurements as it was at a moment: the supervisor asks for every run that it places."""
    try:
        body = json.loads(path.read_text())
        if body["v"] == VERSION and body["host"] == host:
            prices = {(p["device"], p["precision"]): np.array(p["prices"]) for p in body.get("prices", ())}
            kept = prices if "prices" in body else None
            return Machine(host, tuple(Measurement(**m) for m in body["measurements"]), kept)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return Machine(host)


def remember(lab: Path, new: list[Measurement]) -> Machine:
    """Add measurements to the lab's file; of one shape, precision, device and packing the latest counts."""
    kept = {_identity(m): m for m in (*read_machine(lab).measurements, *new)}
    machine = Machine(socket.gethostname(), tuple(kept.values()))
    body = {
        "v": VERSION,
        "host": machine.host,
        "cores": len(os.sched_getaffinity(0)),
        "prices": [
            {"device": device, "precision": precision, "prices": prices.tolist()}
            for (device, precision), prices in machine.prices.items()
        ],
        "measurements": [asdict(m) for m in machine.measurements],
    }
    write_atomically(machine_file(lab), json.dumps(body, indent=1) + "\n")
    return machine


def _shape(m: Measurement) -> str:
    return json.dumps([m.model, m.train, m.precision, m.device], sort_keys=True)


def _identity(m: Measurement) -> tuple[str, int, bool, str]:
    return _shape(m), m.packed, m.mps, m.execution
