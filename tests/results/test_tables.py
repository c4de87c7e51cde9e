"""Tables and figures: intervals computed here by hand, published beside measured, sources named."""

import csv
import math
import re
from dataclasses import replace

import pytest
from matplotlib.figure import Figure
from rows import make_row

from stages.results.compare import write_comparison
from stages.results.comparison import read_comparison
from stages.results.documents import documents
from stages.results.drawing import scale_axis
from stages.results.record import comparable_rows
from stages.results.scores import repeats_table
from stages.results.tables import sentences_frame

HYPERPARAMETERS = {
    "layers": 2, "dropout": 0.5, "dropout_between_layers": 0.5, "embedding_size": 100, "hidden_size": 32,
    "batch_size": 64, "learning_rate": 0.001, "epochs": 10, "precision": "float32",
}  # fmt: skip
ACCURACIES = {"lstm": [0.84, 0.85, 0.86], "gru": [0.86, 0.88, 0.87], "rnn": [0.70, 0.60, 0.50]}


def trained(corpus, **changes):
    """A row per (cell, repeat), with scores and a curve."""
    values = HYPERPARAMETERS | changes
    last = values["epochs"]
    return [
        make_row(
            "imdb",
            cell,
            values,
            corpus=corpus,
            protocols=("corrected",) if cell == "rnn" else ("published", "corrected"),
            repeat=n,
            test={
                "accuracy": accuracy, "loss": 1 - accuracy, "batch_mean_accuracy": accuracy - 0.01,
                "batch_mean_loss": 1.01 - accuracy, "sentences": {"I love you.": accuracy},
            },
            curve=tuple({"epoch": e, "train_loss": 1 / e, "validation_loss": 1.1 / e} for e in (1, last)),
        )
        for cell, accuracies in ACCURACIES.items()
        for n, accuracy in enumerate(accuracies)
    ]  # fmt: skip


def comparison(folder, corpus="aclImdb", **changes):
    rows = trained(corpus, **changes)
    baselines = [{"name": "a baseline", "test": {"accuracy": 0.875, "loss": 0.4}, "sentences": {"I love you.": 0.9}}]
    write_comparison("imdb", rows, rows, baselines, tables=folder, figures=folder)
    rows = {(row["cell"], row["protocol"]): row for row in csv.DictReader((folder / "table.csv").open())}
    return rows, (folder / "table.md").read_text()


def test_figures_call_protocols_as_tables_do(tmp_path):
    rows = [
        replace(row, protocols=protocols)
        for row in trained("aclImdb")
        for protocols in ([("tuned", "equal_size")] if row.cell == "lstm" else [("tuned",), ("equal_size",)])
    ]
    write_comparison("imdb", rows, rows, [], tables=tmp_path, figures=tmp_path)
    for name in ("scores", "curves"):
        written = re.findall("<!-- (.*) -->", (tmp_path / f"{name}.svg").read_text())
        assert any("equal size" in text for text in written)
        assert not [text for text in written if re.search("[a-z]_[a-z]", text)]


def test_means_intervals_and_published_figures(tmp_path):
    rows, markdown = comparison(tmp_path / "out")
    # t(0.975, 2) = 4.302653; the three accuracies are 0.01 apart, so their standard deviation is 0.01.
    half = 4.302653 * 0.01 / math.sqrt(3)
    row = rows["lstm", "corrected"]
    assert float(row["accuracy"]) == pytest.approx(0.85)
    assert float(row["accuracy_high"]) == pytest.approx(0.85 + half, abs=1e-6)
    assert float(row["accuracy_low"]) == pytest.approx(0.85 - half, abs=1e-6)
    assert float(row["accuracy_published"]) == 0.8497
    assert float(rows["lstm", "published"]["accuracy"]) == pytest.approx(0.84)  # the document's batch means
    assert rows["rnn", "corrected"]["accuracy_published"] == ""
    assert ("rnn", "published") not in rows
    assert "85.00% [82.52%, 87.48%]" in markdown
    assert "84.97%" in markdown
    assert "a baseline" in markdown
    assert "Measured on the real corpus (aclImdb)" in markdown
    assert "I love you." in markdown


