"""The published figures agree with themselves, with params.yaml's full profile and with the tokenizer's sentences."""

import pytest

from stages.results.scores import departures, documents
from stages.studies import imdb, ptb
from stages.support.params import load_params
from stages.text.tokens.imdb import SENTENCES

MODULES = {"imdb": imdb, "ptb": ptb}


def test_every_sentence_put_to_the_models_has_its_published_probabilities():
    published = documents()["imdb"]["sentences"]
    assert tuple(published) == SENTENCES
    assert all(0 <= value <= 1 for pair in published.values() for value in pair)


@pytest.mark.parametrize("study", MODULES)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_shipped_full_profile_is_the_protocol(study, cell):
    params = load_params()
    training = getattr(params, study).full.training
    for arm in MODULES[study].arms(cell, training, params.layers, params.dropout):
        described = {"setting": arm.setting, "hyperparameters": vars(arm.hyperparameters)}
        assert departures(documents()[study], described, "real") == ""


@pytest.mark.parametrize("study", MODULES)
def test_the_shipped_sample_is_scaled_but_not_custom(study):
    params = load_params()
    training = getattr(params, study).sample.training
    for arm in MODULES[study].arms("gru", training, params.layers, params.dropout):
        described = {"setting": arm.setting, "hyperparameters": vars(arm.hyperparameters)}
        assert departures(documents()[study], described, "sample") == ""
        assert departures(documents()[study], described, "real") != ""


def test_the_published_epochs_are_ten_of_four_and_the_last_has_the_quoted_accuracy():
    epochs = documents()["imdb"]["epochs"]
    assert [len(runs) for runs in epochs.values()] == [1, 2]
    for runs in epochs.values():
        for run in runs:
            assert [len(row) for row in run] == [4] * 10
    assert [run[-1][3] for run in epochs["gru"]] == [0.8738, 0.8591]  # protocols: 1.5 points apart
