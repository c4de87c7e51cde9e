"""The published figures agree with themselves and with the tokenizer's sentences; what leaves a protocol is named."""

from dataclasses import asdict

import pytest

from stages.kinds import kind
from stages.results.documents import SEQUENCES
from stages.results.measures import departures
from stages.studies import arms, document
from stages.support.params import load_project
from stages.text.tokens.imdb import SENTENCES
from tests.copies import ROOT

STUDIES = load_project(ROOT / "params.yaml").studies


def described_arms(study, cell, profile):
    settings = STUDIES[study][profile]
    for arm in arms(study, kind(settings.kind), cell, settings.training):
        yield arm.setting, asdict(arm.hyperparameters), arm.protocols[0]


def test_every_sentence_put_to_the_models_has_its_published_probabilities():
    published = document("imdb")["sentences"]
    assert tuple(published) == SENTENCES
    assert all(0 <= value <= 1 for pair in published.values() for value in pair)


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_shipped_full_profile_is_the_protocol(study, cell):
    arms = list(described_arms(study, cell, "full"))
    assert arms
    assert {departures(study, *arm, "real", heading) for *arm, heading in arms} == {""}


@pytest.mark.parametrize("study", ["imdb", "ptb"])
def test_the_shipped_sample_of_text_is_scaled_but_not_custom(study):
    for *arm, _ in described_arms(study, "gru", "sample"):
        assert departures(study, *arm, "sample") == ""
        assert departures(study, *arm, "real") != ""


@pytest.mark.parametrize("study", ["damped", "latch", "relay", "fibonacci"])
def test_of_made_sequences_every_setting_that_a_sample_scales_is_named(study):
    protocol = document(study)["protocol"]
    for setting, hyperparameters, heading in described_arms(study, "gru", "sample"):
        label = departures(study, setting, hyperparameters, SEQUENCES, heading)
        fixed = protocol[""] | protocol.get(setting, {})
        for name, value in fixed.items():
            assert (name in label) == (hyperparameters[name] != value)


def test_a_setting_adds_to_what_all_settings_share():
    hyperparameters = document("fibonacci")["protocol"][""] | {"cell": "lstm", "layers": 3}
    assert departures("fibonacci", "2 layers", hyperparameters, SEQUENCES) == "layers 3 (2)"


def test_at_a_cells_own_rate_only_what_makes_a_variant_is_the_protocol():
    basic = document("ptb")["protocol"]["basic"] | {"cell": "lstm", "tied": False, "rate_divisor": 1.0}
    mine = basic | {"layers": 2, "rate_divisor": 4.0, "hidden_size": 120, "learning_rate": 5.0, "epochs": 10}
    assert departures("ptb", "2 layers", mine, "ptb", "tuned") == "10 of 20 epochs"
    assert departures("ptb", "2 layers", mine | {"epochs": 20}, "ptb", "equal_size") == ""
    assert departures("ptb", "basic", mine, "ptb", "tuned") == ""
    assert "learning_rate 5.0 (20.0)" in departures("ptb", "2 layers", mine, "ptb")


def test_the_published_parameters_are_those_of_the_equations():
    units, published = 40, {row["cell"]: row["parameters"] for row in document("damped")["published"]}
    output = units + 1
    # Four gates with one bias, and three with two, each gate with one input and all units.
    assert published == {"lstm": 4 * units * (1 + units + 1) + output, "gru": 3 * units * (1 + units + 2) + output}


def test_the_published_epochs_are_ten_of_four_and_the_last_has_the_quoted_accuracy():
    epochs = document("imdb")["epochs"]
    assert [len(runs) for runs in epochs.values()] == [1, 2]
    for runs in epochs.values():
        for run in runs:
            assert [len(row) for row in run] == [4] * 10
    assert [run[-1][3] for run in epochs["gru"]] == [0.8738, 0.8591]  # protocols: 1.5 points apart
