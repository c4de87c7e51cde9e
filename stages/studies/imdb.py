"""imdb: is a film review positive? Two bidirectional layers, read to the end, one logit.

Source: document 000_deb3cf6396f3faf9. Flaws that the corrected arm mends: the GRU's dropout of 0.8 between
layers, where the LSTM had 0.5; scores that were means of batch means, not of reviews.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from stages.nn.cells import CELLS
from stages.nn.engines import engine_for
from stages.nn.initialise import initialise_review_classifier
from stages.nn.models import PADDING, ReviewClassifier
from stages.studies import Arm
from stages.support.files import read_json
from stages.training.device import products_in, to_device
from stages.training.loop import Step
from stages.training.seeds import Purpose, stream_seed

# Batches are cut from pools of this many, each sorted by length: little padding, and still a random order.
_BATCHES_IN_A_POOL = 100
_REVIEWS_AT_ONCE = 256  # in evaluation, where the batch size changes no score


@dataclass(frozen=True)
class Hyperparameters:
    """All that decides the training of one arm."""

    cell: str
    layers: int
    dropout: float
    dropout_between_layers: float
    embedding_size: int
    hidden_size: int
    batch_size: int
    learning_rate: float
    epochs: int
    precision: str


def arms(cell: str, training: Any, layers: int, dropout: float) -> list[Arm]:  # noqa: ANN401
    """The arms of a cell; `training` is section imdb.PROFILE.training.

    The document has no rnn, so that it has only the corrected arm; nothing corrects the lstm's.
    """
    common = {
        name: getattr(training, name)
        for name in ("embedding_size", "hidden_size", "batch_size", "learning_rate", "epochs", "precision")
    }
    corrected = Hyperparameters(cell, layers, dropout, dropout, **common)
    between = {"gru": training.published_gru_dropout_between_layers, "lstm": dropout}
    if cell not in between:
        return [Arm("", ("corrected",), corrected)]
    published = Hyperparameters(cell, layers, dropout, between[cell], **common)
    if published == corrected:
        return [Arm("", ("published", "corrected"), corrected)]
    return [Arm("", ("published",), published), Arm("", ("corrected",), corrected)]


class Reviews:
    """One part of the corpus: token ids of all reviews end to end, memory-mapped, and their labels."""

    def __init__(self, folder: Path, part: str) -> None:
        self.tokens = np.load(folder / f"{part}.tokens.npy", mmap_mode="r")
        self.offsets: NDArray[np.int64] = np.load(folder / f"{part}.offsets.npy")
        labels = folder / f"{part}.labels.npy"
        self.labels = np.load(labels) if labels.exists() else np.zeros(len(self.offsets) - 1, np.uint8)
        self.lengths = np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, reviews: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Some reviews, padded: tokens (time, batch), lengths (batch,), labels (batch,) as floats."""
        lengths = self.lengths[reviews]
        steps = np.arange(lengths.max())[:, None]
        inside = steps < lengths
        tokens = np.full(inside.shape, PADDING, dtype=np.int64)
        tokens[inside] = self.tokens[(self.offsets[reviews] + steps)[inside]]
        labels = self.labels[reviews].astype(np.float32)
        return torch.from_numpy(tokens), torch.from_numpy(lengths), torch.from_numpy(labels)


class Data:
    """The three parts, the thirteen sentences and the vocabulary's size, from data/ready/imdb."""

    def __init__(self, folder: Path) -> None:
        manifest = read_json(folder / "manifest.json")
        self.corpus: str = manifest["corpus"]
        self.digest: str = manifest["digest"]
        self.vocabulary_size: int = manifest["vocabulary_size"]
        self.train, self.validation, self.test, self.sentences = (
            Reviews(folder, part) for part in ("train", "validation", "test", "sentences")
        )
        self.sentence_texts = (folder / "sentences.txt").read_text(encoding="utf-8").splitlines()


