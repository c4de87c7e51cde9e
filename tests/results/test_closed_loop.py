"""Studies that go on from their own predictions: which repeat is drawn, beside what, and how their scores are named."""

import csv
import math
import re

import pandas as pd
import pytest
from rows import make_row

from stages.results.closed_loop import median_repeat
from stages.results.compare import write_comparison

TRUTH = [0.0, 1.0, 0.0, -1.0]
ERRORS = [0.3, 0.1, 0.9]
HYPERPARAMETERS = {
    "layers": 1, "dropout": 0.3, "hidden_size": 200, "batch_size": 100, "learning_rate": 0.001, "epochs": 60,
}  # fmt: skip


def trained(cell, protocols):
    """`protocols`: how many times worse than ERRORS each is."""
    return [
        make_row(
            "fibonacci",
            cell,
            HYPERPARAMETERS | {"layers": int(setting[0])},
            corpus="sequences",
            closed_loop_truth=tuple(TRUTH),
            setting=setting,
            protocols=(protocol,),
            repeat=n,
            best_epoch=60,
            validation={"loss": error**2},
            test={
                "loss": error / 10_000,
                "closed_loop_rmse": error * worse,
                "closed_loop": [value + error * worse for value in TRUTH],
            },
            curve=tuple({"epoch": e, "train_loss": 10.0**-e, "validation_loss": 10.0**-e} for e in (1, 60)),
        )
        for setting in ("1 layer", "2 layers")
        for protocol, worse in protocols.items()
        for n, error in enumerate(ERRORS)
    ]


def comparison(folder):
    rows = trained("lstm", {"published": 10, "corrected": 1}) + trained("gru", {"corrected": 1})
    write_comparison("fibonacci", rows, rows, [], tables=folder, figures=folder)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The folder of one comparison, which no test changes."""
    folder = tmp_path_factory.mktemp("closed_loop") / "out"
    comparison(folder)
    return folder


@pytest.mark.parametrize(("errors", "chosen"), [([0.3, 0.1, 0.9], 0), ([0.9, 0.1, 0.4, 0.2], 3), ([0.5], 0)])
def test_the_median_repeat_is_one_of_the_repeats(errors, chosen):
    assert median_repeat(pd.DataFrame({"rmse": errors}), "rmse").name == chosen


def test_errors_have_geometric_means_and_small_losses_are_not_rounded_away(drawn):
    rows = {(row["setting"], row["protocol"], row["cell"]): row for row in csv.DictReader((drawn / "table.csv").open())}
    assert len(rows) == 6
    row = rows["2 layers", "corrected", "gru"]
    geometric = math.prod(ERRORS) ** (1 / 3)
    assert float(row["closed_loop_rmse"]) == pytest.approx(geometric, rel=1e-5)
    assert float(row["validation_loss"]) == pytest.approx(geometric**2, rel=1e-5)
    assert "3.00e-05 [" in (drawn / "table.md").read_text()
    assert "closed_loop" not in (drawn / "repeats.csv").read_text().splitlines()[0].split(",")


def test_a_panel_an_arm_shows_its_median_error(drawn):
    figure = (drawn / "closed_loop.svg").read_text()
    titles = re.findall("<!-- (.* layers?, .*|median closed-loop error .*) -->", figure)
    errors = {"lstm, as published": 3, "lstm, corrected": 0.3, "gru, corrected": 0.3}
    assert titles == [
        title
        for setting in ("1 layer", "2 layers")
        for arm, error in errors.items()
        for title in (f"{setting}, {arm}", f"median closed-loop error (RMSE) {error}")
    ]


def test_the_same_scores_draw_the_same_bytes(drawn, tmp_path):
    comparison(tmp_path / "again")
    names = {path.name for path in drawn.iterdir()}
    assert {f"{name}.{kind}" for name in ("closed_loop", "curves", "scores") for kind in ("png", "svg")} <= names
    for name in names:
        assert (drawn / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
