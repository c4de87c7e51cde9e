"""A person's raw data as the arrays that training reads, divided once into training, validation and test."""

import shutil
from array import array
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.support.files import read_json
from stages.support.process import InputError
from stages.tables.raw import read_labelled
from stages.tables.texts import text_key
from stages.text.tokens.arrays import write_lines, write_manifest, write_tokens
from stages.text.tokens.basic_english import basic_english
from stages.text.tokens.vocabulary import LINE_ENDS, PADDING, UNKNOWN, AppearanceNumbers, most_frequent, translation

PARTS = ("train", "validation", "test")
_SPLIT_SEED = 0  # of the first division
_END = "<eos>"
_PIECE = 1 << 20  # characters of a text that are tokenized at once


def tokenize_labelled(
    raw: Path,
    ready: Path,
    vocabulary_size: int,
    validation_fraction: float,
    test_fraction: float,
    longest: int,
    divisions: int,
) -> None:
    """Write the arrays of a classification study of a person's own texts into `ready`, a new folder.

    Texts that are equal but for case and spaces go to the same part, so that none is learnt by heart; every label's
    texts are divided alike. A text of more than `longest` tokens is read from its start; how many are is in the
    manifest. Memory is that of the tokens, some four bytes each.

    PART.* has the first division into parts. Of several, divisions.npy (divisions, texts) has the places in PARTS of
    the texts, those of PART.* one part after the other; the vocabulary is then of all texts, since each trains in some.

    Raises:
        InputError: a label has too few different texts for three parts.
    """
    about = read_json(raw / "provenance.json")
    words: Callable[[str], list[str]] = list if about["unit"] == "characters" else basic_english
    numbers = AppearanceNumbers()
    tokens, ends, keys, labels = array("i"), array("q", [0]), array("Q"), array("i")
    cut = 0
    for text, label in read_labelled(raw):
        found = words(text)
        cut += len(found) > longest
        tokens.frombytes(numbers.number(found[:longest] or [UNKNOWN]).tobytes())
        ends.append(len(tokens))
        keys.append(text_key(text))
        labels.append(label)
    label_of, named = np.frombuffer(labels, np.int32), about["labels"]
    part, *others = (
        _parts_of(np.frombuffer(keys, np.uint64), label_of, named, validation_fraction, test_fraction, seed)
        for seed in range(_SPLIT_SEED, _SPLIT_SEED + divisions)
    )
    flat, offsets = np.frombuffer(tokens, np.int32), np.frombuffer(ends, np.int64)
    lengths = np.diff(offsets)
    in_part = {name: np.flatnonzero(part == i) for i, name in enumerate(PARTS)}
    of_train = np.repeat(np.minimum.reduce([part, *others]) == 0, lengths)
    vocabulary = most_frequent(numbers.tokens, flat[of_train], first=(UNKNOWN, PADDING), size=vocabulary_size)
    table = translation(numbers.tokens, vocabulary)
    table[table < 2] = 0  # <unk>; a text's own "<pad>" is text, not padding

    ready.mkdir(parents=True)
    for i, name in enumerate(PARTS):
        write_tokens(ready, name, table[flat[np.repeat(part == i, lengths)]], len(vocabulary))
        np.save(
            ready / f"{name}.offsets.npy", np.concatenate([[0], np.cumsum(lengths[in_part[name]])]).astype(np.int64)
        )
        np.save(ready / f"{name}.labels.npy", np.frombuffer(labels, np.int32)[in_part[name]].astype(np.uint8))
        np.save(ready / f"{name}.rows.npy", in_part[name])
    if others:
        np.save(ready / "divisions.npy", np.stack([part, *others])[:, np.concatenate(list(in_part.values()))])
    write_lines(ready, "vocabulary", [LINE_ENDS.get(token, token) for token in vocabulary])
    write_manifest(
        ready,
        about["corpus"],
        len(vocabulary),
        labels=named,
        divisions=divisions,
        unit=about["unit"],
        texts={name: len(rows) for name, rows in in_part.items()},
        cut={"longest": longest, "texts": cut},
    )


def _parts_of(
    keys: NDArray[np.uint64],
    labels: NDArray[np.int32],
    names: list[str],
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> NDArray[np.int8]:
    """The place in PARTS of each text: equal keys in one part, each label's keys in all three."""
    unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    part = np.zeros(len(unique), np.int8)
    random = np.random.default_rng(seed)
    for label, name in enumerate(names):
        mine = np.flatnonzero(labels[first] == label)
        if len(mine) < len(PARTS):
            raise InputError(
                f"label {name!r} has {len(mine)} different texts; training, validation and test need one each"
            )
        mine = random.permutation(mine)
        held_out = min(max(1, round(len(mine) * validation_fraction)), len(mine) - 2)
        tested = min(max(1, round(len(mine) * test_fraction)), len(mine) - held_out - 1)
        part[mine[:held_out]] = 1
        part[mine[held_out : held_out + tested]] = 2
    return part[inverse]


@dataclass(frozen=True)
class LabelledPart(Collection[tuple[str, int]]):
    """The texts of a part with their labels, read from the file each time, so that memory holds none of them.

    `chosen` (texts,): which of the file's are the part's.
    """

    raw: Path
    chosen: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.chosen.sum())

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return compress(read_labelled(self.raw), self.chosen)

    def __contains__(self, item: object) -> bool:
        return any(item == mine for mine in self)


