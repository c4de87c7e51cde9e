"""Loops over time of a padded batch, with gradients by hand: what the engine `padded` runs on a CPU.

torch's own CPU loop pays, in every time step, for autograd's bookkeeping and (packed) for a gradient as long as the
whole batch. Here a direction of a layer is one autograd node: its input projection is one matrix product over all
steps, the loop is one call into compiled code that works in place, and its weight gradients are one product over all
steps again. A sequence that has ended keeps its state, so that neither direction needs its input put in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from stages.nn.cells import Cell, Scalars
from stages.nn.compiled import Array, compiled, inlined
from stages.nn.loops.rows import Blocks, Compiled, reader, repeated, unsigned, writer
from stages.nn.products import keep_precision, mm, precision_kept


class _Run(torch.autograd.Function):
    """Inputs (time, batch, features), weights and initial states to the outputs of every step and the final states."""

    @staticmethod
    @keep_precision
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context takes any attribute
        cell: Cell,
        inputs: Tensor,
        lengths: Tensor,
        reverse: bool,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        *initial: Tensor,
    ) -> tuple[Tensor, ...]:
        assert cell.scalars is not None
        time, batch, _ = inputs.shape
        hidden = weight_hh.shape[1]
        gates = mm(inputs.flatten(0, 1), weight_ih.t())
        traces = [state.new_empty(1 + time, *state.shape) for state in initial]
        first, last = (time, 0) if reverse else (0, time)
        for trace, state in zip(traces, initial, strict=True):
            trace[first] = state
        kept = gates.new_empty(time * batch, cell.scalars.kept_more * hidden)
        forward, _ = loops(cell.scalars, cell.gates, cell.states)
        forward(
            *_rows(cell.gates, gates),
            weight_hh.detach().t().contiguous().numpy(),
            *_rows(cell.gates, bias_ih, bias_hh if cell.scalars.product_apart else bias_ih + bias_hh),
            lengths.numpy(),
            reverse,
            tuple(_rows(1, *traces)),
            *_rows(cell.scalars.kept_more, kept),
        )
        ctx.cell, ctx.reverse = cell, reverse
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(inputs, lengths, weight_ih, weight_hh, gates, kept, *traces)
        outputs = traces[0][:-1] if reverse else traces[0][1:]
        return outputs, *(trace[last] for trace in traces)

    @staticmethod
    @once_differentiable
    @precision_kept
    def backward(ctx: Any, d_outputs: Tensor | None, *d_finals: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        inputs, lengths, weight_ih, weight_hh, gates, kept, *traces = ctx.saved_tensors
        cell: Cell = ctx.cell
        assert cell.scalars is not None
        if d_outputs is None:
            d_outputs = inputs.new_empty(0, *traces[0].shape[1:])
        d_states = [
            torch.zeros_like(trace[0]) if d_final is None else d_final.clone(memory_format=torch.contiguous_format)
            for trace, d_final in zip(traces, d_finals, strict=True)
        ]
        d_gates = torch.empty_like(gates)
        d_products = torch.empty_like(gates) if cell.scalars.product_apart else gates.new_empty(0, gates.shape[1])
        _, backward = loops(cell.scalars, cell.gates, cell.states)
        backward(
            *_rows(cell.gates, gates),
            weight_hh.detach().contiguous().numpy(),
            lengths.numpy(),
            ctx.reverse,
            tuple(_rows(1, *traces)),
            *_rows(cell.scalars.kept_more, kept),
            *_rows(1, d_outputs),
            tuple(_rows(1, *d_states)),
            *_rows(cell.gates, d_gates, d_products),
        )
        if not cell.scalars.product_apart:
            d_products = d_gates
        before = traces[0][1:] if ctx.reverse else traces[0][:-1]
        d_inputs = mm(d_gates, weight_ih).view(inputs.shape) if ctx.needs_input_grad[1] else None
        d_weight_ih = mm(d_gates.t(), inputs.flatten(0, 1))
        d_weight_hh = mm(d_products.t(), before.flatten(0, 1))
        d_bias_ih = d_gates.sum(0)
        d_bias_hh = d_products.sum(0) if cell.scalars.product_apart else d_bias_ih
        return None, d_inputs, None, None, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh, *d_states


def _rows(blocks: int, *tensors: Tensor) -> list[Array]:
    """Arrays (rows, blocks, 1, units) that share the tensors' memory where they are contiguous."""
    arrays = (tensor.detach().contiguous().numpy() for tensor in tensors)
    return [array.reshape(-1 if array.size else 0, blocks, 1, array.shape[-1] // max(blocks, 1)) for array in arrays]


def run_padded(
    cell: Cell,
    inputs: Tensor,
    weights: Sequence[Tensor],
    initial: tuple[Tensor, ...],
    lengths: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, ...]:
    """Run one direction of one layer through its inputs.

    Args:
        cell: one that `can_pad`.
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
    result: tuple[Tensor, ...] = _Run.apply(cell, inputs, lengths, reverse, *weights, *initial)  # type: ignore[no-untyped-call]
    return result


def can_pad(cell: Cell) -> bool:
    """Whether the cell has compiled loops over a padded batch."""
    return cell.scalars is not None and cell.scalars.reset is None


@inlined
def _places(step: int, time: int, reverse: bool) -> tuple[int, int, int]:
    """Of a step: its item, and where a trace holds the state before and after it."""
    return (time - 1 - step, time - step, time - 1 - step) if reverse else (step, step, step + 1)


@inlined
def _copy_row(array: Array, source: int, to: int) -> None:
    for k in range(array.shape[3]):
        array[to, 0, 0, k] = array[source, 0, 0, k]


@inlined
def _zero_row(array: Array, row: int) -> None:
    for block in range(array.shape[1]):
        for k in range(array.shape[3]):
            array[row, block, 0, k] = 0


@inlined
def _add_rows(to: Array, added: Array) -> None:
    for row in range(to.shape[0]):
        for k in range(to.shape[3]):
            to[row, 0, 0, k] += added[row, 0, 0, k]


@inlined
def _add_output_gradient(d_h: Array, d_outputs: Array, t: int) -> None:
    if d_outputs.shape[0]:
        for b in range(d_h.shape[0]):
            for k in range(d_h.shape[3]):
                d_h[b, 0, 0, k] += d_outputs[t * d_h.shape[0] + b, 0, 0, k]


@cache
def loops(scalars: Scalars, gates: int, states: int) -> tuple[Compiled, Compiled]:
    """A cell's loop over time and its gradient, which fill the arrays that they are given.

    Forward: (gates, weight_hh transposed, bias_ih, bias, lengths, reverse, states, kept). `bias` is bias_hh or, where
    the product is not apart, the sum of both. `gates` (time * batch,
    gates, 1, hidden) arrives as the input's projection without its bias and leaves as the first that the cell keeps;
    each state's trace ((1 + time) * batch, 1, 1, hidden) begins with the initial state or, `reverse`, ends with it.

    Backward: (gates, weight_hh, lengths, reverse, states, kept, d_outputs, d_states, d_gates, d_products). `d_outputs`
    has no rows where nothing asks for the outputs; the gradients of the final states, (batch, 1, 1, hidden), become
    those of the initial ones; `d_products` has no rows where it would be `d_gates`.
    """
    row_forward, row_backward = _row_forward(scalars, gates, states), _row_backward(scalars, gates, states)
    times = repeated(gates)
    more = repeated(max(scalars.kept_more, 1))
    product_apart = scalars.product_apart

    @compiled
    def forward(
        gates: Array,
        weight_hh_t: Array,
        bias_ih: Array,
        bias_hh: Array,
        lengths: Array,
        reverse: bool,
        states: Blocks,
        kept: Array,
    ) -> None:
        batch, hidden = len(lengths), gates.shape[3]
        time = len(gates) // batch
        products = np.empty((batch, gates.shape[1], 1, hidden), gates.dtype)
        flat_products = products.reshape(batch, weight_hh_t.shape[1])
        x, u, b_x, b_u, k = times(gates), times(products), times(bias_ih), times(bias_hh), more(kept)
        for step in range(time):
            t, before, after = _places(step, time, reverse)
            np.dot(states[0][before * batch : (before + 1) * batch].reshape(batch, hidden), weight_hh_t, flat_products)
            for b in range(batch):
                if t < lengths[b]:
                    row_forward(
                        x, u, b_x, b_u, states, states, k, t * batch + b, b, before * batch + b, after * batch + b
                    )
                else:
                    for state in states:
                        _copy_row(state, before * batch + b, after * batch + b)

    @compiled
    def backward(
        gates: Array,
        weight_hh: Array,
        lengths: Array,
        reverse: bool,
        states: Blocks,
        kept: Array,
        d_outputs: Array,
        d_states: Blocks,
        d_gates: Array,
        d_products: Array,
    ) -> None:
        batch, hidden = len(lengths), gates.shape[3]
        time = len(gates) // batch
        products = np.empty_like(d_states[0])
        flat_products = products.reshape(batch, hidden)
        g, k, d_x, d_u = times(gates), more(kept), times(d_gates), times(d_products)
        for step in range(time - 1, -1, -1):
            t, before, _ = _places(step, time, reverse)
            _add_output_gradient(d_states[0], d_outputs, t)
            for b in range(batch):
                if t < lengths[b]:
                    row_backward(g, states, k, d_states, d_x, d_u, t * batch + b, before * batch + b, b)
                else:
                    _zero_row(d_gates, t * batch + b)
                    if product_apart:
                        _zero_row(d_products, t * batch + b)
            through = d_products if product_apart else d_gates
            rows = through[t * batch : (t + 1) * batch].reshape(batch, weight_hh.shape[0])
            np.dot(rows, weight_hh, flat_products)
            _add_rows(d_states[0], products)

    return forward, backward


def _row_forward(scalars: Scalars, gates: int, states: int) -> Compiled:
    """One step of one sequence: `x` becomes what is kept of it."""
    read, read_states = reader(gates, False), reader(states, False, apart=True)
    write, write_states = writer(gates, False), writer(states, False, apart=True)
    write_more = writer(scalars.kept_more, False, first=gates)
    sums, cell_forward = _sums(gates), scalars.forward

    if scalars.product_apart:

        @inlined
        def step(state: Any, x: Any, u: Any, b_x: Any, b_u: Any) -> Any:  # noqa: ANN401
            return cell_forward(state, sums(x, b_x), sums(u, b_u))
    else:

        @inlined
        def step(state: Any, x: Any, u: Any, b_x: Any, b_u: Any) -> Any:  # noqa: ANN401
            return cell_forward(state, sums(x, sums(u, b_u)))

    @inlined
    def row(
        x: Blocks,
        u: Blocks,
        b_x: Blocks,
        b_u: Blocks,
        states: Blocks,
        next_states: Blocks,
        more: Blocks,
        i: int,
        i_u: int,
        before: int,
        after: int,
    ) -> None:
        i, i_u, before, after = unsigned(i), unsigned(i_u), unsigned(before), unsigned(after)
        for k in range(states[0].shape[3]):
            state = read_states(states, before, 0, k)
            numbers = read(x, i, 0, k), read(u, i_u, 0, k), read(b_x, 0, 0, k), read(b_u, 0, 0, k)
            next_state, kept = step(state, *numbers)
            write_states(next_states, next_state, after, 0, k)
            write(x, kept, i, 0, k)
            write_more(more, kept, i, 0, k)

    return row


def _sums(count: int) -> Compiled:
    """Two tuples of `count` numbers -> their sums."""
    if count == 0:
        return _no_sums
    last = count - 1
    rest = _sums(last)

    @inlined
    def sums(left: Any, right: Any) -> Any:  # noqa: ANN401
        return rest(left, right) + (left[last] + right[last],)  # noqa: RUF005

    return sums


@inlined
def _no_sums(left: Any, right: Any) -> Any:  # noqa: ANN401
    return ()


def _row_backward(scalars: Scalars, gates: int, states: int) -> Compiled:
    """The gradient of one step of one sequence: `d_states` become those of the states before it."""
    read, read_states = reader(gates, False), reader(states, False, apart=True)
    write, write_states = writer(gates, False), writer(states, False, apart=True)
    read_more = reader(scalars.kept_more, False)
    cell_backward, product_apart = scalars.backward, scalars.product_apart

    @inlined
    def row(
        gates: Blocks,
        states: Blocks,
        more: Blocks,
        d_states: Blocks,
        d_x: Blocks,
        d_u: Blocks,
        i: int,
        before: int,
        b: int,
    ) -> None:
        i, before, b = unsigned(i), unsigned(before), unsigned(b)
        for k in range(states[0].shape[3]):
            state, d_next = read_states(states, before, 0, k), read_states(d_states, b, 0, k)
            gradients = cell_backward(d_next, state, read(gates, i, 0, k) + read_more(more, i, 0, k))
            write(d_x, gradients[0], i, 0, k)
            if product_apart:
                write(d_u, gradients[1], i, 0, k)
            write_states(d_states, gradients[-1], b, 0, k)

    return row
