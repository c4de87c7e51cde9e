"""The output layer's loss: what torch's two steps give, and gradients that finite differences confirm."""

import pytest
import torch
from torch.nn import functional as F

from stages.nn.losses import linear_cross_entropy


def parts(time, batch, features, classes, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    shapes = [(time, batch, features), (classes, features), (classes,)]
    floats = [
        (scale * torch.randn(shape, dtype=torch.float64, generator=generator)).requires_grad_() for shape in shapes
    ]
    return floats, torch.randint(classes, (time, batch), generator=generator)


@pytest.mark.parametrize("shape", [(1, 1, 3, 2), (7, 5, 4, 64), (35, 20, 8, 150)])  # classes: few, lanes, more
@pytest.mark.parametrize("scale", [1.0, 30.0])  # the latter has logits beyond what exp can hold
def test_value_and_gradients_are_those_of_torchs_two_steps(shape, scale):
    floats, targets = parts(*shape, scale=scale)
    results = []
    for loss in (
        linear_cross_entropy(*floats, targets),
        F.cross_entropy(F.linear(*floats).flatten(0, 1), targets.flatten()),
    ):
        results.append([loss, *torch.autograd.grad(3 * loss, floats)])
    for mine, expected in zip(*results, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-10, atol=1e-12)


def test_gradients_agree_with_finite_differences():
    floats, targets = parts(3, 2, 3, 5)
    assert torch.autograd.gradcheck(lambda *tensors: linear_cross_entropy(*tensors, targets), floats)


def test_in_float32_rounding_is_all_that_parts_it_from_torch():
    floats, targets = parts(7, 5, 16, 1000)
    exact = F.cross_entropy(F.linear(*floats).flatten(0, 1), targets.flatten())
    results = []
    for one in (linear_cross_entropy, lambda *all: F.cross_entropy(F.linear(*all[:3]).flatten(0, 1), all[3].flatten())):
        singles = [tensor.detach().float().requires_grad_() for tensor in floats]
        loss = one(*singles, targets)
        results.append([loss, *torch.autograd.grad(loss, singles)])
    assert results[0][0].item() == pytest.approx(exact.item(), rel=3e-7)
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
@pytest.mark.parametrize("classes", [11, 150])
def test_a_net_that_diverged_has_no_loss(odd, classes):
    """One logit that is no number, at any place, must not be passed over: it is how a diverged run is known."""
    for place in (0, classes - 1):
        (inputs, weight, bias), targets = parts(2, 2, 3, classes)
        with torch.no_grad():
            bias[place] = odd
        assert torch.isnan(linear_cross_entropy(inputs, weight, bias, targets))
