"""Sequences that hold one or two bits (+1 or -1) in noise: what latch and relay remember.

Source: document 002_89a61afb7de75c8a. Sequences of every length are cut from the same noise, so that all lengths
together take the space of the longest. latch: the first value is a bit, positive where it is +1. relay: so is the one
in the middle, positive where both have the same sign.
"""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.support.files import digest, file_digest, read_json, seal, write_json

_ARRAYS = [f"{part}.{what}.npy" for part in ("train", "test") for what in ("noise", "bits", "labels")]


def write_sequences(folder: Path, source: str, seed: int, sequences: int, longest: int, noise: float) -> None:
    """Write a training part, and as many fresh sequences to test on; the first half of each is positive.

    Files: {train,test}.noise.npy (sequences, longest) in float32, {train,test}.bits.npy (sequences, bits of one),
    {train,test}.labels.npy (sequences,), 1 positive and 0 negative, and provenance.json.

    Args:
        folder: where to write.
        source: `latch`, or `relay`, where all four combinations of signs are equally often, and take turns.
        seed: of the noise.
        sequences: how many.
        longest: values of a sequence.
        noise: standard deviation of the Gaussian noise on every value.
    """
    bits, labels = _bits(source, sequences)
    for part, stream in (("train", 0), ("test", 1)):
        random = _generator(seed, stream)
        values = random.standard_normal((sequences, longest), dtype=np.float32) * np.float32(noise)
        np.save(folder / f"{part}.noise.npy", values)
        np.save(folder / f"{part}.bits.npy", bits)
        np.save(folder / f"{part}.labels.npy", labels)
    write_json(folder / "provenance.json", {"corpus": "sequences", "seed": seed})


def write_splits(raw: Path, ready: Path, validation_fraction: float) -> None:
    """Write the arrays of `raw`, and for each protocol PROTOCOL.train.npy and PROTOCOL.validation.npy.

    Those are indices of the training part's sequences. Published: Keras splits off the last share before it shuffles,
    here nothing but negatives. Corrected: they are shuffled first.
    """
    ready.mkdir(parents=True)
    for name in _ARRAYS:
        shutil.copyfile(raw / name, ready / name)
    count = len(np.load(raw / "train.labels.npy"))
    shuffle = _generator(read_json(raw / "provenance.json")["seed"], 2)
    trained = round(count * (1 - validation_fraction))
    for protocol, order in {"published": np.arange(count), "corrected": shuffle.permutation(count)}.items():
        np.save(ready / f"{protocol}.train.npy", order[:trained])
        np.save(ready / f"{protocol}.validation.npy", order[trained:])
    arrays = {path.name: file_digest(path) for path in sorted(ready.iterdir())}
    seal(ready, {"corpus": "sequences", "digest": digest(arrays)})


def _bits(source: str, sequences: int) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """The bits, (sequences, bits of one), and the labels, in the document's order: all positive ones first."""
    labels = np.repeat(np.array([1, 0], np.int8), sequences // 2)
    if source == "latch":
        return (2 * labels - 1)[:, None], labels
    first = np.tile(np.array([1, -1], np.int8), sequences // 2)
    return np.stack([first, np.where(labels == 1, first, -first)], axis=1), labels


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed).spawn(3)[stream])
