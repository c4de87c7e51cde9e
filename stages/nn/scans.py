"""Time loops of the cells over a padded batch, compiled, with gradients derived by hand: what `padded` runs on a CPU.

torch's own CPU loop pays, in every time step, for autograd's bookkeeping and (packed) for a gradient as long as the
whole batch. Here a direction of a layer is one autograd node: its input projection is one matrix product over all
steps, the loop is one call into Numba that works in place, and its weight gradients are one product over all steps
again. A sequence that has ended keeps its state, so that neither direction needs its input put in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from stages.nn.compiled import Array, compiled, sigmoid, tanh
from stages.nn.products import keep_precision, mm, precision_kept


@dataclass(frozen=True)
class Scan:
    """One cell's loop over time and its gradient: functions that fill the arrays they are given.

    Shapes: gates, d_gates and d_products (time, batch, gates * hidden); a state's trace (1 + time, batch, hidden),
    which begins with the initial state, or, backwards in time (`reverse`), ends with it; each array of `kept`
    (time, batch, hidden); d_outputs (time, batch, hidden), or of no steps where nothing asks for the outputs; d_states,
    the gradients of the final states, each (batch, hidden).
    """

    forward: Callable[..., None]
    """(gates, weight_hh transposed, bias_ih, bias_hh, lengths, reverse, *traces, *kept).

    `gates` arrives as the input's projection without its bias and leaves as what `backward` wants of it.
    """

    backward: Callable[..., None]
    """(gates, weight_hh, lengths, reverse, *traces, *kept, d_outputs, *d_states, d_gates[, d_products]).

    Fills the last ones, and leaves in d_states the gradients of the initial states.
    """

    kept: int = 0
    """Arrays that `forward` fills for `backward`."""

    product_apart: bool = False
    """The recurrent product does not simply add to the projection (GRU); else both have the same gradient."""


class _Scanned(torch.autograd.Function):
    """Inputs (time, batch, features), weights and initial states to the outputs of every step and the final states."""

    @staticmethod
    @keep_precision
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context takes any attribute
        scan: Scan,
        lengths: Tensor,
        reverse: bool,
        inputs: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        *initial: Tensor,
    ) -> tuple[Tensor, ...]:
        time, batch, _ = inputs.shape
        gates = mm(inputs.flatten(0, 1), weight_ih.t()).view(time, batch, -1)
        traces = [state.new_empty(1 + time, *state.shape) for state in initial]
        first, last = (time, 0) if reverse else (0, time)
        for trace, state in zip(traces, initial, strict=True):
            trace[first] = state
        kept = [torch.empty_like(traces[0][1:]) for _ in range(scan.kept)]
        scan.forward(*_arrays(gates, weight_hh.t(), bias_ih, bias_hh, lengths), reverse, *_arrays(*traces, *kept))
        ctx.scan, ctx.reverse, ctx.states = scan, reverse, len(initial)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(lengths, inputs, weight_ih, weight_hh, gates, *traces, *kept)
        outputs = traces[0][:-1] if reverse else traces[0][1:]
        return outputs, *(trace[last] for trace in traces)

    @staticmethod
    @once_differentiable
    @precision_kept
    def backward(ctx: Any, d_outputs: Tensor | None, *d_finals: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        lengths, inputs, weight_ih, weight_hh, gates, *rest = ctx.saved_tensors
        traces = rest[: ctx.states]
        if d_outputs is None:
            d_outputs = inputs.new_empty(0, *traces[0].shape[1:])
        d_states = [
            torch.zeros_like(trace[0]) if d_final is None else d_final.clone(memory_format=torch.contiguous_format)
            for trace, d_final in zip(traces, d_finals, strict=True)
        ]
        gradients = [torch.empty_like(gates) for _ in range(1 + ctx.scan.product_apart)]
        ctx.scan.backward(
            *_arrays(gates, weight_hh, lengths), ctx.reverse, *_arrays(*rest, d_outputs, *d_states, *gradients)
        )
        d_gates, d_products = gradients[0].flatten(0, 1), gradients[-1].flatten(0, 1)
        before = traces[0][1:] if ctx.reverse else traces[0][:-1]
        d_inputs = mm(d_gates, weight_ih).view(inputs.shape) if ctx.needs_input_grad[3] else None
        d_weight_ih = mm(d_gates.t(), inputs.flatten(0, 1))
        d_weight_hh = mm(d_products.t(), before.flatten(0, 1))
        d_bias_ih = d_gates.sum(0)
        d_bias_hh = d_products.sum(0) if ctx.scan.product_apart else d_bias_ih
        return None, None, None, d_inputs, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh, *d_states


def _arrays(*tensors: Tensor) -> list[Array]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def run_scan(
    scan: Scan,
    inputs: Tensor,
    weights: Sequence[Tensor],
    initial: tuple[Tensor, ...],
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, ...]:
    """Run one direction of one layer through its inputs.

    Args:
        scan: the cell's loop.
        inputs: (time, batch, features), on a CPU, float32 or float64.
        weights: weight_ih (gates * hidden, features), weight_hh (gates * hidden, hidden), bias_ih and bias_hh
            (gates * hidden,).
        initial: the initial states, each (batch, hidden).
        lengths: (batch,) int64, after which a sequence keeps its state; None: all of them time.
        reverse: backwards in time, each sequence from its own last item.

    Returns:
        The output of every step (time, batch, hidden), past a sequence's length what state it keeps; then each
        final state, (batch, hidden).
    """
    if lengths is None:
        lengths = torch.full((inputs.shape[1],), len(inputs))
    result: tuple[Tensor, ...] = _Scanned.apply(scan, lengths, reverse, inputs, *weights, *initial)  # type: ignore[no-untyped-call]
    return result


@compiled
def _places(step: int, time: int, reverse: bool) -> tuple[int, int, int]:
    """Of a step: its item, and where a trace holds the state before and after it."""
    return (time - 1 - step, time - step, time - 1 - step) if reverse else (step, step, step + 1)


@compiled
def _keep(before: Array, after: Array, b: int) -> None:
    """The state of a sequence that has ended."""
    for k in range(before.shape[1]):
        after[b, k] = before[b, k]


@compiled
def _no_gradient(gradient: Array, b: int) -> None:
    for k in range(gradient.shape[1]):
        gradient[b, k] = 0


@compiled
def _add_output_gradient(dh: Array, d_outputs: Array, t: int) -> None:
    if d_outputs.shape[0]:
        for b in range(dh.shape[0]):
            for k in range(dh.shape[1]):
                dh[b, k] += d_outputs[t, b, k]


@compiled
def _rnn_forward(
    gates: Array, weight_hh_t: Array, bias_ih: Array, bias_hh: Array, lengths: Array, reverse: bool, h: Array
) -> None:
    time, batch, hidden = gates.shape
    bias = bias_ih + bias_hh
    products = np.empty_like(gates[0])
    for step in range(time):
        t, before, after = _places(step, time, reverse)
        np.dot(h[before], weight_hh_t, products)
        for b in range(batch):
            if t < lengths[b]:
                for k in range(hidden):
                    h[after, b, k] = tanh(gates[t, b, k] + (products[b, k] + bias[k]))
            else:
                _keep(h[before], h[after], b)


@compiled
def _rnn_row_back(dh: Array, h: Array, d_gates: Array, b: int) -> None:
    one = h.dtype.type(1)
    for k in range(dh.shape[1]):
        d_gates[b, k] = dh[b, k] * (one - h[b, k] * h[b, k])
        dh[b, k] = 0


@compiled
def _rnn_backward(
    gates: Array,
    weight_hh: Array,
    lengths: Array,
    reverse: bool,
    h: Array,
    d_outputs: Array,
    dh: Array,
    d_gates: Array,
) -> None:
    time, batch, _ = gates.shape
    products = np.empty_like(dh)
    for step in range(time - 1, -1, -1):
        t, _, after = _places(step, time, reverse)
        _add_output_gradient(dh, d_outputs, t)
        for b in range(batch):
            if t < lengths[b]:
                _rnn_row_back(dh, h[after], d_gates[t], b)
            else:
                _no_gradient(d_gates[t], b)
        np.dot(d_gates[t], weight_hh, products)
        dh += products


@compiled
def _lstm_gates(gates: Array, products: Array, bias: Array, hidden: int, b: int) -> None:
    for k in range(2 * hidden):
        gates[b, k] = sigmoid(gates[b, k] + (products[b, k] + bias[k]))
    for k in range(hidden):
        product = products[b, 2 * hidden + k] + bias[2 * hidden + k]
        gates[b, 2 * hidden + k] = tanh(gates[b, 2 * hidden + k] + product)
    for k in range(hidden):
        product = products[b, 3 * hidden + k] + bias[3 * hidden + k]
        gates[b, 3 * hidden + k] = sigmoid(gates[b, 3 * hidden + k] + product)


@compiled
def _lstm_row(gates: Array, c_before: Array, c: Array, squashed: Array, h: Array, b: int) -> None:
    hidden = c.shape[1]
    for k in range(hidden):
        cell = gates[b, hidden + k] * c_before[b, k] + gates[b, k] * gates[b, 2 * hidden + k]
        tanh_c = tanh(cell)
        c[b, k], squashed[b, k], h[b, k] = cell, tanh_c, gates[b, 3 * hidden + k] * tanh_c


@compiled
def _lstm_forward(
    gates: Array,
    weight_hh_t: Array,
    bias_ih: Array,
    bias_hh: Array,
    lengths: Array,
    reverse: bool,
    h: Array,
    c: Array,
    squashed: Array,
) -> None:
    time, batch, _ = gates.shape
    bias = bias_ih + bias_hh
    products = np.empty_like(gates[0])
    for step in range(time):
        t, before, after = _places(step, time, reverse)
        np.dot(h[before], weight_hh_t, products)
        for b in range(batch):
            if t < lengths[b]:
                _lstm_gates(gates[t], products, bias, h.shape[2], b)
                _lstm_row(gates[t], c[before], c[after], squashed[t], h[after], b)
            else:
                _keep(h[before], h[after], b)
                _keep(c[before], c[after], b)


@compiled
def _lstm_row_back(
    dh: Array, dc: Array, gates: Array, c_before: Array, squashed: Array, d_gates: Array, b: int
) -> None:
    one = dh.dtype.type(1)
    hidden = dh.shape[1]
    for k in range(hidden):
        i, f = gates[b, k], gates[b, hidden + k]
        g, o = gates[b, 2 * hidden + k], gates[b, 3 * hidden + k]
        tanh_c, d_output = squashed[b, k], dh[b, k]
        d_cell = dc[b, k] + d_output * o * (one - tanh_c * tanh_c)
        d_gates[b, k] = d_cell * g * i * (one - i)
        d_gates[b, hidden + k] = d_cell * c_before[b, k] * f * (one - f)
        d_gates[b, 2 * hidden + k] = d_cell * i * (one - g * g)
        d_gates[b, 3 * hidden + k] = d_output * tanh_c * o * (one - o)
        dc[b, k] = d_cell * f
        dh[b, k] = 0


@compiled
def _lstm_backward(
    gates: Array,
    weight_hh: Array,
    lengths: Array,
    reverse: bool,
    h: Array,
    c: Array,
    squashed: Array,
    d_outputs: Array,
    dh: Array,
    dc: Array,
    d_gates: Array,
) -> None:
    time, batch, _ = gates.shape
    products = np.empty_like(dh)
    for step in range(time - 1, -1, -1):
        t, before, _ = _places(step, time, reverse)
        _add_output_gradient(dh, d_outputs, t)
        for b in range(batch):
            if t < lengths[b]:
                _lstm_row_back(dh, dc, gates[t], c[before], squashed[t], d_gates[t], b)
            else:
                _no_gradient(d_gates[t], b)
        np.dot(d_gates[t], weight_hh, products)
        dh += products


@compiled
def _gru_row(
    gates: Array, products: Array, bias_ih: Array, bias_hh: Array, h_before: Array, h: Array, product_n: Array, b: int
) -> None:
    hidden = h.shape[1]
    for k in range(2 * hidden):
        gates[b, k] = sigmoid(gates[b, k] + (products[b, k] + (bias_ih[k] + bias_hh[k])))
    for k in range(hidden):
        product = products[b, 2 * hidden + k] + bias_hh[2 * hidden + k]
        candidate = tanh(gates[b, 2 * hidden + k] + (bias_ih[2 * hidden + k] + gates[b, k] * product))
        product_n[b, k], gates[b, 2 * hidden + k] = product, candidate
        h[b, k] = candidate + gates[b, hidden + k] * (h_before[b, k] - candidate)


@compiled
def _gru_forward(
    gates: Array,
    weight_hh_t: Array,
    bias_ih: Array,
    bias_hh: Array,
    lengths: Array,
    reverse: bool,
    h: Array,
    product_n: Array,
) -> None:
    time, batch, _ = gates.shape
    products = np.empty_like(gates[0])
    for step in range(time):
        t, before, after = _places(step, time, reverse)
        np.dot(h[before], weight_hh_t, products)
        for b in range(batch):
            if t < lengths[b]:
                _gru_row(gates[t], products, bias_ih, bias_hh, h[before], h[after], product_n[t], b)
            else:
                _keep(h[before], h[after], b)


@compiled
def _gru_row_back(
    dh: Array, gates: Array, h_before: Array, product_n: Array, d_gates: Array, d_products: Array, b: int
) -> None:
    one = dh.dtype.type(1)
    hidden = dh.shape[1]
    for k in range(hidden):
        r, z, candidate = gates[b, k], gates[b, hidden + k], gates[b, 2 * hidden + k]
        d_output = dh[b, k]
        d_candidate = d_output * (one - z) * (one - candidate * candidate)
        d_r = d_candidate * product_n[b, k] * r * (one - r)
        d_z = d_output * (h_before[b, k] - candidate) * z * (one - z)
        d_gates[b, k], d_gates[b, hidden + k], d_gates[b, 2 * hidden + k] = d_r, d_z, d_candidate
        d_products[b, k], d_products[b, hidden + k], d_products[b, 2 * hidden + k] = d_r, d_z, d_candidate * r
        dh[b, k] = d_output * z


@compiled
def _gru_backward(
    gates: Array,
    weight_hh: Array,
    lengths: Array,
    reverse: bool,
    h: Array,
    product_n: Array,
    d_outputs: Array,
    dh: Array,
    d_gates: Array,
    d_products: Array,
) -> None:
    time, batch, _ = gates.shape
    products = np.empty_like(dh)
    for step in range(time - 1, -1, -1):
        t, before, _ = _places(step, time, reverse)
        _add_output_gradient(dh, d_outputs, t)
        for b in range(batch):
            if t < lengths[b]:
                _gru_row_back(dh, gates[t], h[before], product_n[t], d_gates[t], d_products[t], b)
            else:
                _no_gradient(d_gates[t], b)
                _no_gradient(d_products[t], b)
        np.dot(d_products[t], weight_hh, products)
        dh += products


RNN_SCAN = Scan(_rnn_forward, _rnn_backward)
LSTM_SCAN = Scan(_lstm_forward, _lstm_backward, kept=1)
GRU_SCAN = Scan(_gru_forward, _gru_backward, kept=1, product_apart=True)
