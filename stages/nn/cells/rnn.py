"""The simple recurrent network of Elman, "Finding structure in time", Cognitive Science 14 (1990)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.nn.cells import Cell, Scalars, State
from stages.nn.compiled import inlined, tanh, tanh_slope


def step(projection: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor) -> State:
    """One step of a batch, as `Cell.step` says."""
    (h,) = state
    return (torch.tanh(projection + F.linear(h, weight_hh, bias_hh)),)


@inlined
def forward(state: Any, a: Any) -> Any:  # noqa: ANN401
    """One step of one unit, as `Scalars.forward` says."""
    h = tanh(a[0])
    return (h,), (h,)


@inlined
def backward(d_state: Any, state: Any, kept: Any) -> Any:  # noqa: ANN401
    """Its gradient, as `Scalars.backward` says."""
    (d_h,), (h,) = d_state, kept
    return (d_h * tanh_slope(h),), (type(d_h)(0),)


CELL = Cell("rnn", gates=1, states=1, step=step, layer=nn.RNN, scalars=Scalars(forward, backward), recurrent_bias=False)
