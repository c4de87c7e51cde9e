"""Matrix products on a CPU by OpenBLAS, which NumPy brings.

torch's own library, MKL, keeps to AVX2 on processors other than Intel's, and is then half as fast; OpenBLAS uses all
that a processor has, on any, and is the one that compiled code calls as well (docs/replicas.md has figures).
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.amp import custom_bwd, custom_fwd
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Method = TypeVar("Method", bound=Callable[..., Any])

keep_precision: Callable[[Method], Method] = custom_fwd(device_type="cpu")
"""Decorates an autograd function's forward, so that `precision_kept` knows in what torch.autocast had it multiply."""

precision_kept: Callable[[Method], Method] = custom_bwd(device_type="cpu")
"""Decorates its backward, which then multiplies in the same."""


def mm(left: Tensor, right: Tensor) -> Tensor:
    """The product of `left` (n, k) and `right` (k, m) on a CPU: (n, m).

    Where torch.autocast says bfloat16 it is torch's product in that, and comes back in the type of `left`.
    """
    if torch.is_autocast_enabled("cpu"):
        return torch.mm(left, right).to(left.dtype)
    return torch.from_numpy(np.dot(left.detach().numpy(), right.detach().numpy()))


class _Linear(torch.autograd.Function):
    """`linear` on two-dimensional inputs, whose gradients are products of the same kind."""

    @staticmethod
    @keep_precision
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(inputs, weight)
        return mm(inputs, weight.t()).add_(bias)

    @staticmethod
    @once_differentiable
    @precision_kept
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        inputs, weight = ctx.saved_tensors
        return mm(gradient, weight), mm(gradient.t(), inputs), gradient.sum(0)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`torch.nn.functional.linear`: inputs (..., features), weight (outputs, features), bias (outputs,)."""
    if inputs.device.type != "cpu":
        return F.linear(inputs, weight, bias)
    outputs: Tensor = _Linear.apply(inputs.flatten(0, -2), weight, bias)  # type: ignore[no-untyped-call]
    return outputs.view(*inputs.shape[:-1], -1)
