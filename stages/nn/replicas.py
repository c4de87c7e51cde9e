"""Independent small nets trained as one: repeats of a study that cost little more together than one alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stages.nn.cells import CELLS
from stages.nn.kernels import run_kernel

ENGINES = ("kernel", "stepwise")


class Replicas(nn.Module):
    """`replicas` nets of one recurrent layer and a linear output; every parameter has a leading axis of replicas.

    No number of one replica enters another: under an optimizer that works element by element, a replica ends with
    the weights that it gets alone. The state starts at zero. `bias_hh` stays zero and untrained in the cells where
    it only adds to `bias_ih`, so that parameters are counted as Keras counts them.

    Engines: `kernel` runs the recurrence in the cell's compiled loops; `stepwise` runs the cell's `step` under
    autograd, the definition that the kernels are tested against. A cell without a kernel, or a model on another
    device than a CPU, goes step by step under either name.

    The weights are left as torch's `empty` gives them: `stages.nn.initialise` fills them.
    """

    def __init__(
        self,
        cell: str,
        replicas: int,
        input_size: int,
        hidden_size: int,
        output_size: int,
        engine: str = "kernel",
    ) -> None:
        """Make the parameters of `replicas` nets of a cell of CELLS, `hidden_size` units each.

        Raises:
            KeyError: an unknown cell.
            ValueError: an unknown engine.
        """
        if engine not in ENGINES:
            raise ValueError(f"engine {engine!r}: allowed are {', '.join(ENGINES)}")
        super().__init__()
        self.cell, self.engine = CELLS[cell], engine
        self.replicas, self.hidden_size = replicas, hidden_size
        self.input_size, self.output_size = input_size, output_size
        rows = self.cell.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(replicas, rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(replicas, rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(replicas, rows))
        self.bias_hh = nn.Parameter(torch.zeros(replicas, rows), requires_grad=self.cell.recurrent_bias)
        self.output_weight = nn.Parameter(torch.empty(replicas, output_size, hidden_size))
        self.output_bias = nn.Parameter(torch.empty(replicas, output_size))

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs at every step, (time, replicas, batch, output), from inputs (time, replicas, batch, input)."""
        return self._outputs(inputs, len(inputs)).permute(2, 0, 3, 1)

    def last(self, inputs: Tensor) -> Tensor:
        """Outputs at the last step only, (replicas, batch, output), from inputs (time, replicas, batch, input)."""
        return self._outputs(inputs, 1).squeeze(2).mT

    def extra_repr(self) -> str:
        """The arguments, for print(model)."""
        return (
            f"{self.cell.name}, replicas={self.replicas}, {self.input_size}, {self.hidden_size}, {self.output_size}, "
            f"engine={self.engine}"
        )

    def _outputs(self, inputs: Tensor, steps: int) -> Tensor:
        """Outputs of the last `steps` steps, (replicas, output, steps, batch)."""
        kernel = self.cell.kernel if self.engine == "kernel" and inputs.device.type == "cpu" else None
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        hidden = self._stepwise(inputs, steps) if kernel is None else run_kernel(kernel, inputs, weights, steps)
        outputs = torch.baddbmm(self.output_bias.unsqueeze(-1), self.output_weight, hidden.flatten(2))
        return outputs.unflatten(2, hidden.shape[2:])

    def _stepwise(self, inputs: Tensor, steps: int) -> Tensor:
        """The hidden state of the last `steps` steps, (replicas, hidden, steps, batch)."""
        step = torch.vmap(self.cell.step)
        state = (inputs.new_zeros(*inputs.shape[1:3], self.hidden_size),) * self.cell.states
        hidden = []
        for projection in inputs @ self.weight_ih.mT + self.bias_ih.unsqueeze(1):
            state = step(projection, state, self.weight_hh, self.bias_hh)
            hidden.append(state[0])
        return torch.stack(hidden[-steps:]).permute(1, 3, 0, 2)
