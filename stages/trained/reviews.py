"""Texts to the trained model of a classification study: how probable each label is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stages.kinds.classification.model import PADDING, UNKNOWN, ReviewClassifier
from stages.text.tokens.basic_english import basic_english
from stages.trained.weights import load_weights, read_vocabulary

# In a batch: as many as evaluation takes, fewer of long ones, so that memory stays within a few hundred MB.
_TEXTS_AT_ONCE = 256
_TOKENS_AT_ONCE = 1 << 17


@dataclass(frozen=True)
class Prediction:
    """What the model makes of one text; words that its vocabulary lacks are named once each, in order."""

    text: str
    label: str
    probabilities: dict[str, float]
    unknown_words: list[str]


class ReviewModel:
    """A trained model on a CPU, with its tokenizer, vocabulary and labels."""

    def __init__(
        self, hyperparameters: Mapping[str, Any], weights: Path, vocabulary: Path, ready: Mapping[str, Any]
    ) -> None:
        """Load it; `hyperparameters` are those of `stages.kinds.classification`, as a mapping.

        `ready` is the manifest of the data that it was trained on, of which labels, unit and cut matter.

        Raises:
            InputError: the weights are damaged, or another model's.
        """
        unit = ready.get("unit", "words")
        self._numbers = read_vocabulary(vocabulary, unit)
        names = ("cell", "embedding_size", "hidden_size", "layers", "dropout", "dropout_between_layers")
        self.labels: Sequence[str] = ready.get("labels", ("negative", "positive"))
        self._words: Callable[[str], list[str]] = list if unit == "characters" else basic_english
        self._longest: int | None = ready["cut"]["longest"] if "cut" in ready else None
        self._model = ReviewClassifier(
            vocabulary_size=len(self._numbers),
            classes=len(self.labels),
            **{name: hyperparameters[name] for name in names},
        )
        load_weights(self._model, weights)

    @torch.no_grad()
    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """A prediction a text, in order; a text without words is read as one unknown word, as in training."""
        tokens = [self._words(text)[: self._longest] for text in texts]
        sequences = [self._sequence(words) for words in tokens]
        found = torch.empty((len(texts), len(self.labels)), dtype=torch.float64)
        for chosen in _batches([len(sequence) for sequence in sequences]):
            lengths = [len(sequences[i]) for i in chosen]
            padded = np.full((lengths[-1], len(chosen)), PADDING, np.int64)
            for column, i in enumerate(chosen):
                padded[: len(sequences[i]), column] = sequences[i]
            logits = self._model(torch.from_numpy(padded), torch.tensor(lengths)).double()
            if logits.dim() == 1:  # of two labels the second's
                found[chosen] = torch.sigmoid(torch.stack([-logits, logits], 1))
            else:
                found[chosen] = torch.softmax(logits, 1)
        return [
            Prediction(
                text,
                self.labels[int(np.argmax(probabilities))],
                dict(zip(self.labels, probabilities, strict=True)),
                self._unknown(words),
            )
            for text, probabilities, words in zip(texts, found.tolist(), tokens, strict=True)
        ]

    def _sequence(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Token numbers, (tokens,); what a text calls `<pad>` is no padding."""
        numbers = np.fromiter((self._numbers.get(word, UNKNOWN) for word in words), np.int64, len(words))
        numbers[numbers == PADDING] = UNKNOWN
        return numbers if len(numbers) else np.array([UNKNOWN])

    def _unknown(self, words: Sequence[str]) -> list[str]:
        return [word for word in dict.fromkeys(words) if self._numbers.get(word, UNKNOWN) in (UNKNOWN, PADDING)]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of texts of like length, from the shortest to the longest, a batch at a time."""
    batch: list[int] = []
    for i in np.argsort(lengths, kind="stable").tolist():
        if batch and (len(batch) == _TEXTS_AT_ONCE or (len(batch) + 1) * lengths[i] > _TOKENS_AT_ONCE):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
