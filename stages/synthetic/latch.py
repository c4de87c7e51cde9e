"""latch: the first value is +1 (positive) or -1 (negative), all else is noise."""

from pathlib import Path

import numpy as np

from stages.synthetic.bits import write_bits


def write_data(
    folder: Path, seed: int, sequences: int, longest: int, noise: float, validation_fraction: float
) -> None:
    """Write `sequences` sequences, the first half of them positive, and as many fresh ones to test on."""
    labels = np.repeat(np.array([1, 0], np.int8), sequences // 2)
    write_bits(folder, seed, (2 * labels - 1)[:, None], labels, longest, noise, validation_fraction)
