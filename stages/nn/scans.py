"""Time loops of the cells with gradients derived by hand: what the `padded` engine runs.

torch's own CPU loop pays, in every time step, for autograd's bookkeeping and (packed) for a gradient as long as the
whole batch. Here a direction of a layer is one autograd node: its input projection is one matrix product over all
steps, the loop works in place on preallocated memory, and its weight gradients are one product over all steps again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from stages.nn.products import addmm, mm

_ZERO, _MINUS_ONE = torch.tensor(0.0), torch.tensor(-1.0)
_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


@dataclass(frozen=True)
class Scan:
    """One cell's loop over time and its gradient.

    Shapes: gates and products (time, batch, gates * hidden); a state's trace (1 + time, batch, hidden), whose first
    entry is the initial state; a gradient of a trace lacks that first entry; weight_hh (gates * hidden, hidden);
    bias_hh (gates * hidden,).
    """

    forward: Callable[[Tensor, Tensor, Tensor, list[Tensor]], tuple[Tensor, ...]]
    """(gates, weight_hh, bias_hh, traces) -> whatever `backward` wants kept.

    `gates` arrives as the input's projection and leaves as what `backward` wants of it; `traces` are filled.
    """

    backward: Callable[
        [Tensor, tuple[Tensor, ...], list[Tensor], list[Tensor | None], Tensor],
        tuple[Tensor, Tensor, tuple[Tensor, ...]],
    ]
    """(gates, kept, traces, gradients of the traces, weight_hh) -> gradients of projection, product, initial states."""

    product_apart: bool = False
    """The recurrent product does not simply add to the projection (GRU); else `bias_hh` is in the projection."""


class _Scanned(torch.autograd.Function):
    """Inputs (time, batch, features), weights and initial states to each state's trace less its first entry."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context takes any attribute
        scan: Scan,
        inputs: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        *initial: Tensor,
    ) -> tuple[Tensor, ...]:
        time, batch, _ = inputs.shape
        bias = bias_ih if scan.product_apart else bias_ih + bias_hh
        gates = addmm(bias, inputs.flatten(0, 1), weight_ih.t()).view(time, batch, -1)
        traces = [state.new_empty(1 + time, *state.shape) for state in initial]
        for trace, state in zip(traces, initial, strict=True):
            trace[0] = state
        kept = scan.forward(gates, weight_hh, bias_hh, traces)
        ctx.scan, ctx.states = scan, len(initial)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(inputs, weight_ih, weight_hh, gates, *traces, *kept)
        return tuple(trace[1:] for trace in traces)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        inputs, weight_ih, weight_hh, gates, *rest = ctx.saved_tensors
        traces, kept = rest[: ctx.states], tuple(rest[ctx.states :])
        d_gates, d_products, d_initial = ctx.scan.backward(gates, kept, traces, list(gradients), weight_hh)
        d_gates, d_products = d_gates.flatten(0, 1), d_products.flatten(0, 1)
        d_inputs = mm(d_gates, weight_ih).view(inputs.shape) if ctx.needs_input_grad[1] else None
        d_weight_ih = mm(d_gates.t(), inputs.flatten(0, 1))
        d_weight_hh = mm(d_products.t(), traces[0][:-1].flatten(0, 1))
        d_bias_ih = d_gates.sum(0)
        d_bias_hh = d_products.sum(0) if ctx.scan.product_apart else d_bias_ih
        return None, d_inputs, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh, *d_initial


