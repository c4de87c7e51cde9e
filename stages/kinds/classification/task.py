"""A classification study in memory: texts of a part, batches of like length, losses and scores.

Document 000_deb3cf6396f3faf9's scores were means of batch means, which stand beside those over all texts.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from stages.kinds.classification import Hyperparameters
from stages.kinds.classification.model import PADDING, ReviewClassifier
from stages.nn.cells import CELLS
from stages.nn.engines import engine_for
from stages.nn.optimizers import Adam
from stages.support.files import verify
from stages.support.process import StageError
from stages.training.device import products_in, to_device
from stages.training.loop import Step
from stages.training.seeds import Purpose, stream_seed
from stages.training.shares import share_of

# Batches are cut from pools of this many, each sorted by length: little padding, and still a random order.
_BATCHES_IN_A_POOL = 100
_STRETCH = 1 << 20  # tokens
_REVIEWS_AT_ONCE = 256  # in evaluation, where the batch size changes no score


class Reviews:
    """Some of the corpus: token ids of reviews end to end, their offsets (1 + reviews,), their labels (reviews,)."""

    def __init__(self, tokens: NDArray[Any], offsets: NDArray[np.int64], labels: NDArray[Any]) -> None:
        self.tokens, self.offsets, self.labels = tokens, offsets, labels

    @classmethod
    def read(cls, folder: Path, part: str) -> Self:
        """One part, memory-mapped: a million reviews take no memory of a process."""
        tokens, offsets = (np.load(folder / f"{part}.{name}.npy", mmap_mode="r") for name in ("tokens", "offsets"))
        labels = folder / f"{part}.labels.npy"
        zeros = np.zeros(len(offsets) - 1, np.uint8)
        return cls(tokens, offsets, np.load(labels, mmap_mode="r") if labels.exists() else zeros)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each review (reviews,), counted anew: nothing keeps them."""
        return np.diff(self.offsets)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The reviews of several parts, one after the other."""
        lengths = np.concatenate([part.lengths for part in parts])
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return cls(np.concatenate([part.tokens for part in parts]), offsets, np.concatenate([p.labels for p in parts]))

    def chosen(self, which: NDArray[np.bool_]) -> "Reviews":
        """Those of which (reviews,) is true."""
        tokens = self.tokens[np.repeat(which, self.lengths)]
        return Reviews(tokens, np.concatenate([[0], np.cumsum(self.lengths[which])]), self.labels[which])

    def words(self, vocabulary_size: int) -> NDArray[np.bool_]:
        """Which words of the vocabulary they have; a stretch at a time, so that memory does not grow with them."""
        found = np.zeros(vocabulary_size, bool)
        for start in range(0, len(self.tokens), _STRETCH):
            found[self.tokens[start : start + _STRETCH]] = True
        return found

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def batch(self, reviews: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Some reviews, padded: tokens (time, batch), lengths (batch,), labels (batch,)."""
        starts = self.offsets[reviews]
        lengths = self.offsets[reviews + 1] - starts
        steps = np.arange(lengths.max())[:, None]
        inside = steps < lengths
        tokens = np.full(inside.shape, PADDING, dtype=np.int64)
        tokens[inside] = self.tokens[(starts + steps)[inside]]
        labels = self.labels[reviews].astype(np.int64)
        return torch.from_numpy(tokens), torch.from_numpy(lengths), torch.from_numpy(labels)


class Data:
    """The three parts, the sentences that a document puts to its nets, the classes and the vocabulary's size.

    Of texts that are divided in several ways a repeat takes one, in turn.
    """

    def __init__(self, folder: Path) -> None:
        manifest = verify(folder)
        self.corpus: str = manifest["corpus"]
        self.digest: str = manifest["digest"]
        self.vocabulary_size: int = manifest["vocabulary_size"]
        self.classes = len(manifest.get("labels", ("negative", "positive")))
        self.train, self.validation, self.test = (
            Reviews.read(folder, name) for name in ("train", "validation", "test")
        )
        divisions = folder / "divisions.npy"
        self._divisions = np.load(divisions) if divisions.exists() else None
        sentences = folder / "sentences.txt"
        self.sentence_texts = sentences.read_text(encoding="utf-8").splitlines() if sentences.exists() else []
        self.sentences = Reviews.read(folder, "sentences") if self.sentence_texts else None

    def parts(self, repeat: int = 0) -> tuple[Reviews, Reviews, Reviews]:
        """The training, validation and test part of a repeat."""
        first = self.train, self.validation, self.test
        if self._divisions is None:
            return first
        division, everything = self._divisions[repeat % len(self._divisions)], Reviews.joined(first)
        train, validation, test = (everything.chosen(division == part) for part in range(3))
        return train, validation, test


