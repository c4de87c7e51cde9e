"""Sequences that hold one or two bits (+1 or -1) in noise: what latch and relay remember.

Source: document 002_89a61afb7de75c8a. Sequences of every length are cut from the same noise, so that all lengths
together take the space of the longest.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_bits(
    folder: Path,
    seed: int,
    bits: NDArray[np.int8],
    labels: NDArray[np.int8],
    longest: int,
    noise: float,
    validation_fraction: float,
) -> None:
    """Write training and test arrays, and which sequences validate under each protocol.

    Files: {train,test}.noise.npy (sequences, longest) in float32, {train,test}.bits.npy (sequences, bits of a sequence),
    {train,test}.labels.npy (sequences,), and for each protocol PROTOCOL.train.npy and PROTOCOL.validation.npy,
    indices of `train`'s sequences.

    Args:
        folder: where to write.
        seed: of the noise and of the corrected split.
        bits: (sequences, bits of a sequence), in the document's order: all positive ones first.
        labels: (sequences,), 1 positive and 0 negative.
        longest: values of a sequence.
        noise: standard deviation of the Gaussian noise on every value.
        validation_fraction: share of the sequences that validate.
    """
    train_noise, test_noise, shuffle = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))
    for part, random in (("train", train_noise), ("test", test_noise)):
        values = random.standard_normal((len(bits), longest), dtype=np.float32) * np.float32(noise)
        np.save(folder / f"{part}.noise.npy", values)
        np.save(folder / f"{part}.bits.npy", bits)
        np.save(folder / f"{part}.labels.npy", labels)
    # Published: Keras splits off the last share before it shuffles, here nothing but negatives.
    orders = {"published": np.arange(len(bits)), "corrected": shuffle.permutation(len(bits))}
    trained = round(len(bits) * (1 - validation_fraction))
    for protocol, order in orders.items():
        np.save(folder / f"{protocol}.train.npy", order[:trained])
        np.save(folder / f"{protocol}.validation.npy", order[trained:])
