"""Joint laws of parameters N and tokens D: Chinchilla's sum and Kaplan's nested form.

chinchilla  L = E + A/N^alpha + B/D^beta                    Hoffmann et al. 2022 (arXiv 2203.15556), equation 2, fitted
            as in their section 3.3: Huber on log L through a log-sum-exp; starts and checks after Besiroglu et al. 2024
            (arXiv 2404.10102).
kaplan      L = ((Nc/N)^(aN/aD) + Dc/D)^aD                  Kaplan et al. 2020 (arXiv 2001.08361), equation 1.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shrunk_core.errors import FitError

from .estimate import HUBER_DELTA, Design, Settings, estimate
from .inputs import enough, labels_of, positive, same_length, varied
from .result import FitResult

Array = NDArray[np.float64]

FLOPS_PER_PARAMETER_TOKEN = 6
"""C = 6 N D (Kaplan et al. 2020, section 2.1): how budgets become tokens where only FLOPs are known."""
_TOGETHER = 1 - 1e-6
"""Correlation of log N and log D from which they count as one variable."""


@dataclass(frozen=True)
class Chinchilla:
    """Coordinates (log E, log of the N term at the centre, log of the D term at the centre, alpha, beta)."""

    log_n: Array
    log_d: Array
    log_y: Array
    name: str = "chinchilla"
    symbols: tuple[str, ...] = ("E", "A", "B", "alpha", "beta")
    exponents: tuple[str, ...] = ("alpha", "beta")
    positive: tuple[str, ...] = ("E", "A", "B", "alpha", "beta")

    def residuals(self, theta: Array) -> tuple[Array, Array]:
        n, d = self.log_n - self.log_n.mean(), self.log_d - self.log_d.mean()
        e, a, b, alpha, beta = theta.T[:, :, None]
        of_n, of_d = a - alpha * n, b - beta * d
        highest = np.maximum(np.maximum(e, of_n), of_d)
        terms = [np.exp(e - highest), np.exp(of_n - highest), np.exp(of_d - highest)]
        total = terms[0] + terms[1] + terms[2]
        share_e, share_n, share_d = (term / total for term in terms)
        jacobian = np.stack([share_e, share_n, share_d, -share_n * n, -share_d * d], -1)
        return highest + np.log(total) - self.log_y, jacobian

    def params(self, theta: Array) -> Array:
        e, a, b, alpha, beta = theta.T
        with np.errstate(over="ignore", under="ignore"):
            prefactors = np.exp(a + alpha * self.log_n.mean()), np.exp(b + beta * self.log_d.mean())
            return np.stack([np.exp(e), *prefactors, alpha, beta], -1)

    def starts(self, count: int, rng: np.random.Generator) -> Array:
        """Exponents 0.05 to 1.2, E 30 to 99 % of the lowest loss, the rest split between the N and the D term."""
        level, lowest = np.exp(self.log_y.mean()), np.exp(self.log_y.min())
        irreducible = rng.uniform(0.3, 0.99, count) * lowest
        share, left = rng.uniform(0.1, 0.9, count), level - irreducible
        return np.stack(
            [
                np.log(irreducible),
                np.log(share * left),
                np.log((1 - share) * left),
                rng.uniform(0.05, 1.2, count),
                rng.uniform(0.05, 1.2, count),
            ],
            -1,
        )


@dataclass(frozen=True)
class Kaplan:
    """Coordinates (log loss of the N term alone and of the D term alone at the centre, aN, aD)."""

    log_n: Array
    log_d: Array
    log_y: Array
    name: str = "kaplan"
    symbols: tuple[str, ...] = ("Nc", "Dc", "aN", "aD")
    exponents: tuple[str, ...] = ("aN", "aD")
    positive: tuple[str, ...] = ("Nc", "Dc", "aN", "aD")

    def residuals(self, theta: Array) -> tuple[Array, Array]:
        n, d = self.log_n - self.log_n.mean(), self.log_d - self.log_d.mean()
        level_n, level_d, a_n, a_d = theta.T[:, :, None]
        a_d = np.where(a_d > 0, a_d, np.nan)  # outside the law: the solver takes a NaN objective as no improvement
        of_n, of_d = (level_n - a_n * n) / a_d, (level_d - a_d * d) / a_d
        both = np.logaddexp(of_n, of_d)
        share = np.exp(of_n - both)
        own = both - share * of_n - (1 - share) * of_d - (1 - share) * d
        return a_d * both - self.log_y, np.stack([share, 1 - share, -share * n, own], -1)

    def params(self, theta: Array) -> Array:
        level_n, level_d, a_n, a_d = theta.T
        with np.errstate(all="ignore"):
            critical = np.exp(self.log_n.mean() + level_n / a_n), np.exp(self.log_d.mean() + level_d / a_d)
        return np.stack([*critical, a_n, a_d], -1)

    def starts(self, count: int, rng: np.random.Generator) -> Array:
        level = self.log_y.mean()
        exponents = rng.uniform(0.02, 0.6, (2, count))
        return np.stack([level - rng.uniform(0, 1, count), level - rng.uniform(0, 1, count), *exponents], -1)


def fit_chinchilla(
    n: ArrayLike,
    loss_values: ArrayLike,
    d: ArrayLike | None = None,
    flops: ArrayLike | None = None,
    runs: ArrayLike | None = None,
    seeds: ArrayLike | None = None,
    form: str = "chinchilla",
    loss: str = "huber",
    delta: float = HUBER_DELTA,
    starts: int = 200,
    bootstrap: int = 1000,
    seed: int = 0,
    hold_out_largest: bool = False,
) -> FitResult:
    """Fit a joint law of N and D.

    n             (n,) parameters; d (n,) training tokens, or flops (n,), from which d = C / (6 N).
    loss_values   (n,) loss in nats a token.
    form          `chinchilla` (E, A, B, alpha, beta) or `kaplan` (Nc, Dc, aN, aD).
    The rest as in `powerlaw.fit_power`.

    Refuses (FitError) one model size, one number of tokens, and one budget C = 6 N D only: along a single budget N and D
    say the same thing. Sizes and tokens that move together (D = 20 N throughout) come back as not identifiable.
    """
    if form not in ("chinchilla", "kaplan"):
        raise FitError(f"unknown joint form {form!r}: chinchilla or kaplan")
    if (d is None) == (flops is None):
        raise FitError(f"{form} needs tokens or FLOPs beside the parameters: give one of d and flops")
    same_length(n=n, loss=loss_values, d=d, flops=flops, runs=runs, seeds=seeds)
    sizes, y = positive("n", n, runs), positive("loss", loss_values, runs)
    if d is None:
        assert flops is not None
        tokens = positive("flops", flops, runs) / (FLOPS_PER_PARAMETER_TOKEN * sizes)
    else:
        tokens = positive("d", d, runs)
    budget = FLOPS_PER_PARAMETER_TOKEN * sizes * tokens
    enough(len(y), 5 if form == "chinchilla" else 4, form)
    varied("number of parameters", sizes, form, "tell the exponent of N")
    varied("number of tokens", tokens, form, "tell the exponent of D")
    varied("budget", budget, form, "tell N and D apart along one budget")
    law = {"chinchilla": Chinchilla, "kaplan": Kaplan}[form](np.log(sizes), np.log(tokens), np.log(y))
    design = Design.of(labels_of(runs, len(y)), seeds, budget, sizes, tokens)
    settings = Settings(
        loss=loss, delta=delta, starts=starts, bootstrap=bootstrap, seed=seed, hold_out_largest=hold_out_largest
    )
    known = ""
    if abs(np.corrcoef(law.log_n, law.log_d)[0, 1]) > _TOGETHER:
        known = (
            "N and D move together in this design (one is a power of the other): their exponents cannot be told apart"
        )
    return estimate(law, law.log_y, design, settings, known)
