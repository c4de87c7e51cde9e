"""The loss of a large output layer, without the passes over memory that it costs as separate steps."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from stages.nn.compiled import Array, compiled, exp
from stages.nn.products import keep_precision, mm, precision_kept

_LANES = 64  # sums and maxima side by side, for as many numbers as a few vector registers hold


@compiled
def _softmax_loss(logits: Array, bias: Array, targets: Array, losses: Array, d_bias: Array) -> None:
    """Losses (rows,) of targets (rows,), from logits (rows, classes) without their `bias` (classes,).

    The logits become their own gradient, of the losses' sum, and its part in the bias is added to `d_bias`. A row stays
    in a core's cache from pass to pass. Where a logit is no number, the loss is none.
    """
    real = logits.dtype.type
    classes = logits.shape[1]
    whole = classes - classes % _LANES
    lanes = np.empty(_LANES, logits.dtype)
    for i in range(len(logits)):
        row, target = logits[i], targets[i]
        lanes[:] = real(-np.inf)
        for j in range(0, whole, _LANES):
            for k in range(_LANES):
                logit = row[j + k] + bias[j + k]
                row[j + k] = logit
                lanes[k] = max(lanes[k], logit)
        for j in range(whole, classes):
            row[j] += bias[j]
            lanes[0] = max(lanes[0], row[j])
        largest = lanes[0]
        for k in range(_LANES):
            largest = max(largest, lanes[k])
        of_target = row[target] - largest
        lanes[:] = real(0)
        for j in range(0, whole, _LANES):
            for k in range(_LANES):
                row[j + k] = exp(row[j + k] - largest)
                lanes[k] += row[j + k]
        for j in range(whole, classes):
            row[j] = exp(row[j] - largest)
            lanes[0] += row[j]
        total = real(0)
        for k in range(_LANES):
            total += lanes[k]
        losses[i] = real(math.log(total)) - of_target
        share = real(1) / total
        for j in range(classes):
            row[j] *= share
            d_bias[j] += row[j]
        row[target] -= real(1)
        d_bias[target] -= real(1)


class _LinearCrossEntropy(torch.autograd.Function):
    """`linear_cross_entropy` on a CPU: the logits become their own gradient, where they lie."""

    @staticmethod
    @keep_precision
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:  # noqa: ANN401
        logits = mm(inputs, weight.t())
        losses, d_bias = logits.new_empty(len(targets)), torch.zeros_like(bias)
        _softmax_loss(*(tensor.detach().numpy() for tensor in (logits, bias, targets, losses, d_bias)))
        ctx.save_for_backward(inputs, weight, logits, d_bias)
        return losses.mean()

    @staticmethod
    @once_differentiable
    @precision_kept
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # noqa: ANN401
        inputs, weight, d_logits, d_bias = ctx.saved_tensors
        scale = gradient / len(inputs)
        d_weight = mm(d_logits.t(), inputs * scale)
        return mm(d_logits, weight).mul_(scale), d_weight, d_bias * scale, None


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