class Task:
    """One repeat of one arm."""

    chosen_by = "loss"
    gradient_norm_limit = None

    def __init__(
        self, data: Data, hyperparameters: Hyperparameters, seed: int, repeats: Sequence[int], device: torch.device
    ) -> None:
        (repeat,) = repeats
        self.data, self.device, self._batch_size = data, device, hyperparameters.batch_size
        self.train, self.validation, self.tested = data.parts(repeat)
        if hyperparameters.split == "a repeat":
            both = Reviews.joined((self.train, self.validation))
            trained = _drawn(len(both), len(self.train), stream_seed(seed, repeat, Purpose.SPLIT))
            self.train, self.validation = both.chosen(trained), both.chosen(~trained)
        if texts := hyperparameters.train_texts:
            if texts > len(self.train):
                raise StageError(f"train_texts: {texts} is more than the training part has: {len(self.train)}")
            self.train = self.train.chosen(_drawn(len(self.train), texts, stream_seed(seed, repeat, Purpose.SUBSET)))
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
            classes=data.classes,
            engine=self.engine,
        )
        generator = torch.Generator().manual_seed(stream_seed(seed, repeat, Purpose.WEIGHTS))
        self.model.start(generator)
        self.model.forget(~self.train.words(data.vocabulary_size))
        self.model.to(device)
        self.optimizer = Adam(self.model.parameters(), lr=hyperparameters.learning_rate, fused=True)
        self.train_items = len(self.train)
        self.train_tokens = len(self.train.tokens)

    def batches(self, orders: Sequence[np.random.Generator]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """One epoch: batches of reviews of like length, in random order."""
        (order,) = orders
        reviews = order.permutation(len(self.train))
        pool_size, lengths = self._batch_size * _BATCHES_IN_A_POOL, self.train.lengths
        for start in range(0, len(reviews), pool_size):
            pool = reviews[start : start + pool_size]
            pool[:] = pool[np.argsort(lengths[pool], kind="stable")]
        del lengths
        for i in order.permutation(-(-len(reviews) // self._batch_size)):
            yield self.train.batch(reviews[i * self._batch_size : (i + 1) * self._batch_size])

    def step(self, batch: tuple[Tensor, Tensor, Tensor]) -> Step:
        """Mean cross-entropy of a batch (nats a text), and how many it got right."""
        texts = len(batch[1])
        with share_of(texts) as share:
            mine = share.columns
            tokens, labels = to_device(self.device, batch[0][:, mine], batch[2][mine])
            with products_in(self._precision, self.device):
                logits = self.model(tokens, batch[1][mine])
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss = _cross_entropy(logits, labels) * share.weight
        correct = (_predicted(logits) == labels).sum() * (share.weight > 0)
        return Step(loss[None], {"loss": loss.detach() * texts, "accuracy": correct}, texts)

    def after_epoch(self, improved: bool) -> None:
        """Nothing changes between epochs."""

    def validate(self) -> list[dict[str, float]]:
        """Loss (nats a text) and accuracy (a share) on the validation part."""
        losses, predicted, labels = self._score(self.validation)
        return [{"loss": float(losses.mean()), "accuracy": float((predicted == labels).mean())}]

    def test(self) -> list[dict[str, Any]]:
        """Scores on the test part, and where a document has sentences each one's probability of the second class.

        `batch_mean_*` are document 000's: means over batches of texts sorted by length, each batch alike, however few
        texts the last one has. `macro_f1`: the mean over classes of the harmonic mean of precision and recall.
        """
        losses, predicted, labels = self._score(self.tested)
        correct = predicted == labels
        starts = range(0, len(losses), self._batch_size)
        scores: dict[str, Any] = {
            "loss": float(losses.mean()),
            "accuracy": float(correct.mean()),
            "macro_f1": _macro_f1(predicted, labels, self.data.classes),
            "batch_mean_loss": float(np.mean([losses[i : i + self._batch_size].mean() for i in starts])),
            "batch_mean_accuracy": float(np.mean([correct[i : i + self._batch_size].mean() for i in starts])),
        }
        if self.data.sentences is not None:
            probabilities = torch.sigmoid(self._logits(self.data.sentences)).tolist()
            scores["sentences"] = dict(zip(self.data.sentence_texts, probabilities, strict=True))
        return [scores]

    def _score(self, reviews: Reviews) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """Each text's loss, predicted class and class, from the shortest text to the longest."""
        by_length = np.argsort(reviews.lengths, kind="stable")
        logits = self._logits(reviews)[by_length]
        labels = torch.from_numpy(reviews.labels[by_length].astype(np.int64))
        return _cross_entropy(logits, labels, "none").numpy(), _predicted(logits).numpy(), labels.numpy()

    @torch.no_grad()
    def _logits(self, reviews: Reviews) -> Tensor:
        """Every text's logits, in the order of the corpus, nothing dropped, as the model's but in float64."""
        self.model.eval()
        by_length = np.argsort(reviews.lengths, kind="stable")
        found = []
        for start in range(0, len(reviews), _REVIEWS_AT_ONCE):
            tokens, lengths, _ = reviews.batch(by_length[start : start + _REVIEWS_AT_ONCE])
            found.append(self.model(tokens.to(self.device), lengths).double().cpu())
        logits = torch.cat(found)
        return logits[torch.from_numpy(np.argsort(by_length))]


def _drawn(items: int, chosen: int, seed: int) -> NDArray[np.bool_]:
    """Which of some items are chosen (items,), at random."""
    found = np.zeros(items, bool)
    found[np.random.default_rng(seed).permutation(items)[:chosen]] = True
    return found


def _cross_entropy(logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """Nats a text."""
    if logits.dim() == 1:
        return binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction=reduction)
    return cross_entropy(logits, labels, reduction=reduction)


def _predicted(logits: Tensor) -> Tensor:
    """Each text's likeliest class."""
    return (logits > 0).long() if logits.dim() == 1 else logits.argmax(1)


def _macro_f1(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> float:
    """Over the classes that are predicted or true."""
    hits, guesses, truths = (
        np.bincount(values, minlength=classes) for values in (labels[predicted == labels], predicted, labels)
    )
    either = guesses + truths > 0
    return float((2 * hits[either] / (guesses + truths)[either]).mean())
