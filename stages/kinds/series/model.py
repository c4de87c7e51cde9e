"""The net that forecasts a series."""

import torch
from torch import Tensor, nn

from stages.nn.cells import CELLS
from stages.nn.parameters import start_uniform
from stages.nn.recurrent import Recurrent


class Forecaster(nn.Module):
    """Recurrent layers read a window; their last state gives the change of the target from its last value.

    So a net that has learnt nothing forecasts the last value, which is hard to beat, and a trend that leaves the
    range of the training part does not leave the net behind.
    """

    def __init__(self, cell: str, columns: int, horizon: int, hidden_size: int, layers: int, engine: str) -> None:
        """Make the layers of a cell of CELLS for `columns` inputs, and `horizon` outputs. `start` fills them."""
        super().__init__()
        self.recurrent = Recurrent(CELLS[cell], columns, hidden_size, layers, engine=engine)
        self.output = nn.Linear(hidden_size, horizon)

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """Initial weights: recurrent ones uniform within 1/sqrt(hidden), as torch's; no change forecast."""
        start_uniform(self.recurrent.parameters(), self.recurrent.hidden_size, generator)
        self.output.weight.zero_()
        self.output.bias.zero_()

    def forward(self, windows: Tensor) -> Tensor:
        """Forecasts, (batch, horizon), from windows (time, batch, columns), all scaled; the target is column 0."""
        changes: Tensor = self.output(self.recurrent.last_state(windows))
        return windows[-1, :, :1] + changes
