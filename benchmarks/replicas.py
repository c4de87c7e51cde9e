"""The synthetic studies' training speed: `Replicas` by its engines, and by torch's own layers, on one core.

`block-diagonal` is the fastest way to train independent nets with torch's layers: one layer as wide as all of them,
with zeros between the nets, its weights assembled from those of `Replicas`. Milliseconds of processor time an update
of all replicas: loss, gradients and Adam; the quickest of `TIMINGS` runs of `UPDATES` updates. `losses apart` is the
largest difference between a way's losses and those step by step over `UPDATES` updates from the same weights.

Run: python -m benchmarks.replicas
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy, mse_loss

from benchmarks.measure import RESULTS, about, processor_milliseconds
from stages.nn.cells import CELLS
from stages.nn.keras import start_as_keras
from stages.nn.replicas import Replicas, train_epoch
from stages.support.files import write_json
from stages.training.device import prepare

UPDATES, TIMINGS = 20, 5


@dataclass(frozen=True)
class Shape:
    """What a study trains at once."""

    replicas: int
    hidden: int
    batch: int
    time: int
    every_step: bool
    """Mean squared error of one output at every step; else cross-entropy of two outputs at the last."""


SHAPES = {
    "latch 50": Shape(replicas=30, hidden=1, batch=16, time=50, every_step=False),
    "latch 200": Shape(replicas=30, hidden=1, batch=16, time=200, every_step=False),
    "relay 50": Shape(replicas=10, hidden=8, batch=16, time=50, every_step=False),
    "relay 200": Shape(replicas=10, hidden=8, batch=16, time=200, every_step=False),
    "damped": Shape(replicas=10, hidden=40, batch=10, time=20, every_step=True),
}


class BlockDiagonal(Replicas):
    """Replicas as one wide layer of torch's, with zeros where the weights would join two of them."""

    def _hidden(self, inputs: Tensor, steps: int) -> Tensor:
        assert self.cell.layer is not None
        with torch.device("meta"):
            layer = self.cell.layer(self.replicas * self.input_size, self.replicas * self.hidden_size)
        weights = {
            "weight_ih_l0": self._joined(self.weight_ih),
            "weight_hh_l0": self._joined(self.weight_hh),
            "bias_ih_l0": self._gates_first(self.bias_ih).flatten(),
            "bias_hh_l0": self._gates_first(self.bias_hh).flatten(),
        }
        outputs, _ = functional_call(layer, weights, inputs.transpose(1, 2).flatten(2))
        hidden: Tensor = outputs[-steps:].reshape(steps, -1, self.replicas, self.hidden_size)
        return hidden.permute(2, 3, 0, 1)

    def _joined(self, weight: Tensor) -> Tensor:
        blocks = self._gates_first(weight)
        between = torch.eye(self.replicas).view(1, self.replicas, 1, self.replicas, 1)
        return (blocks.unsqueeze(3) * between).flatten(3).flatten(0, 2)

    def _gates_first(self, parameter: Tensor) -> Tensor:
        shape = (self.replicas, self.cell.gates, self.hidden_size, *parameter.shape[2:])
        return parameter.view(shape).transpose(0, 1)


WAYS: dict[str, Callable[..., Replicas]] = {
    "kernel": Replicas,
    "stepwise": partial(Replicas, engine="stepwise"),
    "block-diagonal": BlockDiagonal,
}


class Training:
    """Replicas that learn random targets; every way starts from the same weights."""

    def __init__(self, way: str, cell: str, shape: Shape) -> None:
        generator = torch.Generator().manual_seed(0)
        self.shape = shape
        self.model = WAYS[way](cell, shape.replicas, 1, shape.hidden, 1 if shape.every_step else 2)
        start_as_keras(self.model, [generator] * shape.replicas)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.001, fused=True)
        self.at_once = way == "kernel"
        self.items = torch.randn(shape.batch, shape.time, 1, generator=generator)
        self.labels = torch.randint(2, (shape.batch,), generator=generator)
        self.inputs = self.items.transpose(0, 1).unsqueeze(1).expand(-1, shape.replicas, -1, -1)

    def loss(self) -> Tensor:
        """The sum of the replicas' losses."""
        if self.shape.every_step:
            return mse_loss(self.model(self.inputs), self.inputs.roll(-1, 0)) * self.shape.replicas
        labels = self.labels.repeat(self.shape.replicas)
        return cross_entropy(self.model.last(self.inputs).flatten(0, 1), labels) * self.shape.replicas

    def updates(self) -> int:
        """`UPDATES` updates; returns how many."""
        if self.at_once:
            targets = self.items.roll(-1, 1) if self.shape.every_step else self.labels
            orders = np.tile(np.arange(self.shape.batch), (self.shape.replicas, UPDATES))
            train_epoch(self.model, self.optimizer, self.items, targets, orders, self.shape.batch)
            return UPDATES
        for _ in range(UPDATES):
            loss = self.loss()
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        return UPDATES


def losses_apart(way: str, cell: str, shape: Shape) -> float:
    """How far a way's loss is from that step by step, after the same updates."""
    trainings = [Training(name, cell, shape) for name in (way, "stepwise")]
    for training in trainings:
        training.updates()
    losses = [training.loss().item() for training in trainings]
    return abs(losses[0] - losses[1])


def main() -> None:
    """Measure, print the table, write benchmarks/results/replicas.json."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    head = about(prepare("cpu"))
    print("  ".join(f"{name}: {value}" for name, value in head.items()))
    print("cell  shape      way             ms an update  losses apart")
    rows = []
    for cell in CELLS:
        for name, shape in SHAPES.items():
            for way in WAYS:
                best = min(processor_milliseconds(Training(way, cell, shape).updates, TIMINGS))
                apart = losses_apart(way, cell, shape)
                rows.append(
                    {"cell": cell, "shape": name, "way": way, "milliseconds": round(best, 3), "losses_apart": apart}
                )
                print(f"{cell:5} {name:10} {way:14} {best:13.3f} {apart:13.1e}", flush=True)
    write_json(RESULTS / "replicas.json", {"about": head, "rows": rows})


if __name__ == "__main__":
    main()
