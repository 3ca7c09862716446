"""Training speed against the Hugging Face Trainer: the same model, data and masks, one process tree, interleaved repeats.

    python benchmarks/bench_train.py [--json] [--shapes 64x2,128x2,256x4] [--repeats 3] [--device cpu|cuda]
    python benchmarks/bench_train.py --check curves|memory|pair

The Trainer runs in a process of its own, as its users start it, and takes its turns there. Our engine has the C library keep the
memory that is freed (`train/arithmetic.py`); what that gives the Trainer too is measured beside it, in a third process
(`ratio_fp32_with_our_allocator`).

Where `accelerate` is not installed, and with it the Trainer, its own steps are made by hand with the same model (forward with
labels, backward, clipping, fused AdamW, schedule): a little less work than the Trainer does. `against` says which it was.

Batch 32 x 128, vocabulary 19,000, dropout .1, tied output weights, post-norm: `RobertaForMaskedLM`. Ratios are of process
CPU time on a CPU (wall time beside them), of wall time on a GPU. The floor is every matrix product of an update alone, same
shapes, same thread: by the kernels that our update uses (`floor_share_fp32`) and by the ones that torch takes when nobody
says anything (`floor_share_fp32_torch`; above 1 where those leave part of the processor idle).

Without `--json` everything that was measured is printed; with it one line a shape of what is compared with the bars. bf16 is
measured where the processor has units for it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
sys.path.insert(0, str(Path(__file__).parent.parent / "core"))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from shrunk_core.config.spec import CorpusSpec, ModelSpec, RunSpec, TokenizerSpec, TrainSpec  # noqa: E402
from shrunk_core.language.packing import NUM_SPECIAL  # noqa: E402
from shrunk_core.model.export import from_hugging_face  # noqa: E402
from shrunk_core.model.heads import MaskedLanguageModel  # noqa: E402
from shrunk_core.model.product import has_bf16_units  # noqa: E402
from shrunk_core.train.arithmetic import keep_freed_memory, onednn_products, set_up  # noqa: E402
from shrunk_core.train.masking import Masked, mask_for_training  # noqa: E402
from shrunk_core.train.runtime import Runtime, choose_execution, device_name  # noqa: E402
from shrunk_core.train.update import Updater  # noqa: E402

BATCH, LENGTH, VOCABULARY = 32, 128, 19_000
WITH_TRAINER = importlib.util.find_spec("accelerate") is not None
TOKENS = BATCH * LENGTH
JSON_FIELDS = (
    "hidden_size", "ratio_fp32", "ratio_best", "floor_share_fp32", "tokens_per_second", "trainer_tokens_per_second",
)  # fmt: skip


def model_spec(hidden: int, layers: int, dropout: float = 0.1) -> ModelSpec:
    return ModelSpec(
        embedding_size=hidden, hidden_size=hidden, intermediate_size=4 * hidden, num_heads=max(2, hidden // 32),
        num_layers=layers, tie="full", norm="post", dropout=dropout, attention_dropout=dropout, vocab_size=VOCABULARY,
        max_positions=LENGTH + 2,
    )  # fmt: skip


def run_spec(model: ModelSpec, precision: str) -> RunSpec:
    train = TrainSpec(batch_size=BATCH, sequence_length=LENGTH, precision=precision, weight_decay=0.0)
    return RunSpec(
        model=model, train=train, corpus=CorpusSpec(sources=("embedded:kjv",)), tokenizer=TokenizerSpec(), seed=0,
        corpus_fingerprint="0" * 12, tokenizer_fingerprint="0" * 12,
    )  # fmt: skip


def batches(count: int) -> list[Masked]:
    """Zipf-like tokens, masked as in training."""
    rng = np.random.default_rng(0)
    ranks = rng.random((count, BATCH, LENGTH))
    ids = (NUM_SPECIAL + (VOCABULARY - NUM_SPECIAL) ** ranks - 1).astype(np.int64)
    ids[:, :, 0] = 0
    settings = {"seed": 0, "share": 0.15, "masking": "80/10/10", "vocab_size": VOCABULARY, "padding_in_loss": False}
    return [mask_for_training(ids[i], update=i + 1, **settings) for i in range(count)]  # type: ignore[arg-type]


def trainer(spec: ModelSpec, data: list[Masked], device: str, rate: float, precision: str = "fp32") -> Any:
    """The Hugging Face Trainer on the same batches, and a list that it fills with (CPU, wall) seconds of each update."""
    from transformers import RobertaConfig, RobertaForMaskedLM, Trainer, TrainerCallback, TrainingArguments

    config = RobertaConfig(
        vocab_size=VOCABULARY, hidden_size=spec.hidden_size, num_hidden_layers=spec.num_layers,
        num_attention_heads=spec.num_heads, intermediate_size=spec.intermediate_size, type_vocab_size=2,
        max_position_embeddings=LENGTH + 2, layer_norm_eps=1e-5, hidden_dropout_prob=spec.dropout,
        attention_probs_dropout_prob=spec.attention_dropout,
    )  # fmt: skip
    torch.manual_seed(0)
    rows: Any = [
        {
            "input_ids": torch.from_numpy(b.inputs[i]),
            "labels": torch.from_numpy(np.where(b.scored[i], b.targets[i], -100)),
            "attention_mask": torch.ones(LENGTH, dtype=torch.long),
        }
        for b in data
        for i in range(BATCH)
    ]
    times: list[tuple[float, float]] = []
    losses: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.began = time.process_time(), time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if device == "cuda":
                torch.cuda.synchronize()
            times.append((time.process_time() - self.began[0], time.perf_counter() - self.began[1]))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                losses.append(float(logs["loss"]))

    class InOrder(Trainer):
        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return torch.utils.data.SequentialSampler(rows)

    def made(steps: int, logging: int = 10**9) -> Any:
        arguments = TrainingArguments(
            output_dir="/tmp/bench_train", per_device_train_batch_size=BATCH, max_steps=steps, report_to=[],
            save_strategy="no", logging_steps=logging, logging_first_step=False, learning_rate=rate, use_cpu=device == "cpu",
            disable_tqdm=True, adam_beta2=0.98, weight_decay=0.0, lr_scheduler_type="constant", max_grad_norm=1.0,
            bf16=precision == "bf16",
        )  # fmt: skip
        return InOrder(model=network, args=arguments, train_dataset=rows, callbacks=[Clock()])

    network = RobertaForMaskedLM(config)
    return (
        network,
        made if WITH_TRAINER else ByHand(network, rows, times, losses, device, rate, precision),
        times,
        losses,
    )


def serve_trainer(hidden: int, layers: int, precision: str, device: str, kept_memory: bool) -> None:
    """The child: a line with a number of updates, and one with their (CPU, wall) seconds and the kernel's share, in turn."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the Trainer prints is nobody's answer
    if kept_memory:
        keep_freed_memory()
    data: list[Masked] = []
    for line in sys.stdin:
        steps = int(line)
        if len(data) < steps:
            data = batches(steps)
            _, made, times, _ = trainer(model_spec(hidden, layers), data, device, 1e-4, precision)
        times.clear()
        began = os.times()
        made(steps).train()
        print(json.dumps([times, _system_share(began)]), file=out, flush=True)


