"""Compiled training of replicas: an epoch's updates in one call, from drawing the batches to the optimizer.

For replicas of a few units, one call into torch costs more than the arithmetic of a time step, and an update's calls
more than a short sequence's whole loop. A replica enters no other's numbers, so here each goes through all updates of
an epoch alone, with its weights and its sequences in the processor's first caches. docs/replicas.md has figures.

A replica's parameters lie side by side in a matrix for the recurrent layer, of `gates * hidden` rows and columns for
each input, bias_ih, bias_hh and each unit, and in one for the output, with columns for its bias and each unit. The
matching `trace` (inputs + 2 + hidden, 1 + time, LANES) holds in its columns' order the inputs of each step, ones, and
the hidden states before it; so is a step one product, and the weights' gradient one over all steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np

from stages.nn.cells import Scalars
from stages.nn.compiled import Array, compiled, inlined
from stages.nn.loops.rows import Blocks, Compiled, reader, repeated, unsigned, writer

LANES = 16
"""Sequences of one replica computed side by side: in float32, one register of AVX-512."""

_UNITS_FOR_BLAS = 4  # below, a call into BLAS costs more than the product


@dataclass(frozen=True)
class Loops:
    """A cell's compiled loops over replicas."""

    outputs: Callable[..., None]
    """(inputs (time, replicas, batch, input), weights (replicas, rows, columns), output weights (replicas, output,
    1 + hidden), outputs (steps, replicas, batch, output)): fills the outputs of the last steps."""

    classify: Callable[..., None]
    """One epoch of learning classes at the last step by cross-entropy: (inputs (items, time, input), classes (items,)
    int64, orders (replicas, items of an epoch) int64, batch size, weights and output weights as above, moments,
    whether bias_hh is trained, factors, losses, correct).

    Moments: of each of both matrices Adam's first and second, shaped as it, or of no columns for plain descent.
    Factors: `descent` or `adam`. Fills losses (updates, replicas), each batch's mean in nats, and correct (replicas,)
    int64, how many sequences were classified right as they came.
    """

    regress: Callable[..., None]
    """One epoch of learning numbers at every step by squared error: as `classify`, with targets (items, time, output);
    a loss is the mean over steps, sequences and outputs."""


def descent(updates: int, rate: float, real: Any) -> Array:  # noqa: ANN401
    """What plain descent multiplies with in each update, (6, updates), of the type `real`."""
    return adam(updates, 0, rate, (0, 0), 0, real)


def adam(updates: int, done: int, rate: float, betas: tuple[float, float], epsilon: float, real: Any) -> Array:  # noqa: ANN401
    """What Adam multiplies with in each update after `done` earlier ones, (6, updates), of the type `real`."""
    step = done + 1.0 + np.arange(updates)
    beta1, beta2 = betas
    factors = np.empty((6, updates), real)
    factors[0], factors[1] = rate / (1 - beta1**step), 1 / np.sqrt(1 - beta2**step)
    factors[2:].T[:] = epsilon, 1 - beta1, beta2, 1 - beta2
    return factors


@inlined
def _lanes(array: Array) -> int:
    """LANES, the last size of every array, but not so that the compiler knows.

    It knows that there are at most LANES and makes one vector of them; a loop of known length it would unroll first.
    """
    return int(array.shape[-1]) & LANES


@inlined
def _put(trace: Array, values: Array, t: int) -> None:
    """`trace[:, t] = values`, without the error message that takes Numba five seconds to compile."""
    for k in range(values.shape[0]):
        for lane in range(_lanes(values)):
            trace[k, t, lane] = values[k, lane]


@inlined
def _fill(products: Array, weight: Array, column: int, last: int) -> None:
    """`products` (rows, LANES) become the sum of the weights' columns from `column` to `last`."""
    for k in range(products.shape[0]):
        value = weight[k, column] if column == last else weight[k, column] + weight[k, last]
        for lane in range(_lanes(products)):
            products[k, lane] = value


@inlined
def _add_product(products: Array, weight: Array, values: Array, first: int, columns: int, row: int, t: int) -> None:
    """Add to `products` (rows, LANES) the weights' rows from `row` on times `values[:, t]`.

    The weights' columns are those from `first` on, as many as `values` (columns, times, LANES) has.
    """
    for column in range(columns):
        for k in range(products.shape[0]):
            factor = weight[row + k, first + column]
            for lane in range(_lanes(products)):
                products[k, lane] += factor * values[column, t, lane]


