import json
from contextlib import suppress

import pytest

from stages.tracking import curves
from stages.tracking.curves import live_curve
from stages.tracking.desired import Desired
from tests.tracking.tracked import key_of, row, write, write_cell


@pytest.fixture(autouse=True)
def repository(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def results(repository):
    write_cell(repository, [row(0), row(1)])
    write_cell(repository, [row(0, cell="lstm")])
    write(repository / "metrics/imdb/baseline.json", {"rows": []})
    write(repository / "plots/imdb/accuracy.png", "a figure")
    write(repository / "plots/imdb/.gitignore", "/accuracy.png")
    return repository


def by_name():
    desired = Desired()
    assert desired.problems == []
    runs = {run.name: run for run in desired.runs}
    assert len(runs) == len(desired.runs)
    return runs


def test_results_alone_say_all_of_a_run(results):
    runs = by_name()
    assert set(runs) == {"imdb (sample)", "imdb/gru/corrected/0", "imdb/gru/corrected/1", "imdb/lstm/corrected/0"}
    run = runs["imdb/gru/corrected/1"]
    assert {place: point.value for place, point in run.points.items()} == {
        **{("train_loss", epoch): 1 + 1 / epoch for epoch in (1, 2, 3)},
        ("test_accuracy", 0): 0.5625,
        ("best_epoch", 0): 2,
        ("parameter_count", 0): 1945,
    }
    assert run.parameters == {
        "cell": "gru",
        "learning_rate": "0.001",
        "names": '["adam"]',
        "seed": "3",
        "repeat": "1",
    }
    assert (run.key, run.status) == (key_of(1), "FINISHED")
    assert {name: path.read_bytes() for name, path in run.files.items()} == {
        "weights/corrected-1.safetensors": bytes(range(1, 101))
    }
    assert [path.read_text() for path in runs["imdb (sample)"].files.values()] == ["a figure"]


def test_trials_have_a_run_each_and_keep_no_study_from_its_figures(results):
    """Trials are never tested and leave no weights."""
    runs, tested = (
        json.loads((results / name).read_text()) for name in ("models/imdb/gru/runs.json", "metrics/imdb/gru.json")
    )
    rates = (0.01, 0.1)
    for number, rate in enumerate(rates):
        trial = row(0, protocols=["tuning"], hyperparameters={"cell": "gru", "learning_rate": rate})
        runs.append(trial | {"key": key_of(80 + number), "best_epoch": 1, "weights": "", "curve": runs[0]["curve"]})
    write(results / "models/imdb/gru/runs.json", runs)
    found = by_name()
    assert {f"imdb/gru/tuning-{rate}/0" for rate in rates} < set(found)
    for run in found.values():
        assert all(path.is_file() for path in run.files.values())
        assert run.files_digest() or not run.files
    assert [path.read_text() for path in found["imdb (sample)"].files.values()] == ["a figure"]
    assert len(tested) == 2


def test_a_curve_told_in_part_is_completed_by_the_results(results):
    with suppress(RuntimeError), live_curve(key_of(1), [row(1)]) as record:
        record([{"epoch": 1, "train_loss": 99.0}], {"seconds": 3.0})
        raise RuntimeError
    run = by_name()["imdb/gru/corrected/1"]
    assert {step: p.value for (metric, step), p in run.points.items() if metric == "train_loss"} == {
        1: 99.0,
        2: 1 + 1 / 2,
        3: 1 + 1 / 3,
    }
    assert run.points["system/seconds", 1].value == 3.0
    assert run.status == "FINISHED"


def test_a_study_runs_while_one_of_its_runs_does(results):
    write_cell(results, [row(0, corpus="aclImdb", profile="full", cell="rnn")])
    with live_curve(key_of(7), [row(7)]):
        status = {name: run.status for name, run in by_name().items()}
        assert status["imdb (sample)"] == status["imdb/gru/corrected/7"] == "RUNNING"
        assert status["imdb (full, aclImdb)"] == status["imdb/gru/corrected/1"] == "FINISHED"
    assert {run.status for run in by_name().values()} == {"FINISHED"}


def test_sample_and_full_have_parents_of_their_own_also_on_the_same_corpus():
    for number, profile in enumerate(("sample", "full")):
        with live_curve(key_of(number), [row(number, study="latch", corpus="sequences", profile=profile)]):
            pass
    runs = by_name()
    for number, profile in enumerate(("sample", "full")):
        assert runs[f"latch/gru/corrected/{number}"].parent == runs[f"latch ({profile}, sequences)"].key


def test_scores_of_another_setting_are_nobodys_scores(results):
    write_cell(results, [row(0, cell="lstm")], seed=4)
    runs = by_name()
    assert ("test_accuracy", 0) not in runs["imdb/lstm/corrected/0"].points
    assert ("test_accuracy", 0) in runs["imdb/gru/corrected/0"].points


@pytest.mark.parametrize("change", [{"seed": 4}, {"corpus": "aclImdb"}, {"profile": "full"}])
def test_figures_of_mixed_results_belong_to_no_study(results, change):
    if "seed" in change:
        write_cell(results, [row(0, cell="lstm")], **change)
    else:
        write_cell(results, [row(0, cell="lstm", **change)])
    assert not any(run.files for run in Desired().runs if not run.parent)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("models/imdb/gru/runs.json", '[{"key": "aaaaaaaaaaaaaaaa"}]'),
        ("models/imdb/gru/runs.json", "{"),
        ("models/imdb/gru/runs.json", b"\xff\xfe\x00"),
        ("models/imdb/gru/runs.json", "[" * 100_000),
        ("metrics/imdb/gru.json", "{"),
        ("metrics/imdb/gru.json", "<<<<<<< ours\n[]"),
        ("tracking/{key}.jsonl", '{"time": 1e400, "rows": []}\n'),
        ("tracking/{key}.jsonl", '{"time": 1, "rows": [{"foo": 1}], "tags": {}}\n'),
        ("tracking/{key}.jsonl", '{"time": 1, "rows": 5}\n'),
    ],
)
def test_a_broken_file_costs_a_line_and_only_its_own_runs(results, name, content):
    write(results / name.format(key=key_of(9)), content)
    desired = Desired()
    assert len(desired.problems) == 1
    assert "\n" not in desired.problems[0]
    assert name.format(key=key_of(9)) in desired.problems[0]
    whole = {run.name for run in desired.runs if ("test_accuracy", 0) in run.points}
    assert whole >= {"imdb/lstm/corrected/0"}
    assert name.startswith(("models/imdb/gru", "metrics/imdb/gru")) or len(whole) == 3


