"""What is measured of a closed loop, on curves whose numbers are known."""

import numpy as np
import pytest
from rows import make_row

from stages.results.headline import headline
from stages.results.measures import (
    amplitude,
    amplitude_off,
    crossings_off,
    diverged,
    lagged_correlation,
    score_of,
    zero_crossings,
)

STEPS = np.arange(200)
SINE = np.sin(2 * np.pi * (STEPS + 0.5) / 40)  # five periods


def test_a_sine_crosses_zero_twice_a_period():
    assert zero_crossings(SINE) == 9  # the tenth is at the end
    assert zero_crossings(-SINE) == 9
    assert zero_crossings(SINE + 2) == 0
    assert zero_crossings([1, 0, 1, 0, -1, 0, -1, 1]) == 2
    assert zero_crossings([0.0] * 5) == 0
    assert crossings_off(np.sin(2 * np.pi * (STEPS + 0.5) / 20), SINE) == 10
    assert crossings_off(0 * SINE, SINE) == 9


@pytest.mark.parametrize(("factor", "off"), [(1.0, 1.0), (0.25, 4.0), (3.0, 3.0), (-3.0, 3.0)])
def test_a_swing_too_small_is_as_far_off_as_one_too_large(factor, off):
    assert amplitude(factor * SINE + 5, SINE) == pytest.approx(abs(factor))
    assert amplitude_off(factor * SINE + 5, SINE) == pytest.approx(off)


def test_a_flat_line_is_a_thousand_times_off_and_correlates_with_nothing():
    assert amplitude([0.3] * 200, SINE) == 0
    assert amplitude_off([0.3] * 200, SINE) == pytest.approx(1000)
    assert lagged_correlation([0.3] * 200, SINE) == 0.0


@pytest.mark.parametrize("lag", [-17, 0, 5, 30])
def test_a_shifted_curve_correlates_at_its_lag(lag):
    walk = np.random.default_rng(1).normal(size=300).cumsum()
    loop, truth = walk[50 : 50 + 200], walk[50 + lag : 50 + lag + 200]
    assert lagged_correlation(loop, truth) == pytest.approx(1.0)
    assert lagged_correlation(7 * loop - 3, truth) == pytest.approx(1.0)


def test_the_correlation_is_the_highest_of_all_lags_that_half_the_steps_share():
    generator = np.random.default_rng(2)
    loop, truth = generator.normal(size=(2, 41))
    by_lag = [
        np.corrcoef([loop[i + lag] for i in range(41) if 0 <= i + lag < 41], truth[max(-lag, 0) : 41 - max(lag, 0)])[
            0, 1
        ]
        for lag in range(-20, 21)
    ]
    assert lagged_correlation(loop, truth) == pytest.approx(max(by_lag))


def test_scores_of_a_closed_loop_are_those_of_the_row():
    truth = tuple(SINE.tolist())
    row = make_row("damped", "gru", closed_loop_truth=truth, test={"closed_loop": (0.5 * SINE).tolist()})
    assert score_of(row, "amplitude_off", "corrected") == pytest.approx(2.0)
    assert score_of(row, "zero_crossings", "published") == 9


@pytest.mark.parametrize(("perplexity", "expected"), [(9_999.0, False), (10_000.5, True)])
def test_a_perplexity_above_the_number_of_words_has_diverged(perplexity, expected):
    assert diverged(make_row("ptb", "rnn", test={"perplexity": perplexity})) is expected


def test_a_small_error_on_show_keeps_its_digits():
    tested = [{"accuracy": 0.9, "loss": 3.2e-8 * factor} for factor in (0.9, 1.0, 1.1)]
    rows = [make_row("imdb", "gru", test=test, repeat=n) for n, test in enumerate(tested)]
    assert headline("imdb", rows)["loss"]["mean"] == pytest.approx(3.2e-8, rel=1e-5)
