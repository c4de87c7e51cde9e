"""Random text for the studies of text, in the arrays that they read, and their protocols: no corpus needed.

A word's share falls with its rank by the Zipf-Mandelbrot law, as in both corpora, because what an embedding costs
depends on how often words recur.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import protocol
from stages.kinds import classification, language_model
from stages.kinds.classification.model import PADDING, UNKNOWN
from stages.kinds.classification.task import Data as Reviews
from stages.kinds.language_model.task import Data as News
from stages.support.files import seal

REVIEW_VOCABULARY, NEWS_VOCABULARY = 25_002, 10_000
_RANK_OFFSET = 2.7  # Mandelbrot's, as for English


def words(count: int, vocabulary: int, random: np.random.Generator, first: int = 0) -> NDArray[np.int64]:
    """Token ids from `first` to below `vocabulary`, (count,), the commonest first in the vocabulary."""
    shares = 1 / (np.arange(1, vocabulary - first + 1) + _RANK_OFFSET)
    return first + random.choice(len(shares), count, p=shares / shares.sum())


def write_reviews(folder: Path, lengths: NDArray[np.int64], copies: int = 1) -> Reviews:
    """Data of imdb in `folder`: training reviews of `lengths` tokens, `copies` times over; elsewhere one short one."""
    random = np.random.default_rng(0)
    tokens = words(int(lengths.sum()), REVIEW_VOCABULARY, random, 1 + max(UNKNOWN, PADDING)).astype(np.uint16)
    labels = random.integers(0, 2, len(lengths)).astype(np.uint8)
    short = [np.array([1]), tokens[:1], labels[:1]]
    parts = {"train": [np.tile(part, copies) for part in (lengths, tokens, labels)]}
    for part, (part_lengths, part_tokens, part_labels) in (
        parts | dict.fromkeys(("validation", "test", "sentences"), short)
    ).items():
        np.save(folder / f"{part}.offsets.npy", np.cumsum([0, *part_lengths], dtype=np.int64))
        np.save(folder / f"{part}.tokens.npy", part_tokens)
        np.save(folder / f"{part}.labels.npy", part_labels)
    (folder / "sentences.txt").write_text("short\n", encoding="utf-8")
    seal(folder, {"corpus": "random", "digest": "", "vocabulary_size": REVIEW_VOCABULARY})
    return Reviews(folder)


def write_news(folder: Path, tokens: int, vocabulary: int = NEWS_VOCABULARY) -> News:
    """Data of ptb in `folder`: `tokens` of training text; elsewhere two."""
    text = words(tokens, vocabulary, np.random.default_rng(0)).astype(np.uint16)
    for part, part_text in {"train": text, "validation": text[:2], "test": text[:2]}.items():
        np.save(folder / f"{part}.tokens.npy", part_text)
    seal(folder, {"corpus": "random", "digest": "", "vocabulary_size": vocabulary})
    return News(folder)


def review_settings(cell: str, **changes: float) -> classification.Hyperparameters:
    """The protocol of imdb, as corrected, but for `changes`."""
    found: classification.Hyperparameters = protocol("imdb", cell)
    return replace(found, **changes)  # type: ignore[arg-type]


def news_settings(cell: str, better: bool, **changes: float | str) -> language_model.Hyperparameters:
    """The protocol of ptb's basic model, or of its better one, but for `changes`; the basic one has no dropout."""
    found: language_model.Hyperparameters = protocol("ptb", cell, "better" if better else "basic")
    return replace(found, **changes)  # type: ignore[arg-type]
