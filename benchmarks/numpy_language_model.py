"""A recurrent language model in plain NumPy: gradients by hand, a time step after the other, every word's softmax.

The arithmetic that the book behind the ptb document teaches, written here in its own words and as a reader of it would:
both products of a step in that step, weight gradients added up step by step, whole arrays for softmax and dropout. The
embedding's gradient is made a step after the other as well, each as large as the embedding and then added up, since
there every step has a layer of its own; or at once, which is the first thing to improve. One bias a gate; the GRU,
whose reset gate acts after the product as torch's does, needs a second. Gates stand in torch's order, weights as
(inputs, gates * hidden). Needs only NumPy.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Tokens = NDArray[np.integer]


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


class RnnLayer:
    """h' = tanh(x wx + h wh + b) over the steps of a window; the state is kept from window to window."""

    states = 1

    def __init__(self, weights: Mapping[str, Array]) -> None:
        """Use `weights`: wx (inputs, gates * hidden), wh (hidden, gates * hidden), b, and for the GRU bh."""
        self.weights = weights
        self.gradients: dict[str, Array] = {}
        self.state: list[Array] = []
        self.kept: list[tuple[Array, ...]] = []

    def forward(self, inputs: Array) -> Array:
        """Outputs (time, batch, hidden) of inputs (time, batch, features)."""
        if not self.state:
            hidden = len(self.weights["wh"])
            self.state = [np.zeros((inputs.shape[1], hidden), inputs.dtype) for _ in range(self.states)]
        self.kept = []
        outputs = []
        for x in inputs:
            self.kept.append(self.step(x))
            outputs.append(self.state[0])
        return np.stack(outputs)

    def backward(self, d_outputs: Array) -> Array:
        """The inputs' gradient; the weights' is left in `gradients`. Nothing flows back into the window before."""
        self.gradients = {name: np.zeros_like(weight) for name, weight in self.weights.items()}
        d_state = [np.zeros_like(state) for state in self.state]
        d_inputs = np.empty((*d_outputs.shape[:2], len(self.weights["wx"])), d_outputs.dtype)
        for t in reversed(range(len(d_outputs))):
            d_state[0] = d_state[0] + d_outputs[t]
            d_inputs[t], d_state = self.step_back(d_state, *self.kept[t])
        return d_inputs

    def step(self, x: Array) -> tuple[Array, ...]:
        """Move the state on by one input (batch, features); returns what `step_back` wants of it."""
        (h,) = self.state
        following = np.tanh(x @ self.weights["wx"] + h @ self.weights["wh"] + self.weights["b"])
        self.state = [following]
        return x, h, following

    def step_back(self, d_state: list[Array], *kept: Array) -> tuple[Array, list[Array]]:
        """From the gradient of the state after a step, those of its input and of the state before it."""
        x, h, following = kept
        d_x, d_h = self._products_back(d_state[0] * (1 - following**2), x, h)
        return d_x, [d_h]

    def _products_back(self, d_gates: Array, x: Array, h: Array) -> tuple[Array, Array]:
        """Gradients of x and h where both products add to the gates; adds to the weights'."""
        self.gradients["wx"] += x.T @ d_gates
        self.gradients["wh"] += h.T @ d_gates
        self.gradients["b"] += d_gates.sum(0)
        return d_gates @ self.weights["wx"].T, d_gates @ self.weights["wh"].T


class LstmLayer(RnnLayer):
    """Gates i, f, g, o; c' = f c + i g; h' = o tanh(c')."""

    states = 2

    def step(self, x: Array) -> tuple[Array, ...]:
        """As in RnnLayer."""
        h, c = self.state
        gates = x @ self.weights["wx"] + h @ self.weights["wh"] + self.weights["b"]
        i, f, g, o = (np.tanh(a) if gate == 2 else _sigmoid(a) for gate, a in enumerate(np.split(gates, 4, axis=1)))
        following = f * c + i * g
        self.state = [o * np.tanh(following), following]
        return x, h, c, i, f, g, o, following

    def step_back(self, d_state: list[Array], *kept: Array) -> tuple[Array, list[Array]]:
        """As in RnnLayer."""
        x, h, c, i, f, g, o, following = kept
        d_output, d_cell = d_state
        tanh_c = np.tanh(following)
        d_cell = d_cell + d_output * o * (1 - tanh_c**2)
        d_i, d_f = d_cell * g * i * (1 - i), d_cell * c * f * (1 - f)
        d_g, d_o = d_cell * i * (1 - g**2), d_output * tanh_c * o * (1 - o)
        d_x, d_h = self._products_back(np.hstack((d_i, d_f, d_g, d_o)), x, h)
        return d_x, [d_h, d_cell * f]


class GruLayer(RnnLayer):
    """Gates r, z, n; n = tanh(x's part + r * (h's part)); h' = (1 - z) n + z h."""

    def step(self, x: Array) -> tuple[Array, ...]:
        """As in RnnLayer."""
        (h,) = self.state
        x_r, x_z, x_n = np.split(x @ self.weights["wx"] + self.weights["b"], 3, axis=1)
        h_r, h_z, h_n = np.split(h @ self.weights["wh"] + self.weights["bh"], 3, axis=1)
        r, z = _sigmoid(x_r + h_r), _sigmoid(x_z + h_z)
        n = np.tanh(x_n + r * h_n)
        self.state = [(1 - z) * n + z * h]
        return x, h, h_n, r, z, n

    def step_back(self, d_state: list[Array], *kept: Array) -> tuple[Array, list[Array]]:
        """As in RnnLayer."""
        x, h, h_n, r, z, n = kept
        (d_output,) = d_state
        d_n = d_output * (1 - z) * (1 - n**2)
        d_r, d_z = d_n * h_n * r * (1 - r), d_output * (h - n) * z * (1 - z)
        d_projection, d_product = np.hstack((d_r, d_z, d_n)), np.hstack((d_r, d_z, d_n * r))
        self.gradients["wx"] += x.T @ d_projection
        self.gradients["wh"] += h.T @ d_product
        self.gradients["b"] += d_projection.sum(0)
        self.gradients["bh"] += d_product.sum(0)
        d_h = d_product @ self.weights["wh"].T + d_output * z
        return d_projection @ self.weights["wx"].T, [d_h]


