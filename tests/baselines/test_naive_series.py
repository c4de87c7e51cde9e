"""Forecasts against loops over the steps, scikit-learn's ridge, and made series whose answer is known."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from stages.baselines import series
from stages.baselines.series import (
    CHOICES_OF_ALPHA,
    find_period,
    fit_ridge,
    last_value,
    mase_scale,
    origins,
    scores,
    seasonal_last_value,
    series_rows,
    targets,
    windows,
)
from stages.support.process import InputError


def walk(steps, seed=0, columns=1):
    return np.cumsum(np.random.default_rng(seed).normal(size=(steps, columns)), axis=0)


def test_no_forecast_looks_ahead_and_no_target_leaves_its_part():
    steps, window, horizon = 30, 4, 3
    bounds = [0, 17, 24, steps]
    predicted = []
    for start, stop in itertools.pairwise(bounds):
        where = origins(start, stop, window, horizon)
        seen = windows(np.arange(steps)[:, None], where, window)[:, :, 0]
        ahead = targets(np.arange(steps), where, horizon)
        assert seen.min() >= 0
        assert (seen[:, -1] + 1 == ahead[:, 0]).all()
        assert start <= ahead.min() <= ahead.max() == stop - 1
        predicted += np.unique(ahead).tolist()
    assert predicted == list(range(window, steps))
    assert not len(origins(0, window + horizon - 1, window, horizon))


def test_seasonal_forecasts_against_a_search_for_the_latest_value_of_the_same_season():
    values, where, horizon, period = walk(40)[:, 0], np.array([2, 9, 20, 30]), 8, 5
    found = seasonal_last_value(values, where, horizon, period)
    for row, origin in zip(found, where, strict=True):
        for ahead in range(1, horizon + 1):
            known = [step for step in range(origin + 1) if (origin + ahead - step) % period == 0]
            assert row[ahead - 1] == values[max(known, default=origin)]
    assert (last_value(values, where, horizon) == values[where][:, None]).all()
    assert (seasonal_last_value(values, where, horizon, 1) == values[where][:, None]).all()


@pytest.mark.parametrize("period", [2, 7, 12, 30])
def test_a_season_is_found_under_trend_and_noise(period):
    generator = np.random.default_rng(period)
    steps = np.arange(10 * period + 40)
    season = generator.normal(size=period)[steps % period]
    assert find_period(season + 0.3 * steps + 0.2 * generator.normal(size=len(steps))) == period


def test_a_smooth_season_is_found_too():
    assert find_period(np.sin(2 * np.pi * np.arange(200) / 24)) == 24
    assert find_period(np.arange(200) % 20) == 20


def test_noise_and_random_walks_have_no_season():
    noise = np.random.default_rng(0).normal(size=(300, 200))
    found = [sum(find_period(one) is not None for one in kind) for kind in (noise, np.cumsum(noise, axis=1))]
    assert max(found) <= 9  # 1 % of 300 are 3; one time in 250 there are more than 8
    assert find_period(np.ones(50)) is None
    assert find_period(np.arange(50.0)) is None
    assert find_period(np.array([1.0, 2.0])) is None


@pytest.mark.parametrize(("columns", "horizon"), [(1, 1), (3, 4)])
def test_the_ridge_is_the_best_of_scikit_learns_on_the_validation_part(columns, horizon, monkeypatch):
    monkeypatch.setattr(series, "_BATCH", 37)  # several of them, the last one short
    values, window, train_end, validation_end = 50 + 9 * walk(300, 1, columns), 6, 200, 250
    scaled = StandardScaler().fit(values[:train_end]).transform(values)

    def arrays(first, stop):  # of each target step first.. < stop, by loops
        places = range(max(first, window), stop - horizon + 1)
        return (
            np.array([scaled[i - window : i].ravel() for i in places]),
            np.array([scaled[i : i + horizon, 0] for i in places]),
        )

    fits = {alpha: Ridge(alpha=alpha).fit(*arrays(0, train_end)) for alpha in CHOICES_OF_ALPHA}
    inputs, truth = arrays(train_end, validation_end)
    best = min(fits, key=lambda alpha: np.mean((fits[alpha].predict(inputs).reshape(truth.shape) - truth) ** 2))
    found = fit_ridge(values, train_end, validation_end, window, horizon)
    assert found.alpha == best
    inputs, truth = arrays(validation_end, 300)
    expected = (
        fits[best].predict(inputs).reshape(truth.shape) * values[:train_end, 0].std() + values[:train_end, 0].mean()
    )
    assert found.forecast(values, origins(validation_end, 300, window, horizon)) == pytest.approx(expected)


def test_the_ridge_knows_a_line_beyond_its_training_range_and_a_constant_input_does_no_harm():
    values = np.column_stack([3.0 * np.arange(120), np.full(120, 7.0)])
    row = series_rows(values, 80, 100, 5, 3)[-1]
    assert row["test"]["rmse"] == pytest.approx(0.0, abs=0.05)
    assert row["test"]["direction"] == 1.0


def test_a_longer_series_takes_no_more_memory_for_its_windows():
    peaks = []
    for steps in (20_000, 80_000):
        values = walk(steps, 0, 2)
        tracemalloc.start()
        fit_ridge(values, steps - 2000, steps - 1000, 50, 1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 60_000 * 8 * 50 * 2 / 10  # all windows at once would be 10 times that


def test_the_future_does_not_change_what_was_learnt():
    values = walk(200, 3, 2)
    changed = values.copy()
    changed[160:] = 1e6
    where = origins(120, 150, 5, 2)
    first, second = (fit_ridge(one, 120, 150, 5, 2).forecast(values, where) for one in (values, changed))
    assert (first == second).all()


def test_scores_by_hand():
    truth, last = np.array([[2.0, 1.0], [3.0, 5.0]]), np.array([1.0, 4.0])
    forecast = np.array([[3.0, 0.0], [4.0, 4.5]])
    # Changes: up, none; down, up. Foreseen: up, (down); none, up.
    assert scores(forecast, truth, last, 0.5) == pytest.approx(
        {"rmse": math.sqrt((1 + 1 + 1 + 0.25) / 4), "mae": 3.5 / 4, "mase": 7 / 4, "direction": (1 + 0.5 + 1) / 3}
    )
    assert math.isnan(scores(truth, last[:, None].repeat(2, 1), last, 1.0)["direction"])


def test_the_last_value_of_the_training_part_itself_has_a_mase_of_one():
    values = walk(60)[:, 0]
    where = origins(0, 60, 1, 1)
    found = scores(last_value(values, where, 1), targets(values, where, 1), values[where], mase_scale(values))
    assert found["mase"] == pytest.approx(1.0)
    assert found["direction"] == 0.5
    assert mase_scale(np.array([1.0, 5.0, 2.0, 9.0]), period=2) == pytest.approx((1 + 4) / 2)


def test_rows_of_a_seasonal_series():
    generator = np.random.default_rng(0)
    steps = np.arange(300)
    values = (generator.normal(size=12)[steps % 12] + 0.1 * generator.normal(size=300))[:, None]
    last, seasonal, ridge = series_rows(values, 200, 250, 24, 6)
    assert seasonal["period"] == 12
    assert seasonal["test"]["mase"] < 0.2 < 0.5 < last["test"]["mase"]
    assert ridge["test"]["rmse"] < seasonal["test"]["rmse"]
    assert [row["name"] for row in series_rows(walk(300), 200, 250, 24, 6)] == ["last value", "ridge regression"]


@pytest.mark.parametrize(
    ("values", "ends", "message"),
    [
        (np.ones((60, 1)), (40, 50), "is constant"),
        (walk(60), (5, 50), "training part has no 3 step"),
        (walk(60), (40, 42), "validation part has no 3 step"),
        (walk(60), (40, 58), "test part has no 3 step"),
    ],
)
def test_what_cannot_be_forecast_is_refused(values, ends, message):
    with pytest.raises(InputError, match=message):
        series_rows(values, *ends, window=8, horizon=3)


def test_a_series_that_repeats_itself_has_no_seasonal_scale():
    with pytest.raises(InputError, match="every 4 steps"):
        mase_scale(np.arange(40.0) % 4, period=4)
    with pytest.raises(InputError, match="no more than its period of 9"):
        mase_scale(np.arange(9.0), period=9)
