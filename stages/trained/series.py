"""A series to the trained model of a series study: what it will be, in its own unit."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stages.kinds.series.model import Forecaster
from stages.nn.cells import CELLS
from stages.nn.engines import engine_for
from stages.support.process import InputError
from stages.trained.weights import load_weights

MOST_STEPS = 10_000
_FIRST = datetime(1, 1, 1)
_DAY = 86_400.0


class SeriesModel:
    """A trained model on a CPU, with the scale of its training part."""

    def __init__(self, hyperparameters: Mapping[str, Any], weights: Path, ready: Mapping[str, Any]) -> None:
        """Load it; `hyperparameters` are those of `stages.kinds.series`, as a mapping.

        `ready` is the manifest of the data that it was trained on: columns, window, horizon and scale.

        Raises:
            InputError: the weights are damaged, or another model's.
        """
        self.columns: Sequence[str] = ready["columns"]
        self.window: int = ready["window"]
        self.horizon: int = ready["horizon"]
        self._mean, self._deviation = np.array(ready["mean"]), np.array(ready["deviation"])
        names = ("cell", "hidden_size", "layers")
        self._model = Forecaster(
            columns=len(self.columns),
            horizon=self.horizon,
            engine=engine_for("cpu", CELLS[hyperparameters["cell"]], one_length=True),
            **{name: hyperparameters[name] for name in names},
        )
        load_weights(self._model, weights)

    @torch.no_grad()
    def forecast(self, values: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
        """The target's next values, (steps,), after the rows `values`, (rows, columns), in time order.

        Beyond the horizon the model goes on from its own forecasts.

        Raises:
            InputError: fewer rows than the window, or steps beyond the horizon where other columns, which nobody
                forecasts, are inputs.
        """
        if not 1 <= steps <= MOST_STEPS:
            raise InputError(f"steps {steps}: allowed are 1 to {MOST_STEPS:,}")
        if len(values) < self.window:
            raise InputError(f"too few rows ({len(values)}): the model looks at {self.window}")
        if steps > self.horizon and len(self.columns) > 1:
            raise InputError(
                f"steps {steps}: beyond the horizon of {self.horizon} the inputs ({', '.join(self.columns[1:])}) would "
                "have to be known; train with a longer HORIZON="
            )
        scaled = (values[-self.window :] - self._mean) / self._deviation
        found: list[float] = []
        while len(found) < steps:
            window = torch.from_numpy(scaled.astype(np.float32))[:, None]
            ahead = self._model(window)[0].double().numpy()
            found += (ahead * self._deviation[0] + self._mean[0]).tolist()
            if len(self.columns) == 1:
                scaled = np.concatenate([scaled, ahead[:, None]])[-self.window :]
        return np.array(found[:steps])


def later(times: NDArray[np.float64], steps: int) -> list[str] | None:
    """The dates that follow those of a series, seconds as `read_time` counts them; None where no rule is seen.

    Seen are an equal number of seconds from each to the next, and of months; no date is beyond the year 9999.
    """
    try:
        return _later(times, steps)
    except (ValueError, OverflowError):
        return None


def _later(times: NDArray[np.float64], steps: int) -> list[str] | None:
    if len(times) < 3:
        return None
    gaps = np.diff(times)
    if gaps[0] > 0 and (gaps == gaps[0]).all():
        return [_written(_date(times[-1] + gaps[0] * step)) for step in range(1, steps + 1)]
    dates = [_date(time) for time in times]
    months = np.diff([12 * date.year + date.month for date in dates])
    last = dates[-1]
    if months[0] <= 0 or (months != months[0]).any() or {date.day for date in dates} != {1}:
        return None
    ahead = [12 * last.year + last.month - 1 + int(months[0]) * step for step in range(1, steps + 1)]
    return [_written(last.replace(year=month // 12, month=month % 12 + 1)) for month in ahead]


def _date(seconds: float) -> datetime:
    return _FIRST + timedelta(seconds=float(seconds) - _DAY)  # the year 1 begins with day 1


def _written(date: datetime) -> str:
    """Such as 1961-01-01, with the time of day where it has one."""
    return date.isoformat(sep=" ").removesuffix(" 00:00:00")
