"""JAX's side of benchmarks.jax_imdb; needs only JAX, Optax and NumPy, nothing of this project.

Trains imdb's model on reviews of one length from .npy files as a JAX user would: the inputs' products of all steps at
once, `lax.scan` over time, Optax's Adam, a whole epoch of one compiled call. Prints JSON: versions, the model's
parameters, and the processor milliseconds of an update in each timed epoch. Called by benchmarks.jax_imdb.
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


def step(cell: str, weights: Any, state: Any, x: Any) -> Any:  # noqa: ANN401
    """One step of a batch, from its inputs' product; torch's definitions."""
    product = state[0] @ weights["hh"]
    if cell == "rnn":
        return (jnp.tanh(x + product),)
    if cell == "lstm":
        i, f, g, o = jnp.split(x + product, 4, -1)
        c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c
    x_r, x_z, x_n = jnp.split(x, 3, -1)
    h_r, h_z, h_n = jnp.split(product + weights["b_hh"], 3, -1)
    r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + r * h_n)
    return ((1 - z) * n + z * state[0],)


def main(
    cell: str,
    tokens_file: str,
    labels_file: str,
    timings: str,
    batch_size: str,
    learning_rate: str,
    vocabulary: str,
    embedding: str,
    hidden: str,
    dropout: str,
) -> None:
    """Time epochs over the reviews (reviews, steps), after one untimed epoch."""
    tokens, labels = jnp.asarray(np.load(tokens_file), jnp.int32), jnp.asarray(np.load(labels_file), jnp.float32)
    units, batch, keep = int(hidden), int(batch_size), 1 - float(dropout)
    rows, updates = GATES[cell] * units, len(tokens) // batch
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> Any:  # noqa: ANN401
        return jnp.asarray(random.normal(0, 0.1, shape), jnp.float32)

    def direction(inputs: int) -> dict[str, Any]:
        weights = {"ih": drawn(inputs, rows), "hh": drawn(units, rows), "b": drawn(rows)}
        return weights | ({"b_hh": drawn(rows)} if cell == "gru" else {})

    weights = {
        "words": drawn(int(vocabulary), int(embedding)),
        "layers": [[direction(inputs) for _ in range(2)] for inputs in (int(embedding), 2 * units)],
        "out": drawn(2 * units),
        "b_out": jnp.zeros(()),
    }
    optimizer = optax.adam(float(learning_rate))

    def dropped(key: Any, values: Any) -> Any:  # noqa: ANN401
        return jnp.where(jax.random.bernoulli(key, keep, values.shape), values / keep, 0)

    def scan(weights: Any, inputs: Any, reverse: bool) -> Any:  # noqa: ANN401
        def one(state: Any, x: Any) -> Any:  # noqa: ANN401
            state = step(cell, weights, state, x)
            return state, state[0]

        start = (jnp.zeros((batch, units), jnp.float32),) * (2 if cell == "lstm" else 1)
        final, states = jax.lax.scan(one, start, inputs @ weights["ih"] + weights["b"], reverse=reverse)
        return final[0], states

    def loss_of(weights: Any, key: Any, chosen: Any) -> Any:  # noqa: ANN401
        keys = jax.random.split(key, 2)
        values = weights["words"][tokens[chosen].T]
        for layer, one in zip(weights["layers"], keys, strict=True):
            values = dropped(one, values)
            ways = [scan(direction, values, reverse) for direction, reverse in zip(layer, (False, True), strict=True)]
            values = jnp.concatenate([states for _, states in ways], -1)
        logits = jnp.concatenate([final for final, _ in ways], -1) @ weights["out"] + weights["b_out"]
        return optax.sigmoid_binary_cross_entropy(logits, labels[chosen]).mean()

    def update(carried: Any, drawn_: Any) -> Any:  # noqa: ANN401
        weights, moments = carried
        loss, gradient = jax.value_and_grad(loss_of)(weights, *drawn_)
        change, moments = optimizer.update(gradient, moments, weights)
        return (optax.apply_updates(weights, change), moments), loss

    def epoch(weights: Any, moments: Any, key: Any, order: Any) -> Any:  # noqa: ANN401
        return jax.lax.scan(update, (weights, moments), (jax.random.split(key, updates), order))

    compiled = jax.jit(epoch)
    moments, milliseconds = optimizer.init(weights), []
    for timing in range(int(timings) + 1):
        start = time.process_time()
        order = random.permutation(len(tokens))[: updates * batch].reshape(updates, batch)
        (weights, moments), losses = compiled(weights, moments, jax.random.key(timing), order)
        finite = np.isfinite(np.asarray(losses)).all()
        if timing:  # the first one compiles
            milliseconds.append(1000 * (time.process_time() - start) / updates)
    if not finite:
        raise SystemExit("a loss is not finite")
    versions = {"jax": jax.__version__, "optax": optax.__version__}
    parameters = sum(leaf.size for leaf in jax.tree.leaves(weights))
    print(json.dumps({"versions": versions, "parameters": parameters, "ways": {"an epoch a call": milliseconds}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
