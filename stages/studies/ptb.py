"""ptb: predict the next word of a newspaper. A basic one-layer model and a better one.

Source: document 003_cb2c6884b76d77ae, after the book that it works through. Perplexity is exp of the mean
cross-entropy a token (nats). The document names no flaw that changes a protocol, so both names stand for one arm.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from stages.nn.cells import CELLS
from stages.nn.engines import engine_for
from stages.nn.initialise import initialise_language_model
from stages.nn.models import LanguageModel
from stages.studies import Arm
from stages.support.files import read_json
from stages.training.device import products_in, to_device
from stages.training.loop import Step
from stages.training.seeds import Purpose, stream_seed

_NOT_A_TARGET = -100  # torch's cross_entropy skips it


@dataclass(frozen=True)
class Hyperparameters:
    """All that decides the training of one arm. `rate_divisor` 1 keeps the learning rate."""

    cell: str
    layers: int
    dropout: float
    tied: bool
    embedding_size: int
    hidden_size: int
    streams: int
    window: int
    learning_rate: float
    rate_divisor: float
    gradient_norm_limit: float
    epochs: int
    precision: str


def arms(cell: str, training: Any, layers: int, dropout: float) -> list[Arm]:  # noqa: ANN401
    """The arms of a cell, those of `basic` and `better` that `training` (section ptb.PROFILE.training) names."""
    common = {
        name: getattr(training, name)
        for name in ("streams", "window", "learning_rate", "gradient_norm_limit", "precision")
    }
    basic = Hyperparameters(
        cell,
        layers=1,
        dropout=0.0,
        tied=False,
        embedding_size=training.basic.embedding_size,
        hidden_size=training.basic.hidden_size,
        rate_divisor=1.0,
        epochs=training.basic.epochs,
        **common,
    )
    better = Hyperparameters(
        cell,
        layers=layers,
        dropout=dropout,
        tied=True,
        embedding_size=training.better.size,
        hidden_size=training.better.size,
        rate_divisor=training.better.rate_divisor,
        epochs=training.better.epochs,
        **common,
    )
    models = {"basic": basic, "better": better}
    return [Arm(name, ("published", "corrected"), models[name]) for name in dict.fromkeys(training.models)]


class Data:
    """The three parts as streams of token ids, memory-mapped, and the vocabulary's size, from data/ready/ptb."""

    def __init__(self, folder: Path) -> None:
        manifest = read_json(folder / "manifest.json")
        self.corpus: str = manifest["corpus"]
        self.digest: str = manifest["digest"]
        self.vocabulary_size: int = manifest["vocabulary_size"]
        self.train, self.validation, self.test = (
            np.load(folder / f"{part}.tokens.npy", mmap_mode="r") for part in ("train", "validation", "test")
        )


class Task:
    """One repeat of one arm."""

    chosen_by = "perplexity"

    def __init__(
        self, data: Data, hyperparameters: Hyperparameters, seed: int, repeats: Sequence[int], device: torch.device
    ) -> None:
        (repeat,) = repeats
        self.data, self.device, self._settings = data, device, hyperparameters
        self.engine = engine_for(device.type, CELLS[hyperparameters.cell], one_length=True)
        self.model = LanguageModel(
            hyperparameters.cell,
            vocabulary_size=data.vocabulary_size,
            embedding_size=hyperparameters.embedding_size,
            hidden_size=hyperparameters.hidden_size,
            layers=hyperparameters.layers,
            dropout=hyperparameters.dropout,
            tied=hyperparameters.tied,
            engine=self.engine,
        )
        generator = torch.Generator().manual_seed(stream_seed(seed, repeat, Purpose.WEIGHTS))
        initialise_language_model(self.model, generator)
        self.model.to(device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=hyperparameters.learning_rate)
        self.gradient_norm_limit = hyperparameters.gradient_norm_limit
        # Truncated BPTT drops what does not fill a window of every stream, as the book does.
        windows = (len(data.train) - 1) // (hyperparameters.streams * hyperparameters.window)
        self._steps = windows * hyperparameters.window
        self.train_items = self.train_tokens = self._steps * hyperparameters.streams
        self._state: Any = None

    def batches(self, orders: Sequence[np.random.Generator]) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch: windows (window, streams) of inputs and of targets, in the order of the text.

        `orders` is not used: the text has one order. A stream is a stretch of the text, its state carried from
        window to window and reset here, at the epoch's start.
        """
        self._state = None
        inputs, targets = _streams(self.data.train[: self.train_items + 1], self._settings.streams)
        for start in range(0, self._steps, self._settings.window):
            end = start + self._settings.window
            yield inputs[start:end], targets[start:end]

    def step(self, batch: tuple[Tensor, Tensor]) -> Step:
        """Mean cross-entropy of a window (nats a token)."""
        inputs, targets = to_device(self.device, *batch)
        with products_in(self._settings.precision, self.device):
            loss, state = self.model.mean_loss(inputs, targets, self._state)
        self._state = tuple(part.detach() for part in state)
        return Step(loss[None], {"loss": loss.detach() * targets.numel()}, targets.numel())

    def after_epoch(self, improved: bool) -> None:
        """Divide the learning rate after an epoch whose validation perplexity is no better than the best."""
        if not improved:
            for group in self.optimizer.param_groups:
                group["lr"] /= self._settings.rate_divisor

    def validate(self) -> list[dict[str, float]]:
        """Loss (nats a token) and perplexity on the validation part."""
        return [self._score(self.data.validation)]

    def test(self) -> list[dict[str, Any]]:
        """Loss (nats a token) and perplexity on the test part."""
        return [self._score(self.data.test)]

    @torch.no_grad()
    def _score(self, text: NDArray[Any]) -> dict[str, float]:
        """Over every token after the first, in as many streams as in training, state carried, nothing dropped."""
        self.model.eval()
        inputs, targets = _streams(text, self._settings.streams)
        state: Any = None
        total = 0.0
        for start in range(0, len(inputs), self._settings.window):
            window = slice(start, start + self._settings.window)
            logits, state = self.model(inputs[window].to(self.device), state)
            losses = cross_entropy(
                logits.flatten(0, 1),
                targets[window].flatten().to(self.device),
                ignore_index=_NOT_A_TARGET,
                reduction="none",
            )
            total += float(losses.double().sum())
        loss = total / (len(text) - 1)
        return {"loss": loss, "perplexity": math.exp(loss)}


def _streams(text: NDArray[Any], streams: int) -> tuple[Tensor, Tensor]:
    """Lay a text out as streams side by side: inputs and next tokens, each (time, streams).

    Each stream goes on where the one before it ends. Where the text does not fill the last one, its targets say
    that nothing is to be predicted.
    """
    steps = -(-(len(text) - 1) // streams)
    tokens = np.zeros(steps * streams, dtype=np.int64)
    targets = np.full(steps * streams, _NOT_A_TARGET, dtype=np.int64)
    tokens[: len(text) - 1] = text[:-1]
    targets[: len(text) - 1] = text[1:]
    return tuple(torch.from_numpy(part.reshape(streams, steps).T.copy()) for part in (tokens, targets))  # type: ignore[return-value]
