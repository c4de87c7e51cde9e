"""A series in memory: windows in scaled units, forecasts in the series' own."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.baselines.series import mase_scale, origins, scores, targets, windows
from stages.kinds.series import Hyperparameters
from stages.kinds.series.model import Forecaster
from stages.nn.cells import CELLS
from stages.nn.engines import engine_for
from stages.nn.optimizers import Adam
from stages.support.files import verify
from stages.training.device import to_device
from stages.training.loop import Step
from stages.training.seeds import Purpose, stream_seed
from stages.training.shares import share_of

_WINDOWS_AT_ONCE = 1024  # in evaluation


class Data:
    """The series, (steps, 1 + inputs), its training part's scale, and where each part's forecasts are made."""

    def __init__(self, folder: Path) -> None:
        about = verify(folder)
        values = np.load(folder / "values.npy", mmap_mode="r")
        self.corpus: str = about["corpus"]
        self.digest: str = about["digest"]
        self.window: int = about["window"]
        self.horizon: int = about["horizon"]
        self.values, self.target = values, values[:, 0]
        train = values[: about["train_end"]]
        self.mean, self.deviation = np.array(about["mean"]), np.array(about["deviation"])
        self.mase_scale = mase_scale(train[:, 0])
        ends = [0, about["train_end"], about["validation_end"], len(values)]
        self.train, self.validation, self.test = (
            origins(start, end, self.window, self.horizon) for start, end in pairwise(ends)
        )


class Task:
    """One repeat of one arm."""

    chosen_by = "loss"
    gradient_norm_limit = 1.0

    def __init__(
        self, data: Data, hyperparameters: Hyperparameters, seed: int, repeats: Sequence[int], device: torch.device
    ) -> None:
        (repeat,) = repeats
        self.data, self.device, self._batch_size = data, device, hyperparameters.batch_size
        self.engine = engine_for(device.type, CELLS[hyperparameters.cell], one_length=True)
        self.model = Forecaster(
            hyperparameters.cell,
            columns=data.values.shape[1],
            horizon=data.horizon,
            hidden_size=hyperparameters.hidden_size,
            layers=hyperparameters.layers,
            engine=self.engine,
        )
        self.model.start(torch.Generator().manual_seed(stream_seed(seed, repeat, Purpose.WEIGHTS)))
        self.model.to(device)
        self.optimizer = Adam(self.model.parameters(), lr=hyperparameters.learning_rate, fused=True)
        self.train_items = len(data.train)
        self.train_tokens = len(data.train) * data.window

    def batches(self, orders: Sequence[np.random.Generator]) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch: windows (time, batch, columns) and the scaled targets that follow, (batch, horizon)."""
        (order,) = orders
        shuffled = order.permutation(self.data.train)
        for start in range(0, len(shuffled), self._batch_size):
            yield self._batch(shuffled[start : start + self._batch_size])

    def step(self, batch: tuple[Tensor, Tensor]) -> Step:
        """Mean squared error of a batch, in scaled units."""
        items = len(batch[1])
        with share_of(items) as share:
            inputs, wanted = to_device(self.device, batch[0][:, share.columns], batch[1][share.columns])
            loss = (self.model(inputs) - wanted).square().mean() * share.weight
        return Step(loss[None], {"loss": loss.detach() * items}, items)

    def after_epoch(self, improved: bool) -> None:
        """Nothing changes between epochs."""

    def validate(self) -> list[dict[str, float]]:
        """Mean squared error on the validation part, in scaled units."""
        error = self._scaled_forecasts(self.data.validation) - self._scaled_targets(self.data.validation)
        return [{"loss": float(np.square(error).mean())}]

    def test(self) -> list[dict[str, Any]]:
        """RMSE, MAE, MASE and direction on the test part, in the series' own unit."""
        where, target = self.data.test, self.data.target
        forecasts = self._scaled_forecasts(where) * self.data.deviation[0] + self.data.mean[0]
        truth = targets(target, where, self.data.horizon)
        return [dict(scores(forecasts, truth, target[where], self.data.mase_scale))]

    def _batch(self, where: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        looked_at = (windows(self.data.values, where, self.data.window) - self.data.mean) / self.data.deviation
        inputs = torch.from_numpy(looked_at.astype(np.float32)).transpose(0, 1).contiguous()
        return inputs, torch.from_numpy(self._scaled_targets(where).astype(np.float32))

    def _scaled_targets(self, where: NDArray[np.int64]) -> NDArray[np.float64]:
        truth = targets(self.data.target, where, self.data.horizon)
        return np.asarray((truth - self.data.mean[0]) / self.data.deviation[0])

    @torch.no_grad()
    def _scaled_forecasts(self, where: NDArray[np.int64]) -> NDArray[np.float64]:
        """Forecasts, (origins, horizon), in scaled units."""
        self.model.eval()
        found = [
            self.model(self._batch(where[start : start + _WINDOWS_AT_ONCE])[0].to(self.device)).double().cpu().numpy()
            for start in range(0, len(where), _WINDOWS_AT_ONCE)
        ]
        return np.concatenate(found)
