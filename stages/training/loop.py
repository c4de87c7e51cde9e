"""The training loop: epochs, the choice by validation, checkpoints. It knows no study and no tracker."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from stages.support.process import StageError
from stages.tracking.curves import mean_row
from stages.training import checkpoint, shares
from stages.training.device import peak_memory_bytes, seed_draws
from stages.training.seeds import Purpose, order_generator, stream_seed

_LOSSES_BETWEEN_CHECKS = 50  # a look at a loss makes a GPU wait
_SECONDS_BETWEEN_MESSAGES = 30.0


@dataclass(frozen=True)
class Step:
    """What one batch gave each repeat: the mean loss to descend, and sums over `items` of what the curves show.

    The loss and every sum have the shape (repeats,), and a sum may be a number; each repeat has as many items. Of a
    batch that processes share, loss and sums are this one's part of it.
    """

    loss: Tensor
    sums: dict[str, Tensor]
    items: int


class Task(Protocol):
    """Some repeats of one arm, ready to train together: what a study gives to the loop.

    Most studies are given one repeat at a time. Those of replicas (`stages.nn.replicas`) train many as one net: as
    the sum of their losses is descended, each goes the way that it would go alone.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    device: torch.device
    gradient_norm_limit: float | None  # for one repeat at a time only: a norm would tie them together
    chosen_by: str | None  # the validation score whose lowest epoch is kept (one repeat only); None: the last is
    train_items: int  # items an epoch and repeat, for the progress shown
    train_tokens: int  # tokens (or time steps) an epoch, of all repeats, for the speed shown

    def batches(self, orders: Sequence[np.random.Generator]) -> Iterable[Any]:
        """One epoch's training batches; a generator a repeat shuffles its data."""

    def step(self, batch: Any) -> Step:  # noqa: ANN401 - each study has its own batches
        """The losses of one batch, in training mode."""

    def validate(self) -> list[dict[str, float]]:
        """Each repeat's scores on the validation part, means over items."""

    def after_epoch(self, improved: bool) -> None:
        """Change what changes between epochs: a learning rate that falls, say."""


@runtime_checkable
class TrainsByItself(Protocol):
    """A task that can do an epoch's updates itself, quicker than batch by batch from outside."""

    def train_epoch(self, orders: Sequence[np.random.Generator]) -> Step | None:
        """An epoch's updates: losses (updates, repeats), and sums over an epoch's items; None: go batch by batch."""


@dataclass(frozen=True)
class Pack:
    """Which repeats are trained together: their name in messages, the seeds, how long, and their checkpoint."""

    name: str
    seed: int
    repeats: Sequence[int]
    epochs: int
    checkpoint: Path


class DivergedError(StageError):
    """A loss or a score is not finite."""


Curve = list[dict[str, float]]
"""A row an epoch: `epoch`, train_NAME and validation_NAME."""


@dataclass(frozen=True)
class Fitted:
    """Trained repeats: the kept weights, and each repeat's curve.

    The weights are NumPy's, since torch sends its tensors between processes through shared memory, which a
    container may have too little of.
    """

    weights: dict[str, NDArray[Any]]
    best_epoch: int
    curves: list[Curve]
    costs: list[dict[str, float]]

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Fitted":
        """What the checkpoint of the last epoch holds."""
        weights = {name: value.numpy() for name, value in state["best_weights"].items()}
        return cls(weights, state["best_epoch"], state["curves"], state["costs"])


def fit(task: Task, pack: Pack, on_epoch: Callable[[list[dict[str, float]], dict[str, float]], None]) -> Fitted:
    """Train, keep the epoch that validation chooses, and go on from a checkpoint if there is one.

    `on_epoch` gets each new epoch's rows, one a repeat, and its costs.

    Raises:
        DivergedError: a loss is not finite; it names the epoch, the batch and the last good checkpoint.
    """
    shares.wait()  # until the first process has the checkpoint for itself
    state: dict[str, Any] = shares.of_first(
        checkpoint.load(pack.checkpoint)
        or {"epoch": 0, "best_epoch": 0, "best_weights": {}, "curves": [[] for _ in pack.repeats], "costs": []}
    )
    if state["epoch"]:
        task.model.load_state_dict(state["model"])
        task.optimizer.load_state_dict(state["optimizer"])
    spoken = time.monotonic()
    for epoch in range(state["epoch"] + 1, pack.epochs + 1):
        start = time.monotonic()
        trained = _train_epoch(task, pack, epoch)
        train_seconds = time.monotonic() - start
        validated = shares.of_first(task.validate())
        rows = [
            {"epoch": epoch} | row | {f"validation_{name}": value for name, value in scores.items()}
            for row, scores in zip(trained, validated, strict=True)
        ]
        improved = _improved(task, pack, epoch, rows, state["curves"])
        cost = {
            "train_seconds": train_seconds,
            "seconds": time.monotonic() - start,
            "tokens_per_second": task.train_tokens / train_seconds,
            "peak_memory_bytes": peak_memory_bytes(task.device),
        }
        for curve, row in zip(state["curves"], rows, strict=True):
            curve.append(row)
        state["costs"].append(cost)
        if improved:
            state["best_epoch"] = epoch
            state["best_weights"] = {name: value.cpu().clone() for name, value in task.model.state_dict().items()}
        task.after_epoch(improved)
        state |= {"epoch": epoch, "model": task.model.state_dict(), "optimizer": task.optimizer.state_dict()}
        if shares.is_first():
            checkpoint.save(pack.checkpoint, state)
        shares.wait()
        on_epoch(rows, cost)
        now = time.monotonic()
        if epoch == pack.epochs or cost["seconds"] > 1 or now - spoken > _SECONDS_BETWEEN_MESSAGES:
            spoken = now
            say(pack.name, epoch, pack.epochs, in_words(rows, cost))
    return Fitted.of(state)


