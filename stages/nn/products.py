"""Matrix products by the faster of torch's two libraries on a CPU.

torch's `addmm` is MKL's, which keeps to AVX2 on processors other than Intel's; oneDNN, which torch carries as well,
uses all that a processor has, twice as fast where that is AVX-512, but takes longer to start. Large float32
products go to oneDNN, all others to `addmm`. Both sum in float32, in different orders.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_MULTIPLICATIONS_WORTH_A_START = 2**22
_ONE_DNN = torch.backends.mkldnn.is_available()


def _is_large(left: Tensor, right: Tensor) -> bool:
    return (
        left.shape[0] * right.numel() >= _MULTIPLICATIONS_WORTH_A_START
        and left.dtype == torch.float32
        and left.device.type == "cpu"
        and _ONE_DNN
    )


def mm(left: Tensor, right: Tensor) -> Tensor:
    """The product of `left` (n, k) and `right` (k, m): (n, m)."""
    if _is_large(left, right):
        product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")
        return product
    return torch.mm(left, right)


def addmm(
    total: Tensor, left: Tensor, right: Tensor, beta: int = 1, alpha: int = 1, out: Tensor | None = None
) -> Tensor:
    """What `torch.addmm` gives: beta * `total` + alpha * `left` @ `right`; for beta 0, `total` may hold anything."""
    if not _is_large(left, right):
        return torch.addmm(total, left, right, beta=beta, alpha=alpha, out=out)
    product = mm(left, right)
    if beta == 0:
        return torch.mul(product, alpha, out=out)
    return torch.add(total if beta == 1 else total * beta, product, alpha=alpha, out=out)


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
    return outputs.unflatten(0, inputs.shape[:-1])
