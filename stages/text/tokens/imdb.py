"""IMDB: reviews to token arrays, with the training part split once into training and validation."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.support.files import read_json
from stages.support.process import InputError
from stages.text.corpora.reviews_tar import read_reviews
from stages.text.tokens.arrays import write_lines, write_manifest, write_tokens
from stages.text.tokens.basic_english import basic_english
from stages.text.tokens.vocabulary import (
    PADDING,
    UNKNOWN,
    AppearanceNumbers,
    most_frequent,
    translation,
)

# What the study's document puts to its trained models.
SENTENCES = (
    "This film is horrible",
    "Director tried too hard but this film is bad",
    "Decent movie, although could be shorter",
    "This film will be houseful for weeks",
    "I loved the movie, every part of it",
    "hogehoge",
    "fugafuga",
    "I like it, but my friend hate it.",
    "I hate it, but my friend likes it.",
    "I love you.",
    "I love this movie, by the way I hate the book.",
    "I hate this movie, by the way I love the book.",
    "With best New Year’s wishes!",
)
SPECIALS = (UNKNOWN, PADDING)
SPLIT_SEED = 0  # one split for every repeat


def tokenize_imdb(raw: Path, ready: Path, *, vocabulary_size: int, validation_fraction: float) -> None:
    """Write the arrays of data/ready/imdb into `ready`, a new folder, from `raw`/reviews.tar.

    The vocabulary is <unk>, <pad> and the `vocabulary_size` most frequent tokens of what remains of the
    training part after `validation_fraction` of it, drawn once, is held out. Nothing is truncated. A review
    without a token becomes one <unk>, so that no sequence is empty.

    Raises InputError for a damaged corpus, and where a split has no reviews or lacks one of the labels.
    """
    numbers = AppearanceNumbers()
    names: list[str] = []
    labels: list[int] = []
    places: dict[str, list[int]] = {"train": [], "test": []}
    sequences: list[NDArray[np.int32]] = []
    for review in read_reviews(raw / "reviews.tar"):
        places[review.part].append(len(names))
        names.append(review.name)
        labels.append(review.label)
        sequences.append(numbers.number(basic_english(review.text) or [UNKNOWN]))

    train, validation = hold_out(places["train"], validation_fraction)
    splits = {"train": train, "validation": validation, "test": places["test"]}
    for split, members in splits.items():
        if {labels[place] for place in members} != {0, 1}:
            raise InputError(
                f"{raw / 'reviews.tar'}: the {split} split has {len(members)} reviews "
                "and not both labels; it needs positive and negative ones"
            )

    vocabulary = most_frequent(
        numbers.tokens,
        np.concatenate([sequences[place] for place in train]),
        first=SPECIALS,
        size=vocabulary_size,
    )
    texts = {split: [sequences[place] for place in members] for split, members in splits.items()}
    texts["sentences"] = [numbers.number(basic_english(sentence)) for sentence in SENTENCES]
    table = translation(numbers.tokens, vocabulary)
    table[table < len(SPECIALS)] = 0  # <unk>; a review's own "<pad>" is text, not padding

    ready.mkdir(parents=True)
    for split, text in texts.items():
        write_tokens(ready, split, table[np.concatenate(text)], len(vocabulary))
        np.save(ready / f"{split}.offsets.npy", np.cumsum([0, *map(len, text)], dtype=np.int64))
    for split, members in splits.items():
        np.save(ready / f"{split}.labels.npy", np.array([labels[place] for place in members], np.uint8))
        write_lines(ready, f"{split}.names", [names[place] for place in members])
    write_lines(ready, "sentences", SENTENCES)
    write_lines(ready, "vocabulary", vocabulary)
    write_manifest(
        ready,
        read_json(raw / "provenance.json")["corpus"],
        len(vocabulary),
        tokens={split: sum(map(len, text)) for split, text in texts.items()},
        reviews={split: len(text) for split, text in texts.items()},
    )


def hold_out(places: list[int], fraction: float) -> tuple[list[int], list[int]]:
    """Divide `places` into those kept and the `fraction` held out, both in the given order.

    The draw depends on the number of places alone.
    """
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(len(places))
    is_held_out = np.zeros(len(places), bool)
    is_held_out[shuffled[: round(len(places) * fraction)]] = True
    kept = [place for place, out in zip(places, is_held_out, strict=True) if not out]
    return kept, [place for place, out in zip(places, is_held_out, strict=True) if out]
