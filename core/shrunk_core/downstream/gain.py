"""What pre-training gains on a task: pre-trained minus untrained, paired by seed and by example."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .metrics import Resampler, metric_value

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Mean scores over seeds, their difference, and its 95 % interval over seeds and examples. n: examples."""

    pretrained: float
    untrained: float
    gain: float
    low: float
    high: float
    seeds: int
    n: int


def paired_gain(metric: str, labels: np.ndarray, pretrained: np.ndarray, untrained: np.ndarray) -> Gain:
    """The gain over k seeds on n examples.

    labels [n]; pretrained, untrained: answers [k, n], row i of both fine-tuned with the same seed.

    Two sources of chance are added up: seeds, by the spread of the k paired differences (s^2 / k), and examples, by a
    bootstrap of the examples that both models are scored on, averaged over seeds. The interval is gain +- t * stderr
    with the degrees of freedom of Welch (1947) and Satterthwaite (1946). With one seed the spread over seeds is
    unknown and the interval is over examples only: `seeds` says so.
    """
    k, n = pretrained.shape
    before = np.array([metric_value(metric, labels, row) for row in untrained])
    after = np.array([metric_value(metric, labels, row) for row in pretrained])
    sample = Resampler(n)
    differences = np.mean(
        [
            sample.values(metric, labels, a) - sample.values(metric, labels, b)
            for a, b in zip(pretrained, untrained, strict=True)
        ],
        axis=0,
    )
    by_examples = float(differences.var(ddof=1))
    by_seeds = float((after - before).var(ddof=1)) / k if k > 1 else 0.0
    reach = _t_quantile(by_seeds, k - 1, by_examples, n - 1) * math.sqrt(by_seeds + by_examples)
    gain = float((after - before).mean())
    return Gain(
        pretrained=float(after.mean()),
        untrained=float(before.mean()),
        gain=gain,
        low=gain - reach,
        high=gain + reach,
        seeds=k,
        n=n,
    )


def _t_quantile(one: float, one_freedom: int, other: float, other_freedom: int) -> float:
    """Quantile of Student's t for a sum of two variances with these degrees of freedom."""
    from scipy.stats import t

    total = one + other
    if total == 0:
        return 0.0
    parts = [(v, f) for v, f in ((one, one_freedom), (other, other_freedom)) if v > 0 and f > 0]
    freedom = total**2 / sum(v**2 / f for v, f in parts)
    return float(t.ppf(0.5 + CONFIDENCE / 2, freedom))
