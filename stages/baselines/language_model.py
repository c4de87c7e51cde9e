"""Language models that count: a unigram, and interpolated Kneser–Ney n-grams.

Tokens, words or characters, are integers below the vocabulary's size; a token that the vocabulary lacks is `<unk>`,
one of them. A text is one stream, so that a context reaches across the ends of lines, as a net's state does.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.support.process import InputError

Tokens = NDArray[np.integer[Any]]
Row = dict[str, Any]

LOWEST_POSSIBLE = "source (lowest possible)"
"""The row of text that the project made, which no model can beat: it is no model."""
_FALLBACK = (0.5, 1.0, 1.5)
"""Discounts of counts 1, 2 and more where the text has too few rare n-grams to estimate them, as KenLM's fallback."""


@dataclass(frozen=True)
class _Order:
    """The n-grams of one length that the training text has.

    `keys` (n-grams,), rising: the place of the n-gram's first n − 1 tokens among the n-grams of that length, times the
    vocabulary's size, plus its last token. `discounted` (n-grams,): counts less their discounts. `totals` and `kept`
    (contexts,): how often anything follows a context, and how much the discounts took there.
    """

    keys: NDArray[np.int64]
    discounted: NDArray[np.float64]
    totals: NDArray[np.float64]
    kept: NDArray[np.float64]


@dataclass(frozen=True)
class KneserNey:
    """Interpolated modified Kneser–Ney. Source: Chen and Goodman 1999, equations 22 to 26 and section 3.1."""

    vocabulary_size: int
    orders: tuple[_Order, ...]

    def log_probabilities(self, text: Tokens) -> NDArray[np.float64]:
        """The natural logarithm of each token's probability after those before it: (tokens,).

        The first tokens have the contexts that there are.
        """
        _check(text, self.vocabulary_size)
        chances = np.full(len(text), 1 / self.vocabulary_size)
        contexts = np.zeros(len(text), np.int64)  # the empty one, then the place of the n − 1 tokens before; −1: unseen
        for order in self.orders:
            found = _find(order.keys, contexts * self.vocabulary_size + text, contexts >= 0)
            followed = (contexts >= 0) & (order.totals[contexts] > 0)
            totals = order.totals[contexts[followed]]
            grams = found[followed]
            chances[followed] *= order.kept[contexts[followed]] / totals
            chances[followed] += np.where(grams >= 0, order.discounted[grams], 0.0) / totals
            contexts = np.concatenate([[-1], found[:-1]])
        return np.asarray(np.log(chances))


def fit_kneser_ney(train: Tokens, vocabulary_size: int, order: int = 3) -> KneserNey:
    """Count the n-grams of up to `order` tokens and estimate their discounts from the counts of counts.

    The longest count as often as they stand in the text; a shorter one by how many different tokens stand before it.
    Memory: some 60 bytes a token and order. Raises InputError for an empty text or a token outside the vocabulary.
    """
    _check(train, vocabulary_size)
    tables: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    contexts = np.zeros(len(train), np.int64)
    tokens = train
    suffixes = np.empty(0, np.int64)  # of the n-grams in `tokens`' places, the places of those one token shorter
    for length in range(1, min(order, len(train)) + 1):
        keys, first, grams, counts = np.unique(
            contexts * vocabulary_size + tokens, return_index=True, return_inverse=True, return_counts=True
        )
        if length > 1:  # the shorter table learns how many different tokens stand before each of its n-grams
            shorter_keys, _ = tables[-1]
            tables[-1] = shorter_keys, np.bincount(suffixes[first], minlength=len(shorter_keys))
        tables.append((keys, counts))
        # The n-gram ending at a token is the context of the next, and what is left of a longer one without its start.
        contexts, suffixes, tokens = grams[:-1], grams[1:], tokens[1:]
    sizes = [1, *(len(keys) for keys, _ in tables[:-1])]
    return KneserNey(
        vocabulary_size,
        tuple(_order(keys, counts, vocabulary_size, size) for (keys, counts), size in zip(tables, sizes, strict=True)),
    )


def discounts(counts: NDArray[np.integer[Any]]) -> tuple[float, float, float]:
    """The discounts of counts of 1, 2, and 3 or more. Source: Chen and Goodman 1999, equation 26.

    Where no count is 1, 2, 3 or 4, or a discount would exceed its count or not be positive: 0.5, 1 and 1.5.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if 0 in n:
        return _FALLBACK
    y = n[0] / (n[0] + 2 * n[1])
    found = [k - (k + 1) * y * n[k] / n[k - 1] for k in (1, 2, 3)]
    if not all(0 < discount <= k for k, discount in enumerate(found, 1)):
        return _FALLBACK
    return found[0], found[1], found[2]


def unigram_log_probabilities(train: Tokens, text: Tokens, vocabulary_size: int) -> NDArray[np.float64]:
    """The natural logarithm of each token's share of the training text: (tokens,).

    A token of the vocabulary that the training text lacks counts as seen once.
    """
    _check(train, vocabulary_size)
    _check(text, vocabulary_size)
    counts = np.bincount(train, minlength=vocabulary_size).clip(min=1)
    return np.asarray(np.log(counts / counts.sum())[text])


def scores(log_probabilities: NDArray[np.float64]) -> dict[str, float]:
    """Perplexity, and bits a token: of characters, bits a character."""
    loss = -float(np.mean(log_probabilities))
    return {"perplexity": math.exp(loss), "bits_per_token": loss / math.log(2)}


def language_model_rows(train: Tokens, scored: Mapping[str, Tokens], vocabulary_size: int) -> list[Row]:
    """A row a model: its name, and `scores` of each text in `scored`, by that text's name."""
    kneser_ney = fit_kneser_ney(train, vocabulary_size)
    return [
        {"name": "unigram"}
        | {name: scores(unigram_log_probabilities(train, text, vocabulary_size)) for name, text in scored.items()},
        {"name": "Kneser–Ney 3-gram"}
        | {name: scores(kneser_ney.log_probabilities(text)) for name, text in scored.items()},
    ]


def _order(keys: NDArray[np.int64], counts: NDArray[np.int64], vocabulary_size: int, contexts: int) -> _Order:
    taken = np.array([0.0, *discounts(counts)])[np.minimum(counts, 3)]
    context = keys // vocabulary_size
    return _Order(
        keys,
        counts - taken,
        np.bincount(context, counts, minlength=contexts).astype(np.float64),
        np.bincount(context, taken, minlength=contexts).astype(np.float64),
    )


def _find(keys: NDArray[np.int64], wanted: NDArray[np.int64], where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The place of each wanted key among the rising keys; −1 where it is not among them or not `where`."""
    places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(where & (keys[places] == wanted), places, -1)


def _check(tokens: Tokens, vocabulary_size: int) -> None:
    if not len(tokens):
        raise InputError("a text without a token has no perplexity")
    if tokens.min() < 0 or tokens.max() >= vocabulary_size:
        wrong = int(tokens[(tokens < 0) | (tokens >= vocabulary_size)][0])
        raise InputError(f"token {wrong} is outside the vocabulary of {vocabulary_size}")