def update(task: Any, batch: Any) -> Step:  # noqa: ANN401 - studies narrow the batches of `Task`
    """Train on one batch; what it returns was taken as the weights stood before."""
    step: Step = task.step(batch)
    task.optimizer.zero_grad(set_to_none=True)
    step.loss.sum().backward()  # type: ignore[no-untyped-call]
    if shares.several():
        gradients = [parameter.grad for parameter in task.model.parameters() if parameter.grad is not None]
        shares.add_up([*gradients, step.loss.detach(), *step.sums.values()])
    if task.gradient_norm_limit is not None:
        clip_grad_norm_(task.model.parameters(), task.gradient_norm_limit)
    task.optimizer.step()
    return step


def _improved(task: Task, pack: Pack, epoch: int, rows: list[dict[str, float]], curves: list[Curve]) -> bool:
    """Whether this epoch's weights are the ones to keep so far."""
    for repeat, row in zip(pack.repeats, rows, strict=True):
        for name, value in row.items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"{pack.name}: {name.replace('_', ' ')}{_whose(pack, repeat)} is {value} after epoch {epoch}; "
                    f"{_last_good(pack, epoch)}"
                )
    if task.chosen_by is None:
        return True
    ((row,), (curve,)) = rows, curves
    name = f"validation_{task.chosen_by}"
    return row[name] < min((earlier[name] for earlier in curve), default=float("inf"))


def _train_epoch(task: Task, pack: Pack, epoch: int) -> list[dict[str, float]]:
    """One pass over the training data; each repeat's means over its items, taken as the weights stood then."""
    task.model.train()
    seed_draws(task.device, stream_seed(pack.seed, pack.repeats[0], Purpose.DROPOUT, epoch))
    # Accumulated in place: a small tensor kept from batch to batch pins the heap between large ones that come and
    # go, and an epoch then takes three times the memory that it needs.
    sums: dict[str, Tensor] = {}
    losses = torch.zeros(_LOSSES_BETWEEN_CHECKS, len(pack.repeats), device=task.device)
    items = batch_number = unchecked = 0
    spoken = time.monotonic()
    orders = [order_generator(pack.seed, repeat, epoch) for repeat in pack.repeats]
    at_once = task.train_epoch(orders) if isinstance(task, TrainsByItself) else None
    if at_once is not None:
        _check_finite(at_once.loss, pack, epoch, len(at_once.loss))
        return _means(at_once.sums, at_once.items, len(pack.repeats))
    for batch_number, batch in enumerate(task.batches(orders), 1):
        step = update(task, batch)
        losses[unchecked] = step.loss.detach()
        unchecked += 1
        for name, value in step.sums.items():
            total = sums.setdefault(name, torch.zeros(len(losses[0]), dtype=torch.float64, device=task.device))
            total.add_(value.detach())
        items += step.items
        if unchecked == len(losses):
            _check_finite(losses, pack, epoch, batch_number)
            unchecked = 0
        if time.monotonic() - spoken > _SECONDS_BETWEEN_MESSAGES:
            spoken = time.monotonic()
            done = f"{items / task.train_items:.0%}, loss {step.loss.mean().item():.4g}"
            say(pack.name, epoch, pack.epochs, done)
    _check_finite(losses[:unchecked], pack, epoch, batch_number)
    return _means(sums, items, len(pack.repeats))


def _means(sums: Mapping[str, Tensor], items: int, repeats: int) -> list[dict[str, float]]:
    columns = {f"train_{name}": (total / items).tolist() for name, total in sums.items()}
    return [{name: values[i] for name, values in columns.items()} for i in range(repeats)]


def _check_finite(losses: Tensor, pack: Pack, epoch: int, last_batch: int) -> None:
    finite = torch.isfinite(losses)
    if finite.all():
        return
    first, place = (~finite).nonzero()[0].tolist()
    raise DivergedError(
        f"{pack.name}: loss{_whose(pack, pack.repeats[place])} is {losses[first, place].item()} in epoch {epoch}, "
        f"batch {last_batch - len(losses) + first + 1}; {_last_good(pack, epoch)}"
    )


def _whose(pack: Pack, repeat: int) -> str:
    return f" of repeat {repeat}" if len(pack.repeats) > 1 else ""


def _last_good(pack: Pack, epoch: int) -> str:
    kept = f"{pack.checkpoint} (epoch {epoch - 1})" if epoch > 1 else "none, it was the first epoch"
    return f"last good checkpoint: {kept}"


def in_words(rows: Sequence[Mapping[str, float]], cost: Mapping[str, float]) -> str:
    """What an epoch gave, in means over the repeats, and what it cost."""
    return ", ".join(f"{name} {value:.4g}" for name, value in {**mean_row(rows), **cost}.items())


def say(name: str, epoch: int, epochs: int, text: str) -> None:
    """Say how far a job is, on standard error."""
    print(f"{name}: epoch {epoch}/{epochs}: {text}", file=sys.stderr, flush=True)
