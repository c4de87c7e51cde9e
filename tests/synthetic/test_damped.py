"""damped's data: against the differential equation that the curve solves, and against its published counts."""

import math

import numpy as np
import pytest

from stages.support.process import InputError
from stages.synthetic.damped import write_data


@pytest.fixture
def arrays(tmp_path):
    write_data(tmp_path, seed=1)
    return {path.stem: np.load(path) for path in tmp_path.iterdir()}


def test_the_curve_is_a_damped_oscillation_up_to_5_pi(arrays):
    curve = arrays["curve"]
    assert (curve.dtype, len(curve)) == (np.float32, 200)
    step = 5 * math.pi / 199
    assert curve[0] == 1
    assert curve[-1] == pytest.approx(-math.exp(-math.pi), rel=1e-5)
    # Any exp(-x/5) cos(x + phase), sampled evenly, obeys one linear recurrence of two terms.
    decay = math.exp(-step / 5)
    recurrence = 2 * decay * math.cos(step) * curve[1:-1] - decay**2 * curve[:-2]
    np.testing.assert_allclose(curve[2:], recurrence, atol=1e-6)


def test_targets_are_the_windows_one_point_later_and_the_last_tenth_validates(arrays):
    curve = arrays["curve"]
    for part, windows in (("train", range(162)), ("validation", range(162, 180))):
        np.testing.assert_array_equal(arrays[f"{part}.inputs"], [curve[i : i + 20] for i in windows])
        np.testing.assert_array_equal(arrays[f"{part}.targets"], [curve[i + 1 : i + 21] for i in windows])
    assert len(arrays) == 7


def test_test_lies_on_the_same_curve_half_way_between_its_points(arrays):
    curve, inputs, targets = arrays["curve"], arrays["test.inputs"], arrays["test.targets"]
    assert (inputs.dtype, inputs.shape, targets.shape) == (np.float32, (180, 20), (180, 20))
    fresh = np.append(inputs[:, 0], targets[-1])  # all 200 points
    np.testing.assert_array_equal(targets[:-1], inputs[1:])
    # The recurrence at half the step joins old points and fresh ones: they alternate on one curve.
    both = np.stack([curve, fresh], 1).ravel()
    half = 5 * math.pi / 199 / 2
    decay = math.exp(-half / 5)
    np.testing.assert_allclose(both[2:], 2 * decay * math.cos(half) * both[1:-1] - decay**2 * both[:-2], atol=1e-6)


def test_parts_without_a_window_are_said_in_one_line(tmp_path):
    for wrong in ({"points": 20}, {"points": 21}, {"validation_fraction": 0.001}, {"validation_fraction": 0.999}):
        with pytest.raises(InputError, match=r"^damped: .*must leave some for training and some for validation$"):
            write_data(tmp_path, seed=1, **wrong)
    assert not list(tmp_path.iterdir())
