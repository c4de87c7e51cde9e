"""Fibonacci numbers modulo a number. Source: document 004_cf04984ca946f3a3."""

from pathlib import Path

import numpy as np

from stages.support.files import write_json
from stages.synthetic.windows import Series

CLOSED_LOOP_STEPS = 120


def write_series(folder: Path, values: int, test_values: int, modulus: int) -> None:
    """Write series.npy, `values` numbers, test.npy, the `test_values` that follow, and provenance.json.

    The sequence repeats (modulo 5 after 20 values), so that validation and test hold no window that training lacks:
    they measure how well it was learnt. The closed loop starts where validation does. The document's code leaves each
    part's last window out.
    """
    numbers = [1 % modulus] * 2
    while len(numbers) < values + test_values:
        numbers.append((numbers[-2] + numbers[-1]) % modulus)
    np.save(folder / "series.npy", np.array(numbers[:values], np.float32))
    np.save(folder / "test.npy", np.array(numbers[values : values + test_values], np.float32))
    about = Series(
        split="values", drop_last_window=True, closed_loop_start="validation", closed_loop_steps=CLOSED_LOOP_STEPS
    )
    write_json(folder / "provenance.json", about.model_dump())
