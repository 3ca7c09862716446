"""What the points say about a break: is there one, and in which gap between two budgets?

Is there a break at all? Under one law the break does not exist, so no likelihood-ratio table applies (Davies 1987).
The largest statistic over all candidate breaks is compared with its own distribution on data made under the one-law fit,
whole runs keeping their residuals up to a common random sign (wild cluster bootstrap: Cameron, Gelbach, Miller 2008).

Where is it? Between two neighbouring budgets the data say nothing: a break anywhere in that gap fits alike, so what can be
estimated is a gap. The interval holds every gap that a likelihood ratio does not reject (Hansen 2000, "Sample splitting
and threshold estimation", Econometrica 68(3), section 3.3). A percentile of resampled breaks would end inside a gap, where
nothing distinguishes its two sides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .result import LEVEL
from .segments import LEAST, line_rss, scan_jump, scan_kink, splits

Array = NDArray[np.float64]

_CRITICAL = float(-2 * np.log(1 - np.sqrt(LEVEL)))
"""Hansen 2000, theorem 2: the ratio is distributed as the larger of two exponentials, P(r <= c) = (1 - exp(-c / 2))^2; 7.35."""


def one_law_test(
    log_x: Array, log_y: Array, clusters: NDArray[np.intp], jump: bool, count: int, rng: np.random.Generator
) -> float:
    """p-value of one law: how often data made under it give a larger sup of (RSS1 - RSS2) / RSS2 over all breaks.
    Inputs sorted by log_x (n,); clusters (n,) numbered from 0; count resamples."""
    scan = scan_jump if jump else scan_kink
    every = np.ones((1, len(log_x)))
    line, rss = line_rss(log_x, log_y, every)
    floor = 1e-20 * float(log_y @ log_y)  # points exactly on two lines
    observed = rss / (scan(log_x, log_y, every, LEAST).rss + floor)
    fitted = line[0, 0] + line[0, 1] * log_x
    signs = rng.choice([-1.0, 1.0], size=(count, int(clusters.max()) + 1))[:, clusters]
    made = fitted + signs * (log_y - fitted)
    weights = np.ones_like(made)
    statistic = line_rss(log_x, made, weights)[1] / (scan(log_x, made, weights, LEAST).rss + floor)
    return float((1 + (statistic >= observed[0] * (1 - 1e-12)).sum()) / (count + 1))


def break_gaps(log_x: Array, objective: Array, units: int, robust: bool = False) -> tuple[float, float]:
    """Ends (log x) of the run of gaps in which a break with a jump may lie, at 95 %.

    log_x      (n,) sorted. objective (K,): of the two-line fit with the break in each of the gaps of `segments.splits`,
               sums of squares, or of Huber losses where `robust`.
    units      independent runs behind the points. The ratio counts them in the place of points, less the five numbers that
               were fitted: rows of one run that err together then count once.

    A clear break is found in its gap almost always, and the gap is kept whole: the interval then holds the break more often
    than it says, and can do no better (Hansen's theorem 3). How often for weak ones: `benchmarks/results/fits.md`.
    """
    cut = splits(log_x, LEAST)
    # beyond its threshold a Huber loss is an absolute value; 4 / pi makes its differences those of squares, normal errors
    scale = 4 / np.pi if robust else 1.0
    least = objective.min()
    ratio = scale * max(units - 5, 0) * (objective - least) / max(least, 1e-300)
    kept = np.flatnonzero(~(ratio > _CRITICAL) | (objective <= least * (1 + 1e-9) + 1e-18))
    return float(log_x[cut[kept[0]] - 1]), float(log_x[cut[kept[-1]]])
