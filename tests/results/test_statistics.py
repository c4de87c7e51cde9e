"""Intervals against published tables and by simulation."""

import math
import warnings

import numpy as np
import pytest
from scipy import stats

from stages.results.statistics import bootstrap_interval, mean_interval, share_interval


def test_against_the_t_table():
    # n = 3: t(0.975, 2) = 4.302653; values 1, 2, 3 have mean 2 and standard error 1/sqrt(3).
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert high - mean == pytest.approx(4.302653 / math.sqrt(3), abs=1e-5)
    assert mean - low == pytest.approx(high - mean)


def test_one_repeat_has_no_interval():
    mean, low, high = mean_interval([5.0])
    assert mean == 5.0
    assert math.isnan(low)
    assert math.isnan(high)


def test_equal_repeats_have_an_interval_of_no_width():
    assert mean_interval([2.0, 2.0]) == (2.0, 2.0, 2.0)


def test_the_interval_covers_the_truth_at_its_rate():
    generator = np.random.default_rng(0)
    samples = generator.normal(3.0, 2.0, size=(2000, 4))
    covered = [low <= 3.0 <= high for _, low, high in map(mean_interval, samples)]
    assert 0.935 < np.mean(covered) < 0.965


def test_on_a_logarithmic_scale_the_mean_is_geometric_and_no_interval_goes_below_zero():
    mean, low, high = mean_interval([100.0, 1000.0], logarithmic=True)
    assert mean == pytest.approx(math.sqrt(100 * 1000))
    assert low * high == pytest.approx(mean**2)  # symmetric as logarithms
    assert low > 0


def heaps(low, high, n_low, n_high):
    return [low] * n_low + [high] * n_high


def exact_bca(low, high, n_low, n_high):
    """Efron's BCa for a sample of two values, where the resamples' means are exactly binomial."""
    n = n_low + n_high
    count = stats.binom(n, n_high / n)
    bias = stats.norm.ppf(count.cdf(n_high) - count.pmf(n_high) / 2)
    without = np.array([(n_high - 1) / (n - 1)] * n_high + [n_high / (n - 1)] * n_low)  # jackknife
    difference = without.mean() - without
    acceleration = (difference**3).sum() / (6 * (difference**2).sum() ** 1.5)
    quantiles = [stats.norm.ppf(0.025) + bias, stats.norm.ppf(0.975) + bias]
    levels = [stats.norm.cdf(bias + q / (1 - acceleration * q)) for q in quantiles]
    return [low + (high - low) * count.ppf(level) / n for level in levels]


@pytest.mark.parametrize("split", [(6, 24), (15, 15), (27, 3)])
def test_the_bootstrap_of_two_heaps_is_the_binomial_one(split):
    mean, low, high = bootstrap_interval(heaps(0.5, 1.0, *split))
    assert mean == pytest.approx((0.5 * split[0] + split[1]) / 30)
    step = 0.5 / 30  # a repeat more or less in the upper heap: resampling is not finer than that
    assert [low, high] == pytest.approx(exact_bca(0.5, 1.0, *split), abs=1.01 * step)


def test_the_bootstrap_stays_within_the_sample_where_students_t_does_not():
    sample = heaps(0.5, 1.0, 2, 8)
    _, low, high = bootstrap_interval(sample)
    assert mean_interval(sample)[2] > 1.0
    assert 0.5 <= low < high <= 1.0


def test_the_bootstrap_covers_the_truth_of_heaps_at_about_its_rate():
    generator = np.random.default_rng(0)
    samples = np.where(generator.random((400, 30)) < 0.7, 1.0, 0.5)
    covered = [low <= 0.85 <= high for _, low, high in map(bootstrap_interval, samples)]
    assert 0.92 < np.mean(covered) < 0.98


def test_every_sample_has_a_defined_bootstrap_interval_and_no_warning():
    samples = [[0.0] * 30, [1.0] * 10, [0.1 + 0.2, 0.3, 0.3], [0.5, 1.0], heaps(0.5, 1.0, 29, 1), heaps(0.0, 1.0, 1, 4)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for sample in samples:
            mean, low, high = bootstrap_interval(sample)
            assert min(sample) <= low <= mean + 1e-12
            assert mean - 1e-12 <= high <= max(sample)


def test_the_bootstrap_of_a_sample_is_always_the_same():
    sample = heaps(0.5, 1.0, 4, 6)
    assert bootstrap_interval(sample) == bootstrap_interval(sample)
    assert all(math.isnan(value) for value in bootstrap_interval([0.7])[1:])


def test_wilson_against_its_closed_form():
    z2 = stats.norm.ppf(0.975) ** 2
    assert share_interval([False] * 30) == (0.0, 0.0, pytest.approx(z2 / (30 + z2)))
    share, low, high = share_interval([True] * 12 + [False] * 8)
    middle = (12 + z2 / 2) / (20 + z2)
    half = math.sqrt(z2) / (20 + z2) * math.sqrt(12 * 8 / 20 + z2 / 4)
    assert (share, low, high) == pytest.approx((0.6, middle - half, middle + half))