class Opponent:
    """A Trainer in a process of its own."""

    def __init__(self, shape: str, precision: str, device: str, *options: str) -> None:
        command = [sys.executable, __file__, "--serve", precision, "--shapes", shape, "--device", device, *options]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def train(self, steps: int) -> tuple[list[tuple[float, float]], float]:
        """(CPU, wall) seconds of updates, and the kernel's share of the CPU time."""
        assert self._child.stdin is not None and self._child.stdout is not None
        print(steps, file=self._child.stdin, flush=True)
        times, share = json.loads(self._child.stdout.readline())
        return [(cpu, wall) for cpu, wall in times], share

    def end(self) -> None:
        self._child.communicate()


class ByHand:
    """What the Trainer does in a step, without it: called and trained like it."""

    def __init__(
        self,
        network: Any,
        rows: list[Any],
        clock: list[Any],
        losses: list[float],
        device: str,
        rate: float,
        precision: str,
    ):
        self.network, self.rows, self.times, self.losses = network.to(device), rows, clock, losses
        self.device, self.bf16, self.steps = device, precision == "bf16", 0
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda _: 1.0)

    def __call__(self, steps: int, logging: int = 10**9) -> ByHand:
        self.steps = steps
        return self

    def train(self) -> None:
        from transformers import default_data_collator

        self.network.train()
        for step in range(self.steps):
            began = time.process_time(), time.perf_counter()
            batch = default_data_collator(self.rows[step * BATCH : (step + 1) * BATCH])
            batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
            with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.bf16):
                loss = self.network(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step()
            self.optimizer.zero_grad()
            self.losses.append(float(loss.detach()))
            if self.device == "cuda":
                torch.cuda.synchronize()
            self.times.append((time.process_time() - began[0], time.perf_counter() - began[1]))


class Ours:
    """Our update on the same batches."""

    def __init__(self, spec: ModelSpec, precision: str, device: str, state: dict[str, torch.Tensor] | None = None):
        self.device, self.at = torch.device(device), 0
        set_up(precision, self.device)
        model = MaskedLanguageModel(spec)
        if state is not None:
            model.load_state_dict(from_hugging_face(spec, state))
        else:
            for p in model.parameters():
                torch.nn.init.normal_(p, std=0.02)
        model.to(self.device).train()
        execution = choose_execution(precision, self.device)
        runtime = Runtime(device=self.device, threads=1, micro_batch=BATCH, execution=execution)
        self.updater = Updater(run_spec(spec, precision), model, runtime, padded=False)

    def update(self, batch: Masked, rate: float = 1e-4) -> torch.Tensor:
        self.at += 1
        result = self.updater.run(self.at, batch, rate, lambda: False)
        assert result is not None
        return result[0]

    def time(self, data: list[Masked]) -> list[tuple[float, float]]:
        times = []
        for batch in data:
            began = time.process_time(), time.perf_counter()
            self.update(batch)
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            times.append((time.process_time() - began[0], time.perf_counter() - began[1]))
        return times


def floor_products(spec: ModelSpec, scored: int) -> list[tuple[int, Callable[[], object]]]:
    """Every matrix product of an update, forward and both backward: (how often, one of it)."""
    h, i, v = spec.hidden_size, spec.intermediate_size, spec.vocab_size
    products: list[tuple[int, Callable[[], object]]] = []

    def linear(times: int, rows: int, inner: int, columns: int) -> None:
        x, w, g = torch.randn(rows, inner), torch.randn(columns, inner), torch.randn(rows, columns)
        products.append((times, lambda: torch.mm(x, w.t())))
        products.append((times, lambda: torch.mm(g, w)))
        products.append((times, lambda: torch.mm(g.t(), x)))

    linear(spec.num_layers, TOKENS, h, 3 * h)
    linear(spec.num_layers, TOKENS, h, h)
    linear(spec.num_layers, TOKENS, h, i)
    linear(spec.num_layers, TOKENS, i, h)
    linear(1, scored, h, h)
    linear(1, scored, h, v)
    many, size = BATCH * spec.num_heads, h // spec.num_heads
    q, p = torch.randn(many, LENGTH, size), torch.randn(many, LENGTH, LENGTH)
    for product in (
        lambda: torch.bmm(q, q.transpose(1, 2)),
        lambda: torch.bmm(p, q),
        lambda: torch.bmm(p.transpose(1, 2), q),
    ):
        products.append((2 * spec.num_layers, product))
    return products


def floor_seconds(spec: ModelSpec, scored: int, repeats: int) -> float:
    """CPU seconds of all products of an update, each at its median."""
    total = 0.0
    for times, product in floor_products(spec, scored):
        product()
        found = []
        for _ in range(repeats):
            began = time.process_time()
            product()
            found.append(time.process_time() - began)
        total += times * statistics.median(found)
    return total


def compare(hidden: int, layers: int, repeats: int, steps: int, device: str) -> dict[str, Any]:
    """One line of the table: interleaved repeats of both sides, medians of all updates but the first of each repeat."""
    spec, data = model_spec(hidden, layers), batches(steps)
    precisions = ("fp32", "bf16") if device == "cuda" or has_bf16_units() else ("fp32",)
    sides = {precision: Ours(spec, precision, device) for precision in precisions}
    floors: dict[str, list[float]] = {"ours": [], "torch": []}
    scored = int(np.mean([b.scored.sum() for b in data]))
    shape = f"{hidden}x{layers}"
    others = {"trainer": Opponent(shape, "fp32", device)}
    if device == "cpu":
        others["trainer_with_our_allocator"] = Opponent(shape, "fp32", device, "--kept-memory")
    if "bf16" in precisions:
        others["trainer_bf16"] = Opponent(shape, "bf16", device)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in (*others, *sides)}
    system: dict[str, list[float]] = {name: [] for name in found}
    for side in sides.values():
        side.time(data[:2])
    for _ in range(repeats):
        for name, other in others.items():
            times, share = other.train(steps)
            system[name].append(share)
            found[name] += times[1:]
        if device == "cpu":
            torch.backends.mkldnn.matmul.fp32_precision = "none"  # pyright: ignore[reportAttributeAccessIssue]  torch's way
            floors["torch"].append(floor_seconds(spec, scored, 5))
        with onednn_products():
            for precision, side in sides.items():
                began = os.times()
                found[precision] += side.time(data)[1:]
                system[precision].append(_system_share(began))
            if device == "cpu":
                floors["ours"].append(floor_seconds(spec, scored, 5))
    for other in others.values():
        other.end()
    clock = 0 if device == "cpu" else 1
    seconds = {name: statistics.median(t[clock] for t in values) for name, values in found.items()}
    wall = {name: statistics.median(t[1] for t in values) for name, values in found.items()}
    best = min(precisions, key=lambda p: seconds[p])
    line: dict[str, Any] = {
        "hidden_size": hidden,
        "num_layers": layers,
        "against": "Trainer" if WITH_TRAINER else "RobertaForMaskedLM in the Trainer's steps, by hand",
        "ratio_fp32": round(seconds["trainer"] / seconds["fp32"], 2),
        "ratio_best": round(seconds["trainer"] / seconds[best], 2),
        "best_precision": best,
        "ratio_fp32_wall": round(wall["trainer"] / wall["fp32"], 2),
        "ratio_best_wall": round(wall["trainer"] / wall[best], 2),
        "tokens_per_second": round(TOKENS / seconds["fp32"]),
        "tokens_per_second_best": round(TOKENS / seconds[best]),
        "trainer_tokens_per_second": round(TOKENS / seconds["trainer"]),
        "updates_measured": {name: len(values) for name, values in found.items()},
        "spread": {name: _spread([t[clock] for t in values]) for name, values in found.items()},
        "system_share": {name: round(statistics.median(shares), 2) for name, shares in system.items()},
        "device": device_name(torch.device(device)),
    }
    if "trainer_with_our_allocator" in seconds:
        theirs = seconds["trainer_with_our_allocator"]
        line["ratio_fp32_with_our_allocator"] = round(theirs / seconds["fp32"], 2)
        line["trainer_tokens_per_second_with_our_allocator"] = round(TOKENS / theirs)
    if "bf16" in precisions:
        line["ratio_bf16_to_trainer_bf16"] = round(seconds["trainer_bf16"] / seconds["bf16"], 2)
        line["trainer_bf16_tokens_per_second"] = round(TOKENS / seconds["trainer_bf16"])
    if device == "cpu":
        line["floor_share_fp32"] = round(statistics.median(floors["ours"]) / seconds["fp32"], 3)
        line["floor_share_fp32_torch"] = round(statistics.median(floors["torch"]) / seconds["fp32"], 3)
        line["attention"] = "own kernel: batched products, dropout from 16-bit noise; Trainer: torch SDPA"
        line["cpu_flags"] = cpu_flags()
        line["onednn_products"] = _routed()
    return line


