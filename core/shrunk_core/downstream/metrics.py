"""Metrics of the tasks, by scikit-learn and scipy, and their spread over examples.

`metric_value` is the number that is reported. `Resampler` computes the same metrics on many resamples of the examples at
once, from sufficient counts: for standard errors and intervals.
"""

from __future__ import annotations

import math
import warnings

import numpy as np

from ..errors import RunError

RESAMPLES = 1000

_BLOCK = 50
"""Resamples that exist as floating-point numbers at once: 16 MB for the 40,000 examples of qqp."""


def metric_value(metric: str, labels: np.ndarray, answers: np.ndarray) -> float:
    """One metric over n examples.

    labels, answers: label numbers [n], or real numbers [n] for `pearson` and `spearman`. GLUE's definitions: Matthews
    (cola), accuracy, F1 of label 1 (mrpc, qqp), Pearson and Spearman (stsb). RunError where a metric has no value: a
    correlation with answers that are all the same. (Matthews of such answers is 0, as GLUE and scikit-learn have it.)
    """
    if metric in ("pearson", "spearman"):
        if len(labels) < 2 or np.ptp(answers) == 0 or np.ptp(labels) == 0:
            raise RunError(
                f"{metric} has no value: the {'answers' if len(labels) > 1 and np.ptp(labels) else 'labels'} are all the "
                "same. The model has learnt nothing or diverged; try another learning rate or more epochs."
            )
        from scipy import stats

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.NearConstantInputWarning)
            result = stats.pearsonr(labels, answers) if metric == "pearson" else stats.spearmanr(labels, answers)
        return float(result.statistic)  # type: ignore[union-attr]
    from sklearn import metrics as sk

    match metric:
        case "accuracy":
            return float(sk.accuracy_score(labels, answers))
        case "f1":
            return float(sk.f1_score(labels, answers, zero_division=0))  # pyright: ignore[reportArgumentType]
        case "macro-f1":
            return float(sk.f1_score(labels, answers, average="macro", zero_division=0))  # pyright: ignore[reportArgumentType]
    assert metric == "matthews", metric
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A single label", category=UserWarning)  # the value is 0, as it says
        return float(sk.matthews_corrcoef(labels, answers))


def metric_or_nan(metric: str, labels: np.ndarray, answers: np.ndarray) -> float:
    """As `metric_value`, NaN where there is none: for choosing an epoch, where an undefined score just never wins."""
    try:
        return metric_value(metric, labels, answers)
    except RunError:
        return math.nan


class Resampler:
    """Bootstrap resamples of n examples, the same for every metric, seed and model that is scored on them.

    How often each example is drawn, [resamples, n], is a function of n alone.
    """

    def __init__(self, n: int, resamples: int = RESAMPLES) -> None:
        generator = np.random.Generator(np.random.Philox(key=n))
        self.n = n
        self._draws = np.concatenate(
            [generator.multinomial(n, np.full(n, 1.0 / n), size=size).astype(np.uint8) for size in _sizes(resamples)]
        )

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over each resample of values [n] or [n, columns]."""
        starts = range(0, len(self._draws), _BLOCK)
        return np.concatenate([self._draws[i : i + _BLOCK].astype(np.float64) @ values for i in starts])

    def values(self, metric: str, labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """The metric on every resample, [resamples]. Spearman keeps the ranks of the whole sample."""
        if metric in ("pearson", "spearman"):
            return self._correlation(metric, labels, answers)
        if metric == "accuracy":
            return self._sums((labels == answers).astype(np.float64)) / self.n
        table = self._tables(labels.astype(int), answers.astype(int))
        if metric == "matthews":
            return _matthews(table)
        one = table[:, 1:2, 1:2] if metric == "f1" else np.diagonal(table, axis1=1, axis2=2)[:, :, None]
        right = one[:, :, 0]
        labelled, answered = table.sum(2), table.sum(1)
        total = labelled + answered
        if metric == "f1":
            total = total[:, 1:2]
        score = np.divide(2 * right, total, out=np.zeros_like(right), where=total > 0)
        if metric == "f1":
            return score[:, 0]
        present = total > 0  # a label that neither occurs nor is answered in a resample has no F1
        return score.sum(1) / np.maximum(1, present.sum(1))

    def _tables(self, labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Confusion tables [resamples, label, answer]."""
        k = int(max(labels.max(), answers.max(), 1)) + 1
        cells = np.zeros((len(labels), k * k))
        cells[np.arange(len(labels)), labels * k + answers] = 1.0
        return self._sums(cells).reshape(-1, k, k)

    def _correlation(self, metric: str, labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
        from scipy.stats import rankdata

        x, y = (rankdata(labels), rankdata(answers)) if metric == "spearman" else (labels, answers)
        x, y = x - x.mean(), y - y.mean()
        mx, my, xx, yy, xy = (self._sums(v) / self.n for v in (x, y, x * x, y * y, x * y))
        scale = np.sqrt(np.maximum(0.0, (xx - mx * mx) * (yy - my * my)))
        return np.divide(xy - mx * my, scale, out=np.zeros_like(scale), where=scale > 0)

    def stderr(self, metric: str, labels: np.ndarray, answers: np.ndarray) -> float:
        """Bootstrap standard error of the metric over the examples."""
        return float(self.values(metric, labels, answers).std(ddof=1))


def _sizes(resamples: int) -> list[int]:
    return [min(_BLOCK, resamples - start) for start in range(0, resamples, _BLOCK)]


def _matthews(table: np.ndarray) -> np.ndarray:
    """Matthews correlation of k labels (Gorodkin 2004), 0 where the labels or the answers are all the same."""
    n, right = table.sum((1, 2)), np.trace(table, axis1=1, axis2=2)
    labelled, answered = table.sum(2), table.sum(1)
    covariance = right * n - (labelled * answered).sum(1)
    scale = np.sqrt((n**2 - (labelled**2).sum(1)) * (n**2 - (answered**2).sum(1)))
    return np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)
