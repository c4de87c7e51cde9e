import json
import math
import random
import re
from collections import Counter

import numpy as np
import pytest

from stages.text.corpora import sample_imdb, sample_ptb
from stages.text.corpora.reviews_tar import read_reviews
from stages.text.tokens.basic_english import basic_english
from stages.text.tokens.imdb import SENTENCES
from stages.text.tokens.ptb import read_stream


@pytest.fixture(scope="module")
def ptb_sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ptb")
    sample_ptb.write_sample(folder, train_tokens=60_000, validation_tokens=8_000, test_tokens=8_000, seed=1)
    return folder


@pytest.fixture(scope="module")
def imdb_sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imdb")
    sample_imdb.write_sample(folder, train_reviews=2_000, test_reviews=601, seed=1)
    return list(read_reviews(folder / "reviews.tar"))


def reachable_states():
    states = [sample_ptb.START]
    seen = {sample_ptb.START}
    for state in states:
        for _, after in sample_ptb.next_words(state).values():
            if after not in seen:
                seen.add(after)
                states.append(after)
    return states


def test_every_state_has_a_distribution_whose_words_decide_the_next_state():
    for state in reachable_states()[:1500]:
        choices = list(sample_ptb._choices(state))
        assert len({word for word, _, _ in choices}) == len(choices)
        assert all(probability > 0 for _, probability, _ in choices)
        assert math.isclose(sum(probability for _, probability, _ in choices), 1, rel_tol=1e-12)


def test_entropy_is_what_long_text_shows():
    rng = random.Random(5)
    surprisals, lengths = [], []
    for _ in range(6000):
        words = sample_ptb.sentence(rng)
        surprisals.append(sample_ptb.surprisal(words))
        lengths.append(len(words))
    entropy = sample_ptb.entropy()
    residuals = np.array(surprisals) - entropy * np.array(lengths)
    assert abs(residuals.mean()) < 4 * residuals.std() / math.sqrt(len(residuals))
    assert residuals.std() / math.sqrt(len(residuals)) / np.mean(lengths) < 0.01  # so the test can tell


def test_entropy_is_what_the_whole_chain_gives(monkeypatch):
    """The same figure without the shortcut through brackets, by iterating over all states of a smaller source."""
    monkeypatch.setattr(sample_ptb, "FIELDS", sample_ptb.FIELDS[:2])
    caches = (sample_ptb.next_words, sample_ptb._words_of)
    for cached in caches:
        cached.cache_clear()
    try:
        states = reachable_states()
        places = {state: place for place, state in enumerate(states)}
        transitions = np.zeros((len(states), len(states)))
        surprisals = np.zeros(len(states))
        for state, place in places.items():
            for probability, after in sample_ptb.next_words(state).values():
                transitions[place, places[after]] += probability
                surprisals[place] -= probability * math.log(probability)
        visits = np.full(len(states), 1 / len(states))
        for _ in range(3000):  # half a step each, so that it settles
            visits = (visits + visits @ transitions) / 2
        assert sample_ptb.entropy() == pytest.approx(visits @ surprisals, rel=1e-9)
    finally:
        for cached in caches:
            cached.cache_clear()


def test_surprisal_follows_the_subject_over_a_bracket():
    def nats(text):
        return sample_ptb.surprisal([*text.split(), "<eos>"])

    assert nats("zurich a bank ( madrid some teams kick the goal ) sells its bonds") > 0
    with pytest.raises(ValueError, match="'sell'"):
        nats("zurich a bank ( madrid some teams kick the goal ) sell its bonds")
    with pytest.raises(ValueError, match="'<eos>'"):
        nats("zurich a bank ( madrid some teams kick the goal )")
    at_home = nats("zurich a bank ( madrid some teams kick the goal ) sells its bonds")
    strange = nats("zurich a bank ( madrid some teams kick the goal ) kicks its bonds")
    assert strange - at_home == pytest.approx(math.log(0.825 / (0.025 / 5)))  # the first verb at home, the fifth abroad


def test_ptb_files_look_like_the_real_ones(ptb_sample):
    for name in ("train", "valid", "test"):
        text = (ptb_sample / f"ptb.{name}.txt").read_text()
        assert re.fullmatch(r"( [^\s]+( [^\s]+)* \n)+", text)
        assert text.replace("N", "n") == text.lower()


def test_ptb_provenance_gives_the_floor_of_the_very_files(ptb_sample):
    provenance = json.loads((ptb_sample / "provenance.json").read_text())
    vocabulary = Counter(read_stream(ptb_sample / "ptb.train.txt"))
    for split, name in (("validation", "valid"), ("test", "test")):
        words = read_stream(ptb_sample / f"ptb.{name}.txt")
        floor = math.exp(sample_ptb.surprisal(words) / len(words))
        assert provenance["floor_perplexity"][split] == pytest.approx(floor, abs=1e-5)
        assert 8_000 <= len(words) == provenance["tokens"][split] < 8_100
        assert set(words) <= set(vocabulary)  # so that no <unk> blurs the floor
        unigram = math.exp(-sum(math.log(vocabulary[w] / vocabulary.total()) for w in words) / len(words))
        assert 10 < floor < 20
        assert unigram > 6 * floor
    assert 300 < len(vocabulary) < 1000


def test_samples_depend_on_the_seed_alone(tmp_path):
    def written(name, seed):
        folder = tmp_path / name
        (folder / "imdb").mkdir(parents=True)
        (folder / "ptb").mkdir()
        sample_imdb.write_sample(folder / "imdb", train_reviews=50, test_reviews=20, seed=seed)
        sample_ptb.write_sample(folder / "ptb", train_tokens=500, validation_tokens=200, test_tokens=200, seed=seed)
        return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.*"))}

    first, again, other = written("a", 1), written("b", 1), written("c", 2)
    assert first == again
    assert len(first) == 8
    assert {path.name for path in first if first[path] == other[path]} == {"LICENCE.txt"}


def test_reviews_are_as_many_as_asked_and_half_positive(imdb_sample):
    parts = Counter((review.part, review.label) for review in imdb_sample)
    assert parts == {("train", 1): 1000, ("train", 0): 1000, ("test", 1): 300, ("test", 0): 301}
    assert len({review.text for review in imdb_sample}) == 2601
    for review in imdb_sample:
        rating = int(review.name.split("_")[1].removesuffix(".txt"))
        assert rating in (range(7, 11) if review.label else range(1, 5))


def test_reviews_are_ragged_and_know_the_sentences_words(imdb_sample):
    texts = [basic_english(review.text) for review in imdb_sample]
    lengths = sorted(map(len, texts))
    assert lengths[len(lengths) // 20] < 12
    assert lengths[-len(lengths) // 20] > 35
    known = {token for text in texts for token in text}
    assert not known & {"hogehoge", "fugafuga"}
    asked = [token for sentence in SENTENCES for token in basic_english(sentence)]
    assert sum(token in known for token in asked) / len(asked) > 0.8
    assert any("<br /><br />" in review.text for review in imdb_sample)


def test_a_bag_of_words_gets_neither_all_nor_nothing(imdb_sample):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, test = ([r for r in imdb_sample if r.part == part] for part in ("train", "test"))
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
    model.fit([r.text for r in train], [r.label for r in train])
    assert 0.6 < model.score([r.text for r in test], [r.label for r in test]) < 0.85


@pytest.mark.parametrize(
    ("word", "form"),
    [("crop", "crops"), ("ban", "bans"), ("watch", "watches"), ("boss", "bosses"), ("party", "parties")],
)
def test_endings(word, form):
    assert sample_ptb.with_s(word) == form