def _routed() -> bool:
    with onednn_products() as routed:
        return routed


def _system_share(began: os.times_result) -> float:
    """Share of the CPU time since then that was the kernel's: pages of memory given back and fetched anew."""
    now = os.times()
    system, user = now.system - began.system, now.user - began.user
    return system / max(1e-9, system + user)


def _spread(values: list[float]) -> list[float]:
    """Quartiles over the median: how much the machine's other work shook the clock."""
    low, middle, high = statistics.quantiles(values, n=4)
    return [round(low / middle, 3), round(high / middle, 3)]


def cpu_flags() -> list[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return []
    return [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {flag}" in text]


def curves(updates: int = 200) -> dict[str, Any]:
    """Dropout 0, the same initial weights and batches, fp32: the largest difference of both sides' losses."""
    spec, data = model_spec(64, 2, dropout=0.0), batches(updates)
    network, made, _, theirs = trainer(spec, data, "cpu", 1e-3)
    ours = Ours(spec, "fp32", "cpu", {k: v.clone() for k, v in network.state_dict().items()})
    losses = [float(ours.update(batch, 1e-3)) for batch in data]
    made(updates, logging=1).train()
    apart = [abs(a - b) for a, b in zip(losses, theirs, strict=True)]
    return {"updates": updates, "largest_difference": max(apart), "first": losses[0], "last": losses[-1]}


def memory(side: str) -> dict[str, Any]:
    """Peak resident memory of one process that trains (256, 4): all of it, and above what the libraries take."""
    spec, data = model_spec(256, 4), batches(4)
    if side == "trainer":
        _, made, _, _ = trainer(spec, data, "cpu", 1e-4)
        began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        made(4).train()
    else:
        began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        Ours(spec, side, "cpu").time(data)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"side": side, "peak_mb": peak // 1024, "above_start_mb": (peak - began) // 1024}


def alone(seconds: float) -> dict[str, Any]:
    """Tokens of one single-thread run (128, 2) a second, measured for so long, and a second of its CPU time."""
    torch.set_num_threads(1)
    ours, data = Ours(model_spec(128, 2), "fp32", "cpu"), batches(8)
    ours.time(data[:3])
    began, cpu, done = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - began < seconds:
        ours.time(data)
        done += len(data)
    return {
        "wall": done * TOKENS / (time.perf_counter() - began),
        "cpu": done * TOKENS / (time.process_time() - cpu),
    }


def pair() -> dict[str, Any]:
    """Two runs side by side over one: what one gives, what both give together.

    `ratio` is of wall time, and says nothing on a machine that others use; `ratio_cpu` is of CPU time, which other programs
    change only by what all share: caches, memory, the other half of a core.
    """
    command = [sys.executable, __file__, "--check", "alone"]

    def measured(count: int) -> dict[str, float]:
        children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        found = [json.loads(child.communicate()[0]) for child in children]
        return {clock: sum(one[clock] for one in found) for clock in ("wall", "cpu")}

    rounds = [(measured(1), measured(2)) for _ in range(3)]
    ratios = {clock: [round(two[clock] / one[clock], 2) for one, two in rounds] for clock in ("wall", "cpu")}
    return {
        "ratio": statistics.median(ratios["wall"]),
        "ratios": ratios["wall"],
        "ratio_cpu": statistics.median(ratios["cpu"]),
        "ratios_cpu": ratios["cpu"],
        "load": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON a shape, with the fields that have bars")
    parser.add_argument("--shapes", default="64x2,128x2,256x4", help="HxL, separated by commas")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="updates a repeat")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--check", choices=("curves", "memory", "memory-side", "pair", "alone"))
    parser.add_argument("--side", default="fp32")
    parser.add_argument("--serve", metavar="PRECISION", help=argparse.SUPPRESS)
    parser.add_argument("--kept-memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if options.serve:
        hidden, layers = map(int, options.shapes.split("x"))
        serve_trainer(hidden, layers, options.serve, options.device, options.kept_memory)
    elif options.check == "curves":
        print(json.dumps(curves()))
    elif options.check == "memory-side":
        print(json.dumps(memory(options.side)))
    elif options.check == "memory":
        command = [sys.executable, __file__, "--check", "memory-side", "--side"]
        lines = {}
        for side in ("trainer", "fp32", "bf16"):
            done = subprocess.run([*command, side], capture_output=True, text=True, check=True)
            lines[side] = json.loads(done.stdout.strip().splitlines()[-1])
        share = lines["fp32"]["peak_mb"] / lines["trainer"]["peak_mb"]
        print(json.dumps({"share_of_trainer": round(share, 3), **lines}))
    elif options.check == "alone":
        print(json.dumps(alone(6.0)))
    elif options.check == "pair":
        print(json.dumps(pair()))
    else:
        keep_freed_memory()
        for shape in options.shapes.split(","):
            hidden, layers = map(int, shape.split("x"))
            line = compare(hidden, layers, options.repeats, options.steps, options.device)
            print(
                json.dumps({name: line.get(name) for name in JSON_FIELDS}) if options.json else _table(line), flush=True
            )


def _table(line: dict[str, Any]) -> str:
    return "\n".join(f"{key:32s} {value}" for key, value in line.items()) + "\n"


if __name__ == "__main__":
    main()
