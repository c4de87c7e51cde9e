"""Classifiers of texts without a net: the shares of the classes, and TF-IDF with logistic regression.

Classes are integers from 0; probabilities are arrays (items, classes).
"""

import math
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.support.process import InputError

Items = Collection[tuple[str, int]]
"""Texts with their classes, read again from the start each time that they are gone through: a list, or a file's."""

Probabilities = NDArray[np.floating[Any]]
Row = dict[str, Any]

CHOICES_OF_C = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Inverse strengths of the L2 penalty, of which the validation part chooses one."""

_MOST_CHARACTERS = 50_000_000
"""A training part up to this long is held in memory, with each of its n-grams a feature: some 2 GB at most.

With more than five classes less, for every step of the optimiser takes as much longer as there are classes.
"""

_MOST_WEIGHTS = 5_000_000
"""Features times classes; the optimiser holds some 20 copies of the weights, of 8 bytes each."""

_MOST_HASHED = 2**20
_BATCH = 10_000  # texts
_PASSES = 5
_ITERATIONS = 1000
_AS_OF_NETS = {"cross_entropy": "loss"}
_NO_WORD = "no text of the training part has a word"
_WORDS = r"(?u)\w+|[^\w\s]"  # scikit-learn's own pattern has no words of one letter and no emoji


class Tally:
    """Scores of a classifier, gathered batch by batch, so that the memory is that of the classes alone."""

    def __init__(self, classes: int) -> None:
        self._confusion = np.zeros((classes, classes), dtype=np.int64)  # (truth, prediction)
        self._nats = 0.0

    def add(self, probabilities: Probabilities, labels: ArrayLike) -> None:
        """Count the items of `probabilities` (items, classes), whose true classes are `labels` (items,)."""
        labels = np.asarray(labels, dtype=np.int64)
        np.add.at(self._confusion, (labels, probabilities.argmax(axis=1)), 1)
        chances = probabilities[np.arange(len(labels)), labels]
        self._nats -= float(np.log(chances.clip(min=np.finfo(chances.dtype).eps), dtype=np.float64).sum())

    def scores(self) -> dict[str, float]:
        """Accuracy (a share), macro_f1 (a share), cross_entropy (nats an item); NaN without an item.

        macro_f1: the mean, over the classes that occur in truth or prediction, of the harmonic mean of precision and
        recall. A probability of zero counts as the smallest that its precision tells from one (as in scikit-learn).
        """
        hits, truths, guesses = np.diag(self._confusion), self._confusion.sum(axis=1), self._confusion.sum(axis=0)
        occurring = truths + guesses > 0
        items = int(self._confusion.sum())
        if not items:
            return dict.fromkeys(("accuracy", "macro_f1", "cross_entropy"), math.nan)
        return {
            "accuracy": float(hits.sum() / items),
            "macro_f1": float(np.mean(2 * hits[occurring] / (truths + guesses)[occurring])),
            "cross_entropy": self._nats / items,
        }


def class_shares(train: ArrayLike, classes: int) -> NDArray[np.float64]:
    """Each class's share of the training labels (items,): (classes,). A class without an item counts as having one."""
    counts = np.bincount(np.asarray(train, dtype=np.int64), minlength=classes).clip(min=1)
    return np.asarray(counts / counts.sum())


@dataclass(frozen=True)
class TextClassifier:
    """A fitted TF-IDF and logistic regression: `c`, chosen on the validation part, and how it was fitted."""

    c: float
    hashed: bool
    classes: int
    _features: Any
    _model: Any

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """(texts, classes); zero for a class that the training part lacks."""
        found = self._model.predict_proba(self._features.transform(texts))
        whole = np.zeros((len(texts), self.classes), dtype=found.dtype)
        whole[:, self._model.classes_] = found
        return whole

    def scores(self, items: Items) -> dict[str, float]:
        """`Tally.scores` of the items, batch by batch."""
        tally = Tally(self.classes)
        for texts, labels in _batches(items):
            tally.add(self.probabilities(texts), labels)
        return tally.scores()


