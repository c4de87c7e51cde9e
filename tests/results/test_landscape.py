"""The error surface: a point by hand, its slope by differences, and the cliff."""

import math

import numpy as np
import pytest

from stages.results.landscape import error_surface


def logistic(x):
    return 1 / (1 + math.exp(-x))


def test_a_point_by_hand():
    state = 5 * logistic(5 * logistic(0.5) - 2.5) - 2.5
    error, _ = error_surface(5.0, -2.5, 2)
    assert error == pytest.approx((logistic(state) - 0.7) ** 2)
    assert error_surface([4.0, 5.0], [[-2.0], [-2.5], [-3.0]], 2)[0][1, 1] == pytest.approx(error)


@pytest.mark.parametrize("steps", [1, 2, 10, 50])
def test_the_slope_is_the_length_of_the_gradient(steps):
    weight, bias, step = 5.3, -2.4, 1e-6
    by_weight, by_bias = (
        (error_surface(weight + dw, bias + db, steps)[0] - error_surface(weight - dw, bias - db, steps)[0]) / (2 * step)
        for dw, db in ((step, 0), (0, step))
    )
    assert error_surface(weight, bias, steps)[1] == pytest.approx(math.hypot(by_weight, by_bias), rel=1e-5)


def test_a_cliff_forms_where_the_weight_lets_a_unit_hold_two_states():
    weights = np.linspace(4.0, 6.0, 201)  # a logistic unit has two stable states only above 4
    steepest = [error_surface(weights, np.linspace(-3, -2, 201)[:, None], steps)[1].max() for steps in (2, 10, 50)]
    assert steepest[0] < 1 < 10 * steepest[0] < steepest[1] < steepest[2] / 100
    without = [error_surface(np.linspace(0.0, 3.0, 201), -1.5, steps)[1].max() for steps in (2, 10, 50)]
    assert max(without) < 1
