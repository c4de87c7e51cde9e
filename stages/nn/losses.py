"""The loss of a large output layer, without the passes over memory that it costs as separate steps."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from stages.nn.products import keep_precision, mm, precision_kept

_ROWS_AT_ONCE = 32  # so that a stretch of logits stays in a core's cache from pass to pass


class _LinearCrossEntropy(torch.autograd.Function):
    """`linear_cross_entropy` on a CPU: the logits become their own gradient, where they lie."""

    @staticmethod
    @keep_precision
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:  # noqa: ANN401
        logits = mm(inputs, weight.t())
        losses = torch.empty(len(targets), 1, dtype=logits.dtype)
        stretches = (torch.split(tensor, _ROWS_AT_ONCE) for tensor in (logits, targets.unsqueeze(1), losses))
        for rows, target, loss in zip(*stretches, strict=True):
            rows += bias
            rows -= rows.amax(1, keepdim=True)
            of_target = rows.gather(1, target)
            total = rows.exp_().sum(1, keepdim=True)
            torch.sub(total.log(), of_target, out=loss)
            rows /= total
            rows.scatter_add_(1, target, rows.new_tensor(-1).expand_as(target))
        ctx.save_for_backward(inputs, weight, logits)
        return losses.mean()

    @staticmethod
    @once_differentiable
    @precision_kept
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # noqa: ANN401
        inputs, weight, d_logits = ctx.saved_tensors
        scale = gradient / len(inputs)
        d_weight = mm(d_logits.t(), inputs * scale)
        return mm(d_logits, weight).mul_(scale), d_weight, d_logits.sum(0).mul_(scale), None


def linear_cross_entropy(inputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy (nats) of targets under the softmax of `linear(inputs, weight, bias)`.

    Args:
        inputs: (..., features).
        weight: (classes, features).
        bias: (classes,).
        targets: (...) int64, each a class.

    Returns:
        A scalar, differentiable in all but the targets.
    """
    if inputs.device.type != "cpu":
        return F.cross_entropy(F.linear(inputs, weight, bias).flatten(0, -2), targets.flatten())
    loss: Tensor = _LinearCrossEntropy.apply(inputs.flatten(0, -2), weight, bias, targets.flatten())  # type: ignore[no-untyped-call]
    return loss
