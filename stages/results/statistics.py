"""Intervals over repeats."""

from collections.abc import Sequence

import numpy as np
from scipy import stats


def mean_interval(
    values: Sequence[float], confidence: float = 0.95, logarithmic: bool = False
) -> tuple[float, float, float]:
    """Mean of independent repeats and its confidence interval (Student's t); one repeat has no interval: NaN.

    `logarithmic`: of the values' logarithms, brought back: a geometric mean.
    """
    if logarithmic:
        mean, low, high = np.exp(mean_interval(np.log(values).tolist(), confidence)).tolist()
        return mean, low, high
    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    if len(sample) < 2:
        return mean, float("nan"), float("nan")
    error = float(stats.sem(sample))
    if error == 0.0:
        return mean, mean, mean
    low, high = stats.t.interval(confidence, len(sample) - 1, loc=mean, scale=error)
    return mean, float(low), float(high)
