"""Intervals against published tables and by simulation."""

import itertools
import math
import warnings

import numpy as np
import pytest
from scipy import stats

from stages.results import statistics
from stages.results.intervals import bootstrap_interval, mean_interval, share_interval
from stages.results.statistics import (
    fewest_for_bootstrap,
    holm,
    interquartile_mean,
    p_value,
    paired_effect,
    probability_of_improvement,
    repeats_needed,
    resampled_effect,
    sign_flip_p_values,
    smallest_detectable,
    unpaired_effect,
    widening,
)


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


def test_pairs_against_scipys_paired_t_test():
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 7))
    effect = paired_effect(first - second)
    interval = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high))
    assert effect.mean == pytest.approx(first.mean() - second.mean())
    assert effect.deviation / math.sqrt(7) == pytest.approx(stats.sem(first - second))


def test_what_is_not_paired_against_welchs_formula():
    first, second = np.array([1.0, 2.0, 4.0, 3.0]), np.array([10.0, 30.0, 20.0])
    effect = unpaired_effect(first, second)
    variances = first.var(ddof=1) / 4, second.var(ddof=1) / 3
    degrees = sum(variances) ** 2 / (variances[0] ** 2 / 3 + variances[1] ** 2 / 2)
    half = stats.t.ppf(0.975, degrees) * math.sqrt(sum(variances))
    assert (effect.mean, effect.low, effect.high) == pytest.approx((-17.5, -17.5 - half, -17.5 + half))


@pytest.mark.parametrize("effect", [paired_effect([0.5]), unpaired_effect([1.0], [2.0, 3.0])])
def test_a_single_repeat_has_an_effect_and_no_interval(effect):
    assert effect.repeats == 1
    assert math.isfinite(effect.mean)
    assert math.isnan(effect.low)
    assert math.isnan(effect.high)


def at_most(rate, trials):
    """The most false calls in so many trials of which each is one with this probability (one in 1,000 has more)."""
    return stats.binom.ppf(0.999, trials, rate)


def heaps_apart(generator, repeats, settings, share):
    """The difference of two arms' mean accuracies over settings, in each of which a repeat converges or does not."""
    accuracies = np.where(generator.random((2, repeats, settings)) < share, 1.0, 0.5).mean(2)
    return accuracies[0] - accuracies[1]


NULLS = {
    "normal": lambda generator, repeats: generator.normal(size=repeats),
    "two heaps": lambda generator, repeats: heaps_apart(generator, repeats, 1, 0.8),
    "means of heaps": lambda generator, repeats: heaps_apart(generator, repeats, 6, 0.6),
}


@pytest.mark.parametrize("draw", NULLS.values(), ids=NULLS)
@pytest.mark.parametrize(("repeats", "bootstrapped"), [(5, False), (10, True), (30, True)])
def test_no_effect_is_called_one_within_the_nominal_rate(draw, repeats, bootstrapped, monkeypatch):
    # More of them make an interval steady, and are called no less often.
    monkeypatch.setattr(statistics, "_RESAMPLES_OF_AN_EFFECT", 1_999)
    generator = np.random.default_rng(0)
    trials = 600 if bootstrapped else 1000
    effects = [paired_effect(draw(generator, repeats), bootstrapped=bootstrapped) for _ in range(trials)]
    assert sum(effect.low > 0 or effect.high < 0 for effect in effects) <= at_most(0.05, trials)


def test_a_bootstrap_of_few_repeats_at_its_nominal_level_would_call_too_many():
    # Why paired_effect raises the level.
    generator = np.random.default_rng(0)
    intervals = [bootstrap_interval(generator.normal(size=10)) for _ in range(400)]
    assert sum(low > 0 or high < 0 for _, low, high in intervals) > at_most(0.05, 400)


def test_below_the_fewest_repeats_all_on_one_side_are_too_likely_by_chance():
    for confidence in (0.9, 0.95, 0.9875):
        fewest = fewest_for_bootstrap(confidence)
        assert 2 * 0.5**fewest <= 1 - confidence < 2 * 0.5 ** (fewest - 1)
        assert math.isnan(paired_effect([0.1] * (fewest - 1), confidence, bootstrapped=True).low)
        assert paired_effect([0.1] * fewest, confidence, bootstrapped=True).low == pytest.approx(0.1)


