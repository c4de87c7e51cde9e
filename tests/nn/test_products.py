"""Products by either library: the same numbers as float64 gives, whatever the layout, and their gradients."""

import pytest
import torch
from torch.nn import functional as F

from stages.nn import products

SHAPES = [(3, 5, 4), (100, 200, 800), (700, 650, 2000)]  # one below the threshold, two above


def tensors(shape):
    n, k, m = shape
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=generator) for size in ((n, m), (n, k), (k, m))]


def test_the_larger_shapes_are_large():
    if not products._ONE_DNN:
        pytest.skip("this torch has no oneDNN")
    assert [products._is_large(left, right) for _, left, right in map(tensors, SHAPES)] == [False, True, True]
    assert not products._is_large(*(part.double() for part in tensors(SHAPES[2])[1:]))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("beta", "alpha"), [(1, 1), (2, 2), (0, 1), (0, 3)])
def test_products_are_those_of_float64(shape, transposed, beta, alpha):
    total, left, right = tensors(shape)
    if transposed:
        left, right = left.t().contiguous().t(), right.t().contiguous().t()
    exact = left.double() @ right.double()
    assert torch.allclose(products.mm(left, right).double(), exact, rtol=1e-4, atol=1e-4)
    expected = beta * total.double() + alpha * exact
    if beta == 0:
        total = torch.full_like(total, float("nan"))  # may hold anything
    assert torch.allclose(products.addmm(total, left, right, beta, alpha).double(), expected, rtol=1e-4, atol=3e-4)
    out = total.clone()
    assert products.addmm(out, left, right, beta, alpha, out=out) is out
    assert torch.allclose(out.double(), expected, rtol=1e-4, atol=3e-4)


@pytest.mark.parametrize("features", [(2, 3, 5, 4), (7, 20, 100, 2000)])
def test_linear_has_the_outputs_and_gradients_of_torchs(features):
    time, batch, inputs, outputs = features
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(s, generator=generator) for s in ((time, batch, inputs), (outputs, inputs), (outputs,))]
    mine = [part.clone().requires_grad_() for part in parts]
    exact = [part.double().requires_grad_() for part in parts]
    gradient = torch.randn((time, batch, outputs), generator=generator)
    result = products.linear(*mine)
    result.backward(gradient)
    expected = F.linear(*exact)
    expected.backward(gradient.double())
    assert torch.allclose(result.double(), expected, rtol=1e-4, atol=1e-4)
    for one, other in zip(mine, exact, strict=True):
        assert torch.allclose(one.grad.double(), other.grad, rtol=1e-4, atol=1e-3)
