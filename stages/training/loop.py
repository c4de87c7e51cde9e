"""The training loop: epochs, the choice by validation, checkpoints. It knows no study and no tracker."""

import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from stages.support.process import StageError
from stages.training import checkpoint
from stages.training.device import peak_memory_bytes
from stages.training.seeds import Purpose, order_generator, stream_seed

_LOSSES_BETWEEN_CHECKS = 50  # a look at a loss makes a GPU wait
_SECONDS_BETWEEN_MESSAGES = 30.0


@dataclass(frozen=True)
class Step:
    """What one batch gave: the mean loss to descend, and sums over `items` of what the curves show."""

    loss: Tensor
    sums: dict[str, Tensor]
    items: int


class Task(Protocol):
    """One repeat of one arm, ready to train: what a study gives to the loop."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    device: torch.device
    gradient_norm_limit: float | None
    chosen_by: str  # the validation score whose lowest epoch is kept
    train_items: int  # items an epoch, for the progress shown
    train_tokens: int  # tokens (or time steps) an epoch, for the speed shown

    def batches(self, order: np.random.Generator) -> Iterable[Any]:
        """One epoch's training batches."""

    def step(self, batch: Any) -> Step:  # noqa: ANN401 - each study has its own batches
        """The loss of one batch, in training mode."""

    def validate(self) -> dict[str, float]:
        """Scores on the validation part, means over items."""

    def after_epoch(self, improved: bool) -> None:
        """Change what changes between epochs: a learning rate that falls, say."""


@dataclass(frozen=True)
class Repeat:
    """Which repeat this is: its name in messages, the seeds, how long, and its checkpoint."""

    name: str
    seed: int
    number: int
    epochs: int
    checkpoint: Path


@dataclass(frozen=True)
class Fitted:
    """A trained repeat: the weights that validation chose, and the curves (one row an epoch).

    The weights are NumPy's, since torch sends its tensors between processes through shared memory, which a
    container may have too little of.
    """

    weights: dict[str, NDArray[Any]]
    best_epoch: int
    curve: list[dict[str, float]]
    costs: list[dict[str, float]]


def fit(task: Task, repeat: Repeat, on_epoch: Callable[[dict[str, float]], None]) -> Fitted:
    """Train, keep the epoch with the best validation score, and go on from a checkpoint if there is one.

    `on_epoch` gets each new epoch's row, curves and costs together.

    Raises:
        StageError: a loss is not finite; it names the epoch, the batch and the last good checkpoint.
    """
    state: dict[str, Any] = checkpoint.load(repeat.checkpoint) or {
        "epoch": 0,
        "best_epoch": 0,
        "best_weights": {},
        "curve": [],
        "costs": [],
    }
    if state["epoch"]:
        task.model.load_state_dict(state["model"])
        task.optimizer.load_state_dict(state["optimizer"])
    for epoch in range(state["epoch"] + 1, repeat.epochs + 1):
        start = time.monotonic()
        row = {"epoch": epoch} | _train_epoch(task, repeat, epoch)
        train_seconds = time.monotonic() - start
        validation = task.validate()
        row |= {f"validation_{name}": value for name, value in validation.items()}
        score = validation[task.chosen_by]
        if not math.isfinite(score):
            raise StageError(
                f"{repeat.name}: validation {task.chosen_by} is {score} after epoch {epoch}; "
                f"{_last_good(repeat, epoch)}"
            )
        best = min((earlier[f"validation_{task.chosen_by}"] for earlier in state["curve"]), default=float("inf"))
        improved = score < best
        cost = {
            "train_seconds": train_seconds,
            "seconds": time.monotonic() - start,
            "tokens_per_second": task.train_tokens / train_seconds,
            "peak_memory_bytes": peak_memory_bytes(task.device),
        }
        state["curve"].append(row)
        state["costs"].append(cost)
        if improved:
            state["best_epoch"] = epoch
            state["best_weights"] = {name: value.cpu().clone() for name, value in task.model.state_dict().items()}
        task.after_epoch(improved)
        state |= {"epoch": epoch, "model": task.model.state_dict(), "optimizer": task.optimizer.state_dict()}
        checkpoint.save(repeat.checkpoint, state)
        _say(repeat, epoch, ", ".join(f"{k} {v:.4g}" for k, v in (row | cost).items() if k != "epoch"))
        on_epoch(row | cost)
    weights = {name: value.numpy() for name, value in state["best_weights"].items()}
    return Fitted(weights, state["best_epoch"], state["curve"], state["costs"])


def _train_epoch(task: Task, repeat: Repeat, epoch: int) -> dict[str, float]:
    """One pass over the training data; means over its items, each taken as the weights stood then."""
    task.model.train()
    torch.manual_seed(stream_seed(repeat.seed, repeat.number, Purpose.DROPOUT, epoch))
    # Accumulated in place: a small tensor kept from batch to batch pins the heap between large ones that come and
    # go, and an epoch then takes three times the memory that it needs.
    sums: dict[str, Tensor] = {}
    losses = torch.zeros(_LOSSES_BETWEEN_CHECKS, device=task.device)
    items = batch_number = unchecked = 0
    spoken = time.monotonic()
    for batch_number, batch in enumerate(task.batches(order_generator(repeat.seed, repeat.number, epoch)), 1):
        step = task.step(batch)
        task.optimizer.zero_grad(set_to_none=True)
        step.loss.backward()  # type: ignore[no-untyped-call]
        if task.gradient_norm_limit is not None:
            clip_grad_norm_(task.model.parameters(), task.gradient_norm_limit)
        task.optimizer.step()
        losses[unchecked] = step.loss.detach()
        unchecked += 1
        for name, value in step.sums.items():
            sums.setdefault(name, torch.zeros((), dtype=torch.float64, device=task.device)).add_(value.detach())
        items += step.items
        if unchecked == len(losses):
            _check_finite(losses, repeat, epoch, batch_number)
            unchecked = 0
        if time.monotonic() - spoken > _SECONDS_BETWEEN_MESSAGES:
            spoken = time.monotonic()
            _say(repeat, epoch, f"{items / task.train_items:.0%}, loss {step.loss.item():.4g}")
    _check_finite(losses[:unchecked], repeat, epoch, batch_number)
    return {f"train_{name}": value.item() / items for name, value in sums.items()}


def _check_finite(losses: Tensor, repeat: Repeat, epoch: int, last_batch: int) -> None:
    finite = torch.isfinite(losses)
    if finite.all():
        return
    first = int((~finite).nonzero()[0])
    raise StageError(
        f"{repeat.name}: loss is {losses[first].item()} in epoch {epoch}, "
        f"batch {last_batch - len(losses) + first + 1}; {_last_good(repeat, epoch)}"
    )


def _last_good(repeat: Repeat, epoch: int) -> str:
    kept = f"{repeat.checkpoint} (epoch {epoch - 1})" if epoch > 1 else "none, it was the first epoch"
    return f"last good checkpoint: {kept}"


def _say(repeat: Repeat, epoch: int, text: str) -> None:
    print(f"{repeat.name}: epoch {epoch}/{repeat.epochs}: {text}", file=sys.stderr, flush=True)
