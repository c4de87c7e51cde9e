"""damped's series: against the differential equation that the curve solves, and against its published counts."""

import math

import numpy as np
import pytest

from stages.support.files import read_json
from stages.synthetic.damped import write_series
from stages.synthetic.windows import write_windows


@pytest.fixture
def raw(tmp_path):
    write_series(tmp_path, 200)
    return tmp_path


@pytest.fixture
def ready(raw):
    write_windows(raw, raw / "ready", window=20, validation_fraction=0.1)
    return raw / "ready"


def test_the_curve_is_a_damped_oscillation_up_to_5_pi(raw):
    curve = np.load(raw / "series.npy")
    assert (curve.dtype, len(curve)) == (np.float32, 200)
    step = 5 * math.pi / 199
    assert curve[0] == 1
    assert curve[-1] == pytest.approx(-math.exp(-math.pi), rel=1e-5)
    # Any exp(-x/5) cos(x + phase), sampled evenly, obeys one linear recurrence of two terms.
    decay = math.exp(-step / 5)
    recurrence = 2 * decay * math.cos(step) * curve[1:-1] - decay**2 * curve[:-2]
    np.testing.assert_allclose(curve[2:], recurrence, atol=1e-6)


def test_the_last_tenth_of_the_windows_validates_and_the_closed_loop_starts_from_the_first_targets(raw, ready):
    curve = np.load(raw / "series.npy")
    for part, windows in (("train", range(162)), ("validation", range(162, 180))):
        np.testing.assert_array_equal(np.load(ready / f"{part}.windows.npy"), [curve[i : i + 21] for i in windows])
    np.testing.assert_array_equal(np.load(ready / "closed_loop.npy"), curve[1:])
    assert read_json(ready / "manifest.json")["corpus"] == "sequences"


def test_test_lies_on_the_same_curve_half_way_between_its_points(raw, ready):
    curve, windows = np.load(raw / "series.npy"), np.load(ready / "test.windows.npy")
    assert (windows.dtype, windows.shape) == (np.float32, (180, 21))
    fresh = np.append(windows[:, 0], windows[-1, 1:])  # all 200 points
    np.testing.assert_array_equal(windows[:-1, 1:], windows[1:, :-1])
    # The recurrence at half the step joins old points and fresh ones: they alternate on one curve.
    both = np.stack([curve, fresh], 1).ravel()
    half = 5 * math.pi / 199 / 2
    decay = math.exp(-half / 5)
    np.testing.assert_allclose(both[2:], 2 * decay * math.cos(half) * both[1:-1] - decay**2 * both[:-2], atol=1e-6)
