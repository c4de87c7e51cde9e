"""relay: positive where the first value and the one in the middle have the same sign, both +1 or -1; noise on all."""

from pathlib import Path

import numpy as np

from stages.synthetic.bits import write_bits


def write_data(
    folder: Path, seed: int, sequences: int, longest: int, noise: float, validation_fraction: float
) -> None:
    """Write `sequences` sequences, the first half of them positive, and as many fresh ones to test on.

    All four combinations of signs are equally often, and take turns within the positive and the negative half.
    """
    labels = np.repeat(np.array([1, 0], np.int8), sequences // 2)
    first = np.tile(np.array([1, -1], np.int8), sequences // 2)
    bits = np.stack([first, np.where(labels == 1, first, -first)], axis=1)
    write_bits(folder, seed, bits, labels, longest, noise, validation_fraction)