@inlined
def _add_product_back(
    d_values: Array, weight: Array, d_products: Array, first: int, row: int, rows: int, t: int
) -> None:
    """The gradient of `_add_product`: add to `d_values` (columns, LANES) from `d_products` (rows, times, LANES)."""
    for k in range(rows):
        for column in range(d_values.shape[0]):
            factor = weight[row + k, first + column]
            for lane in range(_lanes(d_values)):
                d_values[column, lane] += factor * d_products[row + k, t, lane]


@inlined
def _add_weight_gradient(
    gradient: Array, d_products: Array, values: Array, row: int, rows: int, first: int, shift: int
) -> None:
    """Add to `gradient[row:row + rows, first:]` what `d_products[row:]` say of all times and lanes.

    A time t of `d_products` (rows, times, LANES) meets t + shift of `values` (columns, times, LANES).
    """
    columns, times = values.shape[0], d_products.shape[1]
    if columns >= _UNITS_FOR_BLAS and times == values.shape[1]:
        left = d_products[row : row + rows].reshape(rows, times * LANES)
        product = np.dot(left, values.reshape(columns, times * LANES).T)
        for k in range(rows):
            for column in range(columns):
                gradient[row + k, first + column] += product[k, column]
        return
    total = np.empty((columns, LANES), values.dtype)
    for k in range(row, row + rows):
        total[:] = 0
        for t in range(times):
            for column in range(columns):
                for lane in range(_lanes(total)):
                    total[column, lane] += d_products[k, t, lane] * values[column, t + shift, lane]
        for column in range(columns):
            for lane in range(LANES):
                gradient[k, first + column] += total[column, lane]


@inlined
def _draw(trace: Array, inputs: Array, order: Array, start: int, count: int) -> None:
    """The inputs of `count` items from place `start` of the order on; zeros in the lanes left over."""
    for lane in range(LANES):
        for t in range(inputs.shape[1]):
            for feature in range(inputs.shape[2]):
                trace[feature, t, lane] = inputs[order[start + lane], t, feature] if lane < count else 0


@inlined
def _descend(weights: Array, gradient: Array, first: Array, second: Array, factors: Array) -> None:
    """One step of plain descent or, where there are second moments, of Adam, as torch has them."""
    rate, scale, tiny, of_first = factors[0], factors[1], factors[2], factors[3]
    of_second, of_square = factors[4], factors[5]
    if second.size == 0:
        for row in range(weights.shape[0]):
            for k in range(weights.shape[1]):
                weights[row, k] -= rate * gradient[row, k]
        return
    for row in range(weights.shape[0]):
        for k in range(weights.shape[1]):
            g = gradient[row, k]
            first[row, k] += of_first * (g - first[row, k])
            second[row, k] = of_second * second[row, k] + of_square * g * g
            weights[row, k] -= rate * first[row, k] / (np.sqrt(second[row, k]) * scale + tiny)


@inlined
def _cross_entropy(
    outputs: Array, classes: Array, order: Array, start: int, count: int, step: int, steps: int, share: float
) -> tuple[float, int]:
    """Sum of `count` sequences' losses and how many are right; `outputs` (output, LANES) become d_outputs."""
    loss, correct = outputs.dtype.type(0), 0
    for lane in range(LANES):
        if lane >= count:
            for k in range(outputs.shape[0]):
                outputs[k, lane] = 0
            continue
        best = 0
        for k in range(1, outputs.shape[0]):
            if outputs[k, lane] > outputs[best, lane]:
                best = k
        top, total = outputs[best, lane], outputs.dtype.type(0)
        wanted = classes[order[start + lane]]
        of_wanted = outputs[wanted, lane] - top
        for k in range(outputs.shape[0]):
            outputs[k, lane] = np.exp(outputs[k, lane] - top)
            total += outputs[k, lane]
        for k in range(outputs.shape[0]):
            outputs[k, lane] = share * (outputs[k, lane] / total)
        outputs[wanted, lane] -= share
        loss += np.log(total) - of_wanted
        correct += best == wanted
    return loss, correct


