"""Scores that need no recurrent cell: what many would use instead, and what no model can beat."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from stages.support.files import read_json
from stages.support.process import InputError
from stages.text.corpora.reviews_tar import Review, read_reviews

_MAX_ITERATIONS = 1000

Row = dict[str, Any]


def bag_of_words_row(raw: Path, ready: Path) -> Row:
    """TF-IDF of 1- and 2-grams and logistic regression, both scikit-learn's with their defaults.

    Trained on what the cells train on, scored once: test accuracy (a share), test loss (nats a review), and every
    sentence's probability of being positive.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, log_loss
    from sklearn.pipeline import make_pipeline

    train_names = set(_lines(ready / "train.names.txt"))
    train: list[Review] = []
    test: list[Review] = []
    for review in read_reviews(raw / "reviews.tar"):
        if review.part == "test":
            test.append(review)
        elif review.name in train_names:
            train.append(review)
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=_MAX_ITERATIONS))
    model.fit([review.text for review in train], [review.label for review in train])

    labels = [review.label for review in test]
    positive = model.predict_proba([review.text for review in test])[:, 1]
    sentences = _lines(ready / "sentences.txt")
    return {
        "name": "TF-IDF + logistic regression",
        "test": {
            "accuracy": round(float(accuracy_score(labels, positive > 0.5)), 6),
            "loss": round(float(log_loss(labels, positive)), 6),
        },
        "sentences": {
            sentence: round(float(probability), 6)
            for sentence, probability in zip(sentences, model.predict_proba(sentences)[:, 1], strict=True)
        },
    }


def unigram_row(ready: Path) -> Row:
    """Perplexities of predicting every token by its share of the training part, <eos> included.

    Raises InputError for a token that the training part lacks: its perplexity would be infinite.
    """
    train, *scored = (np.load(ready / f"{split}.tokens.npy") for split in ("train", "validation", "test"))
    counts = np.bincount(train, minlength=1 + max(int(tokens.max()) for tokens in scored))
    row: Row = {"name": "unigram"}
    for split, tokens in zip(("validation", "test"), scored, strict=True):
        if not counts[tokens].all():
            raise InputError(f"{ready}: the {split} split has a token that the training split lacks")
        loss = -np.log(counts[tokens] / len(train)).mean()
        row[split] = {"perplexity": round(math.exp(loss), 6)}
    return row


def source_row(raw: Path) -> Row | None:
    """The perplexities of the source itself, the lowest that a model can expect; None for real text."""
    floor = read_json(raw / "provenance.json").get("floor_perplexity")
    if floor is None:
        return None
    return {"name": "source (lowest possible)", **{split: {"perplexity": value} for split, value in floor.items()}}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
