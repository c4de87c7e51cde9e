"""A language-model study in memory: a text as streams side by side, windows of truncated BPTT, perplexities.

Perplexity is exp of the mean cross-entropy a token (nats).
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from stages.kinds.language_model import Hyperparameters
from stages.kinds.language_model.model import LanguageModel
from stages.nn.cells import CELLS
from stages.nn.engines import engine_for
from stages.nn.optimizers import SGD
from stages.support.files import verify
from stages.support.process import InputError, StageError
from stages.training.device import products_in, to_device
from stages.training.loop import Step
from stages.training.seeds import Purpose, stream_seed
from stages.training.shares import share_of

_NOT_A_TARGET = -100  # torch's cross_entropy skips it


class Data:
    """The three parts as streams of token ids, memory-mapped, and the vocabulary's size."""

    def __init__(self, folder: Path) -> None:
        manifest = verify(folder)
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
        self.model.start(generator)
        self.model.to(device)
        self.optimizer = SGD(self.model.parameters(), lr=hyperparameters.learning_rate)
        self.gradient_norm_limit = hyperparameters.gradient_norm_limit
        with share_of(hyperparameters.streams) as share:
            self._streams_here = share.columns.stop - share.columns.start
            if not share.weight:
                raise StageError(f"streams: {hyperparameters.streams} are fewer than the processes that share them")
        # Truncated BPTT drops what does not fill a window of every stream, as the book does.
        windows = (len(data.train) - 1) // (hyperparameters.streams * hyperparameters.window)
        if not windows:
            raise InputError(
                f"streams: {hyperparameters.streams} windows of {hyperparameters.window} need more than the "
                f"{len(data.train):,} tokens that there are to train on"
            )
        self._steps = windows * hyperparameters.window
        self.train_items = self.train_tokens = self._steps * hyperparameters.streams
        self._state = self.model.recurrent.zero_state(self._streams_here)
        self._loss: Callable[..., Any] = _Loss(self.model, hyperparameters.precision)
        if device.type == "cuda":  # not later: to capture draws random numbers, and an epoch seeds its own
            window = torch.zeros(hyperparameters.window, self._streams_here, dtype=torch.int64, device=device)
            with share_of(hyperparameters.streams):
                self._loss = torch.cuda.make_graphed_callables(self._loss, (window, window.clone(), *self._state))

    def batches(self, orders: Sequence[np.random.Generator]) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch: windows (window, streams) of inputs and of targets, in the order of the text.

        `orders` is not used: the text has one order. A stream is a stretch of the text, its state carried from
        window to window and reset here, at the epoch's start.
        """
        self._state = self.model.recurrent.zero_state(self._streams_here)
        for window in _windows(self.data.train[: self.train_items + 1], self._settings.streams, self._settings.window):
            inputs, targets = to_device(self.device, *window)
            yield inputs, targets

    def step(self, batch: tuple[Tensor, Tensor]) -> Step:
        """Mean cross-entropy of a window (nats a token)."""
        with share_of(self._settings.streams) as share:
            loss, *state = self._loss(*(part[:, share.columns] for part in batch), *self._state)
        self._state = tuple(part.detach() for part in state)
        loss, items = loss * share.weight, batch[1].numel()
        return Step(loss[None], {"loss": loss.detach() * items}, items)

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
        state: Any = None
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for window in _windows(text, self._settings.streams, self._settings.window):
            inputs, targets = to_device(self.device, *window)
            logits, state = self.model(inputs, state)
            losses = cross_entropy(
                logits.flatten(0, 1), targets.flatten(), ignore_index=_NOT_A_TARGET, reduction="none"
            )
            total += losses.double().sum()
        loss = float(total) / (len(text) - 1)
        return {"loss": loss, "perplexity": float(np.exp(loss))}  # infinite, where the net diverged


class _Loss(nn.Module):
    """`mean_loss` with tensors in and tensors out, as a CUDA graph wants it.

    A window of 35 steps is hundreds of small kernels, whose launches cost more than they do: on a GPU the window is
    captured once, forwards and backwards, and replayed.
    """

    def __init__(self, model: LanguageModel, precision: str) -> None:
        super().__init__()
        self._model, self._precision = model, precision

    def forward(self, inputs: Tensor, targets: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        with products_in(self._precision, inputs.device):
            loss, after = self._model.mean_loss(inputs, targets, state)
        return loss, *after


def _windows(text: NDArray[Any], streams: int, window: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Windows of a text laid out as streams side by side: inputs and next tokens, each (time, streams).

    Each stream goes on where the one before it ends. Where the text does not fill the last one, its targets say
    that nothing is to be predicted. A window is read when its turn comes, so that memory does not grow with the text.
    """
    targets = len(text) - 1
    steps = -(-targets // streams)
    for start in range(0, steps, window):
        places = np.arange(start, min(start + window, steps))[:, None] + np.arange(streams) * steps
        inside, places = places < targets, np.minimum(places, targets - 1)
        yield (
            torch.from_numpy(np.where(inside, text[places], 0).astype(np.int64)),
            torch.from_numpy(np.where(inside, text[places + 1].astype(np.int64), _NOT_A_TARGET)),
        )