@inlined
def _squared_error(
    outputs: Array, targets: Array, order: Array, start: int, count: int, step: int, steps: int, share: float
) -> tuple[float, int]:
    """A step's sum of `count` sequences' losses; `outputs` (output, LANES) become d_outputs."""
    loss = outputs.dtype.type(0)
    share = outputs.dtype.type(share / (steps * outputs.shape[0]))
    for k in range(outputs.shape[0]):
        for lane in range(LANES):
            error = outputs[k, lane] - targets[order[start + lane], step, k] if lane < count else outputs.dtype.type(0)
            loss += error * error
            outputs[k, lane] = share * (error + error)
    return loss / (steps * outputs.shape[0]), 0


@cache
def loops(scalars: Scalars, gates: int, states: int) -> Loops:
    """A cell's compiled loops: made of its scalars, compiled for a type of number when first called."""
    forward, backward = _forward(scalars, gates, states), _backward(scalars, gates, states)
    kept_more, reset = scalars.kept_more, scalars.reset is not None

    @compiled
    def outputs(inputs: Array, weights: Array, output_weights: Array, results: Array) -> None:
        time, replicas, batch, features = inputs.shape
        hidden, steps = output_weights.shape[2] - 1, results.shape[0]
        trace, memory = _room(inputs, features, hidden, time, states)
        kept = np.empty((gates, hidden, 1 + time, LANES), inputs.dtype)
        more = np.empty((max(kept_more, 1), hidden, 1 + time, LANES), inputs.dtype)
        made = np.empty((hidden if reset else 0, 1 + time, LANES), inputs.dtype)
        of_outputs = trace[features + 1 :]
        results_of_step = np.empty((results.shape[3], LANES), inputs.dtype)
        for n in range(replicas):
            for start in range(0, batch, LANES):
                count = min(LANES, batch - start)
                for t in range(time):
                    for feature in range(features):
                        for lane in range(LANES):
                            trace[feature, t, lane] = inputs[t, n, start + lane, feature] if lane < count else 0
                forward(weights[n], trace, memory, kept, more, made, time, features)
                for step in range(steps):
                    results_of_step[:] = 0
                    _add_product(
                        results_of_step, output_weights[n], of_outputs, 0, 1 + hidden, 0, time - steps + step + 1
                    )
                    for k in range(results.shape[3]):
                        for lane in range(count):
                            results[step, n, start + lane, k] = results_of_step[k, lane]

    def training(loss_and_gradient: Compiled, every_step: bool) -> Compiled:
        @compiled
        def train(
            inputs: Array,
            targets: Array,
            orders: Array,
            batch_size: int,
            weights: Array,
            output_weights: Array,
            moments: Blocks,
            train_second_bias: bool,
            factors: Array,
            losses: Array,
            correct: Array,
        ) -> None:
            time, features = inputs.shape[1:]
            replicas, items = orders.shape
            width, hidden = output_weights.shape[1], output_weights.shape[2] - 1
            steps = time if every_step else 1
            zero = inputs.dtype.type(0)
            trace, memory = _room(inputs, features, hidden, time, states)
            kept = np.zeros((gates, hidden, 1 + time, LANES), inputs.dtype)
            more = np.empty((max(kept_more, 1), hidden, 1 + time, LANES), inputs.dtype)
            made = np.zeros((hidden if reset else 0, 1 + time, LANES), inputs.dtype)
            d_x, d_u = np.zeros_like(kept), np.zeros_like(kept)
            d_outputs = np.zeros((width, steps, LANES), inputs.dtype)
            at_step = np.empty((width, LANES), inputs.dtype)
            gradient, output_gradient = np.empty_like(weights[0]), np.empty_like(output_weights[0])
            of_outputs = trace[features + 1 :]
            for n in range(replicas):
                w, w_out, order = weights[n], output_weights[n], orders[n]
                for update in range(losses.shape[0]):
                    first, last = update * batch_size, min((update + 1) * batch_size, items)
                    share = inputs.dtype.type(1 / (last - first))
                    gradient[:], output_gradient[:] = 0, 0
                    loss = zero
                    for start in range(first, last, LANES):
                        count = min(LANES, last - start)
                        _draw(trace, inputs, order, start, count)
                        forward(w, trace, memory, kept, more, made, time, features)
                        for step in range(steps):
                            at_step[:] = 0
                            _add_product(at_step, w_out, of_outputs, 0, 1 + hidden, 0, time - steps + step + 1)
                            part, right = loss_and_gradient(at_step, targets, order, start, count, step, steps, share)
                            loss += part
                            correct[n] += right
                            _put(d_outputs, at_step, step)
                        _add_weight_gradient(output_gradient, d_outputs, of_outputs, 0, width, 0, 1 + time - steps)
                        backward(w, w_out, trace, memory, kept, more, made, d_outputs, d_x, d_u, gradient, features)
                    losses[update, n] = loss * share
                    if not train_second_bias:
                        gradient[:, features + 1] = 0
                    now = factors[:, update]
                    _descend(w, gradient, moments[0][n], moments[1][n], now)
                    _descend(w_out, output_gradient, moments[2][n], moments[3][n], now)

        return train

    return Loops(outputs, training(_cross_entropy, False), training(_squared_error, True))


