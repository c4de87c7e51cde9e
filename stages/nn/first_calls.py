"""Calls that have every loop compiled for the numbers that trainings use, float32, before a training needs it."""

from typing import Any

import numpy as np
import torch
from torch import nn

from stages.nn.cells import CELLS
from stages.nn.dropout import dropout
from stages.nn.losses import linear_cross_entropy
from stages.nn.optimizers import SGD
from stages.nn.recurrent import Recurrent
from stages.nn.replicas import Replicas, train_epoch

# More than one of each: an array of one has its numbers in every order at once, and Numba compiles for an order.
TIME, BATCH, FEATURES, HIDDEN, CLASSES, REPLICAS = 4, 3, 2, 5, 6, 2


def first_calls() -> list[tuple[Any, ...]]:
    """A function and its arguments each, those that take longest first; any may be called in a process of its own."""
    loops = [name for name, cell in CELLS.items() if cell.scalars]
    variants = [f"{name}.keras2" for name in loops if CELLS[name].keras2]
    return [
        *((train_replicas, name, "classify") for name in (*variants, *loops)),
        *((train_replicas, name, "regress") for name in loops),
        *((run_padded, name) for name in loops),
        (drop_and_lose,),
    ]


def train_replicas(name: str, way: str) -> None:
    """An epoch of replicas of a cell, and their outputs."""
    model = Replicas(name, REPLICAS, FEATURES, HIDDEN, CLASSES)
    _zero(model)
    inputs = torch.zeros(2 * BATCH, TIME, FEATURES)
    targets = torch.zeros(2 * BATCH, dtype=torch.int64) if way == "classify" else torch.zeros(2 * BATCH, TIME, CLASSES)
    orders = np.tile(np.arange(2 * BATCH), (REPLICAS, 1))
    train_epoch(model, SGD(model.parameters(), lr=0.0), inputs, targets, orders, BATCH)
    with torch.no_grad():
        model(torch.zeros(TIME, REPLICAS, BATCH, FEATURES))


def run_padded(name: str) -> None:
    """A padded batch, forwards and backwards."""
    net = Recurrent(CELLS[name], FEATURES, HIDDEN)
    _zero(net)
    outputs, _ = net(torch.zeros(TIME, BATCH, FEATURES))
    outputs.sum().backward()


def drop_and_lose() -> None:
    """Dropout, and the loss of a large output layer."""
    dropout(torch.zeros(BATCH, HIDDEN), 0.5, True)
    targets = torch.zeros(BATCH, dtype=torch.int64)
    linear_cross_entropy(torch.zeros(BATCH, HIDDEN), torch.zeros(CLASSES, HIDDEN), torch.zeros(CLASSES), targets)


def _zero(model: nn.Module) -> None:
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
