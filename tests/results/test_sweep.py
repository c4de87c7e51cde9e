"""A sweep: the unit is the repeat, shares are counted, what is below chance is shown, no order by digits."""

import csv
import json
import re
import shutil
from dataclasses import replace

import pytest
from rows import make_row

from stages import headline
from stages.results.compare import write_comparison
from stages.results.row import write_rows
from stages.results.scores import curves_table, mean_over_settings, repeats_table, summary_table, thin_curves

LENGTHS = (2, 10, 100)
# Of each length, three repeats: (validation, test) as published, and corrected.
PUBLISHED = {
    2: [(1.0, 1.0), (1.0, 1.0), (0.0, 0.5)],
    10: [(1.0, 0.9), (0.0, 0.5), (0.0, 0.5)],
    100: [(0.0, 0.5), (0.0, 0.5), (0.0, 0.5)],
}
# Each repeat's mean over lengths is 0.75, though no two repeats agree on any length.
CORRECTED = {
    2: [(1.0, 1.0), (0.75, 0.7), (0.5, 0.5)],
    10: [(0.75, 0.7), (0.5, 0.5), (1.0, 1.0)],
    100: [(0.5, 0.5), (1.0, 1.0), (0.75, 0.7)],
}


def trained(cell, lengths=LENGTHS, repeats=3, epochs=10, shift=0.0, first=0):
    """A row per (protocol, length, repeat), with scores and a curve."""
    return [
        make_row(
            "latch",
            cell,
            {
                "length": length, "split": protocol, "hidden_size": 1, "batch_size": 16, "learning_rate": 0.001,
                "epochs": epochs,
            },
            corpus="sequences",
            setting=str(length),
            sweep="length",
            protocols=(protocol,),
            parameters=14,
            parameters_in_torch=14 if cell == "gru" else 18,
            repeat=first + n,
            best_epoch=epochs,
            validation={"loss": 0.1, "accuracy": max(validation - shift, 0.0)},
            test={"loss": 0.1, "accuracy": test},
            curve=tuple({"epoch": e, "train_loss": 1 / e, "validation_accuracy": 0.5} for e in (1, epochs)),
        )
        for protocol, accuracies in (("corrected", CORRECTED), ("published", PUBLISHED))
        for length in sorted(lengths, key=str)  # the record's order: 10, 100, 2
        for n, (validation, test) in enumerate(accuracies[length][:repeats])
    ]  # fmt: skip


def comparison(folder, curves=True, **changes):
    rows = trained("lstm", **changes) + trained("gru", shift=0.2, **changes)
    write_comparison("latch", rows, rows if curves else [], [], tables=folder, figures=folder)


def rows(folder, name, *keys):
    return {tuple(row[key] for key in keys): row for row in csv.DictReader((folder / f"{name}.csv").open())}


def table(folder):
    return rows(folder, "table", "setting", "protocol", "cell")


