"""Intervals against the library's own, which takes a second to import."""

import numpy as np
import pytest
from scipy import stats

from stages.results.intervals import bca_interval, mean_interval, score_interval, share_interval


@pytest.mark.parametrize("repeats", [2, 3, 10, 30])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_mean_has_students_interval(repeats, confidence):
    values = np.random.default_rng(repeats).normal(3, 2, repeats)
    mean, low, high = mean_interval(values, confidence)
    expected = stats.t.interval(confidence, repeats - 1, loc=values.mean(), scale=stats.sem(values))
    assert (mean, low, high) == pytest.approx((values.mean(), *expected), rel=1e-12)


@pytest.mark.parametrize("repeats", [1, 2, 10, 30])
def test_a_share_has_wilsons_interval(repeats):
    for count in range(repeats + 1):
        expected = stats.binomtest(count, repeats).proportion_ci(method="wilson")
        found = share_interval(np.arange(repeats) < count)
        assert found == pytest.approx((count / repeats, *expected), abs=1e-12)
        assert found[1] <= found[0] <= found[2]


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
@pytest.mark.parametrize("heaps", [True, False])
def test_a_bounded_mean_has_the_librarys_bootstrap_interval(heaps, confidence):
    generator = np.random.default_rng(7)
    for repeats in (3, 6, 10, 30):
        sample = generator.permutation(np.arange(repeats) % 3 > 0) * 0.5 if heaps else generator.beta(2, 1, repeats)
        expected = stats.bootstrap(
            (sample,), np.mean, n_resamples=2000, confidence_level=confidence, method="BCa",
            rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        assert bca_interval(sample, confidence, 2000) == pytest.approx(tuple(expected), abs=1e-12)


def test_each_score_has_the_interval_of_its_kind():
    values = [0.5, 0.9, 1.0, 1.0]
    assert score_interval([True, False, True], {"bounded": True}) == share_interval([True, False, True])
    assert score_interval(values, {}) == mean_interval(values)
    assert score_interval(values, {"logarithmic": True}) == mean_interval(values, logarithmic=True)
    assert score_interval(values, {"bounded": True})[1:] == bca_interval(np.array(values), 0.95, 2000)


@pytest.mark.parametrize("values", [[1.0, 1.0, 0.9], [0.0, 0.1, 0.0], [0.7, 0.72, 0.75], [0.0, 1.0], [0.5]])
def test_the_interval_of_a_share_ends_where_shares_do(values):
    mean, low, high = mean_interval(values)
    shown = score_interval(values, {"percent": True})
    np.testing.assert_equal(shown, (mean, max(low, 0.0), min(high, 1.0)) if len(values) > 1 else (mean, low, high))
