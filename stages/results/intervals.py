"""Intervals of the mean over repeats, without `scipy.stats`, which takes a second to import."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Interval = tuple[float, float, float]
"""Mean, low, high."""

_RESAMPLES = 2000


def mean_interval(values: Sequence[float], confidence: float = 0.95, logarithmic: bool = False) -> Interval:
    """Mean of independent repeats and its confidence interval (Student's t); one repeat has no interval: NaN.

    `logarithmic`: of the values' logarithms, brought back: a geometric mean.
    """
    if logarithmic:
        with np.errstate(over="ignore"):  # an end beyond the largest number is infinite
            mean, low, high = np.exp(mean_interval(np.log(values).tolist(), confidence)).tolist()
        return mean, low, high
    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    if len(sample) < 2:
        return mean, math.nan, math.nan
    half = float(special.stdtrit(len(sample) - 1, (1 + confidence) / 2) * sample.std(ddof=1)) / math.sqrt(len(sample))
    return mean, mean - half, mean + half


def bootstrap_interval(values: Sequence[float]) -> Interval:
    """Mean of independent repeats and its 95 % bootstrap interval (BCa); one repeat has no interval: NaN.

    For bounded scores whose repeats lie in two heaps: the interval leans to the heaps' side as the sample does and
    never leaves its range, where Student's t would go above an accuracy of 1. Repeats that all agree give an interval
    of no width. The resamples are the same in every call. Source: Efron, "Better bootstrap confidence intervals", 1987.
    """
    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    if len(sample) < 2:
        return mean, math.nan, math.nan
    if np.allclose(sample, mean, rtol=1e-12, atol=0.0):  # BCa would divide rounding errors by each other
        return mean, mean, mean
    return mean, *bca_interval(sample, 0.95, _RESAMPLES)


def share_interval(values: Sequence[bool] | NDArray[np.bool_]) -> Interval:
    """Share of the repeats that are true and its 95 % interval (Wilson, 1927), which has a width even at 0 and at 1."""
    count = len(values)
    share = int(np.sum(values)) / count
    z = float(special.ndtri(0.975))
    centre, shrunk = share + z * z / (2 * count), 1 + z * z / count
    half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return share, min((centre - half) / shrunk, share), max((centre + half) / shrunk, share)


def score_interval(values: Sequence[float] | Sequence[bool], about: Mapping[str, Any]) -> Interval:
    """Mean of a score over repeats and its 95 % interval, of the kind that fits what its document says of it.

    `about` is one of `documents()[STUDY]["scores"]`. Values that are true or false give a share, and the interval of a
    share (`percent`) ends where shares do.
    """
    if isinstance(values[0], bool):
        return share_interval(np.asarray(values, dtype=np.bool_))
    if about.get("bounded"):
        return bootstrap_interval(values)
    mean, low, high = mean_interval(values, logarithmic=about.get("logarithmic", False))
    return (mean, *np.clip((low, high), 0.0, 1.0).tolist()) if about.get("percent") else (mean, low, high)


def bca_interval(sample: NDArray[np.float64], confidence: float, resamples: int) -> tuple[float, float]:
    """The bootstrap interval (BCa) of a sample's mean; the resamples are the same in every call.

    The same to the last bits as `scipy.stats.bootstrap`, and without its import.
    """
    count, mean = len(sample), sample.mean()
    draws = np.random.default_rng(0).integers(0, count, (resamples, count))
    means = sample[draws].mean(axis=-1)
    bias = special.ndtri(((means < mean).sum() + (means <= mean).sum()) / (2 * resamples))
    influence = sample - mean  # of each value on the mean: the jackknife
    acceleration = (influence**3).sum() / (6 * (influence**2).sum() ** 1.5)
    ends = bias + special.ndtri([(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = np.quantile(means, special.ndtr(bias + ends / (1 - acceleration * ends)))
    return float(low), float(high)
