"""Against a plain count of Chen and Goodman's equations, sums to one, and published perplexities of Penn Treebank."""

import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from stages.baselines.language_model import (
    discounts,
    fit_kneser_ney,
    language_model_rows,
    scores,
    unigram_log_probabilities,
)
from stages.support.process import InputError

PTB = Path(__file__).parents[2] / "../shared/data/ptb"


class Counted:
    """Modified Kneser–Ney by dictionaries, a token at a time."""

    def __init__(self, train, vocabulary_size, order):
        self.size, self.order = vocabulary_size, order
        grams = {n: [tuple(train[i : i + n]) for i in range(len(train) - n + 1)] for n in range(1, order + 1)}
        self.counts = {order: Counter(grams[order])}
        for n in range(1, order):
            before = defaultdict(set)
            for longer in grams[n + 1]:
                before[longer[1:]].add(longer[0])
            self.counts[n] = Counter({gram: len(before[gram]) for gram in grams[n]})
        self.taken = {n: (0.0, *discounts(np.array(list(self.counts[n].values())))) for n in self.counts}

    def chance(self, context, token):
        if context is None:
            return 1 / self.size
        n = len(context) + 1
        shorter = self.chance(context[1:] if context else None, token)
        follow = {gram: count for gram, count in self.counts[n].items() if gram[:-1] == context}
        total = sum(follow.values())
        if total == 0:
            return shorter
        kept = sum(self.taken[n][min(count, 3)] for count in follow.values())
        count = follow.get((*context, token), 0)
        return (count - self.taken[n][min(count, 3)] + kept * shorter) / total

    def log_probabilities(self, text):
        contexts = [tuple(text[max(0, i - self.order + 1) : i]) for i in range(len(text))]
        return [math.log(self.chance(context, token)) for context, token in zip(contexts, text, strict=True)]


def zipf(generator, length, size):
    """Tokens of which some are frequent, some rare, and of which each is likely to follow few others."""
    shares = 1 / np.arange(1, size + 1)
    tokens = generator.choice(size, length, p=shares / shares.sum())
    for i in range(1, length):
        if generator.random() < 0.5:
            tokens[i] = (7 * tokens[i - 1] + 3) % size
    return tokens


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_against_a_plain_count(order):
    generator = np.random.default_rng(order)
    train, text = zipf(generator, 1500, 60), zipf(generator, 150, 64)  # 60 to 63: never seen in training
    train[5] = 62  # before it and after it stands what nothing else stands beside
    found = fit_kneser_ney(train.astype(np.uint16), 64, order).log_probabilities(text.astype(np.uint16))
    assert found == pytest.approx(Counted(train.tolist(), 64, order).log_probabilities(text.tolist()))


@pytest.mark.parametrize("train", [zipf(np.random.default_rng(0), 800, 20), np.array([3, 3, 3, 3]), np.array([1])])
def test_after_any_context_the_chances_sum_to_one(train):
    size = 25
    model = fit_kneser_ney(train, size)
    for context in ([], [3], [24], [0, 3], [3, 3], [24, 0], [0, 24]):
        chances = [math.exp(model.log_probabilities(np.array([*context, token]))[-1]) for token in range(size)]
        assert sum(chances) == pytest.approx(1.0)
        assert min(chances) > 0


def test_discounts_against_chen_and_goodmans_equation_by_hand():
    counts = np.repeat([1, 2, 3, 4, 9], [100, 40, 20, 12, 5])
    y = 100 / (100 + 2 * 40)
    expected = (1 - 2 * y * 40 / 100, 2 - 3 * y * 20 / 40, 3 - 4 * y * 12 / 20)
    assert discounts(counts) == pytest.approx(expected)
    assert discounts(np.array([1, 1, 2, 3, 7])) == (0.5, 1.0, 1.5)  # no count of 4
    assert discounts(np.repeat([1, 2, 3, 4], [1, 1, 50, 1])) == (0.5, 1.0, 1.5)  # a discount of 2 below zero


def test_a_unigram_is_the_perplexity_of_shares_and_knows_what_training_lacks():
    train, text = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 3])
    expected = [math.log(3 / 7), math.log(2 / 7), math.log(1 / 7)]
    assert unigram_log_probabilities(train, text, 4) == pytest.approx(expected)
    assert unigram_log_probabilities(train, text[:2], 3) == pytest.approx([math.log(3 / 6), math.log(2 / 6)])


def test_bits_and_perplexity_of_an_even_guess():
    assert scores(np.full(5, -math.log(8))) == pytest.approx({"perplexity": 8.0, "bits_per_token": 3.0})


def test_what_is_no_text_of_the_vocabulary_is_refused():
    with pytest.raises(InputError, match="token 5 is outside the vocabulary of 5"):
        fit_kneser_ney(np.array([1, 5]), 5)
    with pytest.raises(InputError, match="without a token"):
        fit_kneser_ney(np.array([1, 2]), 5).log_probabilities(np.array([], dtype=np.int64))


@pytest.mark.skipif(not PTB.exists(), reason=f"needs Penn Treebank in {PTB}")
def test_penn_treebank_gives_the_published_perplexities():
    """Mikolov et al. 2011 (Empirical evaluation and combination of advanced language modeling techniques): 141.2 for
    a 5-gram; Mikolov's thesis (2012): 148.3 for a 3-gram. They count a line for itself, here the text is one stream.
    """
    words = {name: (PTB / f"ptb.{name}.txt").read_text().replace("\n", " <eos> ").split() for name in ("train", "test")}
    number = {word: i for i, word in enumerate(dict.fromkeys(words["train"]))}
    train, test = (np.array([number.get(word, number["<unk>"]) for word in words[name]]) for name in words)
    assert (len(train), len(number), len(test)) == (929_589, 10_000, 82_430)
    unigram, trigram = language_model_rows(train, {"test": test}, len(number))
    assert unigram["test"]["perplexity"] == pytest.approx(639.3, abs=0.05)
    assert trigram["test"]["perplexity"] == pytest.approx(148.3, rel=0.02)
    pentagram = fit_kneser_ney(train, len(number), order=5)
    assert scores(pentagram.log_probabilities(test))["perplexity"] == pytest.approx(141.2, rel=0.02)