def fit_text_classifier(
    train: Items,
    validation: Items,
    classes: int,
    characters: bool = False,
    seed: int = 0,
    most_characters: int = _MOST_CHARACTERS,
) -> TextClassifier:
    """TF-IDF of 1- and 2-grams and multinomial logistic regression; C by the validation part's cross-entropy.

    Of words and single signs; with `characters`, of characters, for a language that writes no spaces. C rises until
    the validation part's cross-entropy does. A training part longer than `most_characters`, or less with many classes,
    is hashed to a file and learnt in 5 passes of averaged stochastic gradient descent, a class against the rest
    (Bottou 2012): the memory then stays the same however many items there are.
    Raises InputError where the training part has fewer than two classes or no word, or the validation part no text.
    """
    labels = np.fromiter((label for _, label in train), dtype=np.int64)
    if len(np.unique(labels)) < 2:
        raise InputError(f"the training part has {len(np.unique(labels))} class(es); a classifier needs two")
    if not len(validation):
        raise InputError("the validation part has no text")
    if sum(len(text) for text, _ in train) > most_characters * min(1.0, 5 / _weights_a_feature(classes)):
        candidates: Iterable[TextClassifier] = _fit_hashed(train, labels, classes, characters, seed)
    else:
        candidates = _fit_in_memory(train, labels, classes, characters)
    fitted = iter(candidates)
    best = next(fitted)
    least = best.scores(validation)["cross_entropy"]
    for candidate in fitted:
        loss = candidate.scores(validation)["cross_entropy"]
        if loss >= least:
            break
        best, least = candidate, loss
    return best


def classification_rows(
    train: Items, validation: Items, test: Items, classes: int, characters: bool = False
) -> list[Row]:
    """A row a classifier: its name, and its scores on the validation and the test part."""
    shares = class_shares([label for _, label in train], classes)
    majority: Row = {"name": "majority class"}
    for name, items in (("validation", validation), ("test", test)):
        tally = Tally(classes)
        for texts, labels in _batches(items):
            tally.add(np.broadcast_to(shares, (len(texts), classes)), labels)
        majority[name] = tally.scores()
    fitted = fit_text_classifier(train, validation, classes, characters)
    return [
        majority,
        {
            "name": "TF-IDF + logistic regression",
            "c": fitted.c,
            "validation": fitted.scores(validation),
            "test": fitted.scores(test),
        },
    ]


def over_divisions(divisions: Sequence[Sequence[Row]]) -> list[Row]:
    """A row a classifier from its rows in several divisions of the items: mean scores, and of the test part each.

    `cross_entropy` is called `loss` there, as of nets.
    """
    found = []
    for rows in zip(*divisions, strict=True):
        parts = {
            part: [{_AS_OF_NETS.get(name, name): value for name, value in row[part].items()} for row in rows]
            for part in ("validation", "test")
        }
        means = {
            part: {name: float(np.mean([scores[name] for scores in each])) for name in each[0]}
            for part, each in parts.items()
        }
        found.append({**rows[0], **means, **({"tests": parts["test"]} if len(rows) > 1 else {})})
    return found