def run_scan(scan: Scan, inputs: Tensor, weights: Sequence[Tensor], initial: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Run one direction of one layer forwards through its inputs.

    Args:
        scan: the cell's loop.
        inputs: (time, batch, features).
        weights: weight_ih (gates * hidden, features), weight_hh (gates * hidden, hidden), bias_ih and bias_hh
            (gates * hidden,).
        initial: the initial states, each (batch, hidden).

    Returns:
        Each state after every step, (time, batch, hidden); the first is the output.
    """
    result: tuple[Tensor, ...] = _Scanned.apply(scan, inputs, *weights, *initial)  # type: ignore[no-untyped-call]
    return result


def _steps(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """Views of each time step: made in one go, because slicing inside a loop costs as much as arithmetic."""
    return [tensor.unbind() for tensor in tensors]


def _steps_or_zeros(gradient: Tensor | None, trace: Tensor) -> tuple[Tensor, ...]:
    return (torch.zeros_like(trace[1:]) if gradient is None else gradient).unbind()


def _tanh_from_double(doubled: Tensor, out: Tensor) -> Tensor:
    """tanh(x) from 2x, which it overwrites: 2 sigmoid(2x) - 1 takes a CPU less than half the time of torch's tanh."""
    return torch.add(_MINUS_ONE, doubled.sigmoid_(), alpha=2, out=out)


def _rnn_forward(gates: Tensor, weight_hh: Tensor, bias_hh: Tensor, traces: list[Tensor]) -> tuple[Tensor, ...]:
    gate, h = _steps(gates, *traces)
    weight_hh_t = weight_hh.t()
    for t in range(len(gate)):
        _tanh_from_double(addmm(gate[t], h[t], weight_hh_t, beta=2, alpha=2, out=gate[t]), out=h[t + 1])
    return ()


def _rnn_backward(
    gates: Tensor,
    kept: tuple[Tensor, ...],
    traces: list[Tensor],
    gradients: list[Tensor | None],
    weight_hh: Tensor,
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    d_gates = torch.empty_like(gates)
    d_gate, h = _steps(d_gates, *traces)
    d_output = _steps_or_zeros(gradients[0], traces[0])
    dh = d_output[-1]
    for t in reversed(range(len(d_gate))):
        _tanh_backward(dh, h[t + 1], grad_input=d_gate[t])
        dh = addmm(d_output[t - 1], d_gate[t], weight_hh, beta=min(t, 1))  # nothing lies before step 0
    return d_gates, d_gates, (dh,)


def _lstm_forward(gates: Tensor, weight_hh: Tensor, bias_hh: Tensor, traces: list[Tensor]) -> tuple[Tensor, ...]:
    candidates, squashed = (torch.empty_like(traces[1][1:]) for _ in range(2))  # tanh(pre-activation of g), tanh(c)
    gate, i, f, doubled, o, h, c, g, tanh_c = _steps(gates, *gates.chunk(4, -1), *traces, candidates, squashed)
    weight_hh_t = weight_hh.t()
    for t in range(len(gate)):
        addmm(gate[t], h[t], weight_hh_t, out=gate[t])
        doubled[t].add_(doubled[t])  # so that one call does all four gates: see _tanh_from_double
        gate[t].sigmoid_()
        torch.add(_MINUS_ONE, doubled[t], alpha=2, out=g[t])
        torch.mul(f[t], c[t], out=c[t + 1]).addcmul_(i[t], g[t])
        _tanh_from_double(torch.add(c[t + 1], c[t + 1], out=tanh_c[t]), out=tanh_c[t])
        torch.mul(o[t], tanh_c[t], out=h[t + 1])
    return candidates, squashed


def _lstm_backward(
    gates: Tensor,
    kept: tuple[Tensor, ...],
    traces: list[Tensor],
    gradients: list[Tensor | None],
    weight_hh: Tensor,
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    d_gates = torch.empty_like(gates)
    gate, i, f, _, o, h, c, g, tanh_c = _steps(gates, *gates.chunk(4, -1), *traces, *kept)
    d_gate, d_i, d_f, d_doubled, d_o = _steps(d_gates, *d_gates.chunk(4, -1))
    d_output = _steps_or_zeros(gradients[0], traces[0])
    d_cell = None if gradients[1] is None else gradients[1].unbind()
    dh, dc = d_output[-1], torch.zeros_like(c[0])
    for t in reversed(range(len(gate))):
        torch.mul(dh, tanh_c[t], out=d_o[t])
        dc.addcmul_(dh, o[t]).addcmul_(d_o[t], h[t + 1], value=-1)  # dh * o * (1 - tanh(c)^2)
        if d_cell is not None:
            dc += d_cell[t]
        torch.mul(dc, g[t], out=d_i[t])
        torch.mul(dc, c[t], out=d_f[t])
        torch.addcmul(_ZERO, dc, i[t], value=4, out=d_doubled[t])  # g's slope is 4 s (1 - s), s = sigmoid(2x)
        _sigmoid_backward(d_gate[t], gate[t], grad_input=d_gate[t])
        dc *= f[t]
        dh = addmm(d_output[t - 1], d_gate[t], weight_hh, beta=min(t, 1))
    return d_gates, d_gates, (dh, dc)


def _gru_forward(gates: Tensor, weight_hh: Tensor, bias_hh: Tensor, traces: list[Tensor]) -> tuple[Tensor, ...]:
    hidden = weight_hh.shape[-1]
    products = torch.empty_like(gates)
    r, z, n, product, h = _steps(*gates.chunk(3, -1), products, *traces)
    r_and_z, product_r_z, product_n = _steps(
        gates[..., : 2 * hidden], products[..., : 2 * hidden], products[..., 2 * hidden :]
    )
    weight_hh_t = weight_hh.t()
    for t in range(len(r)):
        addmm(bias_hh, h[t], weight_hh_t, out=product[t])
        r_and_z[t].add_(product_r_z[t]).sigmoid_()
        n[t].addcmul_(r[t], product_n[t])
        _tanh_from_double(n[t].add_(n[t]), out=n[t])
        torch.lerp(n[t], h[t], z[t], out=h[t + 1])
    return (products,)


def _gru_backward(
    gates: Tensor,
    kept: tuple[Tensor, ...],
    traces: list[Tensor],
    gradients: list[Tensor | None],
    weight_hh: Tensor,
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    hidden = weight_hh.shape[-1]
    (products,) = kept
    d_gates, d_products = torch.empty_like(gates), torch.empty_like(gates)
    r, z, n, h, product_n = _steps(*gates.chunk(3, -1), *traces, products[..., 2 * hidden :])
    d_r, d_z, d_n, d_product = _steps(*d_gates.chunk(3, -1), d_products)
    r_and_z, d_r_and_z, d_product_r_z, d_product_n = _steps(
        *(tensor[..., : 2 * hidden] for tensor in (gates, d_gates, d_products)),
        d_products[..., 2 * hidden :],
    )
    d_output = _steps_or_zeros(gradients[0], traces[0])
    dh, difference = d_output[-1], torch.empty_like(h[0])
    for t in reversed(range(len(r))):
        kept_back = torch.mul(dh, z[t])
        torch.sub(dh, kept_back, out=d_n[t])
        _tanh_backward(d_n[t], n[t], grad_input=d_n[t])
        torch.mul(dh, torch.sub(h[t], n[t], out=difference), out=d_z[t])
        torch.mul(d_n[t], product_n[t], out=d_r[t])
        _sigmoid_backward(d_r_and_z[t], r_and_z[t], grad_input=d_r_and_z[t])
        d_product_r_z[t].copy_(d_r_and_z[t])
        torch.mul(d_n[t], r[t], out=d_product_n[t])
        dh = addmm(kept_back, d_product[t], weight_hh, out=kept_back)
        if t:
            dh += d_output[t - 1]
    return d_gates, d_products, (dh,)


RNN_SCAN = Scan(_rnn_forward, _rnn_backward)
LSTM_SCAN = Scan(_lstm_forward, _lstm_backward)
GRU_SCAN = Scan(_gru_forward, _gru_backward, product_apart=True)
