"""What compiled code is made of."""

import numpy as np
import pytest
from numba import njit

from stages.nn.compiled import sigmoid, tanh


@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 3e-7), (np.float64, 3e-15)])
def test_the_sigmoid_keeps_its_relative_accuracy_to_the_ends_and_passes_nan_on(dtype, close):
    @njit
    def sigmoids(values, into):
        for index in range(len(values)):
            into[index] = sigmoid(values[index])

    values = np.linspace(-80, 80, 100_001).astype(dtype)
    actual = np.empty_like(values)
    sigmoids(values, actual)
    np.testing.assert_allclose(actual, 1 / (1 + np.exp(-values.astype(np.longdouble))), rtol=close)
    edges = np.array([-np.inf, np.inf, np.nan], dtype)
    actual = np.empty_like(edges)
    sigmoids(edges, actual)
    np.testing.assert_allclose(actual, [0, 1, np.nan], atol=1e-37)


@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 2e-7), (np.float64, 2e-15)])
def test_the_tangent_is_numpys(dtype, close):
    @njit
    def tangents(values, into):
        for index in range(len(values)):
            into[index] = tanh(values[index])

    values = np.linspace(-30, 30, 100_001).astype(dtype)
    actual = np.empty_like(values)
    tangents(values, actual)
    np.testing.assert_allclose(actual, np.tanh(values.astype(np.longdouble)), rtol=0, atol=close)