class Task:
    """One repeat of one arm."""

    chosen_by = "loss"
    gradient_norm_limit = None

    def __init__(
        self, data: Data, hyperparameters: Hyperparameters, seed: int, repeats: Sequence[int], device: torch.device
    ) -> None:
        (repeat,) = repeats
        self.data, self.device, self._batch_size = data, device, hyperparameters.batch_size
        self._precision = hyperparameters.precision
        self.engine = engine_for(device.type, CELLS[hyperparameters.cell])
        self.model = ReviewClassifier(
            hyperparameters.cell,
            vocabulary_size=data.vocabulary_size,
            embedding_size=hyperparameters.embedding_size,
            hidden_size=hyperparameters.hidden_size,
            layers=hyperparameters.layers,
            dropout=hyperparameters.dropout,
            dropout_between_layers=hyperparameters.dropout_between_layers,
            engine=self.engine,
        )
        generator = torch.Generator().manual_seed(stream_seed(seed, repeat, Purpose.WEIGHTS))
        initialise_review_classifier(self.model, generator)
        self.model.to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=hyperparameters.learning_rate, fused=True)
        self.train_items = len(data.train)
        self.train_tokens = len(data.train.tokens)

    def batches(self, orders: Sequence[np.random.Generator]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """One epoch: batches of reviews of like length, in random order."""
        (order,) = orders
        reviews = order.permutation(len(self.data.train))
        pool_size = self._batch_size * _BATCHES_IN_A_POOL
        batches = []
        for start in range(0, len(reviews), pool_size):
            pool = reviews[start : start + pool_size]
            pool = pool[np.argsort(self.data.train.lengths[pool], kind="stable")]
            batches += [pool[i : i + self._batch_size] for i in range(0, len(pool), self._batch_size)]
        for i in order.permutation(len(batches)):
            yield self.data.train.batch(batches[i])

    def step(self, batch: tuple[Tensor, Tensor, Tensor]) -> Step:
        """Mean binary cross-entropy of a batch (nats a review), and how many it got right."""
        tokens, labels = to_device(self.device, batch[0], batch[2])
        with products_in(self._precision, self.device):
            logits = self.model(tokens, batch[1])
        loss = binary_cross_entropy_with_logits(logits.float(), labels)
        correct = ((logits > 0) == (labels > 0.5)).sum()
        return Step(loss[None], {"loss": loss.detach() * len(labels), "accuracy": correct}, len(labels))

    def after_epoch(self, improved: bool) -> None:
        """Nothing changes between epochs."""

    def validate(self) -> list[dict[str, float]]:
        """Loss (nats a review) and accuracy (a share) on the validation part."""
        losses, correct = self._score(self.data.validation)
        return [{"loss": float(losses.mean()), "accuracy": float(correct.mean())}]

    def test(self) -> list[dict[str, Any]]:
        """Scores on the test part, and each of the thirteen sentences' probability of being positive.

        `batch_mean_*` are the document's: means over batches of reviews sorted by length, each batch alike,
        however few reviews the last one has.
        """
        losses, correct = self._score(self.data.test)
        starts = range(0, len(losses), self._batch_size)
        probabilities = torch.sigmoid(self._logits(self.data.sentences))
        scores = {
            "loss": float(losses.mean()),
            "accuracy": float(correct.mean()),
            "batch_mean_loss": float(np.mean([losses[i : i + self._batch_size].mean() for i in starts])),
            "batch_mean_accuracy": float(np.mean([correct[i : i + self._batch_size].mean() for i in starts])),
            "sentences": dict(zip(self.data.sentence_texts, probabilities.tolist(), strict=True)),
        }
        return [scores]

    def _score(self, reviews: Reviews) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Each review's loss and whether it is right, from the shortest review to the longest."""
        by_length = np.argsort(reviews.lengths, kind="stable")
        logits = self._logits(reviews)[by_length]
        labels = torch.from_numpy(reviews.labels[by_length].astype(np.float64))
        losses = binary_cross_entropy_with_logits(logits, labels, reduction="none")
        return losses.numpy(), ((logits > 0) == (labels > 0.5)).double().numpy()

    @torch.no_grad()
    def _logits(self, reviews: Reviews) -> Tensor:
        """Every review's logit, in the order of the corpus, nothing dropped: (reviews,) in float64."""
        self.model.eval()
        by_length = np.argsort(reviews.lengths, kind="stable")
        logits = torch.empty(len(reviews), dtype=torch.float64)
        for start in range(0, len(reviews), _REVIEWS_AT_ONCE):
            chosen = by_length[start : start + _REVIEWS_AT_ONCE]
            tokens, lengths, _ = reviews.batch(chosen)
            logits[chosen] = self.model(tokens.to(self.device), lengths).double().cpu()
        return logits
