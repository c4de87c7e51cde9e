"""A sequence study in memory: windows whose every step predicts the next value, and closed loops."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.kinds.sequence import Hyperparameters
from stages.kinds.sequence.model import SequencePredictor
from stages.nn.cells import CELLS, State
from stages.nn.engines import engine_for
from stages.nn.keras import start_as_keras
from stages.nn.optimizers import SGD, Adam
from stages.nn.replicas import Replicas, sum_of_losses, train_epoch
from stages.support.files import verify
from stages.support.process import InputError
from stages.training.device import seed_draws, to_device
from stages.training.loop import Step
from stages.training.seeds import Purpose, stream_seed


class Data:
    """Each part's windows, (windows, 1 + window) in float32, and the values that a closed loop starts from."""

    def __init__(self, folder: Path) -> None:
        manifest = verify(folder)
        self.corpus: str = manifest["corpus"]
        self.digest: str = manifest["digest"]
        self.train, self.validation, self.test = (
            np.load(folder / f"{part}.windows.npy") for part in ("train", "validation", "test")
        )
        self.window = self.train.shape[1] - 1
        values = np.load(folder / "closed_loop.npy")
        self.closed_loop_start: NDArray[np.float32] = values[: self.window]
        self.closed_loop_values: NDArray[np.float32] = values[self.window :]

    @property
    def closed_loop_truth(self) -> list[float]:
        """What the closed loop should give."""
        return [round(value, 5) for value in self.closed_loop_values.tolist()]


