"""A stack of recurrent layers of any cell, run by any engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from stages.nn.cells import Cell, State
from stages.nn.engines import ENGINES


class Recurrent(nn.Module):
    """Recurrent layers with dropout between them; parameters named and laid out as in torch's own layers.

    The weights are left as torch's `empty` gives them: a kind's model starts them.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        engine: str = "padded",
    ) -> None:
        """Make the parameters.

        Raises:
            ValueError: an unknown engine.
        """
        if engine not in ENGINES:
            raise ValueError(f"engine {engine!r}: allowed are {', '.join(ENGINES)}")
        super().__init__()
        self.cell, self.engine = cell, engine
        self.input_size, self.hidden_size = input_size, hidden_size
        self.layers, self.dropout = layers, dropout
        self.bidirectional, self.directions = bidirectional, 1 + bidirectional
        rows = cell.gates * hidden_size
        for layer in range(layers):
            features = input_size if layer == 0 else self.directions * hidden_size
            for direction in range(self.directions):
                for name, shape in zip(
                    _names(layer, direction), [(rows, features), (rows, hidden_size), (rows,), (rows,)], strict=True
                ):
                    self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        self._torch_layers: list[nn.RNNBase] = []  # a list, so that its parameters do not count twice

    def forward(
        self, inputs: Tensor, lengths: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run the layers over a batch of sequences.

        Args:
            inputs: (time, batch, features).
            lengths: (batch,) int64, each from 1 to time; None: all of them time.
            state: initial state, each tensor (layers * directions, batch, hidden); None: zeros.

        Returns:
            Outputs (time, batch, directions * hidden), zero at padded positions, and the state after each sequence's
            last item, shaped as `state`; of the inputs' type, whatever torch.autocast has made of the products.
        """
        state = self.zero_state(inputs.shape[1]) if state is None else state
        outputs, final = ENGINES[self.engine](self, inputs, lengths, state, True)
        assert outputs is not None
        return outputs.to(inputs.dtype), tuple(part.to(inputs.dtype) for part in final)

    def last_state(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The last layer's final output of each direction, concatenated: (batch, directions * hidden).

        Cheaper than `forward`, because the last layer's outputs are not put back in order.
        """
        _, final = ENGINES[self.engine](self, inputs, lengths, self.zero_state(inputs.shape[1]), False)
        return final[0][-self.directions :].transpose(0, 1).flatten(1).to(inputs.dtype)

    def zero_state(self, batch: int) -> State:
        """The state before the first item of `batch` sequences, on the parameters' device and in their type."""
        shape = (self.layers * self.directions, batch, self.hidden_size)
        return tuple(next(self.parameters()).new_zeros(shape) for _ in range(self.cell.states))

    def weights(self, layer: int, direction: int) -> list[Tensor]:
        """weight_ih, weight_hh, bias_ih and bias_hh of a layer's direction (0 forwards, 1 backwards)."""
        return [self.get_parameter(name) for name in _names(layer, direction)]

    def torch_layer(self, layer: int) -> nn.RNNBase:
        """One of the layers as torch has it, over these same parameters; for cells that torch has."""
        assert self.cell.layer is not None
        if not self._torch_layers:
            self._torch_layers = [self._make_torch_layer(number) for number in range(self.layers)]
        return self._torch_layers[layer].train(self.training)

    def _make_torch_layer(self, layer: int) -> nn.RNNBase:
        assert self.cell.layer is not None
        features = self.input_size if layer == 0 else self.directions * self.hidden_size
        with torch.device("meta"):
            module = self.cell.layer(features, self.hidden_size, bidirectional=self.bidirectional)
        for direction in range(self.directions):
            for name, mine in zip(_names(0, direction), self.weights(layer, direction), strict=True):
                setattr(module, name, mine)
        module.flatten_parameters()
        return module

    def extra_repr(self) -> str:
        """The arguments, for print(model)."""
        return (
            f"{self.cell.name}, {self.input_size}, {self.hidden_size}, layers={self.layers}, "
            f"dropout={self.dropout}, bidirectional={self.bidirectional}, engine={self.engine}"
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self._torch_layers.clear()  # cuDNN wants the weights in one piece: flatten them again where they go
        return super()._apply(fn, recurse)  # type: ignore[no-any-return, no-untyped-call]


def _names(layer: int, direction: int) -> list[str]:
    suffix = f"_l{layer}" + ("_reverse" if direction else "")
    return [kind + suffix for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