def means(folder):
    return rows(folder, "means", "protocol", "cell")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The folder of one comparison, which no test changes."""
    folder = tmp_path_factory.mktemp("sweep") / "out"
    comparison(folder)
    return folder


@pytest.fixture
def markdown(drawn):
    return (drawn / "table.md").read_text()


def test_of_the_mean_over_lengths_the_unit_is_the_repeat(drawn, markdown):
    row = means(drawn)["corrected", "lstm"]
    assert row["repeats"] == "3"
    assert [float(row[f"validation_accuracy{end}"]) for end in ("", "_low", "_high")] == [0.75] * 3
    assert float(row["converged"]) == pytest.approx(1 / 3)
    published = means(drawn)["published", "lstm"]
    assert float(published["validation_accuracy"]) == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)
    assert float(published["test_accuracy"]) == pytest.approx((2.4 + 2 + 1.5) / 9)
    assert "75.00% [75.00%, 75.00%]" in markdown
    assert "2 to 100 (3)" in markdown


def test_the_share_that_converged_has_wilsons_interval_and_its_count(drawn, markdown):
    row = table(drawn)["2", "published", "lstm"]
    assert float(row["converged"]) == pytest.approx(2 / 3)
    assert 0.2 < float(row["converged_low"]) < 0.21  # Wilson for 2 of 3: 0.2077 to 0.9385
    assert 0.93 < float(row["converged_high"]) < 0.94
    assert "66.67% [0.00%, 100.00%]; 2/3 converged" in markdown
    assert "; 0/3 converged" in markdown
    assert float(table(drawn)["2", "corrected", "gru"]["converged"]) == 0.0  # 0.8 is below the threshold
    assert "Share converged: repeats of validation accuracy 90% or more." in markdown


def test_published_accuracies_below_chance_stand_beside_the_corrected(drawn, markdown):
    row = table(drawn)["100", "published", "lstm"]
    assert (float(row["validation_accuracy"]), float(row["test_accuracy"])) == (0.0, 0.5)
    assert "no positive sequence" in markdown
    figure = (drawn / "scores.svg").read_text()
    for text in ("<!-- as published -->", "<!-- corrected -->", "<!-- chance -->", "<!-- sequence length (steps) -->"):
        assert text in figure
    # Of length 2 both protocols have a repeat of accuracy 1: they are no less two arms.
    assert "published =" not in figure + markdown
    assert "corrected =" not in figure + markdown


def test_the_legend_names_a_cell_that_one_protocol_lacks(drawn):
    figure = (drawn / "scores.svg").read_text()
    assert [figure.count(f"<!-- {name} -->") for name in ("lstm", "gru")] == [1, 1]


def test_lengths_are_in_the_order_of_numbers(drawn, markdown):
    assert list(dict.fromkeys(key[0] for key in table(drawn))) == ["2", "10", "100"]
    firsts = [line.split("|")[1].strip() for line in markdown.splitlines() if line.startswith("| ")]
    assert firsts[-3:] == ["2", "10", "100"]


def test_repeats_with_other_lengths_are_no_repeats_of_the_same():
    rows = trained("lstm") + trained("lstm", lengths=(2, 10), repeats=2, first=3)
    summary = summary_table("latch", mean_over_settings("latch", repeats_table(rows)))
    corrected = summary[summary["protocol"] == "corrected"].set_index("setting")
    assert corrected["repeats"].to_dict() == {"2 to 100 (3)": 3, "2 to 10 (2)": 2}


def test_a_shorter_run_of_made_sequences_is_labelled(tmp_path):
    comparison(tmp_path / "out", curves=False, epochs=3)
    markdown = (tmp_path / "out/table.md").read_text()
    assert table(tmp_path / "out")["2", "corrected", "gru"]["custom"] == "3 of 10 epochs"
    assert "gru custom: 3 of 10 epochs" in markdown
    assert "3 of 10 epochs" in (tmp_path / "out/scores.svg").read_text()
    assert "sample text" not in markdown + (tmp_path / "out/scores.svg").read_text()


def test_parameters_that_only_torch_counts_are_shown_where_they_differ(drawn, markdown):
    assert means(drawn)["corrected", "lstm"]["parameters_in_torch"] == "18"
    assert "| 14 (torch 18) |" in markdown
    assert re.search(r"\| gru +\|[^|]+\| 14 +\|", markdown)


def test_the_same_scores_draw_the_same_bytes_with_curves_or_without(drawn, tmp_path):
    comparison(tmp_path / "again", curves=False)
    names = {path.name for path in (tmp_path / "again").iterdir()}
    figures = {f"{name}.{kind}" for name in ("scores", "landscape") for kind in ("png", "svg")}
    assert names == figures | {"table.md", "table.csv", "means.csv", "repeats.csv", "comparison.json"}
    assert {path.name for path in drawn.iterdir()} == names | {"curves.png", "curves.svg", "curves.csv"}
    for name in names - {"comparison.json"}:
        assert (drawn / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_curves_are_drawn_of_a_few_lengths_from_the_shortest_to_the_longest():
    lengths = (2, 5, 8, 10, 15, 20, 25, 30, *range(40, 201, 10))
    curve = tuple({"epoch": epoch, "train_loss": 1.0} for epoch in range(1, 1001))
    values = trained("gru")[0].hyperparameters | {"epochs": 1000}
    every = curves_table(
        make_row("latch", "gru", values | {"length": n}, setting=str(n), sweep="length", curve=curve) for n in lengths
    )
    drawn = thin_curves("latch", every)
    assert sorted(set(drawn["setting"])) == [2, 40, 120, 200]
    epochs = sorted(set(drawn["epoch"]))
    assert len(epochs) == 100
    assert (epochs[0], epochs[-1]) == (1, 1000)


def test_the_headline_is_the_corrected_mean_over_lengths_with_one_set_of_keys(tmp_path, monkeypatch):
    shutil.copy2("params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    found = []
    for cell in ("lstm", "gru"):
        write_rows(tmp_path / "metrics/latch" / f"{cell}.json", [replace(row, curve=()) for row in trained(cell)])
        write_rows(tmp_path / "models/latch" / cell / "runs.json", trained(cell))
        headline.main("latch", cell)
        found.append(json.loads((tmp_path / "metrics/latch.json").read_text()))
        points = (tmp_path / "plots/headline/latch.csv").read_text()
    assert found[0]["validation_accuracy"] == {"mean": 0.75, "low": 0.75, "high": 0.75}
    assert (found[0]["parameters"], found[0]["repeats"]) == (14, 3)
    assert found[0].keys() == found[1].keys()
    assert points == "at,cell,model,validation_accuracy\n2,gru,,0.75\n10,gru,,0.75\n100,gru,,0.75\n"