class Task:
    """Repeats of an arm: with Keras's layers trained as one net of replicas, otherwise one repeat."""

    chosen_by = None
    gradient_norm_limit = None

    def __init__(
        self, data: Data, hyperparameters: Hyperparameters, seed: int, repeats: Sequence[int], device: torch.device
    ) -> None:
        """Make the model, its first weights and its optimizer.

        Raises:
            InputError: only full batches count and there is none.
        """
        self.data, self.device, self._settings = data, device, hyperparameters
        windows, batch_size = len(data.train), hyperparameters.batch_size
        self.train_items = windows - windows % batch_size if hyperparameters.full_batches_only else windows
        if self.train_items == 0:
            raise InputError(f"batch_size {batch_size} must be at most {windows}, the training windows")
        self.train_tokens = self.train_items * data.window * len(repeats)
        self._repeats = len(repeats)
        seeds = [stream_seed(seed, repeat, Purpose.WEIGHTS) for repeat in repeats]
        generators = [torch.Generator().manual_seed(number) for number in seeds]
        self.model: Replicas | SequencePredictor
        if hyperparameters.library == "keras":
            self.model = Replicas(hyperparameters.cell, len(repeats), 1, hyperparameters.hidden_size, 1)
            start_as_keras(self.model, generators)
            self.engine = self.model.engine
        else:
            self.engine = engine_for(device.type, CELLS[hyperparameters.cell])
            self.model = SequencePredictor(
                hyperparameters.cell,
                hidden_size=hyperparameters.hidden_size,
                layers=hyperparameters.layers,
                dropout=hyperparameters.dropout,
                engine=self.engine,
            )
            self.model.start(*generators)
        self.model.to(device)
        optimizer = {"sgd": SGD, "adam": Adam}[hyperparameters.optimizer]
        self.optimizer = optimizer(self.model.parameters(), lr=hyperparameters.learning_rate, fused=True)
        self._test_seed = stream_seed(seed, repeats[0], Purpose.DROPOUT, 0)  # epochs count from 1
        self._state: State | None = None

    def batches(self, orders: Sequence[np.random.Generator]) -> Iterator[tuple[Tensor, bool]]:
        """One epoch: windows (1 + window, repeats, batch, 1), and whether the curve counts them.

        Each repeat has its windows in its own order. A state that is carried starts from zeros here, at the epoch's
        start.
        """
        self._state = None
        shuffled = np.stack([order.permutation(len(self.data.train))[: self.train_items] for order in orders])
        for start in range(0, self.train_items, self._settings.batch_size):
            end = start + self._settings.batch_size
            counted = not self._settings.full_batches_only or end == self.train_items
            yield _in_time(self.data.train[shuffled[:, start:end]]), counted

    def step(self, batch: tuple[Tensor, bool]) -> Step:
        """Each repeat's mean squared error over all windows and steps of a batch."""
        (values,), counted = to_device(self.device, batch[0]), batch[1]
        predictions, state = self._predict(values[:-1], self._state)
        if self._settings.state_carried and state is not None:
            self._state = tuple(part.detach() for part in state)
        loss = (predictions - values[1:]).square().mean((0, 2, 3))
        items = values.shape[2] * counted
        return Step(loss, {"loss": loss.detach() * items}, items)

    def train_epoch(self, orders: Sequence[np.random.Generator]) -> Step | None:
        """One epoch as `batches` and `step` have it, in compiled code where there is some."""
        if not (isinstance(self.model, Replicas) and self.model.compiled):
            return None
        shuffled = np.stack([order.permutation(self.train_items) for order in orders])
        values = torch.from_numpy(self.data.train).unsqueeze(-1)
        batch_size = self._settings.batch_size
        losses, _ = train_epoch(self.model, self.optimizer, values[:, :-1], values[:, 1:], shuffled, batch_size)
        total = sum_of_losses(losses, self.train_items, batch_size)
        return Step(torch.from_numpy(losses), {"loss": torch.from_numpy(total)}, self.train_items)

    def after_epoch(self, improved: bool) -> None:
        """Nothing changes between epochs."""

    def validate(self) -> list[dict[str, float]]:
        """Each repeat's mean squared error a step of the validation part's windows, each from a state of zeros."""
        return [{"loss": loss} for loss in self._losses(self.data.validation)]

    def test(self) -> list[dict[str, Any]]:
        """Mean squared error on the test part, and the closed loop: its predictions and their root mean square error.

        Where dropout stays on, its masks are the same in every test of a repeat.
        """
        seed_draws(self.device, self._test_seed)
        losses = self._losses(self.data.test)
        errors = (loops := self._closed_loop()) - self.data.closed_loop_values
        return [
            {
                "loss": loss,
                "closed_loop_rmse": float(np.sqrt(np.square(error).mean())),
                "closed_loop": [round(value, 5) for value in loop.tolist()],
            }
            for loss, loop, error in zip(losses, loops, errors, strict=True)
        ]

    def _predict(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State | None]:
        """Predictions at every step and the state after them, which replicas do not have; all (time, repeats, ...)."""
        if isinstance(self.model, Replicas):
            return self.model(inputs), None
        predictions, following = self.model(inputs.squeeze(1), state)
        return predictions.unsqueeze(1), following

    @torch.no_grad()
    def _losses(self, windows: NDArray[np.float32]) -> list[float]:
        self.model.train(self._settings.dropout_in_validation)
        scored = windows[: self._settings.batch_size] if self._settings.full_batches_only else windows
        values = _in_time(np.broadcast_to(scored, (self._repeats, *scored.shape))).to(self.device)
        predictions, _ = self._predict(values[:-1])
        losses: list[float] = (predictions.double() - values[1:].double()).square().mean((0, 2, 3)).tolist()
        return losses

    @torch.no_grad()
    def _closed_loop(self) -> NDArray[np.float64]:
        """Predict on from the true window, each prediction joining the window that the next one is made from.

        Returns:
            Predictions (repeats, steps).
        """
        rate = self._settings.dropout_in_closed_loop
        self.model.train(rate > 0)
        start = np.broadcast_to(self.data.closed_loop_start, (self._repeats, 1, self.data.window))
        window = _in_time(start).to(self.device)
        state: State | None = None
        predictions = []
        for _ in self.data.closed_loop_values:
            with self._dropout(rate):
                outputs, following = self._predict(window, state)
            if self._settings.state_carried:
                state = following
            window = torch.cat([window[1:], outputs[-1:]])
            predictions.append(outputs[-1, :, 0, 0])
        return torch.stack(predictions, 1).double().cpu().numpy()

    @contextmanager
    def _dropout(self, rate: float) -> Iterator[None]:
        """Another rate between layers, where it is not zero."""
        if isinstance(self.model, Replicas) or not rate:
            yield
            return
        trained, self.model.recurrent.dropout = self.model.recurrent.dropout, rate
        yield
        self.model.recurrent.dropout = trained


def _in_time(windows: NDArray[np.float32]) -> Tensor:
    """Windows (repeats, batch, steps) as a net takes them: (steps, repeats, batch, 1)."""
    return torch.from_numpy(np.array(windows)).permute(2, 0, 1).unsqueeze(-1)