@pytest.mark.parametrize("repeats", [2, 3, 10, 30])
def test_the_smallest_detectable_effect_is_called_as_often_as_it_says(repeats):
    generator = np.random.default_rng(0)
    effect = smallest_detectable(2.0, repeats)
    found = stats.power(
        stats.ttest_1samp,
        lambda size: generator.normal(effect, 2.0, size),
        (repeats,),
        significance=0.05,
        kwargs={"popmean": 0.0},
    )
    assert found.power == pytest.approx(0.8, abs=0.015)


def exactly(mean, deviation, repeats):
    """Repeats of just this mean and standard deviation."""
    shape = stats.norm.ppf((np.arange(repeats) + 0.5) / repeats)
    return mean + deviation * (shape - shape.mean()) / shape.std(ddof=1)


@pytest.mark.parametrize(("deviation", "distance"), [(1.0, 0.5), (0.02, 0.03), (3.0, 0.1)])
def test_the_repeats_needed_are_the_least_that_settle_it(deviation, distance):
    needed = repeats_needed(deviation, distance)
    assert paired_effect(exactly(distance, deviation, needed)).low > 0
    assert paired_effect(exactly(distance, deviation, needed - 1)).low <= 0


def test_no_number_of_repeats_settles_an_effect_on_the_edge():
    assert repeats_needed(1.0, 0.0) is None
    assert repeats_needed(1.0, 1.96 / 101) is None
    assert repeats_needed(1.0, 1.97 / 100) == pytest.approx(9900, abs=100)
    assert repeats_needed(0.001, 5.0, fewest=6) == 6


def test_sign_flips_against_all_of_them():
    differences = np.random.default_rng(0).normal(0.3, 1.0, size=(6, 4))
    signs = np.array(list(itertools.product([-1, 1], repeat=6)))
    means = np.abs(signs @ differences) / 6
    expected = (means >= np.abs(differences.mean(0)) - 1e-12).mean(0)
    assert sign_flip_p_values(differences) == pytest.approx(expected)
    assert sign_flip_p_values(np.zeros((6, 2))) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("repeats", [2, 5, 12, 13, 30])
def test_sign_flips_against_scipys_permutation_test(repeats):
    differences = np.random.default_rng(0).normal(0.3, 1.0, size=(repeats, 4))
    differences[:, 1] = differences[:, 1].round()  # whose means tie
    expected = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=4999,
        rng=np.random.default_rng(0),
    )
    assert sign_flip_p_values(differences) == pytest.approx(expected.pvalue, rel=1e-12)


def test_holm_is_the_closure_of_bonferronis_test():
    p_values = np.array([0.01, 0.04, 0.03, 0.005, 0.5])

    def least_level(test):  # at which every set of tests that has this one among them is rejected
        others = [i for i in range(len(p_values)) if i != test]
        sets = [(test, *more) for size in range(len(p_values)) for more in itertools.combinations(others, size)]
        return max(min(1.0, len(chosen) * p_values[list(chosen)].min()) for chosen in sets)

    assert holm(p_values) == pytest.approx([least_level(test) for test in range(len(p_values))])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([0.001, 0.02, 0.03, 0.4]) == pytest.approx([0.004, 0.06, 0.06, 0.4])
    assert len(holm([])) == 0


def test_overlapping_splits_against_nadeau_and_bengios_formula():
    differences = np.array([0.01, 0.03, -0.02, 0.04, 0.02])
    effect = resampled_effect(differences, test_to_train=0.25)
    half = stats.t.ppf(0.975, 4) * math.sqrt((1 / 5 + 0.25) * differences.var(ddof=1))
    assert (effect.mean, effect.low, effect.high) == pytest.approx((0.016, 0.016 - half, 0.016 + half))
    assert effect.deviation / math.sqrt(5) == pytest.approx(math.sqrt((1 / 5 + 0.25) * differences.var(ddof=1)))


