"""Compiled time loops of the cells with gradients derived by hand: what `Replicas` runs on a CPU.

For replicas of a few units, calling torch costs more than the arithmetic of a time step does, and independent nets
leave it no large matrix product. Here a whole sequence is one call into Numba, which reads and writes the tensors'
own memory. The batch is the innermost axis, in `LANES` lanes that the compiler turns into vector instructions. The
weights' gradients are products over all steps, which torch does best. benchmarks/replicas.md has what else was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from stages.nn.compiled import Array, compiled, sigmoid, tanh

LANES = 16
"""Sequences of one replica computed side by side: in float32, one register of AVX-512."""


@dataclass(frozen=True)
class Kernel:
    """One cell's loop over time and its gradient: functions that fill the arrays they are given.

    Shapes: inputs (replicas, input, time, LANES); h and each kept array (replicas, blocks * hidden, 1 + time, LANES),
    whose entry 1 + t belongs to step t and whose first is zero; weights as in `Replicas`; d_projections and
    d_products, the gradients of W_ih x + b_ih and W_hh h + b_hh, (replicas, gates * hidden, time, LANES).
    """

    forward: Callable[..., None]
    """(inputs, weight_ih, weight_hh, bias_ih, bias_hh, h, *kept): fills h, the hidden states, and what is kept."""

    backward: Callable[..., None]
    """(d_hidden, weight_hh, h, *kept, d_projections[, d_products]): fills the last ones.

    `d_hidden` (replicas, hidden, steps, LANES) is the gradient of the last `steps` hidden states.
    """

    kept: tuple[int, ...] = ()
    """Blocks of `hidden` rows in each array that `forward` keeps for `backward`."""

    product_apart: bool = False
    """The recurrent product does not simply add to the projection (GRU); else both have the same gradient."""


class _Run(torch.autograd.Function):
    """Inputs and weights of a `Kernel` to its last hidden states, (replicas, hidden, steps, LANES)."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context takes any attribute
        kernel: Kernel,
        steps: int,
        inputs: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
    ) -> Tensor:
        replicas, _, time, lanes = inputs.shape
        hidden = weight_hh.shape[2]
        traces = [inputs.new_empty(replicas, blocks * hidden, 1 + time, lanes) for blocks in (1, *kernel.kept)]
        for trace in traces:
            trace[:, :, 0] = 0
        kernel.forward(*_arrays(inputs, weight_ih, weight_hh, bias_ih, bias_hh, *traces))
        ctx.kernel = kernel
        ctx.save_for_backward(inputs, weight_ih, weight_hh, *traces)
        return traces[0][:, :, -steps:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_hidden: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        inputs, weight_ih, weight_hh, *traces = ctx.saved_tensors
        replicas, _, time, lanes = inputs.shape
        rows = weight_hh.shape[1]
        gradients = [inputs.new_empty(replicas, rows, time, lanes) for _ in range(1 + ctx.kernel.product_apart)]
        ctx.kernel.backward(*_arrays(d_hidden, weight_hh, *traces, *gradients))
        d_projections, d_products = gradients[0].flatten(2), gradients[-1].flatten(2)
        d_inputs = torch.bmm(weight_ih.mT, d_projections).view(inputs.shape) if ctx.needs_input_grad[2] else None
        d_weight_ih = torch.bmm(d_projections, inputs.flatten(2).mT)
        d_weight_hh = torch.bmm(d_products, traces[0][:, :, :-1].flatten(2).mT)
        d_bias_ih = d_projections.sum(2)
        d_bias_hh = d_products.sum(2) if ctx.kernel.product_apart else d_bias_ih
        return None, None, d_inputs, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh


def _arrays(*tensors: Tensor) -> list[Array]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def run_kernel(kernel: Kernel, inputs: Tensor, weights: Sequence[Tensor], steps: int) -> Tensor:
    """Run one recurrent layer of every replica forwards through its inputs, from a state of zero.

    Args:
        kernel: the cell's loop.
        inputs: (time, replicas, batch, input), on a CPU, float32 or float64.
        weights: weight_ih (replicas, gates * hidden, input), weight_hh (replicas, gates * hidden, hidden), bias_ih
            and bias_hh (replicas, gates * hidden).
        steps: how many of the last hidden states are wanted.

    Returns:
        The hidden states, (replicas, hidden, steps, batch).
    """
    batch = inputs.shape[2]
    groups = -(-batch // LANES)
    if batch % LANES:
        inputs = F.pad(inputs, (0, 0, 0, groups * LANES - batch))
    if groups > 1:  # each group of lanes runs as a replica of its own
        inputs = inputs.reshape(len(inputs), -1, LANES, inputs.shape[3])
        weights = [weight.repeat_interleave(groups, 0) for weight in weights]
    hidden: Tensor = _Run.apply(kernel, steps, inputs.permute(1, 3, 0, 2), *weights)  # type: ignore[no-untyped-call]
    if groups > 1:
        hidden = hidden.reshape(-1, groups, *hidden.shape[1:]).permute(0, 2, 3, 1, 4).flatten(3)
    return hidden[..., :batch]


@compiled
def _lanes(array: Array) -> int:
    """LANES, the last size of every array, but not so that the compiler knows.

    It knows that there are at most LANES and makes one vector of them; a loop of known length it would unroll first.
    """
    return int(array.shape[-1]) & LANES


@compiled
def _fill(products: Array, bias: Array, n: int) -> None:
    """`products` (rows, LANES) becomes `bias[n]` (rows,) in every lane."""
    for row in range(products.shape[0]):
        for lane in range(_lanes(products)):
            products[row, lane] = bias[n, row]


@compiled
def _add_product(products: Array, weight: Array, values: Array, n: int, t: int) -> None:
    """Add `weight[n]` (rows, columns) times `values[n, :, t]` (columns, LANES) to `products` (rows, LANES)."""
    for column in range(weight.shape[2]):
        for row in range(weight.shape[1]):
            for lane in range(_lanes(products)):
                products[row, lane] += weight[n, row, column] * values[n, column, t, lane]


@compiled
def _add_product_back(d_values: Array, weight: Array, d_products: Array, n: int, t: int) -> None:
    """The gradient of `_add_product`: add to `d_values[n]` (columns, LANES) from `d_products[n, :, t]`."""
    for row in range(weight.shape[1]):
        for column in range(weight.shape[2]):
            for lane in range(_lanes(d_values)):
                d_values[column, lane] += weight[n, row, column] * d_products[n, row, t, lane]


@compiled
def _add_output_gradient(dh: Array, d_hidden: Array, n: int, step: int) -> None:
    """Add `d_hidden[n, :, step]` to `dh[n]` (hidden, LANES); before the first wanted step there is none."""
    if step >= 0:
        for k in range(dh.shape[0]):
            for lane in range(_lanes(dh)):
                dh[k, lane] += d_hidden[n, k, step, lane]


@compiled
def _rnn_step(gates: Array, h: Array, n: int, t: int) -> None:
    for k in range(h.shape[1]):
        for lane in range(_lanes(gates)):
            h[n, k, t + 1, lane] = tanh(gates[k, lane])


@compiled
def _rnn_forward(inputs: Array, weight_ih: Array, weight_hh: Array, bias_ih: Array, bias_hh: Array, h: Array) -> None:
    bias = bias_ih + bias_hh
    gates = np.empty((weight_hh.shape[1], LANES), h.dtype)
    for n in range(inputs.shape[0]):
        for t in range(inputs.shape[2]):
            _fill(gates, bias, n)
            _add_product(gates, weight_ih, inputs, n, t)
            _add_product(gates, weight_hh, h, n, t)
            _rnn_step(gates, h, n, t)


@compiled
def _rnn_step_back(dh: Array, h: Array, d_gates: Array, n: int, t: int) -> None:
    one = h.dtype.type(1)
    for k in range(dh.shape[0]):
        for lane in range(_lanes(dh)):
            output = h[n, k, t + 1, lane]
            d_gates[n, k, t, lane] = dh[k, lane] * (one - output * output)
            dh[k, lane] = 0


@compiled
def _rnn_backward(d_hidden: Array, weight_hh: Array, h: Array, d_gates: Array) -> None:
    replicas, hidden, time, _ = d_gates.shape
    dh = np.empty((hidden, LANES), h.dtype)
    for n in range(replicas):
        dh[:] = 0
        for t in range(time - 1, -1, -1):
            _add_output_gradient(dh, d_hidden, n, t - time + d_hidden.shape[2])
            _rnn_step_back(dh, h, d_gates, n, t)
            _add_product_back(dh, weight_hh, d_gates, n, t)


@compiled
def _lstm_step(gates: Array, h: Array, c: Array, activations: Array, squashed: Array, n: int, t: int) -> None:
    hidden = h.shape[1]
    for k in range(hidden):
        for lane in range(_lanes(gates)):
            i, f = sigmoid(gates[k, lane]), sigmoid(gates[hidden + k, lane])
            g, o = tanh(gates[2 * hidden + k, lane]), sigmoid(gates[3 * hidden + k, lane])
            cell = f * c[n, k, t, lane] + i * g
            tanh_c = tanh(cell)
            c[n, k, t + 1, lane], squashed[n, k, t + 1, lane], h[n, k, t + 1, lane] = cell, tanh_c, o * tanh_c
            activations[n, k, t + 1, lane], activations[n, hidden + k, t + 1, lane] = i, f
            activations[n, 2 * hidden + k, t + 1, lane], activations[n, 3 * hidden + k, t + 1, lane] = g, o


@compiled
def _lstm_forward(
    inputs: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array,
    bias_hh: Array,
    h: Array,
    c: Array,
    activations: Array,
    squashed: Array,
) -> None:
    bias = bias_ih + bias_hh
    gates = np.empty((weight_hh.shape[1], LANES), h.dtype)
    for n in range(inputs.shape[0]):
        for t in range(inputs.shape[2]):
            _fill(gates, bias, n)
            _add_product(gates, weight_ih, inputs, n, t)
            _add_product(gates, weight_hh, h, n, t)
            _lstm_step(gates, h, c, activations, squashed, n, t)


@compiled
def _lstm_step_back(
    dh: Array, dc: Array, c: Array, activations: Array, squashed: Array, d_gates: Array, n: int, t: int
) -> None:
    one = c.dtype.type(1)
    hidden = dh.shape[0]
    for k in range(hidden):
        for lane in range(_lanes(dh)):
            i, f = activations[n, k, t + 1, lane], activations[n, hidden + k, t + 1, lane]
            g, o = activations[n, 2 * hidden + k, t + 1, lane], activations[n, 3 * hidden + k, t + 1, lane]
            tanh_c = squashed[n, k, t + 1, lane]
            d_output = dh[k, lane]
            d_cell = dc[k, lane] + d_output * o * (one - tanh_c * tanh_c)
            d_gates[n, k, t, lane] = d_cell * g * i * (one - i)
            d_gates[n, hidden + k, t, lane] = d_cell * c[n, k, t, lane] * f * (one - f)
            d_gates[n, 2 * hidden + k, t, lane] = d_cell * i * (one - g * g)
            d_gates[n, 3 * hidden + k, t, lane] = d_output * tanh_c * o * (one - o)
            dc[k, lane] = d_cell * f
            dh[k, lane] = 0


@compiled
def _lstm_backward(
    d_hidden: Array, weight_hh: Array, h: Array, c: Array, activations: Array, squashed: Array, d_gates: Array
) -> None:
    replicas, _, time, _ = d_gates.shape
    dh = np.empty((h.shape[1], LANES), h.dtype)
    dc = np.empty_like(dh)
    for n in range(replicas):
        dh[:], dc[:] = 0, 0
        for t in range(time - 1, -1, -1):
            _add_output_gradient(dh, d_hidden, n, t - time + d_hidden.shape[2])
            _lstm_step_back(dh, dc, c, activations, squashed, d_gates, n, t)
            _add_product_back(dh, weight_hh, d_gates, n, t)


@compiled
def _gru_step(projections: Array, products: Array, h: Array, gates: Array, product_n: Array, n: int, t: int) -> None:
    hidden = h.shape[1]
    for k in range(hidden):
        for lane in range(_lanes(products)):
            r = sigmoid(projections[k, lane] + products[k, lane])
            z = sigmoid(projections[hidden + k, lane] + products[hidden + k, lane])
            product = products[2 * hidden + k, lane]
            candidate = tanh(projections[2 * hidden + k, lane] + r * product)
            h[n, k, t + 1, lane] = candidate + z * (h[n, k, t, lane] - candidate)
            gates[n, k, t + 1, lane], gates[n, hidden + k, t + 1, lane] = r, z
            gates[n, 2 * hidden + k, t + 1, lane], product_n[n, k, t + 1, lane] = candidate, product


@compiled
def _gru_forward(
    inputs: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array,
    bias_hh: Array,
    h: Array,
    gates: Array,
    product_n: Array,
) -> None:
    projections = np.empty((weight_hh.shape[1], LANES), h.dtype)
    products = np.empty_like(projections)
    for n in range(inputs.shape[0]):
        for t in range(inputs.shape[2]):
            _fill(projections, bias_ih, n)
            _fill(products, bias_hh, n)
            _add_product(projections, weight_ih, inputs, n, t)
            _add_product(products, weight_hh, h, n, t)
            _gru_step(projections, products, h, gates, product_n, n, t)


@compiled
def _gru_step_back(
    dh: Array,
    h: Array,
    gates: Array,
    product_n: Array,
    d_projections: Array,
    d_products: Array,
    n: int,
    t: int,
) -> None:
    one = h.dtype.type(1)
    hidden = dh.shape[0]
    for k in range(hidden):
        for lane in range(_lanes(dh)):
            r, z = gates[n, k, t + 1, lane], gates[n, hidden + k, t + 1, lane]
            candidate = gates[n, 2 * hidden + k, t + 1, lane]
            d_output = dh[k, lane]
            d_candidate = d_output * (one - z) * (one - candidate * candidate)
            d_r = d_candidate * product_n[n, k, t + 1, lane] * r * (one - r)
            d_z = d_output * (h[n, k, t, lane] - candidate) * z * (one - z)
            d_projections[n, k, t, lane], d_products[n, k, t, lane] = d_r, d_r
            d_projections[n, hidden + k, t, lane], d_products[n, hidden + k, t, lane] = d_z, d_z
            d_projections[n, 2 * hidden + k, t, lane] = d_candidate
            d_products[n, 2 * hidden + k, t, lane] = d_candidate * r
            dh[k, lane] = d_output * z


@compiled
def _gru_backward(
    d_hidden: Array,
    weight_hh: Array,
    h: Array,
    gates: Array,
    product_n: Array,
    d_projections: Array,
    d_products: Array,
) -> None:
    replicas, _, time, _ = d_products.shape
    dh = np.empty((h.shape[1], LANES), h.dtype)
    for n in range(replicas):
        dh[:] = 0
        for t in range(time - 1, -1, -1):
            _add_output_gradient(dh, d_hidden, n, t - time + d_hidden.shape[2])
            _gru_step_back(dh, h, gates, product_n, d_projections, d_products, n, t)
            _add_product_back(dh, weight_hh, d_products, n, t)


RNN_KERNEL = Kernel(_rnn_forward, _rnn_backward)
LSTM_KERNEL = Kernel(_lstm_forward, _lstm_backward, kept=(1, 4, 1))
GRU_KERNEL = Kernel(_gru_forward, _gru_backward, kept=(3, 1), product_apart=True)
