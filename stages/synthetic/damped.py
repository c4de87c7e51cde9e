"""A damped oscillation, exp(-x/5) cos(x). Source: document 001_2e3773b97c95f171."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.support.files import write_json
from stages.synthetic.windows import Series

_END = 5 * np.pi


def write_series(folder: Path, points: int) -> None:
    """Write series.npy, `points` values for x evenly from 0 to 5 pi, test.npy, and provenance.json.

    The test values are those of the same curve at points half a step further on, which no other part has seen. The
    closed loop starts from the targets of window 0 and goes on to the end of the curve.
    """
    x = np.linspace(0, _END, points)
    np.save(folder / "series.npy", _oscillation(x))
    np.save(folder / "test.npy", _oscillation(x + _END / (points - 1) / 2))
    write_json(folder / "provenance.json", Series(split="windows", closed_loop_start=1).model_dump())


def _oscillation(x: NDArray[np.float64]) -> NDArray[np.float32]:
    return (np.exp(-x / 5) * np.cos(x)).astype(np.float32)