def _fit_in_memory(train: Items, labels: NDArray[np.int64], classes: int, characters: bool) -> Iterator[TextClassifier]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectorizer = TfidfVectorizer(**_n_grams(characters), max_features=_MOST_WEIGHTS // _weights_a_feature(classes))
    try:
        features = vectorizer.fit_transform(text for text, _ in train)
    except ValueError as error:  # its message speaks of stop words
        raise InputError(_NO_WORD) from error
    for c in CHOICES_OF_C:
        model = LogisticRegression(C=c, max_iter=_ITERATIONS).fit(features, labels)
        yield TextClassifier(c, False, classes, vectorizer, model)


def _fit_hashed(
    train: Items, labels: NDArray[np.int64], classes: int, characters: bool, seed: int
) -> list[TextClassifier]:
    from sklearn.linear_model import SGDClassifier

    models = [
        SGDClassifier(loss="log_loss", alpha=1 / (c * len(labels)), average=True, random_state=seed)
        for c in CHOICES_OF_C
    ]
    every_class = np.unique(labels)
    generator = np.random.default_rng(seed)
    size = min(_MOST_HASHED, 2 ** int(math.log2(_MOST_WEIGHTS / _weights_a_feature(classes))))
    with tempfile.TemporaryDirectory() as folder:
        features, rows = _write_hashed(train, size, characters, Path(folder))
        for _ in range(_PASSES):
            order = generator.permutation(len(labels))  # a file sorted by class would teach one class after the other
            for start in range(0, len(order), _BATCH):
                chosen = order[start : start + _BATCH]
                batch = features.weighted(rows.counts(chosen))
                for model in models:
                    model.partial_fit(batch, labels[chosen], classes=every_class)
    return [TextClassifier(c, True, classes, features, model) for c, model in zip(CHOICES_OF_C, models, strict=True)]


@dataclass(frozen=True)
class _HashedFeatures:
    """TF-IDF of n-grams that share features by their hash; `weights` (features,): inverse document frequencies."""

    hashing: Any
    weights: NDArray[np.float64]

    def transform(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 - scikit-learn has no types
        return self.weighted(self.hashing.transform(texts))

    def weighted(self, counts: Any) -> Any:  # noqa: ANN401 - scipy's sparse matrix
        from sklearn.preprocessing import normalize

        counts.data *= self.weights[counts.indices]
        return normalize(counts, copy=False)


@dataclass(frozen=True)
class _Rows:
    """A sparse matrix (items, features) whose entries lie in files; row i has those from ends[i] to ends[i + 1]."""

    columns: NDArray[np.int32]
    values: NDArray[np.float64]
    ends: NDArray[np.int64]
    features: int

    def counts(self, chosen: NDArray[np.int64]) -> Any:  # noqa: ANN401 - scipy's sparse matrix
        from scipy.sparse import csr_matrix

        starts, lengths = self.ends[chosen], self.ends[chosen + 1] - self.ends[chosen]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        places = np.repeat(starts - ends[:-1], lengths) + np.arange(ends[-1])
        return csr_matrix((self.values[places], self.columns[places], ends), shape=(len(chosen), self.features))


def _write_hashed(items: Items, size: int, characters: bool, folder: Path) -> tuple[_HashedFeatures, _Rows]:
    """Write the items' n-gram counts to files of the folder, and count in how many items each feature stands."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(**_n_grams(characters), n_features=size, alternate_sign=False, norm=None)
    lengths = [np.zeros(1, np.int64)]
    documents = np.zeros(size)
    with (folder / "columns").open("wb") as columns, (folder / "values").open("wb") as values:
        for texts, _ in _batches(items):
            counts = hashing.transform(texts)
            documents += np.bincount(counts.indices, minlength=size)
            counts.indices.astype(np.int32).tofile(columns)
            counts.data.tofile(values)
            lengths.append(np.diff(counts.indptr))
    ends = np.cumsum(np.concatenate(lengths), dtype=np.int64)
    if not ends[-1]:
        raise InputError(_NO_WORD)
    weights = np.log(len(ends) / (1 + documents)) + 1  # as TfidfTransformer: every document counted once more
    rows = _Rows(
        np.memmap(folder / "columns", np.int32, "r"), np.memmap(folder / "values", np.float64, "r"), ends, size
    )
    return _HashedFeatures(hashing, weights), rows


def _n_grams(characters: bool) -> dict[str, Any]:
    if characters:
        return {"analyzer": "char", "ngram_range": (1, 2)}
    return {"token_pattern": _WORDS, "ngram_range": (1, 2)}


def _weights_a_feature(classes: int) -> int:
    return 1 if classes == 2 else classes


def _batches(items: Iterable[tuple[str, int]]) -> Iterator[tuple[list[str], list[int]]]:
    reader = iter(items)
    while batch := list(islice(reader, _BATCH)):
        texts, labels = zip(*batch, strict=True)
        yield list(texts), list(labels)
