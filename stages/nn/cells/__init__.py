"""The recurrent cells: one table. Nothing else in the code base branches on a cell's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.nn.kernels import GRU_KERNEL, LSTM_KERNEL, RNN_KERNEL, Kernel
from stages.nn.scans import GRU_SCAN, LSTM_SCAN, RNN_SCAN, Scan

State = tuple[Tensor, ...]
"""A cell's state tensors; the first is also its output."""


@dataclass(frozen=True)
class Cell:
    """One recurrent cell. `step` defines it; `layer`, `scan` and `kernel` are faster ways to the same numbers."""

    name: str
    gates: int
    """Blocks of `hidden` rows in weight_ih, weight_hh and the two biases."""
    states: int
    """State tensors carried from step to step: 1 (h) or 2 (h, c)."""
    step: Callable[[Tensor, State, Tensor, Tensor], State]
    """(input's projection with bias_ih (batch, gates * hidden), state, weight_hh, bias_hh) -> next state."""
    layer: Callable[..., nn.RNNBase] | None = None
    """torch's layer, for the `packed` engine; None: that engine goes step by step."""
    layer_fused_on_cpu: bool = False
    """Where no sequence is padded, that layer is oneDNN's on a CPU, and quicker than the scan."""
    scan: Scan | None = None
    """The loop with gradients by hand, for the `padded` engine; None: that engine goes step by step."""
    kernel: Kernel | None = None
    """The compiled loop, for replicas on a CPU; None: they go step by step."""
    recurrent_bias: bool = True
    """bias_hh does what bias_ih cannot; False: the two only add, and Keras has one."""
    forget_gate: int | None = None
    """The block whose bias Keras starts at 1."""


def _rnn_step(projection: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor) -> State:
    (h,) = state
    return (torch.tanh(projection + F.linear(h, weight_hh, bias_hh)),)


def _lstm_step(projection: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor) -> State:
    h, c = state
    i, f, g, o = (projection + F.linear(h, weight_hh, bias_hh)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru_step(projection: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor) -> State:
    """The GRU of torch and cuDNN: the reset gate acts after the matrix product."""
    (h,) = state
    x_r, x_z, x_n = projection.chunk(3, -1)
    h_r, h_z, h_n = F.linear(h, weight_hh, bias_hh).chunk(3, -1)
    r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + r * h_n)
    return ((1 - z) * n + z * h,)


CELLS: Mapping[str, Cell] = {
    cell.name: cell
    for cell in (
        Cell(
            "rnn",
            gates=1,
            states=1,
            step=_rnn_step,
            layer=nn.RNN,
            scan=RNN_SCAN,
            kernel=RNN_KERNEL,
            recurrent_bias=False,
        ),
        Cell(
            "lstm",
            gates=4,
            states=2,
            step=_lstm_step,
            layer=nn.LSTM,
            layer_fused_on_cpu=True,
            scan=LSTM_SCAN,
            kernel=LSTM_KERNEL,
            recurrent_bias=False,
            forget_gate=1,
        ),
        Cell("gru", gates=3, states=1, step=_gru_step, layer=nn.GRU, scan=GRU_SCAN, kernel=GRU_KERNEL),
    )
}
