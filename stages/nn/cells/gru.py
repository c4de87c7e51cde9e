"""The gated recurrent unit. Blocks: reset gate, update gate, candidate.

Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation", EMNLP 2014,
where the reset gate acts before the matrix product, as in Keras 2.1; torch and cuDNN have it act after the product.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.nn.cells import Cell, Scalars, State
from stages.nn.compiled import (
    hard_sigmoid,
    hard_sigmoid_slope,
    inlined,
    one_minus,
    sigmoid,
    sigmoid_slope,
    tanh,
    tanh_slope,
)


def step(projection: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor) -> State:
    """One step of a batch, as `Cell.step` says: the reset gate acts after the matrix product."""
    (h,) = state
    x_r, x_z, x_n = projection.chunk(3, -1)
    h_r, h_z, h_n = F.linear(h, weight_hh, bias_hh).chunk(3, -1)
    r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + r * h_n)
    return ((1 - z) * n + z * h,)


@inlined
def forward(state: Any, x: Any, u: Any) -> Any:  # noqa: ANN401
    """One step of one unit, as `Scalars.forward` says."""
    r, z = sigmoid(x[0] + u[0]), sigmoid(x[1] + u[1])
    n = tanh(x[2] + r * u[2])
    return (n + z * (state[0] - n),), (r, z, n, u[2])


@inlined
def backward(d_state: Any, state: Any, kept: Any) -> Any:  # noqa: ANN401
    """Its gradient, as `Scalars.backward` says."""
    r, z, n, product = kept
    (d_h,), (h,) = d_state, state
    d_n = d_h * one_minus(z) * tanh_slope(n)
    d_r = d_n * product * sigmoid_slope(r)
    d_z = d_h * (h - n) * sigmoid_slope(z)
    return (d_r, d_z, d_n), (d_r, d_z, d_n * r), (d_h * z,)


def keras2_step(projection: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor) -> State:
    """One step of Keras 2.1's: the reset gate acts before the matrix product, and the gates are hard sigmoids."""
    (h,) = state
    first = 2 * h.shape[-1]
    gates = projection[..., :first] + F.linear(h, weight_hh[:first], bias_hh[:first])
    r, z = (gates / 5 + 0.5).clamp(0, 1).chunk(2, -1)
    n = torch.tanh(projection[..., first:] + F.linear(r * h, weight_hh[first:], bias_hh[first:]))
    return ((1 - z) * n + z * h,)


@inlined
def keras2_reset(state: Any, a: Any) -> Any:  # noqa: ANN401
    """One unit's gates, as `Scalars.reset` says."""
    r, z = hard_sigmoid(a[0]), hard_sigmoid(a[1])
    return (r, z), r * state[0]


@inlined
def keras2_forward(state: Any, gates: Any, a: Any) -> Any:  # noqa: ANN401
    """The rest of one unit's step, as `Scalars.forward` says."""
    n = tanh(a[0])
    return (n + gates[1] * (state[0] - n),), (n,)


@inlined
def keras2_backward(d_state: Any, state: Any, kept: Any) -> Any:  # noqa: ANN401
    """Its gradient, as `Scalars.backward` says; the reset gate's is still to come."""
    r, z, n = kept
    (d_h,), (h,) = d_state, state
    d_a = type(r)(0), d_h * (h - n) * hard_sigmoid_slope(z), d_h * one_minus(z) * tanh_slope(n)
    return d_a, (d_h * z,)


@inlined
def keras2_reset_backward(d_made: Any, state: Any, kept: Any, d_first: Any) -> Any:  # noqa: ANN401
    """The reset gate's gradient, as `Scalars.reset_backward` says."""
    return (d_made * state[0] * hard_sigmoid_slope(kept[0]), d_first[1]), d_made * kept[0]


_OURS = Cell(
    "gru",
    gates=3,
    states=1,
    step=step,
    layer=nn.GRU,
    scalars=Scalars(forward, backward, kept_more=1, product_apart=True),
)
_KERAS2 = Cell(
    "gru.keras2",
    gates=3,
    states=1,
    step=keras2_step,
    scalars=Scalars(
        keras2_forward,
        keras2_backward,
        reset=keras2_reset,
        reset_backward=keras2_reset_backward,
        reset_blocks=2,
    ),
    recurrent_bias=False,
)
CELL = replace(_OURS, keras2=_KERAS2)