LAYERS: Mapping[str, type[RnnLayer]] = {"rnn": RnnLayer, "lstm": LstmLayer, "gru": GruLayer}


class Dropout:
    """Zeroes each value with probability `rate` and divides the others by 1 - `rate`."""

    def __init__(self, rate: float, random: np.random.Generator) -> None:
        self.rate, self.random = rate, random
        self.mask: Array

    def forward(self, values: Array) -> Array:
        """Values of any shape, some of them dropped."""
        self.mask = (self.random.random(values.shape) > self.rate).astype(values.dtype) / (1 - self.rate)
        return values * self.mask

    def backward(self, gradient: Array) -> Array:
        """The gradient of what `forward` was given."""
        return gradient * self.mask


class LanguageModel:
    """Embedding, recurrent layers, a logit for each word; dropout around and between the layers where there is any."""

    def __init__(
        self,
        cell: str,
        weights: Mapping[str, Array],
        layers: Sequence[Mapping[str, Array]],
        dropout: float = 0.0,
        embedding_at_once: bool = False,
    ) -> None:
        """Use, and in `update` change, the arrays given.

        Args:
            cell: a key of LAYERS.
            weights: `embedding` (words, features), `output_bias` (words,), and `output` (hidden, words); without
                `output` it is the embedding's transpose.
            layers: each layer's weights, as `RnnLayer` wants them.
            dropout: the rate of each dropout; 0: none.
            embedding_at_once: add up the embedding's gradient for the whole window, not for each step apart.
        """
        random = np.random.default_rng(0)
        self.embedding_at_once = embedding_at_once
        self.weights = weights
        self.layers = [LAYERS[cell](layer) for layer in layers]
        self.dropouts = [Dropout(dropout, random) for _ in range(1 + len(layers))] if dropout else []

    def loss_and_gradients(self, inputs: Tokens, targets: Tokens) -> tuple[float, dict[str, Array]]:
        """Mean cross-entropy (nats a token) of a window (time, batch); gradients of `weights`, the layers' in them."""
        output = self.weights["output"] if "output" in self.weights else self.weights["embedding"].T
        values: Array = self.weights["embedding"][inputs]
        for place, layer in enumerate(self.layers):
            if self.dropouts:
                values = self.dropouts[place].forward(values)
            values = layer.forward(values)
        if self.dropouts:
            values = self.dropouts[-1].forward(values)
        rows = values.reshape(-1, values.shape[-1])
        logits = rows @ output + self.weights["output_bias"]
        probabilities = np.exp(logits - logits.max(1, keepdims=True))
        probabilities /= probabilities.sum(1, keepdims=True)
        each, right = np.arange(len(rows)), targets.reshape(-1)
        loss = -np.log(probabilities[each, right]).mean()

        d_logits = probabilities
        d_logits[each, right] -= 1
        d_logits /= len(rows)
        d_output = rows.T @ d_logits
        gradients = {"output_bias": d_logits.sum(0)}
        d_values = (d_logits @ output.T).reshape(values.shape)
        if self.dropouts:
            d_values = self.dropouts[-1].backward(d_values)
        for place in reversed(range(len(self.layers))):
            d_values = self.layers[place].backward(d_values)
            if self.dropouts:
                d_values = self.dropouts[place].backward(d_values)
        gradients["embedding"] = self._embedding_gradient(inputs, d_values)
        if "output" in self.weights:
            gradients["output"] = d_output
        else:
            gradients["embedding"] += d_output.T
        return float(loss), gradients

    def _embedding_gradient(self, inputs: Tokens, d_values: Array) -> Array:
        if self.embedding_at_once:
            inputs, d_values = inputs.reshape(1, -1), d_values.reshape(1, -1, d_values.shape[-1])
        total = np.zeros_like(self.weights["embedding"])
        for tokens, d_rows in zip(inputs, d_values, strict=True):
            gradient = np.zeros_like(total)
            np.add.at(gradient, tokens, d_rows)
            total += gradient
        return total

    def update(self, inputs: Tokens, targets: Tokens, rate: float, norm_limit: float) -> float:
        """One step of SGD on a window, its gradient's norm clipped to `norm_limit`; returns the loss before it."""
        loss, gradients = self.loss_and_gradients(inputs, targets)
        pairs = [(self.weights[name], gradient) for name, gradient in gradients.items()]
        pairs += [
            (layer.weights[name], gradient) for layer in self.layers for name, gradient in layer.gradients.items()
        ]
        norm = math.sqrt(sum(float((gradient**2).sum()) for _, gradient in pairs))
        scale = min(1.0, norm_limit / (norm + 1e-6))
        for weight, gradient in pairs:
            weight -= rate * (gradient * scale)
        return loss
