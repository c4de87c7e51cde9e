"""JAX's side of benchmarks.jax_replicas; needs only JAX, Optax and NumPy, nothing of this project.

Trains independent nets of one recurrent layer and a linear output as a JAX user would: `vmap` over the nets, `lax.scan`
over time, Optax's Adam, `UPDATES_A_CALL` updates of a compiled call with the batches drawn inside it. Prints JSON:
versions, and the processor milliseconds of an update of all nets in each timed epoch.
"""

import json
import os
import sys
import time
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
import numpy as np
import optax

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
UPDATES_A_CALL, CALLS = 50, 2


def step(cell: str, weights: Any, state: Any, x: Any) -> Any:  # noqa: ANN401
    """One step of a batch; torch's definitions."""
    if cell == "rnn":
        h = jnp.tanh(x @ weights["ih"] + weights["b"] + state[0] @ weights["hh"])
        return (h,)
    if cell == "lstm":
        i, f, g, o = jnp.split(x @ weights["ih"] + weights["b"] + state[0] @ weights["hh"], 4, -1)
        c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c
    x_r, x_z, x_n = jnp.split(x @ weights["ih"] + weights["b"], 3, -1)
    h_r, h_z, h_n = jnp.split(state[0] @ weights["hh"] + weights["b_hh"], 3, -1)
    r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + r * h_n)
    return ((1 - z) * n + z * state[0],)


def main(cell: str, replicas: str, hidden: str, batch: str, length: str, outputs: str, timings: str) -> None:
    """Time epochs; `outputs` 2: classes at the last step, else squared error of one output at every step."""
    nets, units, items, classes = int(replicas), int(hidden), int(batch), int(outputs)
    random = np.random.default_rng(0)
    total = items * UPDATES_A_CALL
    data = jnp.asarray(random.normal(0, 1, (total, int(length), 1)), jnp.float32)
    every_step = classes == 1
    labels = jnp.asarray(data if every_step else random.integers(0, classes, total))
    rows, states = GATES[cell] * units, 2 if cell == "lstm" else 1
    shapes = {"ih": (1, rows), "hh": (units, rows), "b": (rows,), "out": (units, classes), "b_out": (classes,)}
    if cell == "gru":
        shapes["b_hh"] = (rows,)
    weights = {name: jnp.asarray(random.normal(0, 0.3, (nets, *shape)), jnp.float32) for name, shape in shapes.items()}
    optimizer = optax.adam(0.001)
    moments = jax.vmap(optimizer.init)(weights)

    def loss_of(weights: Any, chosen: Any) -> Any:  # noqa: ANN401
        inputs = data[chosen].transpose(1, 0, 2)

        def one(state: Any, x: Any) -> Any:  # noqa: ANN401
            state = step(cell, weights, state, x)
            return state, state[0] if every_step else None

        start = (jnp.zeros((items, units), jnp.float32),) * states
        final, hidden_states = jax.lax.scan(one, start, inputs)
        if every_step:
            predicted = hidden_states @ weights["out"] + weights["b_out"]
            return jnp.square(predicted - labels[chosen].transpose(1, 0, 2)).mean()
        logits = final[0] @ weights["out"] + weights["b_out"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels[chosen]).mean()

    def update(carried: Any, chosen: Any) -> Any:  # noqa: ANN401
        weights, moments = carried
        loss, gradient = jax.value_and_grad(loss_of)(weights, chosen)
        change, moments = optimizer.update(gradient, moments, weights)
        return (optax.apply_updates(weights, change), moments), loss

    def updates_of_all(weights: Any, moments: Any, orders: Any) -> Any:  # noqa: ANN401
        def one_net(weights: Any, moments: Any, order: Any) -> Any:  # noqa: ANN401
            return jax.lax.scan(update, (weights, moments), order)

        return jax.vmap(one_net)(weights, moments, orders)

    updates = jax.jit(updates_of_all)

    def epoch(weights: Any, moments: Any) -> Any:  # noqa: ANN401
        for _ in range(CALLS):
            orders = np.stack([random.permutation(total) for _ in range(nets)]).reshape(nets, UPDATES_A_CALL, items)
            (weights, moments), losses = updates(weights, moments, orders)
        return weights, moments, np.asarray(losses)

    weights, moments, _ = epoch(weights, moments)
    milliseconds = []
    for _ in range(int(timings)):
        start = time.process_time()
        weights, moments, losses = epoch(weights, moments)
        milliseconds.append(1000 * (time.process_time() - start) / (UPDATES_A_CALL * CALLS))
    if not np.isfinite(losses).all():
        raise SystemExit("a loss is not finite")
    print(json.dumps({"versions": {"jax": jax.__version__, "optax": optax.__version__}, "milliseconds": milliseconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