@inlined
def _room(inputs: Array, features: int, hidden: int, time: int, states: int) -> tuple[Array, Array]:
    """A trace whose states start at zero, and one of the state beyond the hidden one, of the inputs' type."""
    trace = np.zeros((features + 2 + hidden, 1 + time, LANES), inputs.dtype)
    trace[features : features + 2] = 1
    return trace, np.zeros((1, hidden if states > 1 else 0, 1 + time, LANES), inputs.dtype)


def _states(count: int) -> Compiled:
    """(hidden states, the state beyond) -> the states of a cell that has `count`."""
    if count == 1:

        @inlined
        def one(h: Array, memory: Array) -> Blocks:
            return (h,)

        return one

    @inlined
    def two(h: Array, memory: Array) -> Blocks:
        return (h, memory)

    return two


def _forward(scalars: Scalars, gates: int, states: int) -> Compiled:
    """All steps of up to LANES sequences of one replica, from states of zero."""
    row, all_states, times = _row_forward(scalars, gates, states), _states(states), repeated(gates)
    several = repeated(max(scalars.kept_more, 1))
    product_apart, reset_blocks = scalars.product_apart, scalars.reset_blocks
    reset_row = _reset_row(scalars, states) if scalars.reset is not None else None
    times_reset = repeated(max(reset_blocks, 1))

    if reset_row is None:

        @inlined
        def products(
            w: Array, trace: Array, x: Array, u: Array, features: int, t: int, arrays: Blocks, kept: Blocks, made: Array
        ) -> None:
            h = trace[features + 2 :]
            if product_apart:
                _fill(x, w, features, features)
                _fill(u, w, features + 1, features + 1)
                _add_product(x, w, trace, 0, features, 0, t)
                _add_product(u, w, h, features + 2, h.shape[0], 0, t)
            else:
                _fill(x, w, features, features + 1)
                _add_product(x, w, trace, 0, features, 0, t)
                _add_product(x, w, h, features + 2, h.shape[0], 0, t)

    else:

        @inlined
        def products(
            w: Array, trace: Array, x: Array, u: Array, features: int, t: int, arrays: Blocks, kept: Blocks, made: Array
        ) -> None:
            hidden = made.shape[0]
            split, h = reset_blocks * hidden, trace[features + 2 :]
            _fill(x, w, features, features + 1)
            _add_product(x, w, trace, 0, features, 0, t)
            _add_product(x[:split], w, h, features + 2, hidden, 0, t)
            x4, made4 = x.reshape(gates, hidden, 1, LANES), made.reshape(1, hidden, made.shape[1], LANES)
            for j in range(hidden):
                reset_row(times_reset(x4), arrays, kept, made4, t, j)
            _add_product(x[split:], w, made, features + 2, hidden, split, t)

    @inlined
    def forward(
        w: Array, trace: Array, memory: Array, kept: Array, more: Array, made: Array, time: int, features: int
    ) -> None:
        hidden = trace.shape[0] - features - 2
        x, u = np.empty((gates * hidden, LANES), w.dtype), np.empty((gates * hidden, LANES), w.dtype)
        xs, us = times(x.reshape(gates, hidden, 1, LANES)), times(u.reshape(gates, hidden, 1, LANES))
        arrays = all_states(trace[features + 2 :].reshape(1, hidden, 1 + time, LANES), memory)
        ks, ms = times(kept), several(more)
        for t in range(time):
            products(w, trace, x, u, features, t, arrays, ks, made)
            for j in range(hidden):
                row(xs, us, arrays, arrays, ks, ms, t, j)

    return forward


