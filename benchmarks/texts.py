"""Random text for the studies of text, in the arrays that they read, and their published settings: no corpus needed.

A word's share falls with its rank by the Zipf-Mandelbrot law, as in both corpora, because what an embedding costs
depends on how often words recur.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.nn.models import PADDING, UNKNOWN
from stages.studies import imdb, ptb
from stages.support.files import write_json

REVIEW_VOCABULARY, NEWS_VOCABULARY = 25_002, 10_000
_RANK_OFFSET = 2.7  # Mandelbrot's, as for English


def words(count: int, vocabulary: int, random: np.random.Generator, first: int = 0) -> NDArray[np.int64]:
    """Token ids from `first` to below `vocabulary`, (count,), the commonest first in the vocabulary."""
    shares = 1 / (np.arange(1, vocabulary - first + 1) + _RANK_OFFSET)
    return first + random.choice(len(shares), count, p=shares / shares.sum())


def write_reviews(folder: Path, lengths: NDArray[np.int64], copies: int = 1) -> imdb.Data:
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
    write_json(folder / "manifest.json", {"corpus": "random", "digest": "", "vocabulary_size": REVIEW_VOCABULARY})
    return imdb.Data(folder)


def write_news(folder: Path, tokens: int, vocabulary: int = NEWS_VOCABULARY) -> ptb.Data:
    """Data of ptb in `folder`: `tokens` of training text; elsewhere two."""
    text = words(tokens, vocabulary, np.random.default_rng(0)).astype(np.uint16)
    for part, part_text in {"train": text, "validation": text[:2], "test": text[:2]}.items():
        np.save(folder / f"{part}.tokens.npy", part_text)
    write_json(folder / "manifest.json", {"corpus": "random", "digest": "", "vocabulary_size": vocabulary})
    return ptb.Data(folder)


def review_settings(cell: str, hidden_size: int = 32, batch_size: int = 64) -> imdb.Hyperparameters:
    """The protocol of imdb, as corrected, for one epoch."""
    return imdb.Hyperparameters(
        cell,
        layers=2,
        dropout=0.5,
        dropout_between_layers=0.5,
        embedding_size=100,
        hidden_size=hidden_size,
        batch_size=batch_size,
        learning_rate=0.001,
        epochs=1,
        precision="float32",
    )


def news_settings(cell: str, better: bool, dropout: float = 0.5, precision: str = "float32") -> ptb.Hyperparameters:
    """The protocol of ptb's basic model, or of its better one but for `dropout`, for one epoch."""
    size = 650 if better else 100
    return ptb.Hyperparameters(
        cell,
        layers=2 if better else 1,
        dropout=dropout if better else 0.0,
        tied=better,
        embedding_size=size,
        hidden_size=size,
        streams=20,
        window=35,
        learning_rate=20.0,
        rate_divisor=1.0,
        gradient_norm_limit=0.25,
        epochs=1,
        precision=precision,
    )
