"""Numbering tokens: first as they appear, then by how often the training part has them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

UNKNOWN = "<unk>"
PADDING = "<pad>"
LINE_ENDS = {"\n": "\\n", "\r": "\\r"}
"""How a vocabulary of characters, which stand on a line each, writes those that end lines."""


class AppearanceNumbers:
    """Numbers tokens in order of first appearance: a corpus is read once, before its vocabulary is known."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, int] = defaultdict()
        self._numbers.default_factory = self._numbers.__len__

    def number(self, tokens: Sequence[str]) -> NDArray[np.int32]:
        """The tokens' numbers, shape `(tokens,)`; a token not met before gets the next one."""
        return np.fromiter(map(self._numbers.__getitem__, tokens), np.int32, len(tokens))

    @property
    def tokens(self) -> list[str]:
        """Every token met so far, in order of its number."""
        return list(self._numbers)


def most_frequent(
    tokens: Sequence[str],
    training: NDArray[np.int32],
    *,
    first: Sequence[str] = (),
    size: int | None = None,
) -> list[str]:
    """The vocabulary: `first`, then the `size` (default all) most frequent other tokens of the training part.

    `training` holds the training part's numbers into `tokens`. Ties go to the token that sorts first.
    """
    counts = np.bincount(training, minlength=len(tokens))
    specials = set(first)
    candidates = [
        (-int(count), token) for token, count in zip(tokens, counts, strict=True) if count and token not in specials
    ]
    return [*first, *(token for _, token in sorted(candidates)[:size])]


def translation(tokens: Iterable[str], vocabulary: Sequence[str]) -> NDArray[np.int32]:
    """For each of `tokens` its place in the vocabulary, or -1; shape `(tokens,)`."""
    places = {token: place for place, token in enumerate(vocabulary)}
    return np.array([places.get(token, -1) for token in tokens], np.int32)