def _row_forward(scalars: Scalars, gates: int, states: int) -> Compiled:
    """One step of one unit in all lanes."""
    read, read_states = reader(gates, True), reader(states, True, apart=True)
    write_states = writer(states, True, apart=True)
    write_more = writer(scalars.kept_more, True, first=gates)
    write = writer(gates, True)
    cell_forward, blocks = scalars.forward, scalars.reset_blocks

    if scalars.product_apart:

        @inlined
        def step(state: Any, x: Any, u: Any, kept: Any, t: int, j: int, lane: int) -> Any:  # noqa: ANN401
            return cell_forward(state, read(x, 0, j, lane), read(u, 0, j, lane))
    elif scalars.reset is not None:
        read_first = reader(blocks, True)

        @inlined
        def step(state: Any, x: Any, u: Any, kept: Any, t: int, j: int, lane: int) -> Any:  # noqa: ANN401
            first = read_first(kept, t, j, lane)
            next_state, rest = cell_forward(state, first, read(x, 0, j, lane)[blocks:])
            return next_state, first + rest
    else:

        @inlined
        def step(state: Any, x: Any, u: Any, kept: Any, t: int, j: int, lane: int) -> Any:  # noqa: ANN401
            return cell_forward(state, read(x, 0, j, lane))

    @inlined
    def row(
        x: Blocks,
        u: Blocks,
        states: Blocks,
        next_states: Blocks,
        kept: Blocks,
        more: Blocks,
        t: int,
        j: int,
    ) -> None:
        t, j, after = unsigned(t), unsigned(j), unsigned(t + 1)
        for lane in range(_lanes(states[0])):
            next_state, numbers = step(read_states(states, t, j, lane), x, u, kept, t, j, lane)
            write_states(next_states, next_state, after, j, lane)
            write(kept, numbers, t, j, lane)
            write_more(more, numbers, t, j, lane)

    return row


def _reset_row(scalars: Scalars, states: int) -> Compiled:
    """The first blocks of one step of one unit in all lanes, and what the others' product takes."""
    blocks, cell_reset = scalars.reset_blocks, cast(Compiled, scalars.reset)
    read, read_states, write = reader(blocks, True), reader(states, True, apart=True), writer(blocks, True)

    @inlined
    def row(x: Blocks, states: Blocks, kept: Blocks, made: Array, t: int, j: int) -> None:
        t, j = unsigned(t), unsigned(j)
        for lane in range(_lanes(made)):
            numbers, value = cell_reset(read_states(states, t, j, lane), read(x, 0, j, lane))
            write(kept, numbers, t, j, lane)
            made[0, j, t, lane] = value

    return row


