"""Forecasts of a series without a net: its last value, the last one of the season, and a ridge regression.

A forecast's origin is the last step that it may look at: from the `window` steps that end there it predicts the
`horizon` steps that follow. Forecasts and what they are held against are arrays (origins, horizon) in the series' unit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stages.support.process import InputError

Series = NDArray[np.float64]  # (steps,)
Origins = NDArray[np.int64]  # (origins,)
Row = dict[str, Any]

CHOICES_OF_ALPHA = tuple(10.0**power for power in range(-3, 7))
"""Strengths of the ridge's penalty on standardised values, of which the validation part chooses one."""

_BATCH = 4096  # windows
_NEARLY = 0.9
_ALARM = 0.01  # the chance that noise without a season is given one


def origins(start: int, stop: int, window: int, horizon: int) -> Origins:
    """Those whose every predicted step lies in [start, stop); the window may reach back before `start`, not before 0.

    A validation or test part's windows so begin in the part before it.
    """
    return np.arange(max(start, window) - 1, stop - horizon, dtype=np.int64)


def windows(values: NDArray[np.float64], where: Origins, window: int) -> NDArray[np.float64]:
    """The steps that each origin may look at: (origins, window, columns) of values (steps, columns)."""
    return np.asarray(values[where[:, None] + np.arange(1 - window, 1)])


def targets(series: Series, where: Origins, horizon: int) -> NDArray[np.float64]:
    """What each origin's forecast is held against: (origins, horizon)."""
    return np.asarray(series[where[:, None] + np.arange(1, horizon + 1)])


def last_value(series: Series, where: Origins, horizon: int) -> NDArray[np.float64]:
    """The value at the origin, for every step: (origins, horizon)."""
    return np.repeat(series[where][:, None], horizon, axis=1)


