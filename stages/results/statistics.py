"""Intervals over repeats, effects between arms, and what repeats can and cannot show.

Of SciPy they use `special`, since `stats` takes a second to import.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from stages.results.intervals import Interval, bca_interval, mean_interval

MOST_REPEATS = 10_000
"""Beyond this, no number of repeats is said to settle a question."""

_RESAMPLES_OF_AN_EFFECT = 99_999  # its ends lie far out, and must not hang on the draws
_SIGN_FLIPS = 4999
_RESAMPLES_OF_RUNS = 2000


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
    repeats, mean = len(sample), float(sample.mean())
    deviation = float(sample.std(ddof=1)) if repeats > 1 else math.nan
    if bootstrapped and repeats < fewest_for_bootstrap(confidence):
        return Effect(mean, math.nan, math.nan, deviation, repeats)
    if repeats > 1 and np.allclose(sample, mean, rtol=1e-12, atol=0.0):  # but for rounding
        return Effect(mean, mean, mean, 0.0, repeats)
    if not bootstrapped:
        return Effect(*mean_interval(sample.tolist(), confidence), deviation, repeats)
    quantile = math.sqrt(repeats / (repeats - 1)) * special.stdtrit(repeats - 1, (1 + confidence) / 2)
    ends = bca_interval(sample, 1 - 2 * float(special.ndtr(-quantile)), _RESAMPLES_OF_AN_EFFECT)
    return Effect(mean, *ends, deviation, repeats)


def unpaired_effect(first: ArrayLike, second: ArrayLike) -> Effect:
    """Mean of `first` minus that of `second`, which share nothing, with its 95 % interval (Welch's t)."""
    samples = [np.asarray(values, dtype=np.float64) for values in (first, second)]
    mean = float(samples[0].mean() - samples[1].mean())
    repeats = min(len(sample) for sample in samples)
    if repeats < 2:
        return Effect(mean, math.nan, math.nan, math.nan, repeats)
    variances = [float(sample.var(ddof=1)) / len(sample) for sample in samples]  # of the two means
    if not (variance := sum(variances)):
        return Effect(mean, mean, mean, 0.0, repeats)
    degrees = variance**2 / sum(part**2 / (len(sample) - 1) for part, sample in zip(variances, samples, strict=True))
    half = float(special.stdtrit(degrees, 0.975)) * math.sqrt(variance)
    return Effect(mean, mean - half, mean + half, math.sqrt(variance * repeats), repeats)


def resampled_effect(differences: ArrayLike, test_to_train: float) -> Effect:
    """Mean difference over random splits of one data set, (splits,), with a 95 % interval that knows they overlap.

    `test_to_train`: test items over training items of a split. Student's t with the variance of the mean raised from
    σ² / splits to σ² (1 / splits + test_to_train), for the splits share most of their items; more splits do not make
    up for more data. Source: Nadeau and Bengio, "Inference for the generalization error", 2003, section 4.1.
    """
    sample = np.asarray(differences, dtype=np.float64)
    plain = paired_effect(sample)
    wider = math.sqrt(1 + len(sample) * test_to_train)
    low, high = (plain.mean + (end - plain.mean) * wider for end in (plain.low, plain.high))
    return Effect(plain.mean, low, high, plain.deviation * wider, plain.repeats)


def p_value(effect: Effect, bound: float = 0.0) -> float:
    """Two-sided, that the mean effect is `bound`: Student's t, whatever made the interval.

    Of repeats that agree exactly, that so many lie on one side by chance.
    """
    if effect.deviation == 0.0:
        return 2.0 ** (1 - effect.repeats)
    t = abs(effect.mean - bound) * math.sqrt(effect.repeats) / effect.deviation
    return float(2 * special.stdtr(effect.repeats - 1, -t))


def interquartile_mean(scores: ArrayLike) -> float:
    """Mean of the middle half of all scores (runs,): a quarter is left out at either end, whole scores only.

    Source: Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", 2021, section 4.3.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def probability_of_improvement(first: ArrayLike, second: ArrayLike) -> Interval:
    """The chance that a run of `first` (runs,) scores higher than one of `second` (runs,).

    Equal scores count half, so that 0.5 is no difference (Mann and Whitney's U over the pairs). Its interval is the
    bootstrap's, of the same draws in every call, the runs of the two drawn apart. Source: Agarwal et al. 2021, section
    4.3.
    """
    better, worse = (np.asarray(scores, dtype=np.float64) for scores in (first, second))
    wins = (np.sign(better[:, None] - worse) + 1) / 2  # (runs of first, runs of second)
    generator = np.random.default_rng(0)
    # How often each run is drawn says as much as the draws, and is a product away from the mean.
    drawn = [generator.multinomial(runs, np.full(runs, 1 / runs), _RESAMPLES_OF_RUNS) / runs for runs in wins.shape]
    chances = np.einsum("df,fs,ds->d", drawn[0], wins, drawn[1])
    low, high = np.quantile(chances, [0.025, 0.975]).tolist()
    return float(wins.mean()), low, high


def widening(one_split: ArrayLike, own_splits: ArrayLike) -> Interval:
    """How many times as wide an interval of repeats (repeats,) is that each draw a split of the data of their own.

    Than one of repeats that share a split, at least two of each; below 1 only by chance. With its interval by the F
    distribution, so for about normal scores.
    """
    seed, both = (float(np.var(np.asarray(arm, dtype=np.float64), ddof=1)) for arm in (one_split, own_splits))
    degrees = len(np.asarray(own_splits)) - 1, len(np.asarray(one_split)) - 1
    ratio = both / seed if seed else (math.inf if both else 1.0)
    low, high = (ratio / float(special.fdtri(*degrees, chance)) for chance in (0.975, 0.025))
    return math.sqrt(ratio), math.sqrt(low), math.sqrt(high)


def fewest_for_bootstrap(confidence: float = 0.95) -> int:
    """The fewest repeats that a bootstrap can decide from.

    With fewer, all of them lie on one side of no effect by chance alone too often, and then so do all resamples.
    """
    return math.ceil(math.log2(2 / (1 - confidence)))


def smallest_detectable(deviation: float, repeats: int, confidence: float = 0.95) -> float:
    """The true effect that an interval of so many repeats, at least two, excludes none from with a probability of 80 %.

    By the noncentral t distribution, so for about normal repeats.
    """
    degrees = repeats - 1
    critical = special.stdtrit(degrees, (1 + confidence) / 2)
    return float(special.nctdtrinc(degrees, 0.2, critical)) * deviation / math.sqrt(repeats)


def repeats_needed(deviation: float, distance: float, fewest: int = 2, confidence: float = 0.95) -> int | None:
    """The least number of repeats whose interval would be less than `distance` wide on either side.

    That is, at the deviation seen so far (Student's t). None where even `MOST_REPEATS` would not do.
    """

    def settled(repeats: int) -> bool:
        return bool(special.stdtrit(repeats - 1, (1 + confidence) / 2) * deviation / math.sqrt(repeats) < distance)

    numbers = range(fewest, MOST_REPEATS + 1)
    place = bisect_left(numbers, True, key=settled)
    return numbers[place] if place < len(numbers) else None


def sign_flip_p_values(differences: ArrayLike) -> NDArray[np.float64]:
    """Two-sided p-values that the mean difference is zero, of paired differences (repeats, tests): (tests,).

    A permutation test, which needs no distribution: where the two arms are alike, any difference could as well have
    the other sign. Exact for up to 12 repeats, otherwise from the same random flips in every call. The same as
    `scipy.stats.permutation_test`, and without its import.
    """
    sample = np.asarray(differences, dtype=np.float64)
    repeats = len(sample)
    if exact := 2**repeats <= _SIGN_FLIPS:
        signs = 1 - 2 * (np.arange(2**repeats)[:, None] >> np.arange(repeats) & 1)
    else:
        pairs = np.tile([1, -1], (_SIGN_FLIPS, repeats, 1))
        signs = np.random.default_rng(0).permuted(pairs, axis=-1)[..., 0]
    mean, flipped = sample.mean(0), signs @ sample / repeats
    rounding = 100 * np.finfo(np.float64).eps * np.abs(mean)
    seen = 0 if exact else 1  # the differences as they are, which chance may not have drawn
    as_low, as_high = ((side.sum(0) + seen) for side in (flipped <= mean + rounding, flipped >= mean - rounding))
    p_values: NDArray[np.float64] = 2 * np.minimum(as_low, as_high) / (len(signs) + seen)
    return p_values.clip(max=1.0)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values corrected so that the chance of any false call among them stays at the level that each is held to.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    return corrected