def labelled_parts(raw: Path, ready: Path) -> Iterator[list[LabelledPart]]:
    """For each division the texts and labels of the three parts, as they were written."""
    rows = [np.load(ready / f"{name}.rows.npy") for name in PARTS]
    divisions = ready / "divisions.npy"
    of_rows = np.load(divisions) if divisions.exists() else np.repeat([0, 1, 2], [len(part) for part in rows])[None]
    order = np.concatenate(rows)
    for division in of_rows:
        part_of = np.empty(len(order), np.int8)
        part_of[order] = division
        yield [LabelledPart(raw, part_of == part) for part in range(len(PARTS))]


def tokenize_text(
    raw: Path, ready: Path, vocabulary_size: int, validation_fraction: float, test_fraction: float
) -> None:
    """Write the token streams of a language-model study of a person's own text into `ready`, a new folder.

    Words end lines with <eos>; characters are taken as they are. The parts follow each other in the text. The
    vocabulary is the training part's most frequent tokens, of words those that it has twice; others become <unk>.

    Raises:
        InputError: a part is empty.
    """
    about = read_json(raw / "provenance.json")
    numbers = AppearanceNumbers()
    tokens = array("i")
    for piece in _pieces(raw / "text.txt"):
        found = list(piece) if about["unit"] == "characters" else piece.replace("\n", f" {_END} ").split()
        tokens.frombytes(numbers.number(found).tobytes())
    stream = np.frombuffer(tokens, np.int32)
    held_out, tested = (round(len(stream) * share) for share in (validation_fraction, test_fraction))
    train = len(stream) - held_out - tested
    if min(train, held_out, tested) < 2:
        raise InputError(f"{about['corpus']} has {len(stream)} {about['unit']}, too few for three parts")
    counts = np.bincount(stream[:train], minlength=len(numbers.tokens))
    fewest = 1 if about["unit"] == "characters" else 2
    size = min(vocabulary_size, int((counts >= fewest).sum()))
    vocabulary = most_frequent(numbers.tokens, stream[:train], first=(UNKNOWN,), size=size)
    table = translation(numbers.tokens, vocabulary)
    table[table < 0] = 0
    ready.mkdir(parents=True)
    for name, part in zip(PARTS, np.split(stream, [train, train + held_out]), strict=True):
        write_tokens(ready, name, table[part], len(vocabulary))
    write_lines(ready, "vocabulary", [LINE_ENDS.get(token, token) for token in vocabulary])
    write_manifest(
        ready,
        about["corpus"],
        len(vocabulary),
        unit=about["unit"],
        tokens={"train": train, "validation": held_out, "test": tested},
    )


def _pieces(path: Path) -> Iterator[str]:
    """Stretches of a text that end with a line, so that no word is cut."""
    with path.open(encoding="utf-8", errors="surrogatepass", newline="") as file:
        while piece := file.read(_PIECE):
            yield piece + file.readline()


def tokenize_series(
    raw: Path, ready: Path, window: int, horizon: int, validation_fraction: float, test_fraction: float
) -> None:
    """Write values.npy and manifest.json, with where each part ends and the training part's scale, into `ready`.

    Raises:
        InputError: a part has nothing to forecast, or what is to be forecast never changes in it.
    """
    values, about = np.load(raw / "values.npy"), read_json(raw / "provenance.json")
    steps = len(values)
    validation_end = steps - round(steps * test_fraction)
    train_end = validation_end - round(steps * validation_fraction)
    parts = {"training": train_end - window, "validation": validation_end - train_end, "test": steps - validation_end}
    for name, count in parts.items():
        if count < horizon + 1:
            raise InputError(
                f"the {name} part leaves {max(count, 0)} steps to forecast, of {steps} in all; window {window} and "
                f"horizon {horizon} need more than {horizon}"
            )
    ends = {"training": (1, train_end), "validation": (train_end, validation_end), "test": (validation_end, steps)}
    for name, (start, end) in ends.items():
        if not np.ptp(values[start - 1 : end, 0]):
            raise InputError(
                f"{about['columns'][0]} is {values[end - 1, 0]:g} all through the {name} part, steps {start:,} to "
                f"{end:,} of {steps:,}: nothing is left to predict there"
            )
    ready.mkdir(parents=True)
    for file in raw.glob("*.npy"):
        shutil.copyfile(file, ready / file.name)
    train = values[:train_end]
    deviation = train.std(0)
    write_manifest(
        ready,
        about["corpus"],
        0,
        train_end=train_end,
        validation_end=validation_end,
        window=window,
        horizon=horizon,
        columns=about["columns"],
        mean=train.mean(0).tolist(),
        deviation=np.where(deviation > 0, deviation, 1.0).tolist(),
    )
