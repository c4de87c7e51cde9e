"""Long short-term memory, with a forget gate.

Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); Gers, Schmidhuber and Cummins,
"Learning to forget", Neural Computation 12 (2000). Blocks: input gate, forget gate, candidate, output gate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.nn.cells import Cell, Scalars, State
from stages.nn.compiled import hard_sigmoid, hard_sigmoid_slope, inlined, sigmoid, sigmoid_slope, tanh, tanh_slope


def step(projection: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor) -> State:
    """One step of a batch, as `Cell.step` says."""
    return _step(torch.sigmoid, projection, state, weight_hh, bias_hh)


def keras2_step(projection: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor) -> State:
    """The same with the hard sigmoids of Keras 2.1."""
    return _step(lambda x: (x / 5 + 0.5).clamp(0, 1), projection, state, weight_hh, bias_hh)


def _step(
    gate: Callable[[Tensor], Tensor], projection: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor
) -> State:
    h, c = state
    i, f, g, o = (projection + F.linear(h, weight_hh, bias_hh)).chunk(4, -1)
    c = gate(f) * c + gate(i) * torch.tanh(g)
    return gate(o) * torch.tanh(c), c


def _scalars(gate: Any, slope: Any) -> Scalars:  # noqa: ANN401
    """The step of one unit and its gradient, with gates of one kind."""

    @inlined
    def forward(state: Any, a: Any) -> Any:  # noqa: ANN401
        i, f, g, o = gate(a[0]), gate(a[1]), tanh(a[2]), gate(a[3])
        c = f * state[1] + i * g
        tanh_c = tanh(c)
        return (o * tanh_c, c), (i, f, g, o, tanh_c)

    @inlined
    def backward(d_state: Any, state: Any, kept: Any) -> Any:  # noqa: ANN401
        i, f, g, o, tanh_c = kept
        d_h = d_state[0]
        d_c = d_state[1] + d_h * o * tanh_slope(tanh_c)
        d_a = d_c * g * slope(i), d_c * state[1] * slope(f), d_c * i * tanh_slope(g), d_h * tanh_c * slope(o)
        return d_a, (type(d_h)(0), d_c * f)

    return Scalars(forward, backward, kept_more=1)


_OURS = Cell(
    "lstm",
    gates=4,
    states=2,
    step=step,
    layer=nn.LSTM,
    layer_fused_on_cpu=True,
    scalars=_scalars(sigmoid, sigmoid_slope),
    recurrent_bias=False,
    forget_gate=1,
)
_KERAS2 = replace(
    _OURS,
    name="lstm.keras2",
    step=keras2_step,
    layer=None,
    layer_fused_on_cpu=False,
    scalars=_scalars(hard_sigmoid, hard_sigmoid_slope),
)
CELL = replace(_OURS, keras2=_KERAS2)
