"""Dropout whose random numbers do not cost a CPU more than the network does."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from stages.nn.compiled import Array, compiled

_whole: tuple[slice, int] | None = None
"""The columns of a batch that are here, and how many it has."""


@contextmanager
def of_whole_batch(columns: slice, batch: int) -> Iterator[None]:
    """Within it, values are these columns of a batch, of all of which dropout is drawn."""
    global _whole
    before, _whole = _whole, (columns, batch)
    try:
        yield
    finally:
        _whole = before


def dropout(values: Tensor, rate: float, training: bool) -> Tensor:
    """Zero each value with probability `rate` and divide the others by 1 - `rate`; outside training, do nothing.

    torch draws its CPU masks one number at a time, which took a quarter of a training epoch. Here each value's fate
    hangs on 32 bits of NumPy's PCG64, seeded by one draw from torch's generator: so a seed, and a checkpoint of
    torch's generator, still decide everything. The rate is exact to 2**-32. Within `of_whole_batch` values (time,
    batch, features) are dropped as they would be among those of the whole batch.
    """
    if not training or rate == 0:
        return values
    if not 0 < rate < 1:
        raise ValueError(f"dropout {rate}: allowed is 0 <= dropout < 1")
    if values.device.type != "cpu":
        if _whole is None or values.dim() < 3:
            return nn.functional.dropout(values, rate)
        columns, batch = _whole
        return values * nn.functional.dropout(values.new_ones(len(values), batch, values.shape[2]), rate)[:, columns]
    dropped: Tensor = _Dropped.apply(values, rate)  # type: ignore[no-untyped-call]
    return dropped


class _Dropped(torch.autograd.Function):
    """Values on a CPU, and in the backward pass their gradient, with the same ones dropped."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rate: float) -> Tensor:  # noqa: ANN401
        seed = int(torch.randint(2**62, ()))
        shape = values.shape if _whole is None else (len(values), _whole[1], *values.shape[2:])
        numbers = math.prod(shape)
        bits = np.random.PCG64(seed).random_raw(-(-numbers // 2)).view(np.int32)[:numbers]
        if _whole is not None:
            bits = bits.reshape(shape)[:, _whole[0]].reshape(-1)
        ctx.rate, ctx.bits = rate, bits
        return _without_dropped(values, ctx.bits, rate)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return _without_dropped(gradient, ctx.bits, ctx.rate), None


def _without_dropped(values: Tensor, bits: Array, rate: float) -> Tensor:
    result = torch.empty_like(values, memory_format=torch.contiguous_format)
    scale = result.numpy().dtype.type(1 / (1 - rate))
    flat = values.detach().contiguous().numpy().reshape(-1)
    _drop(flat, bits, np.int32(round(rate * 2**32) - 2**31), scale, result.numpy().reshape(-1))
    return result


@compiled
def _drop(values: Array, bits: Array, dropped_below: Any, scale: Any, result: Array) -> None:  # noqa: ANN401
    for i in range(values.shape[0]):
        result[i] = values[i] * scale if bits[i] >= dropped_below else 0


class Dropout(nn.Module):
    """`dropout` as a module."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, values: Tensor) -> Tensor:
        """Apply dropout to `values` of any shape."""
        return dropout(values, self.rate, self.training)

    def extra_repr(self) -> str:
        """The rate, for print(model)."""
        return f"rate={self.rate}"
