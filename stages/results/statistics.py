"""Intervals over repeats, effects between arms, and what repeats can and cannot show."""

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from stages.results.intervals import bca_interval, mean_interval

MOST_REPEATS = 10_000
"""Beyond this, no number of repeats is said to settle a question."""

_RESAMPLES_OF_AN_EFFECT = 9999  # its interval's ends lie further out
_SIGN_FLIPS = 4999


@dataclass(frozen=True)
class Effect:
    """A mean effect over repeats with its interval; the ends are NaN where the repeats are too few for one.

    `deviation` is that of one repeat's effect: the standard error is `deviation` / sqrt(`repeats`).
    """

    mean: float
    low: float
    high: float
    deviation: float
    repeats: int


def paired_effect(differences: ArrayLike, confidence: float = 0.95, bootstrapped: bool = False) -> Effect:
    """Mean of the differences (repeats,) of paired repeats, with its interval: Student's t, or the bootstrap's (BCa).

    The bootstrap of few repeats is too narrow: at a nominal 95 % its BCa interval of 10 misses the truth in some 10 %
    of samples (the tests simulate it). So its level is raised until a percentile interval of normal repeats would be
    as wide as Student's t. Source: Hesterberg, "What teachers should know about the bootstrap", 2015.
    Below `fewest_for_bootstrap` it has no interval.
    """
    sample = np.asarray(differences, dtype=np.float64)
    repeats = len(sample)
    deviation = float(sample.std(ddof=1)) if repeats > 1 else math.nan
    if not bootstrapped:
        return Effect(*mean_interval(sample.tolist(), confidence), deviation, repeats)
    mean = float(sample.mean())
    if repeats < fewest_for_bootstrap(confidence):
        return Effect(mean, math.nan, math.nan, deviation, repeats)
    if np.allclose(sample, mean, rtol=1e-12, atol=0.0):
        return Effect(mean, mean, mean, 0.0, repeats)
    quantile = math.sqrt(repeats / (repeats - 1)) * stats.t.isf((1 - confidence) / 2, repeats - 1)
    ends = bca_interval(sample, 1 - 2 * float(stats.norm.sf(quantile)), _RESAMPLES_OF_AN_EFFECT)
    return Effect(mean, *ends, deviation, repeats)


def unpaired_effect(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> Effect:
    """Mean of `first` minus that of `second`, which share nothing, with its interval (Welch's t)."""
    samples = [np.asarray(values, dtype=np.float64) for values in (first, second)]
    mean = float(samples[0].mean() - samples[1].mean())
    repeats = min(len(sample) for sample in samples)
    if repeats < 2:
        return Effect(mean, math.nan, math.nan, math.nan, repeats)
    error = math.hypot(*(float(stats.sem(sample)) for sample in samples))
    if error == 0.0:
        return Effect(mean, mean, mean, 0.0, repeats)
    interval = stats.ttest_ind(*samples, equal_var=False).confidence_interval(confidence)
    return Effect(mean, float(interval.low), float(interval.high), error * math.sqrt(repeats), repeats)


def fewest_for_bootstrap(confidence: float = 0.95) -> int:
    """The fewest repeats that a bootstrap can decide from.

    With fewer, all of them lie on one side of no effect by chance alone too often, and then so do all resamples.
    """
    return math.ceil(math.log2(2 / (1 - confidence)))


def smallest_detectable(deviation: float, repeats: int, confidence: float = 0.95, power: float = 0.8) -> float:
    """The true effect that an interval of so many repeats, at least two, excludes none from with probability `power`.

    By the noncentral t distribution, so for about normal repeats.
    """
    degrees = repeats - 1
    critical = stats.t.isf((1 - confidence) / 2, degrees)
    # The noncentral t has no closed inverse; its median lies near the noncentrality, so the root is within a few of it.
    noncentrality = optimize.brentq(lambda shift: stats.nct.sf(critical, degrees, shift) - power, 0, 2 * critical + 5)
    return float(noncentrality) * deviation / math.sqrt(repeats)


def repeats_needed(deviation: float, distance: float, fewest: int = 2, confidence: float = 0.95) -> int | None:
    """The least number of repeats whose interval would be less than `distance` wide on either side.

    That is, at the deviation seen so far (Student's t). None where even `MOST_REPEATS` would not do.
    """

    def settled(repeats: int) -> bool:
        return bool(stats.t.isf((1 - confidence) / 2, repeats - 1) * deviation / math.sqrt(repeats) < distance)

    numbers = range(fewest, MOST_REPEATS + 1)
    place = bisect_left(numbers, True, key=settled)
    return numbers[place] if place < len(numbers) else None


def sign_flip_p_values(differences: ArrayLike) -> NDArray[np.float64]:
    """Two-sided p-values that the mean difference is zero, of paired differences (repeats, tests): (tests,).

    A permutation test, which needs no distribution: where the two arms are alike, any difference could as well have
    the other sign. Exact for up to 12 repeats, else from the same random flips in every call.
    """
    return np.asarray(
        stats.permutation_test(
            (np.asarray(differences, dtype=np.float64),),
            np.mean,
            permutation_type="samples",
            vectorized=True,
            axis=0,
            n_resamples=_SIGN_FLIPS,
            rng=np.random.default_rng(0),
        ).pvalue
    )


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values corrected so that the chance of any false call among them stays at the level that each is held to.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    return corrected
