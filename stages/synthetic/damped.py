"""damped: a damped oscillation, exp(-x/5) cos(x), cut into windows. Source: document 001_2e3773b97c95f171."""

from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stages.support.process import InputError

_END = 5 * np.pi


def write_data(folder: Path, seed: int, points: int = 200, window: int = 20, validation_fraction: float = 0.1) -> None:
    """Write the curve, and the windows of each part: inputs, and the same windows one point later as targets.

    curve.npy: (points,) float32, x evenly from 0 to 5 pi, both included. PART.inputs.npy and PART.targets.npy:
    (windows, window) float32. The last `validation_fraction` of the curve's windows are the validation part, those
    before them train; test has all the windows of the same curve at points half a step further on, which no other
    part has seen. `seed` decides nothing, since nothing here is random.

    Raises:
        InputError: a part has no window.
    """
    x = np.linspace(0, _END, points)
    curve = _oscillation(x)
    windows = points - window
    train = windows - round(windows * validation_fraction)
    if not 0 < train < windows:
        raise InputError(
            f"damped: {points} points have {windows} windows of {window} with a next point; "
            f"validation_fraction {validation_fraction} must leave some for training and some for validation"
        )
    np.save(folder / "curve.npy", curve)
    for part, values in {
        "train": curve[: train + window],
        "validation": curve[train:],
        "test": _oscillation(x + _END / (points - 1) / 2),
    }.items():
        views = sliding_window_view(values, window)
        np.save(folder / f"{part}.inputs.npy", views[:-1])
        np.save(folder / f"{part}.targets.npy", views[1:])


def _oscillation(x: NDArray[np.float64]) -> NDArray[np.float32]:
    return (np.exp(-x / 5) * np.cos(x)).astype(np.float32)
