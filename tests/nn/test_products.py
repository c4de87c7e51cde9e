"""Products by OpenBLAS: the numbers that float64 gives, whatever the layout, and their gradients."""

import pytest
import torch
from torch.nn import functional as F

from stages.nn import products


@pytest.mark.parametrize("shape", [(3, 5, 4), (100, 200, 800), (700, 650, 2000), (0, 3, 2)])
@pytest.mark.parametrize("transposed", [False, True])
def test_products_are_those_of_float64(shape, transposed):
    n, k, m = shape
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, generator=generator) for size in ((n, k), (k, m)))
    if transposed:
        left, right = left.t().contiguous().t(), right.t().contiguous().t()
    product = products.mm(left, right)
    assert product.dtype == torch.float32
    assert torch.allclose(product.double(), left.double() @ right.double(), rtol=1e-4, atol=1e-4)


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
