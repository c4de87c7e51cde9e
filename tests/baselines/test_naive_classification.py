"""Scores against scikit-learn's, and classifiers against its estimators put together otherwise."""

import math
import tracemalloc

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.pipeline import make_pipeline

from stages.baselines.classification import (
    CHOICES_OF_C,
    Tally,
    _write_hashed,
    class_shares,
    classification_rows,
    fit_text_classifier,
    over_divisions,
)
from stages.support.process import InputError


def texts_of(generator, items, classes, words=200, length=12):
    """Texts whose words lean to their class, sorted by class, as files often are."""
    labels = np.sort(generator.integers(classes, size=items))
    leaning = generator.dirichlet(np.full(words, 0.5), size=classes) * 0.5 + 0.5 / words
    return [
        (" ".join(f"w{word}" for word in generator.choice(words, length, p=leaning[label])), int(label))
        for label in labels
    ]


def scores(probabilities, labels):
    tally = Tally(probabilities.shape[1])
    tally.add(probabilities, labels)
    return tally.scores()


def split(items):
    return items[::2], items[1::4], items[3::4]


@pytest.mark.parametrize("classes", [2, 5])
def test_scores_against_scikit_learn(classes):
    generator = np.random.default_rng(classes)
    probabilities = generator.dirichlet(np.ones(classes), size=400)
    labels = generator.integers(classes - 1, size=400)  # the last class is predicted and never true
    found = scores(probabilities, labels)
    assert found == pytest.approx(
        {
            "accuracy": accuracy_score(labels, probabilities.argmax(1)),
            "macro_f1": f1_score(labels, probabilities.argmax(1), average="macro"),
            "cross_entropy": log_loss(labels, probabilities, labels=range(classes)),
        }
    )
    tally = Tally(classes)
    for part in np.array_split(np.arange(400), 7):
        tally.add(probabilities[part], labels[part])
    assert tally.scores() == pytest.approx(found)


def test_a_class_that_nobody_has_or_predicts_does_not_count_and_a_sure_mistake_is_finite():
    probabilities = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = scores(probabilities, [0, 1, 1])
    assert found["macro_f1"] == pytest.approx((2 * 1 / 3 + 2 * 1 / 3) / 2)
    assert found["cross_entropy"] == pytest.approx(-math.log(np.finfo(np.float64).eps) / 3)
    assert math.isnan(Tally(3).scores()["accuracy"])


def test_the_majority_row_by_hand():
    assert class_shares([0, 1, 1, 1, 3], 4) == pytest.approx(np.array([1, 3, 1, 1]) / 6)
    train = [("red sun", 0), ("blue sea", 1), ("blue sky", 1)]
    row = classification_rows(train, train, [("sea", 1), ("sun", 0), ("sky", 1), ("red", 0)], 2)[0]
    assert row["test"] == pytest.approx(
        {"accuracy": 0.5, "macro_f1": 2 / 6, "cross_entropy": -(math.log(2 / 3) + math.log(1 / 3)) / 2}
    )


@pytest.mark.parametrize("classes", [2, 4])
def test_the_text_classifier_is_the_best_of_scikit_learns_on_the_validation_part(classes):
    train, validation, test = split(texts_of(np.random.default_rng(0), 800, classes))
    losses = {}
    for c in CHOICES_OF_C:
        vectorizer = TfidfVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, 2))
        model = make_pipeline(vectorizer, LogisticRegression(C=c, max_iter=1000)).fit(*zip(*train, strict=True))
        expected = {
            name: log_loss(labels, model.predict_proba(texts))
            for name, (texts, labels) in {
                "validation": list(zip(*validation, strict=True)),
                "test": list(zip(*test, strict=True)),
            }.items()
        }
        losses[c] = expected["validation"], expected["test"]
    best = min(losses, key=losses.get)
    row = classification_rows(train, validation, test, classes)[1]
    assert row["c"] == best
    assert row["validation"]["cross_entropy"] == pytest.approx(losses[best][0], rel=1e-3)
    assert row["test"]["cross_entropy"] == pytest.approx(losses[best][1], rel=1e-3)


def test_hashed_weights_are_those_of_the_whole_matrix(tmp_path):
    texts = texts_of(np.random.default_rng(1), 30, 2)
    features, rows = _write_hashed(texts, 2**16, False, tmp_path)
    expected = TfidfVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, 2))
    expected = expected.fit_transform(text for text, _ in texts)
    chosen = np.array([7, 0, 29, 7])
    found = features.weighted(rows.counts(chosen))
    # Columns differ, and hashes may meet: the products of the rows with each other stay.
    assert (found @ found.T).toarray() == pytest.approx((expected @ expected.T).toarray()[np.ix_(chosen, chosen)])
    assert features.transform([texts[7][0]]).toarray() == pytest.approx(found[0].toarray())
    assert isinstance(features.hashing, HashingVectorizer)