def _backward(scalars: Scalars, gates: int, states: int) -> Compiled:
    """The gradient of all steps of up to LANES sequences of one replica, added to `gradient`."""
    row, all_states, times = _row_backward(scalars, gates, states), _states(states), repeated(gates)
    several = repeated(max(scalars.kept_more, 1))
    product_apart, reset_blocks = scalars.product_apart, scalars.reset_blocks
    reset_row = _reset_row_backward(scalars, gates, states) if scalars.reset is not None else None

    if reset_row is None:

        @inlined
        def through_products(
            d_h: Array, w: Array, d_x: Array, d_u: Array, features: int, t: int, arrays: Blocks, kept: Blocks
        ) -> None:
            _add_product_back(d_h, w, d_u if product_apart else d_x, features + 2, 0, d_x.shape[0], t)

        @inlined
        def weight_gradients(gradient: Array, d_x: Array, d_u: Array, trace: Array, made: Array, features: int) -> None:
            rows = d_x.shape[0]
            if product_apart:
                _add_weight_gradient(gradient, d_x, trace[: features + 1], 0, rows, 0, 0)
                _add_weight_gradient(gradient, d_u, trace[features + 1 :], 0, rows, features + 1, 0)
            else:
                _add_weight_gradient(gradient, d_x, trace, 0, rows, 0, 0)

    else:

        @inlined
        def through_products(
            d_h: Array, w: Array, d_x: Array, d_u: Array, features: int, t: int, arrays: Blocks, kept: Blocks
        ) -> None:
            hidden = d_h.shape[0]
            split = reset_blocks * hidden
            d_made = np.zeros_like(d_h)
            _add_product_back(d_made, w, d_x, features + 2, split, d_x.shape[0] - split, t)
            d_x4 = d_x.reshape(gates, hidden, d_x.shape[1], LANES)
            for j in range(hidden):
                reset_row(kept, arrays, d_made, d_h, times(d_x4), t, j)
            _add_product_back(d_h, w, d_x, features + 2, 0, split, t)

        @inlined
        def weight_gradients(gradient: Array, d_x: Array, d_u: Array, trace: Array, made: Array, features: int) -> None:
            rows, split = d_x.shape[0], reset_blocks * made.shape[0]
            _add_weight_gradient(gradient, d_x, trace, 0, split, 0, 0)
            _add_weight_gradient(gradient, d_x, trace[: features + 1], split, rows - split, 0, 0)
            _add_weight_gradient(gradient, d_x, made, split, rows - split, features + 2, 0)

    @inlined
    def backward(
        w: Array,
        w_out: Array,
        trace: Array,
        memory: Array,
        kept: Array,
        more: Array,
        made: Array,
        d_outputs: Array,
        d_x: Array,
        d_u: Array,
        gradient: Array,
        features: int,
    ) -> None:
        hidden, time = trace.shape[0] - features - 2, trace.shape[1] - 1
        width, steps = d_outputs.shape[0], d_outputs.shape[1]
        d_h = np.zeros((hidden, LANES), w.dtype)
        d_memory = np.zeros((1, memory.shape[1], 1, LANES), w.dtype)
        arrays = all_states(trace[features + 2 :].reshape(1, hidden, 1 + time, LANES), memory)
        d_states = all_states(d_h.reshape(1, hidden, 1, LANES), d_memory)
        ks, ms, d_xs, d_us = times(kept), several(more), times(d_x), times(d_u)
        rows_x = d_x.reshape(gates * hidden, 1 + time, LANES)
        rows_u = d_u.reshape(gates * hidden, 1 + time, LANES)
        for t in range(time - 1, -1, -1):
            step = t - time + steps
            if step >= 0:
                _add_product_back(d_h, w_out, d_outputs, 1, 0, width, step)
            for j in range(hidden):
                row(ks, ms, arrays, d_states, d_xs, d_us, t, j)
            through_products(d_h, w, rows_x, rows_u, features, t, arrays, ks)
        weight_gradients(gradient, rows_x, rows_u, trace, made, features)

    return backward


def _row_backward(scalars: Scalars, gates: int, states: int) -> Compiled:
    """The gradient of one step of one unit in all lanes."""
    read, read_states = reader(gates, True), reader(states, True, apart=True)
    write, write_states = writer(gates, True), writer(states, True, apart=True)
    read_more = reader(scalars.kept_more, True)
    cell_backward, product_apart = scalars.backward, scalars.product_apart

    @inlined
    def row(
        kept: Blocks,
        more: Blocks,
        states: Blocks,
        d_states: Blocks,
        d_x: Blocks,
        d_u: Blocks,
        t: int,
        j: int,
    ) -> None:
        t, j = unsigned(t), unsigned(j)
        for lane in range(_lanes(states[0])):
            state, d_next = read_states(states, t, j, lane), read_states(d_states, 0, j, lane)
            numbers = read(kept, t, j, lane) + read_more(more, t, j, lane)
            gradients = cell_backward(d_next, state, numbers)
            write(d_x, gradients[0], t, j, lane)
            if product_apart:
                write(d_u, gradients[1], t, j, lane)
            write_states(d_states, gradients[-1], 0, j, lane)

    return row


def _reset_row_backward(scalars: Scalars, gates: int, states: int) -> Compiled:
    """The gradient of `_reset_row`: finishes that of the first blocks, and adds to the state's."""
    blocks, cell_backward = scalars.reset_blocks, cast(Compiled, scalars.reset_backward)
    read_kept, read_states = reader(gates, True), reader(states, True, apart=True)
    read, write = reader(blocks, True), writer(blocks, True)

    @inlined
    def row(
        kept: Blocks,
        states: Blocks,
        d_made: Array,
        d_h: Array,
        d_x: Blocks,
        t: int,
        j: int,
    ) -> None:
        t, j = unsigned(t), unsigned(j)
        for lane in range(_lanes(d_h)):
            state, numbers = read_states(states, t, j, lane), read_kept(kept, t, j, lane)
            d_first, d_state = cell_backward(d_made[j, lane], state, numbers, read(d_x, t, j, lane))
            write(d_x, d_first, t, j, lane)
            d_h[j, lane] += d_state

    return row
