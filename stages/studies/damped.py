"""damped: predict a damped oscillation one step ahead, then go on from its own predictions.

Source: document 001_2e3773b97c95f171. It names no flaw that changes a protocol, so both names stand for one arm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from stages.nn.initialise import initialise_as_keras
from stages.nn.replicas import Replicas, sum_of_losses, train_epoch
from stages.studies import Arm
from stages.support.files import read_json
from stages.training.device import to_device
from stages.training.loop import Step
from stages.training.seeds import Purpose, stream_seed


@dataclass(frozen=True)
class Hyperparameters:
    """All that decides the training of one arm."""

    cell: str
    hidden_size: int
    batch_size: int
    learning_rate: float
    epochs: int


def arms(cell: str, training: Any, layers: int, dropout: float) -> list[Arm]:  # noqa: ANN401
    """The one arm of a cell; `training` is section damped.PROFILE.training."""
    names = ("hidden_size", "batch_size", "learning_rate", "epochs")
    settings = Hyperparameters(cell, **{name: getattr(training, name) for name in names})
    return [Arm("", ("published", "corrected"), settings)]


class Data:
    """Windows (windows, window) of inputs and of targets, one step on, for each part, and the whole curve."""

    def __init__(self, folder: Path) -> None:
        manifest = read_json(folder / "manifest.json")
        self.corpus: str = manifest["corpus"]
        self.digest: str = manifest["digest"]
        self.train, self.validation, self.test = (
            tuple(torch.from_numpy(np.load(folder / f"{part}.{side}.npy")) for side in ("inputs", "targets"))
            for part in ("train", "validation", "test")
        )
        self.curve = np.load(folder / "curve.npy")

    @property
    def closed_loop_truth(self) -> list[float]:
        """What the closed loop should give: the curve after the targets of window 0."""
        start = self.train[0].shape[1] + 1
        return [round(float(value), 5) for value in self.curve[start:]]


class Task:
    """Repeats of the arm, trained as one net of replicas."""

    chosen_by = None
    gradient_norm_limit = None

    def __init__(
        self, data: Data, hyperparameters: Hyperparameters, seed: int, repeats: Sequence[int], device: torch.device
    ) -> None:
        self.data, self.device, self._batch_size = data, device, hyperparameters.batch_size
        self.model = Replicas(hyperparameters.cell, len(repeats), 1, hyperparameters.hidden_size, 1)
        seeds = [stream_seed(seed, repeat, Purpose.WEIGHTS) for repeat in repeats]
        initialise_as_keras(self.model, [torch.Generator().manual_seed(s) for s in seeds])
        self.model.to(device)
        self.engine = self.model.engine
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=hyperparameters.learning_rate, fused=True)
        self.train_items = len(data.train[0])
        self.train_tokens = data.train[0].numel() * len(repeats)

    def batches(self, orders: Sequence[np.random.Generator]) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch: inputs and targets, (time, repeats, batch, 1), each repeat's windows in its own order."""
        shuffled = np.stack([order.permutation(self.train_items) for order in orders])
        for start in range(0, self.train_items, self._batch_size):
            chosen = torch.from_numpy(shuffled[:, start : start + self._batch_size])
            inputs, targets = (part[chosen].permute(2, 0, 1).unsqueeze(-1) for part in self.data.train)
            yield inputs, targets

    def step(self, batch: tuple[Tensor, Tensor]) -> Step:
        """Each repeat's mean squared error of a batch, over windows and their steps."""
        inputs, targets = to_device(self.device, *batch)
        loss = (self.model(inputs) - targets).square().mean((0, 2, 3))
        items = inputs.shape[2]
        return Step(loss, {"loss": loss.detach() * items}, items)

    def train_epoch(self, orders: Sequence[np.random.Generator]) -> Step | None:
        """One epoch as `batches` and `step` have it, in compiled code where there is some."""
        if not self.model.compiled:
            return None
        shuffled = np.stack([order.permutation(self.train_items) for order in orders])
        inputs, targets = (part.unsqueeze(-1) for part in self.data.train)
        losses, _ = train_epoch(self.model, self.optimizer, inputs, targets, shuffled, self._batch_size)
        total = sum_of_losses(losses, self.train_items, self._batch_size)
        return Step(torch.from_numpy(losses), {"loss": torch.from_numpy(total)}, self.train_items)

    def after_epoch(self, improved: bool) -> None:
        """Nothing changes between epochs."""

    def validate(self) -> list[dict[str, float]]:
        """Each repeat's mean squared error on the validation windows."""
        return [{"loss": loss} for loss in self._losses(*self.data.validation)]

    def test(self) -> list[dict[str, Any]]:
        """Each repeat's mean squared error half way between the points, and its closed loop.

        The loop starts from the targets of window 0, and each step feeds the last values from a zero state and keeps
        the last output. The document draws prediction k one step early; here it stands at the value it predicts.
        """
        loops = self._closed_loop()
        truth = torch.tensor(self.data.curve[self.data.train[0].shape[1] + 1 :])
        return [
            {
                "loss": loss,
                "closed_loop_rmse": mse_loss(loop[: len(truth)], truth).sqrt().item(),
                "closed_loop": [round(value, 5) for value in loop[: len(truth)].tolist()],
            }
            for loss, loop in zip(self._losses(*self.data.test), loops, strict=True)
        ]

    @torch.no_grad()
    def _losses(self, inputs: Tensor, targets: Tensor) -> list[float]:
        self.model.eval()
        outputs = self.model(inputs.t()[:, None, :, None].expand(-1, self.model.replicas, -1, -1).to(self.device))
        losses: list[float] = (outputs.cpu().squeeze(-1) - targets.t()[:, None]).double().square().mean((0, 2)).tolist()
        return losses

    @torch.no_grad()
    def _closed_loop(self) -> Tensor:
        """Predictions (repeats, windows), as many as there are windows."""
        self.model.eval()
        window = self.data.train[0].shape[1]
        start = self.data.train[1][0].to(self.device)
        values = list(start[:, None].expand(-1, self.model.replicas))
        for _ in range(len(self.data.curve) - window):
            values.append(self.model.last(torch.stack(values[-window:])[:, :, None, None])[:, 0, 0])
        return torch.stack(values[window:], 1).double().cpu()
