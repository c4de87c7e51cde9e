"""Intervals against published tables and by simulation."""

import math

import numpy as np
import pytest

from stages.results.statistics import mean_interval


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
