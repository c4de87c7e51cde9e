"""fibonacci: the Fibonacci numbers modulo 5, cut into windows. Source: document 004_cf04984ca946f3a3."""

from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stages.support.process import InputError

CLOSED_LOOP_STEPS = 120


def write_data(
    folder: Path, seed: int, values: int = 2000, modulus: int = 5, validation_fraction: float = 0.1, window: int = 30
) -> None:
    """Write each part's windows, and the values that a closed loop starts from and should go on with.

    PART.windows.npy, (windows, 1 + window) float32, for train and validation (the last `validation_fraction` of
    `values` numbers) and test (as many that follow): a window's inputs are all but its last value, its targets all
    but its first. closed_loop.npy, (window + CLOSED_LOOP_STEPS,) float32, starts where validation does.

    `seed` decides nothing, since nothing here is random. What is more, the sequence repeats (modulo 5 after 20
    values), so that validation and test hold no window that training lacks: they measure how well it was learnt.

    Raises:
        InputError: a part is too short for one window.
    """
    held_out = round(values * validation_fraction)
    train = values - held_out
    sequence = np.array(_fibonacci(values + max(held_out, window + CLOSED_LOOP_STEPS), modulus), np.float32)
    parts = {
        "train": sequence[:train],
        "validation": sequence[train:values],
        "test": sequence[values : values + held_out],
    }
    for part, numbers in parts.items():
        if len(numbers) < window + 2:
            raise InputError(
                f"fibonacci: {part} has {len(numbers)} values; a window of {window} needs at least {window + 2}"
            )
        np.save(folder / f"{part}.windows.npy", _windows(numbers, 1 + window))
    np.save(folder / "closed_loop.npy", sequence[train : train + window + CLOSED_LOOP_STEPS])


def _fibonacci(count: int, modulus: int) -> list[int]:
    """The first `count` Fibonacci numbers, from 1, 1 on, each modulo `modulus`."""
    numbers = [1 % modulus] * 2
    while len(numbers) < count:
        numbers.append((numbers[-2] + numbers[-1]) % modulus)
    return numbers


def _windows(numbers: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """All stretches of `length` but the last, which the document's code leaves out: (windows, length)."""
    return sliding_window_view(numbers, length)[:-1]
