"""What many would use for reviews instead of a recurrent cell."""

from pathlib import Path
from typing import Any

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


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
