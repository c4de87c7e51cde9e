"""What a study's training is estimated to take, and what is cut, in which order."""

import copy

import pytest

from stages.training.budget import Cost, Plan, apply, kept_to, plan_of

WHOLE = Plan(rates=4, trial_repeats=2, final_repeats=10, epochs=20)
COST = Cost(cells=3, epoch_seconds=6.0, at_once=2, start_seconds=4.0)


def section(**changes):
    tuning = {"learning_rates": [0.001, 0.003, 0.01, 0.03], "repeats": "0-1", "final_repeats": "10-19"}
    return {"epochs": 20, "tuning": tuning} | changes


def test_minutes_are_counted_by_hand():
    # A cell: 4 rates and 2 more, twice each, and 10 repeats tuned and at equal size: 32 trainings of 20 epochs of 6 s.
    # Stages: train and evaluate of 3 cells, baseline, headline and compare.
    assert COST.minutes(WHOLE) == pytest.approx((3 * 32 * 20 * 6 / 2 + 9 * 4) / 60)


def test_trainings_that_do_not_fill_the_cores_take_a_round_of_their_own():
    # Eight trials on 3 cores take 3 rounds, two of each rate more 1 round, twenty finals 7.
    assert WHOLE.rounds(3) == 3 + 1 + 1 + 7
    assert WHOLE.rounds(64) == 4
    assert WHOLE.rounds(1) == 32


@pytest.mark.parametrize(
    ("budget", "kept"),
    [
        (97, (4, 10, 20)),
        (96, (4, 5, 20)),
        (60, (4, 3, 20)),
        (50, (3, 3, 20)),
        (40, (3, 3, 16)),
        (0.1, (3, 3, 2)),
    ],
)
def test_repeats_go_first_then_rates_then_epochs(budget, kept):
    plan = kept_to(budget, WHOLE, COST)
    assert (plan.rates, plan.final_repeats, plan.epochs) == kept
    if budget > 1:
        assert COST.minutes(plan) <= budget


def test_a_section_is_cut_to_its_plan_and_what_is_not_cut_stays():
    training = section()
    assert plan_of(training) == WHOLE
    untouched = copy.deepcopy(training)
    assert apply(WHOLE, training) == []
    assert training == untouched
    said = apply(Plan(3, 2, 3, 7), training)
    assert training["tuning"] == {"learning_rates": [0.003, 0.01, 0.03], "repeats": "0-1", "final_repeats": "10-12"}
    assert training["epochs"] == 7
    assert len(said) == 3
    assert plan_of(training) == Plan(3, 2, 3, 7)


def test_of_language_models_those_that_are_trained_are_cut():
    training = section(models=["basic"], basic={"epochs": 20}, better={"epochs": 40})
    del training["epochs"]
    assert plan_of(training) == WHOLE
    apply(Plan(4, 2, 10, 5), training)
    assert (training["basic"], training["better"]) == ({"epochs": 5}, {"epochs": 40})
