"""fibonacci: predict the next Fibonacci number modulo 5 at every step, with one recurrent layer or several.

Source: document 004_cf04984ca946f3a3 and its public code, which has only the lstm. Flaws that the corrected arms
mend: the state at a window's end starts another, unrelated window of the next shuffled batch; dropout stays on in
validation, which confounds every arm of two layers or more (it is off in the closed loop); windows that fill no batch
are left out, in validation all but the first 100 of 169; the curve's training loss is the last batch's.

One departure from the public code: it resets the state of a copy before it validates, so that training goes on with
its own state from epoch to epoch; here training starts from zeros in every epoch, as validation does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import mse_loss

from stages.nn.cells import CELLS, State
from stages.nn.engines import engine_for
from stages.nn.initialise import initialise_sequence_predictor
from stages.nn.models import SequencePredictor
from stages.studies import Arm, Protocol
from stages.support.files import read_json
from stages.support.process import InputError
from stages.training.device import to_device
from stages.training.loop import Step
from stages.training.seeds import Purpose, stream_seed

PUBLISHED_CELLS = ("lstm",)


@dataclass(frozen=True)
class Hyperparameters:
    """All that decides the training of one arm, and how it is scored.

    `state_carried`: from batch to batch, and from step to step of the closed loop; otherwise every window starts from
    zeros. `full_batches_only`: windows that fill no batch do not train, the curve's training loss is the last batch's,
    and scores are those of the first batch.
    """

    cell: str
    layers: int
    dropout: float
    state_carried: bool
    dropout_in_validation: bool
    full_batches_only: bool
    hidden_size: int
    batch_size: int
    learning_rate: float
    epochs: int


def arms(cell: str, training: Any, layers: int, dropout: float) -> list[Arm]:  # noqa: ANN401
    """The arms of a cell: each number of layers, as published where the document has the cell, and corrected.

    `training` is section fibonacci.PROFILE.training, which has its own `layer_counts` and `dropout`; the two
    arguments are the text studies'.
    """
    common = {
        name: getattr(training, name) for name in ("dropout", "hidden_size", "batch_size", "learning_rate", "epochs")
    }
    protocols: tuple[Protocol, ...] = get_args(Protocol) if cell in PUBLISHED_CELLS else ("corrected",)
    return [
        Arm(
            f"{count} layer{'s' if count > 1 else ''}",
            (protocol,),
            Hyperparameters(
                cell,
                layers=count,
                state_carried=protocol == "published",
                dropout_in_validation=protocol == "published",
                full_batches_only=protocol == "published",
                **common,
            ),
        )
        for count in training.layer_counts
        for protocol in protocols
    ]


class Data:
    """Each part's windows, (windows, 1 + window), and the closed loop's values, from data/ready/fibonacci.

    `closed_loop_start` is the window that a closed loop starts from, `closed_loop_truth` what it should predict.
    """

    def __init__(self, folder: Path) -> None:
        manifest = read_json(folder / "manifest.json")
        self.corpus: str = manifest["corpus"]
        self.digest: str = manifest["digest"]
        self.train, self.validation, self.test = (
            np.load(folder / f"{part}.windows.npy") for part in ("train", "validation", "test")
        )
        self.window = self.train.shape[1] - 1
        values = np.load(folder / "closed_loop.npy")
        self.closed_loop_start: NDArray[np.float32] = values[: self.window]
        self.closed_loop_truth: list[float] = values[self.window :].tolist()


class Task:
    """One repeat of one arm."""

    chosen_by = None
    gradient_norm_limit = None

    def __init__(
        self, data: Data, hyperparameters: Hyperparameters, seed: int, repeats: Sequence[int], device: torch.device
    ) -> None:
        """Make the model, its first weights and its optimizer.

        Raises:
            InputError: only full batches count and there is none.
        """
        (repeat,) = repeats
        self.data, self.device, self._settings = data, device, hyperparameters
        windows, batch_size = len(data.train), hyperparameters.batch_size
        self.train_items = windows - windows % batch_size if hyperparameters.full_batches_only else windows
        if self.train_items == 0:
            raise InputError(f"fibonacci: batch_size {batch_size} must be at most {windows}, the training windows")
        self.train_tokens = self.train_items * data.window
        self.engine = engine_for(device.type, CELLS[hyperparameters.cell])
        self.model = SequencePredictor(
            hyperparameters.cell,
            hidden_size=hyperparameters.hidden_size,
            layers=hyperparameters.layers,
            dropout=hyperparameters.dropout,
            engine=self.engine,
        )
        generator = torch.Generator().manual_seed(stream_seed(seed, repeat, Purpose.WEIGHTS))
        initialise_sequence_predictor(self.model, generator)
        self.model.to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=hyperparameters.learning_rate, fused=True)
        self._test_seed = stream_seed(seed, repeat, Purpose.DROPOUT, 0)  # epochs count from 1
        self._state: State | None = None

    def batches(self, orders: Sequence[np.random.Generator]) -> Iterator[tuple[Tensor, bool]]:
        """One epoch: shuffled windows (1 + window, batch, 1), and whether the curve counts them.

        A state that is carried starts from zeros here, at the epoch's start.
        """
        (order,) = orders
        self._state = None
        windows = order.permutation(len(self.data.train))[: self.train_items]
        for start in range(0, self.train_items, self._settings.batch_size):
            end = start + self._settings.batch_size
            counted = not self._settings.full_batches_only or end == self.train_items
            yield _in_time(self.data.train[windows[start:end]]), counted

    def step(self, batch: tuple[Tensor, bool]) -> Step:
        """Mean squared error over all windows and steps of a batch."""
        (values,), counted = to_device(self.device, batch[0]), batch[1]
        predictions, state = self.model(values[:-1], self._state)
        if self._settings.state_carried:
            self._state = tuple(part.detach() for part in state)
        loss = mse_loss(predictions, values[1:])
        items = values.shape[1] * counted
        return Step(loss[None], {"loss": loss.detach() * items}, items)

    def after_epoch(self, improved: bool) -> None:
        """Nothing changes between epochs."""

    def validate(self) -> list[dict[str, float]]:
        """Mean squared error a step of the validation part's windows, each from a state of zeros."""
        return [{"loss": self._loss(self.data.validation)}]

    def test(self) -> list[dict[str, Any]]:
        """Mean squared error on the test part, and the closed loop: its predictions and their root mean square error.

        Where dropout stays on, its masks are the same in every test of a repeat; in the closed loop it is off.
        """
        torch.manual_seed(self._test_seed)
        loss = self._loss(self.data.test)
        predictions = self._closed_loop()
        rmse = float(np.sqrt(np.mean(np.square(np.subtract(predictions, self.data.closed_loop_truth)))))
        return [{"loss": loss, "closed_loop_rmse": rmse, "closed_loop": [round(value, 5) for value in predictions]}]

    @torch.no_grad()
    def _loss(self, windows: NDArray[np.float32]) -> float:
        self.model.train(self._settings.dropout_in_validation)
        scored = windows[: self._settings.batch_size] if self._settings.full_batches_only else windows
        values = _in_time(scored).to(self.device)
        predictions, _ = self.model(values[:-1])
        return mse_loss(predictions.double(), values[1:].double()).item()

    @torch.no_grad()
    def _closed_loop(self) -> list[float]:
        """Predict on from the true window, each prediction joining the window that the next one is made from."""
        self.model.eval()
        window = _in_time(self.data.closed_loop_start[None]).to(self.device)
        state: State | None = None
        predictions = []
        for _ in self.data.closed_loop_truth:
            outputs, following = self.model(window, state)
            if self._settings.state_carried:
                state = following
            window = torch.cat([window[1:], outputs[-1:]])
            predictions.append(outputs[-1])
        return torch.cat(predictions).flatten().double().tolist()


def _in_time(windows: NDArray[np.float32]) -> Tensor:
    """Windows (batch, steps) as a model takes them: (steps, batch, 1)."""
    return torch.from_numpy(windows).T.unsqueeze(-1)