def seasonal_last_value(series: Series, where: Origins, horizon: int, period: int) -> NDArray[np.float64]:
    """The latest value known that lies whole periods (steps) before each predicted step: (origins, horizon).

    The last value where the series does not reach back so far.
    """
    ahead = np.arange(1, horizon + 1)
    places = where[:, None] + ahead - period * -(-ahead // period)
    return np.asarray(np.where(places >= 0, series[places.clip(min=0)], series[where][:, None]))


def find_period(train: Series) -> int | None:
    """The season's length in steps, by the autocorrelation of the training part's changes; None where none is seen.

    Of changes, because a trend would hide a season and look like one; so a season that moves less from step to step
    than the noise does is not seen. A season is a peak of the autocorrelation that noise would reach at any lag in 1 %
    of series (Bartlett 1946, for changes that depend on those next to them, as those of noise do); of peaks nearly as
    high as the highest the first, for a season also returns after twice its length. It must fit in three times.
    """
    changes = np.diff(train)
    changes = changes - changes.mean()
    most = len(train) // 3
    power = float(changes @ changes)
    if most < 2 or power <= 1e-20 * max(1.0, float(train @ train)):
        return None
    size = 2 ** math.ceil(math.log2(2 * len(changes)))
    spectrum = np.abs(np.fft.rfft(changes, size)) ** 2
    correlations = np.fft.irfft(spectrum, size)[: most + 2] / power  # of lags 0 to most + 1
    correlations *= len(changes) / np.arange(len(changes), len(changes) - len(correlations), -1)
    lags = np.arange(2, most + 1)
    here, before, after = correlations[lags], correlations[lags - 1], correlations[lags + 1]
    errors = np.sqrt((1 + 2 * correlations[1] ** 2) / (len(changes) - lags))
    peaks = (here > -special.ndtri(_ALARM / len(lags)) * errors) & (here >= before) & (here > after)
    if not peaks.any():
        return None
    return int(lags[peaks & (here >= _NEARLY * here[peaks].max())][0])


@dataclass(frozen=True)
class Ridge:
    """A linear forecast from all values of a window; `alpha`, chosen on the validation part."""

    alpha: float
    window: int
    _means: NDArray[np.float64]  # (columns,) of the training part, as all scales
    _scales: NDArray[np.float64]
    _weights: NDArray[np.float64]  # (window × columns, horizon)
    _bias: NDArray[np.float64]  # (horizon,)

    def forecast(self, values: NDArray[np.float64], where: Origins) -> NDArray[np.float64]:
        """(origins, horizon), of values (steps, columns) whose first column is the series to predict."""
        found = np.empty((len(where), len(self._bias)))
        for start in range(0, len(where), _BATCH):
            batch = windows(values, where[start : start + _BATCH], self.window)
            scaled = ((batch - self._means) / self._scales).reshape(len(batch), -1)
            found[start : start + _BATCH] = scaled @ self._weights + self._bias
        return np.asarray(found * self._scales[0] + self._means[0])


def fit_ridge(values: NDArray[np.float64], train_end: int, validation_end: int, window: int, horizon: int) -> Ridge:
    """Ridge regression of the `horizon` steps on the window before them; alpha by the validation part's RMSE.

    `values` (steps, columns): the series to predict first, then other inputs; all are standardised by the steps before
    `train_end`, which it is fitted on. Memory: that of (window × columns)² numbers, whatever the series' length.
    Raises InputError where the training or the validation part has no step to predict.
    """
    means, scales = values[:train_end].mean(axis=0), values[:train_end].std(axis=0)
    scales = np.where(scales > 0, scales, 1.0)
    learnt, chosen = origins(0, train_end, window, horizon), origins(train_end, validation_end, window, horizon)
    for part, where in (("training", learnt), ("validation", chosen)):
        if not len(where):
            raise InputError(f"the {part} part has no {horizon} step(s) to predict after a window of {window}")

    width = window * values.shape[1]
    products, sums = np.zeros((width, width)), np.zeros(width)
    crossed, outcome_sums = np.zeros((width, horizon)), np.zeros(horizon)
    for start in range(0, len(learnt), _BATCH):
        where = learnt[start : start + _BATCH]
        batch = ((windows(values, where, window) - means) / scales).reshape(len(where), width)
        outcomes = (targets(values[:, 0], where, horizon) - means[0]) / scales[0]
        products += batch.T @ batch
        sums += batch.sum(axis=0)
        crossed += batch.T @ outcomes
        outcome_sums += outcomes.sum(axis=0)
    middle, outcome_middle = sums / len(learnt), outcome_sums / len(learnt)
    # The bias is not penalised: what is left is the regression of what deviates from the means.
    strengths, directions = np.linalg.eigh(products - np.outer(middle, sums))
    along = directions.T @ (crossed - np.outer(middle, outcome_sums))

    def fitted(alpha: float) -> Ridge:
        weights = directions @ (along / (strengths.clip(min=0) + alpha)[:, None])
        return Ridge(alpha, window, means, scales, weights, outcome_middle - middle @ weights)

    truth = targets(values[:, 0], chosen, horizon)
    return min(map(fitted, CHOICES_OF_ALPHA), key=lambda ridge: _rmse(ridge.forecast(values, chosen) - truth))


def mase_scale(train: Series, period: int = 1) -> float:
    """Mean absolute error, on the training part, of predicting each step by that one period before it.

    Source: Hyndman and Koehler 2006, equation for q_t (a period of 1: the last value). Raises InputError where it is
    zero or the training part is no longer than a period.
    """
    if len(train) <= period:
        raise InputError(f"the training part has {len(train)} step(s), no more than its period of {period}")
    scale = float(np.mean(np.abs(train[period:] - train[:-period])))
    if scale == 0:
        what = "is constant" if period == 1 else f"repeats itself exactly every {period} steps"
        raise InputError(f"the training part {what}: nothing is left to predict, and errors have no scale")
    return scale


def scores(forecast: NDArray[np.float64], truth: NDArray[np.float64], last: Series, scale: float) -> dict[str, float]:
    """Of forecasts (origins, horizon) against the truth, with the values at the origins, `last` (origins,).

    rmse, mae: in the series' unit. mase: mae over `scale`, below 1 where the forecast errs less than the last value did
    on the training part. direction: the share of steps whose rise or fall since the origin has the right sign; a truth
    without a change does not count (NaN where none has one), a forecast of none counts half, as a coin would.
    """
    errors = forecast - truth
    moved, foreseen = np.sign(truth - last[:, None]), np.sign(forecast - last[:, None])
    right = ((1 + moved * foreseen) / 2)[moved != 0]
    mae = float(np.mean(np.abs(errors)))
    return {
        "rmse": _rmse(errors),
        "mae": mae,
        "mase": mae / scale,
        "direction": float(right.mean()) if right.size else math.nan,
    }


def series_rows(
    values: NDArray[np.float64],
    train_end: int,
    validation_end: int,
    window: int,
    horizon: int,
) -> list[Row]:
    """A row a forecast: its name, and its scores on the validation and the test part.

    `values` (steps, columns): the series to predict, then other inputs; the parts end before `train_end`, before
    `validation_end` and at the end. A season is looked for in the training part. Errors are scaled by
    the last value's on the training part, so that MASE means the same in every row. Raises InputError where a part has
    nothing to predict, or the training part is constant.
    """
    series = values[:, 0]
    parts = {
        "validation": origins(train_end, validation_end, window, horizon),
        "test": origins(validation_end, len(series), window, horizon),
    }
    ridge = fit_ridge(values, train_end, validation_end, window, horizon)
    if not len(parts["test"]):
        raise InputError(f"the test part has no {horizon} step(s) to predict after a window of {window}")
    scale = mase_scale(series[:train_end])
    period = find_period(series[:train_end])

    def row(name: str, forecasts: Mapping[str, NDArray[np.float64]], **chosen: float) -> Row:
        return {"name": name, **chosen} | {
            part: scores(forecasts[part], targets(series, where, horizon), series[where], scale)
            for part, where in parts.items()
        }

    rows = [row("last value", {part: last_value(series, where, horizon) for part, where in parts.items()})]
    if period:
        seasonal = {part: seasonal_last_value(series, where, horizon, period) for part, where in parts.items()}
        rows.append(row(f"last value {period} steps before", seasonal, period=period))
    predicted = {part: ridge.forecast(values, where) for part, where in parts.items()}
    return [*rows, row("ridge regression", predicted, alpha=ridge.alpha)]


def _rmse(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(errors**2)))
