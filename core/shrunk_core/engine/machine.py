"""What was measured on this machine, kept in the lab's `.shrunk/machine.json`, and what it tells of other shapes.

The seconds of an update are a sum of few things: products (executed FLOPs, and the operands that they read and write,
which is what makes small ones slow), logits that are exponentiated, activations that are passed over, attention weights,
dropout masks that are drawn, parameters that AdamW moves, kernels that are launched. Their prices are fitted to the
measured shapes (non-negative, relative errors); a shape that was not measured is the same sum.
"""

from __future__ import annotations

import json
import math
import os
import socket
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from ..config.spec import ModelSpec, TrainSpec
from ..cost import flops_per_update, micro_batch, num_params, scored_share
from ..record.rundir import write_atomically
from .mps import running

VERSION = 2
FEWEST = 6
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
    def model_spec(self) -> ModelSpec:
        return ModelSpec(**self.model)  # type: ignore[arg-type]

    @property
    def train_spec(self) -> TrainSpec:
        return TrainSpec(**self.train)  # type: ignore[arg-type]

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

    def seconds_beside(
        self, model: ModelSpec, train: TrainSpec, precision: str, device: str, packed: int
    ) -> float | None:
        """The same while so many runs share the device: times what sharing cost the shapes that were measured packed.

        None where that was not measured.
        """
        alone = self.seconds_per_update(model, train, precision, device)
        seconds = {_shape(m): m.seconds for m in self.measurements if m.packed == 1 and m.device == device}
        costs = [
            m.seconds / seconds[_shape(m)]
            for m in self.measurements
            if m.packed == packed and m.device == device and _shape(m) in seconds
        ]
        return alone * float(np.mean(costs)) if alone and costs else None

    def slots(self, device: str, mps: bool | None = None) -> int | None:
        """How many runs at once gave the most tokens a second on this device, over the shapes measured packed; None when
        packing was not measured. A CPU's answer is for single-threaded runs on all cores.

        mps: with NVIDIA's service or without; None for the one that processes started now would have.
        """
        if mps is None:
            mps = device != "cpu" and running()
        gains = self.packing(device, mps)
        return max(gains, key=lambda packed: (gains[packed], -packed)) if len(gains) > 1 else None

    def packing(self, device: str, mps: bool) -> dict[int, float]:
        """Tokens a second of so many runs at once over those of one, on average over the shapes measured packed."""
        total: dict[int, list[float]] = {}
        here = [m for m in self.measurements if m.device == device]
        for shape in {_shape(m) for m in here if m.packed > 1 and m.mps == mps}:
            same = [m for m in here if _shape(m) == shape]
            alone = [m.tokens_per_second for m in same if m.packed == 1]
            for m in same if alone else ():
                if m.packed == 1 or m.mps == mps:
                    total.setdefault(m.packed, []).append(m.tokens_per_second / alone[-1])
        return {packed: float(np.mean(gains)) for packed, gains in total.items()}

    @cached_property
    def prices(self) -> dict[tuple[str, str], np.ndarray]:
        """What each of the `features` costs, seconds, by device and precision that enough was measured of."""
        if self.kept_prices is not None:
            return self.kept_prices
        found = {}
        for key in {(m.device, m.precision) for m in self.measurements}:
            alone = [m for m in self.measurements if (m.device, m.precision) == key and m.packed == 1]
            if len({_shape(m) for m in alone}) < FEWEST:
                continue
            rows = np.array([features(m.model_spec, m.train_spec) / m.price_seconds for m in alone])
            scale = rows.max(axis=0)
            scale[scale == 0] = 1.0
            from scipy.optimize import nnls  # half a second and 50 MB, for those who have something to solve

            found[key] = nnls(rows / scale, np.ones(len(alone)))[0] / scale
        return found


def features(model: ModelSpec, train: TrainSpec) -> np.ndarray:
    """What an update is made of: executed FLOPs, operands of products, logits, activations, attention weights, random
    draws, parameters, kernels.
    """
    tokens = train.batch_size * train.sequence_length
    scored = scored_share(train) * tokens
    weights = tokens * train.sequence_length * (model.fixed_heads or model.num_heads) * model.num_layers
    sublayers = tokens * (model.embedding_size + 2 * model.num_layers * model.hidden_size)
    parts = math.ceil(train.batch_size / micro_batch(train.micro_batch, train.batch_size, train.sequence_length))
    return np.array(
        [
            flops_per_update(model, train, "executed"),
            sum(m * k + k * n + m * n for m, k, n in linear_products(model, tokens, scored)),
            scored * model.vocab_size,
            tokens
            * (model.num_layers * (12 * model.hidden_size + 2 * model.intermediate_size) + 4 * model.embedding_size),
            weights,
            weights * (model.attention_dropout > 0) + sublayers * (model.dropout > 0),
            num_params(model),
            parts * (60 * model.num_layers + 50) + 30,
        ],
        dtype=np.float64,
    )


def linear_products(model: ModelSpec, tokens: float, scored: float) -> list[tuple[float, int, int]]:
    """(rows, inner, columns) of the forward product of every linear layer; the two backward ones move the same operands."""
    h, e = model.hidden_size, model.embedding_size
    features = e if model.tie == "projected" else h
    block = [
        (tokens, h, 3 * h),
        (tokens, h, h),
        (tokens, h, model.intermediate_size),
        (tokens, model.intermediate_size, h),
    ]
    reduce = [] if model.tie == "full" else [(tokens, e, h)]
    return reduce + model.num_layers * block + [(scored, h, features), (scored, features, model.vocab_size)]


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
            parts = features(ModelSpec(), TrainSpec()).size  # of another version, whose features were others: fit anew
            kept = prices if "prices" in body and all(p.size == parts for p in prices.values()) else None
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