def test_sample_text_is_never_shown_as_the_real(tmp_path):
    _, markdown = comparison(tmp_path / "out", "sample")
    assert "sample text made by this project" in markdown
    assert "real corpus (" not in markdown
    assert "sample text made by this project" in (tmp_path / "out/curves.svg").read_text()


def test_a_run_that_left_the_protocol_is_labelled(tmp_path):
    rows, markdown = comparison(tmp_path / "out", epochs=2)
    assert rows["gru", "corrected"]["custom"] == "2 of 10 epochs"
    assert "custom: 2 of 10 epochs" in markdown
    assert "2 of 10 epochs" in (tmp_path / "out/scores.svg").read_text()


def test_another_precision_is_labelled_on_sample_text_too(tmp_path):
    rows, _ = comparison(tmp_path / "out", "sample", precision="bfloat16", epochs=2)
    assert rows["gru", "corrected"]["custom"] == "precision bfloat16 (float32)"


def test_an_axis_ends_where_nothing_is_learnt_and_says_what_lies_beyond(tmp_path):
    fixed = documents()["ptb"]["protocol"]["basic"] | {"tied": False, "rate_divisor": 1.0}
    rows = [
        make_row(
            "ptb", cell, fixed, corpus="ptb", setting="basic", protocols=("published",), repeat=n,
            test={"perplexity": value},
            curve=({"epoch": fixed["epochs"], "train_loss": loss, "validation_perplexity": math.exp(loss)},),
        )
        for cell, values, loss in (("lstm", [140.0, 150.0], 5.0), ("rnn", [2e16, 3e16], 38.0))
        for n, value in enumerate(values)
    ]  # fmt: skip
    write_comparison("ptb", rows, rows, [], tables=tmp_path / "out", figures=tmp_path / "out")
    mean = math.sqrt(2e16 * 3e16)
    assert f"↑ {mean:.2g}" in (tmp_path / "out/scores.svg").read_text()
    assert (tmp_path / "out/curves.svg").read_text().count("↑ rnn") == 2
    assert f"{mean:.2e}" in (tmp_path / "out/table.md").read_text()


@pytest.mark.parametrize(("values", "bottom", "top"), [([100, 1e9], 100, 1e4), ([100, 200], 100, 200)])
def test_an_axis_that_ends_early_keeps_all_that_lies_below(values, bottom, top):
    left, right = Figure().subplots(1, 2, sharey=True)
    left.scatter([0], [max(values)])
    right.scatter([0], [min(values)])
    scale_axis(left, {"logarithmic": True, "axis_ends": 1e4})
    low, high = right.get_ylim()
    assert bottom / 2 < low < bottom
    assert top <= high < 1.1 * top


def test_the_sentences_of_an_arm_are_those_of_its_own_net_and_of_no_variant():
    rows = comparable_rows("imdb")
    assert {row.setting for row in rows} > {""}
    frame = sentences_frame("imdb", repeats_table(rows), [])
    for cell, heading, column in (
        ("lstm", "corrected", "lstm as published = corrected"),
        ("gru", "corrected", "gru corrected"),
    ):
        mine = [
            row.test["sentences"] for row in rows if (row.cell, row.setting) == (cell, "") and heading in row.protocols
        ]
        for text, mean in frame[column].items():
            assert mean == pytest.approx(sum(of_repeat[text] for of_repeat in mine) / len(mine))


def test_the_same_scores_draw_the_same_bytes(tmp_path):
    comparison(tmp_path / "a")
    comparison(tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert read_comparison(tmp_path / "a").markdown() == (tmp_path / "a/table.md").read_text()
    assert {"curves.png", "curves.svg", "scores.png", "scores.svg", "sentences.csv"} <= set(names)
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
