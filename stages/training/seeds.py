"""Where randomness comes from: every stream derives from the seed, the repeat and its purpose.

Nothing random has a state that must outlive an epoch, so that a resumed repeat draws what an undisturbed one
draws; and cells of the same repeat share their data order, so that they can be compared in pairs.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream of random numbers is for. The numbers are part of every result: never reuse one."""

    WEIGHTS = 0
    ORDER = 1
    DROPOUT = 2
    SPLIT = 3
    SUBSET = 4


def stream_seed(seed: int, repeat: int, purpose: Purpose, epoch: int = 0) -> int:
    """A seed for one stream: 63 bits, independent of every other stream's."""
    sequence = np.random.SeedSequence([seed, repeat, purpose, epoch])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def order_generator(seed: int, repeat: int, epoch: int) -> np.random.Generator:
    """The generator that shuffles one epoch's training data."""
    return np.random.default_rng(stream_seed(seed, repeat, Purpose.ORDER, epoch))
