"""Who is said to be ahead, by how much, and what stands beside it; and where the forest plot puts it."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from scipy import stats

from stages.results.answer import FEWEST_TEST_ITEMS, HEADINGS, Naive, Score, Scores, answer, behind_rnn, sentence
from stages.results.drawing import save
from stages.results.forest import draw_forest
from stages.results.statistics import resampled_effect

ACCURACY = Score("test accuracy", True, "points", margin=2)
PERPLEXITY = Score("test perplexity", False, "ratio", margin=1.05)
LSTM = (0.80, 0.82, 0.81, 0.79, 0.83)


def ask(score, lstm, gru, naive=None, **more):
    return answer("a study", "tuned", score, Scores(lstm, 400, 2.0), Scores(gru, 300, 1.5), naive, **more)


def plus(scores, *differences):
    return [score + difference for score, difference in zip(scores, differences, strict=True)]


def test_points_against_scipys_paired_t_test():
    gru = plus(LSTM, 0.04, 0.05, 0.06, 0.03, 0.05)
    found = ask(ACCURACY, LSTM, gru)
    interval = stats.ttest_rel(gru, LSTM).confidence_interval(0.95)
    assert (found.effect, found.low, found.high) == pytest.approx((4.6, 100 * interval.low, 100 * interval.high))
    assert (found.ahead, found.margin_passed, found.level) == ("gru", True, False)
    assert found.means == pytest.approx({"lstm": 0.81, "gru": 0.856})
    assert found.advantage("gru") == pytest.approx((found.effect, found.low, found.high))
    assert found.advantage("lstm") == pytest.approx((-found.effect, -found.high, -found.low))


def test_ratios_are_geometric_and_the_lower_error_is_ahead():
    lstm, gru = np.array([100.0, 110.0, 95.0, 105.0]), np.array([121.0, 130.0, 118.0, 122.0])
    found = ask(PERPLEXITY, lstm, gru)
    interval = stats.ttest_rel(np.log(gru), np.log(lstm)).confidence_interval(0.95)
    assert found.effect == pytest.approx(stats.gmean(gru / lstm))
    assert (found.low, found.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert (found.ahead, found.margin_passed) == ("lstm", True)
    assert found.advantage("lstm") == pytest.approx((found.effect, found.low, found.high))
    assert found.advantage("gru") == pytest.approx((1 / found.effect, 1 / found.high, 1 / found.low))


@pytest.mark.parametrize("score", [ACCURACY, dataclasses.replace(ACCURACY, higher_is_better=False), PERPLEXITY])
def test_the_cells_names_exchanged_exchange_the_answer(score):
    generator = np.random.default_rng(0)
    other = {"gru": "lstm", "lstm": "gru"}
    for shift in (-0.1, -0.02, 0.0, 0.02, 0.1):
        first, second = generator.uniform(0.5, 0.52, size=(2, 6))
        second = second + shift
        there, back = ask(score, first, second), ask(score, second, first)
        assert back.ahead == other.get(there.ahead, there.ahead)
        assert (back.level, back.margin_passed) == (there.level, there.margin_passed)
        assert back.advantage("lstm") == pytest.approx(there.advantage("gru"))


@pytest.mark.parametrize(
    ("differences", "ahead", "margin_passed", "level"),
    [
        ((0.030, 0.032, 0.031, 0.029, 0.030), "gru", True, False),
        ((0.010, 0.012, 0.011, 0.009, 0.010), "gru", False, True),
        ((0.010, 0.032, 0.021, 0.029, 0.010), "gru", None, False),
        ((-0.030, -0.032, -0.031, -0.029, -0.030), "lstm", True, False),
        ((0.002, -0.001, 0.001, -0.002, 0.000), "too close to tell", None, True),
        ((0.05, -0.04, 0.03, -0.06, 0.01), "too close to tell", None, False),
        ((0.03, 0.03, 0.03, 0.03, 0.03), "too few repeats", None, False),  # a chance of 2 in 2 ** 5 makes them agree
        ((0.0, 0.0, 0.0, 0.0, 0.0), "too few repeats", None, False),
    ],
)
def test_the_margin(differences, ahead, margin_passed, level):
    found = ask(ACCURACY, LSTM, plus(LSTM, *differences))
    assert (found.ahead, found.margin_passed, found.level) == (ahead, margin_passed, level)


@pytest.mark.parametrize(("gru", "expected"), [(0.6, ("too close to tell", None, True)), (0.65, ("gru", True, False))])
def test_six_repeats_that_agree_are_no_chance(gru, expected):
    found = ask(ACCURACY, [0.6] * 6, [gru] * 6)
    assert (found.ahead, found.margin_passed, found.level) == expected


def test_few_repeats_and_few_items_decide_nothing_however_far_apart():
    for repeats in (0, 1, 2):
        found = ask(ACCURACY, [0.1] * repeats, [0.9] * repeats)
        assert (found.ahead, found.effect, found.advantage("gru")) == ("too few repeats", None, None)
    assert ask(ACCURACY, [0.1] * 3, [0.9, 0.91, 0.89]).ahead == "gru"
    assert ask(ACCURACY, LSTM, plus(LSTM, *[0.1] * 5), bootstrapped=True).ahead == "too few repeats"
    little = ask(ACCURACY, [0.1] * 6, [0.9] * 6, Naive("a coin", [0.5]), test_items=FEWEST_TEST_ITEMS - 1)
    assert (little.ahead, little.margin_passed, little.level, little.p) == ("too little data", None, False, None)
    assert little.naive == {"lstm": "not told apart", "gru": "not told apart"}
    assert ask(ACCURACY, [0.1] * 6, [0.9] * 6, test_items=FEWEST_TEST_ITEMS).ahead == "gru"


def test_splits_that_overlap_widen_the_interval_until_it_decides_nothing():
    gru = plus(LSTM, 0.04, 0.01, 0.06, 0.02, 0.05)
    expected = resampled_effect(np.subtract(gru, LSTM), 0.25)
    found = ask(ACCURACY, LSTM, gru, test_to_train=0.25)
    assert (found.low, found.high) == pytest.approx((100 * expected.low, 100 * expected.high))
    assert ask(ACCURACY, LSTM, gru).ahead == "gru"
    assert found.ahead == "too close to tell"


def test_pairs_with_a_diverged_repeat_are_left_out_and_counted():
    lstm, gru = [100.0, math.inf, 95.0, 105.0, 99.0], [121.0, 130.0, 118.0, math.nan, 120.0]
    found = ask(PERPLEXITY, lstm, gru, Naive("a trigram", [110.0, 1.0, 110.0, 1.0, 110.0]))
    expected = ask(PERPLEXITY, [100.0, 95.0, 99.0], [121.0, 118.0, 120.0], Naive("a trigram", [110.0]))
    assert found.diverged == {"lstm": 1, "gru": 1}
    assert dataclasses.replace(found, diverged=expected.diverged) == expected
    assert ask(PERPLEXITY, [math.nan] * 3, gru[:3]).means == {"lstm": None, "gru": None}


def test_each_cell_beside_the_plain_rnn_in_the_repeats_that_it_has():
    gru = plus(LSTM, 0.04, 0.05, 0.06, 0.03, 0.05)
    rnn = [math.nan, *plus(LSTM, 0.0, 0.02, 0.03, 0.02, 0.03)[1:]]
    found = ask(ACCURACY, LSTM, gru, rnn=rnn)
    by_library = {cell: stats.ttest_rel(of[1:], rnn[1:]).pvalue for cell, of in (("lstm", LSTM), ("gru", gru))}
    assert {cell: p < 0.05 for cell, p in by_library.items()} == {"lstm": True, "gru": True}
    assert found.rnn == {"lstm": "behind", "gru": "ahead"}
    assert behind_rnn(found) == ("LSTM",)
    assert found.rnn_score == pytest.approx(np.mean(rnn[1:]))
    assert found.p == pytest.approx(stats.ttest_rel(gru, LSTM).pvalue)
    assert dataclasses.replace(found, rnn=None, rnn_score=None) == ask(ACCURACY, LSTM, gru)
    assert ask(ACCURACY, LSTM, gru, rnn=[math.nan] * 5).rnn is None


def test_a_cell_that_the_plain_rnn_beats_is_not_to_be_taken():
    gru = plus(LSTM, 0.04, 0.05, 0.06, 0.03, 0.05)
    above = (0.1, 0.11, 0.1, 0.09, 0.1)
    taken, beaten = (sentence(ask(ACCURACY, LSTM, gru, rnn=plus(gru, *more))) for more in ([-0.1] * 5, above))
    assert "take the GRU" in taken
    assert "rnn" not in taken
    assert "take the" not in beaten
    assert "the plain rnn (95.6 %) beats LSTM and GRU" in beaten


@pytest.mark.parametrize(
    ("naive", "standings"),
    [
        (0.70, ("ahead", "ahead")),
        (0.81, ("not told apart", "ahead")),
        (0.835, ("behind", "ahead")),
        (0.858, ("behind", "not told apart")),
        (0.95, ("behind", "behind")),
    ],
)
def test_each_cell_beside_the_naive_row(naive, standings):
    gru = plus(LSTM, 0.05, 0.051, 0.05, 0.049, 0.05)
    found = ask(ACCURACY, LSTM, gru, Naive("a row", [naive]))
    assert (found.naive["lstm"], found.naive["gru"]) == standings
    error = Score("test error", False, "points", 2)
    inverted = ask(error, [1 - x for x in LSTM], [1 - x for x in gru], Naive("a row", [1 - naive]))
    assert inverted.naive == found.naive
    ratio = ask(
        PERPLEXITY, [100 * (1 - x) for x in LSTM], [100 * (1 - x) for x in gru], Naive("a row", [100 * (1 - naive)])
    )
    assert (ratio.naive["lstm"] == "behind", ratio.ahead) == (found.naive["lstm"] == "behind", found.ahead)


def test_a_naive_row_of_each_split_is_paired_and_one_without_error_beats_all():
    own = ask(ACCURACY, LSTM, LSTM, Naive("a row", plus(LSTM, 0.01, 0.01, 0.01, 0.01, 0.011)))
    assert own.naive["lstm"] == "behind"
    assert ask(ACCURACY, LSTM, LSTM, Naive("a row", [np.mean(LSTM) + 0.01])).naive["lstm"] == "not told apart"
    assert ask(PERPLEXITY, LSTM, LSTM, Naive("a season", [0.0])).naive == {"lstm": "behind", "gru": "behind"}


def test_what_is_no_pair_or_has_no_logarithm_is_refused():
    with pytest.raises(ValueError, match="are no pairs"):
        ask(ACCURACY, LSTM, LSTM[:3])
    with pytest.raises(ValueError, match="positive"):
        ask(PERPLEXITY, [1.0, 0.0, 2.0], [1.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="2 scores of a row"):
        ask(ACCURACY, LSTM, LSTM, Naive("a row", [0.5, 0.6]))


def every_kind():
    """An answer of each kind that a sentence and a plot must bear."""
    gru = plus(LSTM, 0.04, 0.05, 0.06, 0.03, 0.05)
    wild = plus(LSTM, 0.1, -0.2, 0.15, -0.1, 0.05)
    perplexities = [100.0, 110.0, 95.0, 105.0, 99.0]
    return [
        ask(ACCURACY, LSTM, gru),
        ask(ACCURACY, gru, LSTM, Naive("a row", [0.99])),
        ask(ACCURACY, LSTM, wild, Naive("a row", [0.81])),
        ask(ACCURACY, LSTM, LSTM, Naive("a row", [0.5])),
        ask(ACCURACY, LSTM, gru, test_items=3),
        ask(ACCURACY, [0.5], [0.6]),
        ask(ACCURACY, [], []),
        ask(PERPLEXITY, perplexities, [2e9 * x for x in perplexities]),
        ask(PERPLEXITY, perplexities, [math.inf, *perplexities[1:]], Naive("a row", [50.0])),
        ask(PERPLEXITY, [math.inf] * 5, perplexities),
    ]


def test_every_answer_is_one_sentence_and_json():
    for found in every_kind():
        said = sentence(found)
        assert said.endswith(".")
        assert ". " not in said
        assert not re.search(r"\b(nan|None|inf)\b", said)
        json.dumps(dataclasses.asdict(found), allow_nan=False)


@pytest.mark.parametrize("cells", ["gru ahead", "lstm ahead"])
def test_the_sentence_takes_the_winner_and_its_own_side_of_the_interval(cells):
    better = plus(LSTM, 0.04, 0.05, 0.06, 0.03, 0.05)
    lstm, gru = (LSTM, better) if cells == "gru ahead" else (better, LSTM)
    winner, loser = ("GRU", "LSTM") if cells == "gru ahead" else ("LSTM", "GRU")
    interval = stats.ttest_rel(better, LSTM).confidence_interval(0.95)
    said = sentence(ask(ACCURACY, lstm, gru))
    assert re.search(
        rf"{winner}\b.* 4\.6 points \[{100 * interval.low:.1f} to {100 * interval.high:.1f}\].*{loser}", said
    )
    assert "(85.6 % against 81.0 %, 5 repeats)" in said
    errors = sentence(ask(PERPLEXITY, [100 * (1 - x) for x in lstm], [100 * (1 - x) for x in gru]))
    ratio = stats.gmean([(1 - x) / (1 - y) for x, y in zip(better, LSTM, strict=True)])
    assert re.search(rf"{winner}\b.* {ratio:.3g} times \[0\.\d+ to 0\.\d+\] the {loser}", errors)


def test_the_forest_puts_whoever_is_ahead_on_its_side():
    better, errors = plus(LSTM, 0.04, 0.05, 0.06, 0.03, 0.05), [1 - x for x in LSTM]
    lower = [1 - x for x in plus(LSTM, 0.04, 0.05, 0.06, 0.03, 0.05)]
    answers = {
        "gru": [ask(ACCURACY, LSTM, better), ask(PERPLEXITY, errors, lower)],
        "lstm": [ask(ACCURACY, better, LSTM), ask(PERPLEXITY, lower, errors)],
    }
    for ahead, found in answers.items():
        assert [one.ahead for one in found] == [ahead, ahead]
        for axis in draw_forest(found).axes:
            dots = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "o"]
            assert len(dots) == 1
            assert (dots[0] > 0) == (ahead == "gru")


def test_the_forest_is_drawn_of_any_answers_and_always_the_same(tmp_path):
    kinds = every_kind()
    answers = [dataclasses.replace(one, heading=HEADINGS[i % 4]) for i, one in enumerate(kinds)]
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        save(draw_forest(answers), tmp_path / name / "forest")
    for end in ("png", "svg"):
        assert (tmp_path / f"first/forest.{end}").read_bytes() == (tmp_path / f"second/forest.{end}").read_bytes()
    for one in kinds:
        draw_forest([one])


def test_the_forests_rows_are_grouped_by_heading():
    found = every_kind()[0]
    given = [dataclasses.replace(found, study=f"s{i}", heading=heading) for i, heading in enumerate(reversed(HEADINGS))]
    axis = draw_forest(given).axes[0]
    expected = [text for heading, i in zip(HEADINGS, (3, 2, 1, 0), strict=True) for text in (heading, f"s{i}")]
    assert [label.get_text() for label in axis.get_yticklabels()] == expected
