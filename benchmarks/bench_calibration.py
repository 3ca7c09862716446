"""Do the 95 % intervals cover the truth 95 % of the time, and does "two laws" stay quiet on one law?

    python benchmarks/bench_calibration.py [--grids 300] [--resamples 400] [--generator N] [--noise .005] [--tails t4]
                                           [--only NAME ...] [--save FILE.json]

Simulated grids with known truth: every run's final loss is the law times noise, normal in the log with 0.5 % (what seeds do
to the loss of small models; the 42 runs of the paper scatter about their frontier by more), or with the same spread and the
tails of Student's t with 4 degrees of freedom. 24 runs a grid carry a bar (coverage 90 to 98 %, false "two laws" at most
8 %), 9 runs are reported without one. `--save` keeps the counts of every finished setting, and a second call goes on from
them. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shrunk_core.analysis.broken import BrokenResult, fit_broken
from shrunk_core.analysis.chinchilla import fit_chinchilla
from shrunk_core.analysis.powerlaw import fit_power
from shrunk_core.analysis.result import FitResult

Array = NDArray[np.float64]
GENERATOR = 20230527
_TAILS = 4


class Noise:
    """Standard deviation of the log loss, and whether its tails are heavy. Set once, from the command line."""

    size = 0.005
    heavy = False


def errors(count: int, rng: np.random.Generator) -> Array:
    if Noise.heavy:
        return Noise.size * rng.standard_t(_TAILS, count) / np.sqrt(_TAILS / (_TAILS - 2))
    return rng.normal(0, Noise.size, count)


def noisy(truth: Array, rng: np.random.Generator) -> Array:
    return truth * np.exp(errors(len(truth), rng))


def power(
    runs: int, loss: str, irreducible: bool
) -> Callable[[np.random.Generator, int], tuple[FitResult, dict[str, float]]]:
    truth = {"A": 4e3, "a": 0.2, "E": 1.5} if irreducible else {"A": 380.0, "a": 0.14}
    x = np.geomspace(1e14, 1e18, runs)

    def one(rng: np.random.Generator, resamples: int) -> tuple[FitResult, dict[str, float]]:
        y = noisy(truth["A"] * x ** -truth["a"] + truth.get("E", 0.0), rng)
        found = fit_power(x, y, irreducible=irreducible, loss=loss, bootstrap=resamples, seed=int(rng.integers(2**31)))
        return found, truth

    return one


def seeded(shapes: int, seeds: int, loss: str):
    """A power law of shapes that lie off it by the noise, each trained with several seeds that differ by half as much."""
    truth = {"A": 380.0, "a": 0.14}
    x = np.repeat(np.geomspace(1e14, 1e18, shapes), seeds)
    shape, seed = np.repeat(np.arange(shapes), seeds), np.tile(np.arange(seeds), shapes)

    def one(rng: np.random.Generator, resamples: int) -> tuple[FitResult, dict[str, float]]:
        off = errors(shapes, rng)[shape] + errors(len(x), rng) / 2
        y = truth["A"] * x ** -truth["a"] * np.exp(off)
        found = fit_power(x, y, runs=shape, seeds=seed, loss=loss, bootstrap=resamples, seed=int(rng.integers(2**31)))
        return found, truth

    return one


def chinchilla(sizes: int, tokens: int, loss: str):
    truth = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
    n, d = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e9, sizes), np.geomspace(1e7, 1e10, tokens)))

    def one(rng: np.random.Generator, resamples: int) -> tuple[FitResult, dict[str, float]]:
        y = noisy(truth["E"] + truth["A"] / n ** truth["alpha"] + truth["B"] / d ** truth["beta"], rng)
        found = fit_chinchilla(n, y, d=d, loss=loss, starts=30, bootstrap=resamples, seed=int(rng.integers(2**31)))
        return found, truth

    return one


def broken(runs: int, a1: float, a2: float, jump: bool, fall: float = 0.0, wide: bool = False, loss: str = "lsq"):
    """Slopes a1 below and a2 above the break, a loss of 5 there, which falls by `fall` times the noise across it. The break
    keeps no fixed place among the budgets: about 1e16 FLOPs, or `wide`, anywhere with four budgets on either side."""
    x = np.geomspace(1e14, 1e18, runs)
    reach = np.log10(x[[3, -4]]) if wide else np.array([15.8, 16.2])

    def one(rng: np.random.Generator, resamples: int) -> tuple[FitResult, dict[str, float]]:
        at = 10 ** rng.uniform(*reach)
        truth = {"A1": 5 * at**a1, "a1": a1, "A2": 5 * np.exp(-fall * Noise.size) * at**a2, "a2": a2, "break": at}
        y = noisy(np.where(x <= at, truth["A1"] * x**-a1, truth["A2"] * x**-a2), rng)
        found = fit_broken(x, y, jump=jump, loss=loss, bootstrap=resamples, test=399, seed=int(rng.integers(2**31)))
        return found, truth

    return one


def gaps(found: BrokenResult) -> float:
    """Width of the break's interval in decades."""
    return float(np.log10(found.break_interval[1] / found.break_interval[0]))


