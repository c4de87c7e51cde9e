"""How a learning rate is chosen."""

import json

import pytest

from stages import train
from stages.kinds import kind
from stages.studies import arms
from stages.support.params import load_project, read_training
from stages.support.process import StageError
from stages.support.sections import Tuning
from stages.training.tuning import best_rates, tuned_arms
from tests.copies import ROOT, python_in, small_project

RATES = [0.001, 0.003, 0.01, 0.03]


@pytest.fixture(scope="module")
def damped():
    settings = load_project().studies["damped"]["full"]
    return kind(settings.kind), arms("damped", kind(settings.kind), "gru", settings.training, ("corrected",))


def tuning(**changes):
    return Tuning(**{"learning_rates": RATES, "repeats": "0-1", "final_repeats": "100-109"} | changes)


def chosen(arm, losses_at):
    """The rate that is chosen where a rate's two trials validate as `losses_at` says, and the rates that were tried."""
    tried = []

    def trials(some):
        tried.extend(a.hyperparameters.learning_rate for a in some)
        return [losses_at(a.hyperparameters.learning_rate) for a in some]

    (rate,) = best_rates([arm], tuning(), trials)
    return rate, tried


def test_the_rate_that_validates_best_on_average_is_chosen_and_the_lowest_of_equals(damped):
    _, (arm,) = damped
    losses = {0.001: (4.0, 4.0), 0.003: (1.0, 4.0), 0.01: (2.0, 2.0), 0.03: (9.0, 9.0)}
    assert chosen(arm, losses.__getitem__) == (0.01, RATES)
    losses = {0.001: (5.0, 5.0), 0.003: (1.0, 4.0), 0.01: (3.0, 2.0), 0.03: (5.0, 5.0)}
    assert chosen(arm, losses.__getitem__) == (0.003, RATES)


def test_a_rate_that_is_named_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        tuning(learning_rates=(0.1, 0.2, 0.1))


def test_a_rate_at_which_one_trial_diverged_is_not_chosen(damped):
    _, (arm,) = damped
    losses = {0.001: (4.0, 4.0), 0.003: (3.0, 3.0), 0.01: (0.1, None), 0.03: (None, None)}
    assert chosen(arm, losses.__getitem__) == (0.003, RATES)


def test_an_end_of_the_list_that_wins_is_gone_beyond_twice_by_its_own_factor(damped):
    _, (arm,) = damped
    assert chosen(arm, lambda rate: (1 / rate, 1 / rate)) == (0.27, [*RATES, 0.09, 0.27])
    assert chosen(arm, lambda rate: (rate, rate)) == (0.000111, [*RATES, 0.000333, 0.000111])
    assert chosen(arm, lambda rate: (abs(rate - 0.09),) * 2) == (0.09, [*RATES, 0.09, 0.27])


def test_rates_that_trials_chose_before_are_taken_without_a_trial(damped):
    found, some = damped
    made = tuned_arms(found, some, tuning(chosen_rates=(0.07,)), ("tuned", "equal_size"), lambda tried: 1 / 0)
    assert {(arm.hyperparameters.learning_rate, arm.protocols) for arm in made} == {
        (0.07, ("tuned",)),
        (0.07, ("equal_size",)),
    }


def test_a_fresh_repeat_that_diverges_costs_itself_alone_and_all_of_them_the_cell(tmp_path, monkeypatch):
    tuning = {"learning_rates": [0.001, 0.01], "repeats": "0", "final_repeats": "100-102"}
    training = {"tuning": tuning, "headings": ["tuned"], "repeats": "0"}
    folder = small_project(tmp_path / "project", "imdb", training, cells=["gru"], cell="gru")
    monkeypatch.chdir(folder)
    settings = read_training("imdb", "gru")

    def run(diverging):
        def run(function, calls, doing):
            """As a loss that is not finite has it, in some of the fresh repeats."""
            return [None if job.repeats[0] in diverging else function(job) for (job,) in calls]

        return run

    fitted = train._train("imdb", settings, "sample", "cpu", run({101}))
    assert [job.repeats for job in fitted if job.arm.protocols != ("tuning",)] == [(100,), (102,)]
    with pytest.raises(StageError, match="imdb/gru/tuned: every repeat diverged"):
        train._train("imdb", settings, "sample", "cpu", run({100, 101, 102}))


def test_variants_alone_are_trained_where_the_study_is_tuned(tmp_path):
    """None is named to be tuned: there is no arm for which to try learning rates, nor one to train at them."""
    tuning = {"learning_rates": [0.001, 0.01], "repeats": "0", "final_repeats": "100"}
    training = {"variants": ["20 epochs"], "settings": ["20 epochs"], "headings": ["corrected"], "repeats": "0"}
    folder = small_project(tmp_path / "project", "imdb", {"tuning": tuning, **training}, cells=["gru"], cell="gru")
    done = python_in(folder, "-m", "stages.train", "imdb", "gru", stages=ROOT)
    assert done.returncode == 0, done.stderr
    rows = json.loads((folder / "models/imdb/gru/runs.json").read_text())
    assert [(row["setting"], row["protocols"], len(row["curve"])) for row in rows] == [("20 epochs", ["corrected"], 20)]
