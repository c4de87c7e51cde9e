"""The net of a sequence study whose layers are not trained as replicas."""

import torch
from torch import Tensor, nn

from stages.nn.cells import CELLS, State
from stages.nn.parameters import start_scaled_normal
from stages.nn.recurrent import Recurrent


class SequencePredictor(nn.Module):
    """Recurrent layers with dropout between them, and one number predicted at every step."""

    def __init__(self, cell: str, hidden_size: int, layers: int, dropout: float, engine: str = "padded") -> None:
        """Make the layers of a cell of CELLS, for sequences of one feature. `start` fills them."""
        super().__init__()
        self.recurrent = Recurrent(CELLS[cell], 1, hidden_size, layers, dropout, engine=engine)
        self.output = nn.Linear(hidden_size, 1)

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """Initial weights as Chainer's: recurrent N(0, 1/inputs), output N(0, 0.01^2), zero biases."""
        start_scaled_normal(self.recurrent.parameters(), generator)
        self.output.weight.normal_(std=0.01, generator=generator)
        self.output.bias.zero_()

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Predict at every step.

        Args:
            inputs: values (time, batch, 1).
            state: what the sequence before returned, detached where its gradient should end; None: zeros.

        Returns:
            Predictions (time, batch, 1) and the state after the sequence.
        """
        outputs, state = self.recurrent(inputs, state=state)
        return self.output(outputs), state