def test_junk_among_the_lines_of_a_curve_costs_nothing():
    with live_curve(key_of(0), [row(0)]) as record:
        record([{"epoch": 1, "train_loss": 0.5}], {})
        for junk in ("null", "[1]", "{", '{"kind": 1}', '{"time": 3}', "\x00\xff"):
            with (curves.folder() / f"{key_of(0)}.jsonl").open("a") as file:
                file.write(f"\n{junk}\n")
    assert by_name()["imdb/gru/corrected/0"].points["train_loss", 1].value == 0.5


def test_the_arms_of_a_sweep_are_one_run_whose_points_are_means_over_repeats(repository):
    rows = [
        row(repeat, study="latch", corpus="sequences", setting=str(length), sweep="length")
        | {"hyperparameters": {"cell": "gru", "length": length}}
        for length in (5, 50)
        for repeat in (0, 1)
    ]
    with live_curve("e" * 64, rows[:1]) as record:  # an arm tells no curve of its own
        record([{"epoch": 1, "train_loss": 0.5}], {})
    write_cell(repository, rows, keys=["d" * 64] * 4)
    runs = by_name()
    assert set(runs) == {"latch (sample, sequences)", "latch/gru/corrected/0-1"}
    points = {place: p.value for place, p in runs["latch/gru/corrected/0-1"].points.items()}
    assert {step: value for (metric, step), value in points.items() if metric == "train_loss"} == {
        5: 0.5 + 1 / 3,
        50: 0.5 + 1 / 3,
    }
    assert {step: value for (metric, step), value in points.items() if metric == "test_accuracy"} == {
        5: 0.53125,
        50: 0.53125,
    }
    assert len(runs["latch/gru/corrected/0-1"].files) == 4
    assert "length" not in runs["latch/gru/corrected/0-1"].parameters
