"""Matrix products on a CPU by OpenBLAS, which NumPy brings.

torch's own library, MKL, keeps to AVX2 on processors other than Intel's, and is then half as fast; OpenBLAS uses all
that a processor has, on any, and is the one that compiled code calls as well (benchmarks/replicas.md has figures).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def mm(left: Tensor, right: Tensor) -> Tensor:
    """The product of `left` (n, k) and `right` (k, m): (n, m)."""
    if left.device.type != "cpu":
        return torch.mm(left, right)
    return torch.from_numpy(np.dot(left.detach().numpy(), right.detach().numpy()))


class _Linear(torch.autograd.Function):
    """`linear` on two-dimensional inputs, whose gradients are products of the same kind."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(inputs, weight)
        return mm(inputs, weight.t()).add_(bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        inputs, weight = ctx.saved_tensors
        return mm(gradient, weight), mm(gradient.t(), inputs), gradient.sum(0)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`torch.nn.functional.linear`: inputs (..., features), weight (outputs, features), bias (outputs,)."""
    outputs: Tensor = _Linear.apply(inputs.flatten(0, -2), weight, bias)  # type: ignore[no-untyped-call]
    return outputs.view(*inputs.shape[:-1], -1)
