"""The table of learning rates: what the trials say, and that the record's rows were trained at the chosen ones."""

import pytest
from rows import make_row

from stages.results.rates import rates_table
from stages.results.record import comparable_rows, read_entries, recorded_cells
from stages.support.params import load_params


def trial(cell, rate, repeat, loss, setting="", study="damped", **more):
    curve = ({"epoch": 1, "validation_loss": 9.0}, {"epoch": 2, "validation_loss": loss})
    values = {"learning_rate": rate, "epochs": 2, **({"length": int(setting)} if setting else {})}
    fields = {"setting": setting, "protocols": ("tuning",), "repeat": repeat, "best_epoch": 2, "curve": curve}
    return make_row(study, cell, values, **fields | more)


def texts(table):
    return [[(cell.text, cell.small) for cell in row] for row in table.rows]


def test_the_mean_of_a_rates_trials_is_shown_and_the_best_of_each_cell_is_the_chosen_one():
    rows = [trial("lstm", rate, n, loss) for rate, loss in ((0.1, 1.0), (0.01, 3.0)) for n in range(2)]
    rows += [trial("gru", 0.1, n, 5.0) for n in range(2)]
    rows += [trial("gru", 0.01, n, 2.0 + n) for n in range(2)]
    rows += [trial("gru", 1.0, 0, 0.5)]  # the other one diverged
    rows += [make_row("damped", "lstm", {"learning_rate": 7.0}, curve=({"epoch": 1, "validation_loss": 0.0},))]
    table = rates_table("damped", rows)
    assert table.leading == ["learning rate", "lstm", "gru"]
    assert texts(table) == [
        [("0.01", ""), ("3", ""), ("2.5", "chosen")],
        [("0.1", ""), ("1", "chosen"), ("5", "")],
        [("1", ""), ("–", ""), ("–", "")],
    ]
    assert rates_table("damped", rows[-1:]) is None


def test_each_setting_has_its_own_rate_and_of_equal_ones_the_lower_is_chosen():
    named = {"study": "latch", "sweep": "length"}
    rows = [trial("gru", rate, 0, 2e-7, "5", **named) for rate in (0.1, 0.01)]
    rows += [trial("gru", 0.001, 0, 0.5, "5", **named), trial("gru", 0.1, 0, 0.25, "20", **named)]
    table = rates_table("latch", rows)
    assert table.leading == ["length", "learning rate", "gru"]
    assert [row[-1][0] for row in texts(table)] == ["0.5", "2e-07", "2e-07", "0.25"]
    assert [row[0][0] + " " + row[1][0] for row in texts(table) if row[-1][1]] == ["5 0.01", "20 0.1"]


@pytest.mark.parametrize("study", load_params().studies)
def test_every_tuned_row_of_the_record_was_trained_at_the_rate_that_its_trials_chose(study):
    trials = [row for cell in recorded_cells(study) for row in read_entries(study, cell, trials=True)]
    tuned = [row for row in comparable_rows(study) if "tuned" in row.protocols]
    assert bool(trials) == bool(tuned)
    if not tuned:
        return
    table = rates_table(study, trials)
    column = {name: place for place, name in enumerate(table.leading)}
    several = column["learning rate"] > 0
    chosen = {
        (str(row[0]) if several else "", cell): float(str(row[column["learning rate"]]))
        for row in table.rows
        for cell in recorded_cells(study)
        if cell in column and row[column[cell]].small == "chosen"
    }
    for row in tuned:
        key = (row.setting if several else "", row.cell)
        assert chosen[key] == pytest.approx(row.hyperparameters["learning_rate"])