@pytest.mark.parametrize("classes", [2, 4])
def test_what_is_too_long_for_the_memory_is_learnt_about_as_well_from_a_file(classes, monkeypatch):
    monkeypatch.setattr("stages.baselines.classification._MOST_HASHED", 2**14)
    train, validation, test = split(texts_of(np.random.default_rng(2), 4000, classes))
    held, hashed = (fit_text_classifier(train, validation, classes, most_characters=most) for most in (1_000_000, 1000))
    assert (held.hashed, hashed.hashed) == (False, True)
    chance = scores(np.full((1, classes), 1 / classes), [0])["cross_entropy"]
    gained, expected = (chance - fitted.scores(test)["cross_entropy"] for fitted in (hashed, held))
    assert expected > 0.1 * chance
    assert gained > 0.8 * expected
    again = fit_text_classifier(train, validation, classes, most_characters=1000)
    assert again.scores(test) == hashed.scores(test)


class Endless:
    """As many texts as asked for, none of them kept."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return self.items

    def __contains__(self, item):
        raise NotImplementedError

    def __iter__(self):
        generator = np.random.default_rng(0)
        for i in range(self.items):
            yield " ".join(map(str, generator.integers(3000, size=20) + 1000 * (i % 2))), i % 2


def test_a_file_of_texts_takes_the_same_memory_however_many_there_are(monkeypatch):
    monkeypatch.setattr("stages.baselines.classification._BATCH", 200)
    monkeypatch.setattr("stages.baselines.classification._MOST_HASHED", 2**12)
    monkeypatch.setattr("stages.baselines.classification._PASSES", 1)
    peaks = []
    for items in (600, 2000):
        tracemalloc.start()
        fit_text_classifier(Endless(items), Endless(100), 2, most_characters=1000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    entry = 12  # bytes: a column's number and a count
    entries = 39 * 1400  # 1- and 2-grams of the texts that the second has more
    assert peaks[1] - peaks[0] < 0.2 * entries * entry


def test_emoji_single_letters_and_a_language_without_spaces():
    train = [("👍", 1), ("👎", 0), ("👍 a", 1), ("b 👎", 0)] * 3
    fitted = fit_text_classifier(train, train, 2)
    assert fitted.probabilities(["👍👍", "👎"]).argmax(1).tolist() == [1, 0]
    train = [("とても良い映画だった", 1), ("退屈で悪い話だった", 0), ("良い話", 1), ("悪い映画", 0)] * 3
    fitted = fit_text_classifier(train, train, 2, characters=True)
    assert fitted.probabilities(["これは良いと思う", "これは悪いと思う"]).argmax(1).tolist() == [1, 0]


def test_a_class_that_training_lacks_has_no_probability():
    train = [("a b", 0), ("c d", 3)] * 5
    probabilities = fit_text_classifier(train, train, 4).probabilities(["a b", "zzz"])
    assert probabilities.shape == (2, 4)
    assert probabilities.sum(1) == pytest.approx(1.0)
    assert not probabilities[:, 1:3].any()


@pytest.mark.parametrize("most_characters", [0, 10**6])
def test_what_cannot_be_learnt_is_refused(most_characters):
    with pytest.raises(InputError, match="1 class"):
        fit_text_classifier([("a", 0), ("b", 0)], [("a", 0)], 2, most_characters=most_characters)
    with pytest.raises(InputError, match="has a word"):
        fit_text_classifier([(" ", 0), ("\t", 1)], [("a", 0)], 2, most_characters=most_characters)
    with pytest.raises(InputError, match="validation part"):
        fit_text_classifier([("a", 0), ("b", 1)], [], 2, most_characters=most_characters)


def test_over_divisions_a_row_has_the_mean_and_each_divisions_test_scores():
    def rows(test, validation):
        scores = {"accuracy": test, "cross_entropy": 1 - test}
        return [{"name": "m", "c": 1.0, "validation": {**scores, "accuracy": validation}, "test": scores}]

    assert over_divisions([rows(0.5, 0.6)]) == [
        {"name": "m", "c": 1.0, "validation": {"accuracy": 0.6, "loss": 0.5}, "test": {"accuracy": 0.5, "loss": 0.5}}
    ]
    (found,) = over_divisions([rows(0.5, 0.6), rows(0.75, 0.8)])
    assert found["test"] == {"accuracy": 0.625, "loss": 0.375}
    assert found["validation"]["accuracy"] == pytest.approx(0.7)
    assert found["tests"] == [{"accuracy": 0.5, "loss": 0.5}, {"accuracy": 0.75, "loss": 0.25}]
