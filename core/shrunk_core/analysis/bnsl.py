"""The smooth broken law of Caballero et al. 2023 (arXiv 2210.14891), equation 1:

    y = a + b x^-c0 * prod_i (1 + (x/d_i)^(1/f_i))^(-c_i f_i)

Each break i sits at d_i, adds c_i to the slope and is the sharper the smaller f_i. Fitted, as there, to log(1 + y) by
least squares; the constants are found from many starts because the surface has many basins.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from shrunk_core.errors import FitError

from .estimate import HUBER_DELTA, Design, Settings, estimate
from .inputs import enough, labels_of, positive, same_length, varied
from .result import FitResult

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SmoothBroken:
    """Coordinates (log a, log b at the centre, c0, then c_i, log d_i, log f_i). Residuals are of log(1 + y)."""

    log_x: Array
    log_y: Array
    breaks: int = 1
    name: str = "bnsl"
    exponents: tuple[str, ...] = ()
    symbols: tuple[str, ...] = field(init=False)
    positive: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        own = [f"{letter}{i + 1}" for i in range(self.breaks) for letter in "cdf"]
        object.__setattr__(self, "symbols", ("a", "b", "c0", *own))
        object.__setattr__(self, "positive", ("a", "b", *(name for name in own if name[0] != "c")))

    @property
    def centre(self) -> float:
        return float(self.log_x.mean())

    def residuals(self, theta: Array) -> tuple[Array, Array]:
        log_reducible = theta[:, 1:2] - theta[:, 2:3] * (self.log_x - self.centre)
        columns = [np.ones_like(log_reducible), np.broadcast_to(self.centre - self.log_x, log_reducible.shape)]
        for i in range(self.breaks):
            slope, at, log_f = (theta[:, 3 + 3 * i + j, None] for j in range(3))
            width = np.exp(log_f)
            z = (self.log_x - at) / width
            past, soft = expit(z), np.logaddexp(0, z)
            log_reducible = log_reducible - slope * width * soft
            columns += [-width * soft, slope * past, -slope * width * (soft - past * z)]
        irreducible, reducible = np.exp(theta[:, :1]), np.exp(log_reducible)
        predicted = np.log1p(irreducible + reducible)
        scale = reducible * np.exp(-predicted)
        jacobian = np.stack([irreducible * np.exp(-predicted), *(scale * column for column in columns)], -1)
        return predicted - np.log1p(np.exp(self.log_y)), jacobian

    def params(self, theta: Array) -> Array:
        found = theta.copy()
        with np.errstate(over="ignore", under="ignore"):
            found[:, 0] = np.exp(theta[:, 0])
            found[:, 1] = np.exp(theta[:, 1] + theta[:, 2] * self.centre)
            for i in range(self.breaks):
                found[:, 4 + 3 * i : 6 + 3 * i] = np.exp(theta[:, 4 + 3 * i : 6 + 3 * i])
        return found

    def starts(self, count: int, rng: np.random.Generator) -> Array:
        """a up to the lowest value, breaks anywhere in the range and half an octave beyond, sharp and soft."""
        low, high = self.log_x.min(), self.log_x.max()
        start = np.empty((count, len(self.symbols)))
        start[:, 0] = self.log_y.min() + np.log(rng.uniform(0.01, 0.99, count))
        start[:, 1] = np.log(np.exp(self.log_y.mean()) * rng.uniform(0.3, 1.5, count))
        start[:, 2] = rng.uniform(0, 0.5, count)
        positions = np.sort(rng.uniform(low, high + 0.35, (count, self.breaks)), -1)
        for i in range(self.breaks):
            start[:, 3 + 3 * i] = rng.uniform(-1, 8, count)
            start[:, 4 + 3 * i] = positions[:, i]
            start[:, 5 + 3 * i] = np.log(10) * rng.uniform(-2, 0.3, count)
        return start


def fit_bnsl(
    x: ArrayLike,
    y: ArrayLike,
    runs: ArrayLike | None = None,
    seeds: ArrayLike | None = None,
    breaks: int = 1,
    loss: str = "lsq",
    delta: float = HUBER_DELTA,
    starts: int = 400,
    bootstrap: int = 200,
    seed: int = 0,
    hold_out_largest: bool = False,
) -> FitResult:
    """Fit the smooth law with `breaks` >= 1; parameters a, b, c0, then c1, d1, f1, c2, ... Others as in `fit_power`.

    starts is for one break; every further break has more basins, so starts * breaks^2 are tried.
    Objective, R2 and AIC are of log(1 + y), as in the paper that the law is from. No exponent is tested for
    identifiability: c0 may well be 0 before a break. Rank, and so few points, still are.
    """
    if breaks < 1:
        raise FitError(f"bnsl needs at least one break, not {breaks}: without one it is `power` with its E")
    same_length(x=x, y=y, runs=runs, seeds=seeds)
    x, y = positive("x", x, runs), positive("loss", y, runs)
    enough(len(x), 3 + 3 * breaks, f"bnsl with {breaks} break{'s' if breaks > 1 else ''}")
    varied("x", x, "a broken law", "tell a slope from one budget")
    law = SmoothBroken(np.log(x), np.log(y), breaks)
    design = Design.of(labels_of(runs, len(x)), seeds, x, x)
    settings = Settings(
        loss=loss,
        delta=delta,
        starts=starts * breaks**2,
        bootstrap=bootstrap,
        seed=seed,
        hold_out_largest=hold_out_largest,
    )
    return estimate(law, np.log1p(y), design, settings)


def predict_bnsl(params: dict[str, float], x: ArrayLike) -> Array:
    """The law at x (n,), from the parameters by symbol."""
    log_x = np.log(np.asarray(x, dtype=float))
    log_reducible = np.log(params["b"]) - params["c0"] * log_x
    for i in range(1, (len(params) - 3) // 3 + 1):
        width = params[f"f{i}"]
        soft = np.logaddexp(0, (log_x - np.log(params[f"d{i}"])) / width)
        log_reducible = log_reducible - params[f"c{i}"] * width * soft
    return params["a"] + np.exp(log_reducible)