SETTINGS = {
    "power, 24 runs, huber": power(24, "huber", False),
    "power, 24 runs, lsq": power(24, "lsq", False),
    "power with E, 24 runs, huber": power(24, "huber", True),
    "power with E, 24 runs, lsq": power(24, "lsq", True),
    "chinchilla, 24 runs, huber": chinchilla(6, 4, "huber"),
    "chinchilla, 24 runs, lsq": chinchilla(6, 4, "lsq"),
    "broken (kink), 24 runs": broken(24, 0.06, 0.14, False),
    "broken (jump), 24 runs": broken(24, 0.06, 0.14, True, 10),
    "one law, kink test, 24 runs": broken(24, 0.14, 0.14, False),
    "one law, jump test, 24 runs": broken(24, 0.14, 0.14, True),
    "weak kink .12 to .14, 24 runs": broken(24, 0.12, 0.14, False),
    "power, 9 runs, huber": power(9, "huber", False),
    "power with E, 9 runs, huber": power(9, "huber", True),
    "chinchilla, 9 runs, huber": chinchilla(3, 3, "huber"),
    "broken (kink), 9 runs": broken(9, 0.06, 0.14, False),
    "one law, kink test, 9 runs": broken(9, 0.14, 0.14, False),
    "faint kink .134 to .140, 24 runs": broken(24, 0.134, 0.14, False),
    "faint kink .134 to .140, 9 runs": broken(9, 0.134, 0.14, False),
    "power, 24 shapes of 2 seeds, huber": seeded(24, 2, "huber"),
    "power, 24 shapes of 2 seeds, lsq": seeded(24, 2, "lsq"),
    "broken (jump), break anywhere, 24 runs": broken(24, 0.06, 0.14, True, 10, wide=True),
    "broken (jump), huber, break anywhere, 24 runs": broken(24, 0.06, 0.14, True, 10, wide=True, loss="huber"),
    **{
        f"jump of {fall} sd alone, break anywhere, 24 runs": broken(24, 0.14, 0.14, True, fall, wide=True)
        for fall in (1, 2, 3, 4, 6)
    },
    "jump of 2 sd alone, huber, break anywhere, 24 runs": broken(24, 0.14, 0.14, True, 2, wide=True, loss="huber"),
}


def measure(name: str, grids: int, resamples: int, generator: int) -> dict[str, Any]:
    rng = np.random.default_rng([generator, list(SETTINGS).index(name)])
    covered: dict[str, int] = {}
    quotable = claimed = 0
    widths: list[float] = []
    began = time.perf_counter()
    for _ in range(grids):
        found, truth = SETTINGS[name](rng, resamples)
        spans = dict(found.optimum_intervals)
        if isinstance(found, BrokenResult):
            spans["break"] = found.break_interval
            claimed += found.two_laws
            widths.append(gaps(found))
        quotable += found.identifiable
        if not name.startswith("one law"):
            for symbol, value in truth.items():
                low, high = spans.get(symbol, (float("nan"), float("nan")))
                covered[symbol] = covered.get(symbol, 0) + int(low <= value <= high)
    return {"grids": grids, "resamples": resamples, "covered": covered, "identifiable": quotable,
            "claimed": claimed if widths else None,
            "decades": float(np.mean(widths)) if widths else None, "seconds": time.perf_counter() - began}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--grids", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--generator", type=int, default=GENERATOR)
    parser.add_argument("--noise", type=float, default=Noise.size)
    parser.add_argument("--tails", choices=("normal", "t4"), default="normal")
    parser.add_argument("--only", nargs="*", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    Noise.size, Noise.heavy = arguments.noise, arguments.tails != "normal"
    saved = json.loads(arguments.save.read_text()) if arguments.save and arguments.save.exists() else {}
    print(
        "| setting | grids | resamples | coverage of the 95 % intervals | break, decades | 'two laws' | identifiable | s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.only:
        row = saved.get(name)
        if row is None or row["grids"] != arguments.grids or row["resamples"] != arguments.resamples:
            row = saved[name] = measure(name, arguments.grids, arguments.resamples, arguments.generator)
            if arguments.save:
                arguments.save.write_text(json.dumps(saved, indent=1))
        share = " ".join(f"{symbol} {100 * hits / row['grids']:.1f} %" for symbol, hits in row["covered"].items())
        law = "" if row["claimed"] is None else f"{100 * row['claimed'] / row['grids']:.1f} %"
        wide = "" if row["decades"] is None or not row["covered"] else f"{row['decades']:.2f}"
        kept = f"{100 * row['identifiable'] / row['grids']:.0f} %"
        print(
            f"| {name} | {row['grids']} | {row['resamples']} | {share} | {wide} | {law} | {kept} | {row['seconds']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
