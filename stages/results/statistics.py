"""Intervals over repeats."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Interval = tuple[float, float, float]  # mean, low, high

_RESAMPLES = 2000


def mean_interval(values: Sequence[float], confidence: float = 0.95, logarithmic: bool = False) -> Interval:
    """Mean of independent repeats and its confidence interval (Student's t); one repeat has no interval: NaN.

    `logarithmic`: of the values' logarithms, brought back: a geometric mean.
    """
    if logarithmic:
        mean, low, high = np.exp(mean_interval(np.log(values).tolist(), confidence)).tolist()
        return mean, low, high
    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    if len(sample) < 2:
        return mean, float("nan"), float("nan")
    error = float(stats.sem(sample))
    if error == 0.0:
        return mean, mean, mean
    low, high = stats.t.interval(confidence, len(sample) - 1, loc=mean, scale=error)
    return mean, float(low), float(high)


def bootstrap_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean of independent repeats and its bootstrap interval (BCa); one repeat has no interval: NaN.

    For bounded scores whose repeats lie in two heaps: the interval leans to the heaps' side as the sample does and
    never leaves its range, where Student's t would go above an accuracy of 1. Repeats that all agree give an interval
    of no width. The resamples are the same in every call. Source: Efron, "Better bootstrap confidence intervals", 1987.
    """
    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    if len(sample) < 2:
        return mean, float("nan"), float("nan")
    if np.allclose(sample, mean, rtol=1e-12, atol=0.0):  # BCa would divide rounding errors by each other
        return mean, mean, mean
    generator = np.random.default_rng(0)
    interval = stats.bootstrap(
        (sample,), np.mean, n_resamples=_RESAMPLES, confidence_level=confidence, method="BCa", rng=generator
    ).confidence_interval
    return mean, float(interval.low), float(interval.high)


def share_interval(values: Sequence[bool] | NDArray[np.bool_], confidence: float = 0.95) -> Interval:
    """Share of the repeats that are true and its interval (Wilson, 1927), which has a width even at 0 and at 1."""
    successes = int(np.sum(values))
    interval = stats.binomtest(successes, len(values)).proportion_ci(confidence, method="wilson")
    return successes / len(values), float(interval.low), float(interval.high)
