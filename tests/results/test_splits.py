"""What a split of its own adds, from rows made with a known spread."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from stages.results.splits import splits_table
from tests.rows import make_row


@pytest.fixture
def made():
    """Scores by arm, cell and repeat, and rows with them: a split shifts both cells alike, a seed each cell alone."""
    generator = np.random.default_rng(3)
    scores, rows = {}, []
    for own in (False, True):
        for repeat in range(10 if not own else 6):
            shift = 0.04 * generator.normal() if own else 0.0
            for cell in ("lstm", "gru"):
                score = 0.85 + shift + 0.01 * generator.normal()
                scores[own, cell, repeat] = score
                settings = {"split": "a repeat"} if own else {}
                shared = {"setting": "varied split" if own else "", "repeat": repeat, "test": {"accuracy": score}}
                rows.append(make_row("imdb", cell, settings, **shared))
    return scores, rows


def test_deviations_and_their_ratio_are_those_of_the_scores(made):
    scores, rows = made
    table = splits_table({"imdb": rows})
    assert [str(row[1]) for row in table.rows] == [f"test accuracy, {name}" for name in ("LSTM", "GRU", "GRU - LSTM")]
    for row, of in zip(table.rows, (("lstm",), ("gru",), ("gru", "lstm")), strict=True):
        spreads = []
        for own, count, cell in ((False, 10, row[2]), (True, 6, row[3])):
            values = [scores[own, of[0], n] - (scores[own, of[1], n] if len(of) > 1 else 0.0) for n in range(count)]
            spreads.append(np.std(values, ddof=1))
            mean, _, deviation, _, repeats, _ = str(cell).split()
            assert (float(mean), float(deviation)) == pytest.approx(
                (100 * np.mean(values), 100 * spreads[-1]), abs=0.051
            )
            assert int(repeats) == count
        value, low, high = (float(word.strip("[]")) for word in str(row[4]).split() if word.strip("[]")[:1].isdigit())
        f = (spreads[1] / spreads[0]) ** 2
        ends = [(f / stats.f.ppf(level, 5, 9)) ** 0.5 for level in (0.975, 0.025)]
        assert (value, low, high) == pytest.approx((f**0.5, *ends), rel=0.06)


def test_a_split_that_shifts_both_cells_alike_adds_to_each_and_not_to_their_difference(made):
    _, rows = made
    lstm, gru, difference = (float(str(row[4]).split()[0]) for row in splits_table({"imdb": rows}).rows)
    assert min(lstm, gru) > 2 > difference


def test_another_protocol_and_too_few_repeats_say_nothing_of_a_split(made):
    _, rows = made
    longer = [
        replace(row, hyperparameters=dict(row.hyperparameters) | {"epochs": 20}) if row.setting else row for row in rows
    ]
    assert splits_table({"imdb": longer}).rows == []
    assert splits_table({"imdb": [row for row in rows if not row.setting or row.repeat < 2]}).rows == []
