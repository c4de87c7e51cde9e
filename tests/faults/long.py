"""What takes long rather than being broken: many epochs, and many examples of each property."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

from stages.training.loop import Pack, fit
from tests.faults.judge import Seen, watched

EPOCHS = 10_000
WARM = 1_000
MOST_BYTES_AN_EPOCH = 4_000
"""The curves that a training keeps, and their text in a checkpoint, are some 1,000 bytes an epoch."""


def epochs(folder: Path) -> Callable[[random.Random], Seen]:
    """A training of many epochs, each with its checkpoint."""
    from tests.training.test_loop import Line

    def trial(chance: random.Random) -> Seen:
        process, seen = psutil.Process(), {}

        def note(rows: list[dict[str, float]], cost: dict[str, float]) -> None:
            if (epoch := int(rows[0]["epoch"])) in (WARM, EPOCHS):
                seen[epoch] = (process.memory_info().rss, process.num_fds(), process.num_threads())

        def use() -> str:
            fit(Line([1.0] * EPOCHS), Pack("toy/0", 1, [0], EPOCHS, folder / "key.safetensors"), note)
            (before, files, threads), (after, *same) = seen[WARM], seen[EPOCHS]
            print(f"from epoch {WARM} to {EPOCHS}: {(after - before) / 1e6:.1f} MB more, {same[0] - files} files more")
            grown = after - before > MOST_BYTES_AN_EPOCH * (EPOCHS - WARM)
            return "memory that grows" if grown else "" if same == [files, threads] else "files or threads left open"

        torch.set_num_threads(1)
        return watched("", use, str)

    return trial


def properties(folder: Path) -> Callable[[random.Random], Seen]:
    """The properties of tests/test_properties.py, one a trial, each in turn."""
    os.environ["HYPOTHESIS_PROFILE"] = "long"
    from tests import test_properties

    waiting = iter([value for name, value in vars(test_properties).items() if name.startswith("test_")])

    def trial(chance: random.Random) -> Seen:
        test = next(waiting)
        return watched("", test, lambda _: "")

    return trial