def test_repeated_splits_of_one_data_set_call_no_effect_one_within_the_nominal_rate():
    generator = np.random.default_rng(0)
    trials, items, splits = 1000, 100, 15
    called = {"plain": 0, "resampled": 0}
    for _ in range(trials):
        data = generator.normal(size=items)  # by how much one net is better on each item
        differences = [generator.permutation(data)[:10].mean() for _ in range(splits)]
        for name, effect in (
            ("plain", paired_effect(differences)),
            ("resampled", resampled_effect(differences, 10 / 90)),
        ):
            called[name] += effect.low > 0 or effect.high < 0
    assert called["resampled"] <= at_most(0.05, trials)
    assert called["plain"] > 0.15 * trials


def test_adding_repeats_until_there_is_an_effect_calls_none_one_within_the_nominal_rate():
    generator = np.random.default_rng(0)
    trials, looks = 500, (3, 5, 8, 12, 20, 30)
    wrong = {"spent": 0, "peeked": 0}
    for _ in range(trials):
        differences = generator.normal(size=looks[-1])
        found = {"spent": False, "peeked": False}
        for i, repeats in enumerate(looks):
            seen = differences[:repeats]
            p, look = p_value(paired_effect(seen)), i + 1
            found["spent"] |= p < 0.05 / (look * (look + 1))  # as docs/record.md has it: the shares sum to 0.05
            found["peeked"] |= p < 0.05
        wrong = {name: wrong[name] + found[name] for name in wrong}
    assert wrong["spent"] <= at_most(0.05, trials)
    assert wrong["peeked"] > at_most(0.05, trials)


def test_p_is_that_of_the_librarys_t_test_and_of_a_sign_where_repeats_agree_exactly():
    sample = np.random.default_rng(3).normal(0.4, size=9)
    for bound in (0.0, 0.3):
        assert p_value(paired_effect(sample), bound) == pytest.approx(stats.ttest_1samp(sample, bound).pvalue)
    assert p_value(paired_effect([2.0] * 6)) == pytest.approx(stats.binomtest(6, 6).pvalue)


def test_the_interquartile_mean_is_the_trimmed_one_of_the_library():
    for runs in (3, 4, 7, 40):
        scores = np.random.default_rng(runs).exponential(size=runs)
        assert interquartile_mean(scores) == pytest.approx(stats.trim_mean(scores, 0.25))


def test_the_probability_of_improvement_against_mann_and_whitney_and_plain_draws():
    generator = np.random.default_rng(0)
    first, second = generator.integers(9, size=19) + 1, generator.integers(9, size=17)
    value, low, high = probability_of_improvement(first, second)
    assert value == pytest.approx(stats.mannwhitneyu(first, second).statistic / (19 * 17))
    drawn = []
    for _ in range(4000):
        a, b = generator.choice(first, 19), generator.choice(second, 17)
        drawn.append(np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b)))
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.02)
    assert probability_of_improvement(first, second) == (value, low, high)


def test_improvement_at_its_ends_and_in_the_middle():
    assert probability_of_improvement([3.0, 4.0], [1.0, 2.0]) == (1.0, 1.0, 1.0)
    assert probability_of_improvement([1.0, 1.0], [1.0, 1.0, 1.0]) == pytest.approx((0.5, 0.5, 0.5))


def test_variance_is_taken_apart_as_it_was_put_together():
    generator = np.random.default_rng(0)
    own_splits = generator.normal(size=4000) * 2.0 + generator.normal(size=4000)
    assert widening(generator.normal(size=4000), own_splits)[0] == pytest.approx(math.sqrt(5.0), rel=0.08)


@pytest.mark.parametrize("split", [0.0, 1.5])
def test_the_interval_of_the_widening_covers_the_truth_at_its_rate(split):
    generator = np.random.default_rng(0)
    truth, covered = math.sqrt(1 + split**2), 0
    for _ in range(1000):
        own_splits = split * generator.normal(size=8) + generator.normal(size=8)
        _, low, high = widening(generator.normal(size=10), own_splits)
        covered += low <= truth + 1e-9 and truth <= high + 1e-9
    assert covered >= 1000 - at_most(0.05, 1000)


def test_seeds_that_agree_leave_all_to_the_split():
    assert widening([0.0, 0.0], [0.0, 1.0]) == (math.inf, math.inf, math.inf)
    assert widening([1.0, 1.0], [1.0, 1.0])[0] == 1.0
