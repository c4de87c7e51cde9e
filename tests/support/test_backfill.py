import json

import pytest

from stages.support import outbox
from stages.support.backfill import import_results
from stages.support.outbox import Outbox

KEYS = {("gru", 0): "a" * 64, ("gru", 1): "b" * 64, ("lstm", 0): "c" * 64}
PARAMETERS = {"layers": 1, "seed": 3}


def arm(cell):
    return {
        "setting": "",
        "sweep": "",
        "protocols": ["published", "corrected"],
        "hyperparameters": {"cell": cell, "layers": 1},
    }


def description(cell, repeat):
    return {
        "name": f"imdb/{cell}/published+corrected/{repeat}",
        "study": "imdb",
        "profile": "sample",
        "parameters": PARAMETERS | {"cell": cell, "repeat": repeat},
        "tags": {"data_digest": "d", "corpus": "sample", "protocols": "published, corrected"},
    }


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def write_cell(workspace, cell, accuracy=0.5, corpus="sample", seed_of_scores=3):
    folder = workspace / "models/imdb" / cell
    repeats = [repeat for of, repeat in KEYS if of == cell]
    runs = []
    for repeat in repeats:
        weights = f"weights/published+corrected-{repeat}.safetensors"
        write(folder / weights, f"weights of {cell} {repeat}")
        curve: list[dict[str, float]] = [
            {"epoch": epoch, "train_loss": repeat + len(cell) / epoch} for epoch in (1, 2, 3)
        ]
        for row in curve[1:]:
            row["validation_loss"] = row["epoch"] / 2
        own = {"key": KEYS[cell, repeat], "weights": weights, "curve": curve, "best_epoch": 2, "seed": 3}
        runs.append(arm(cell) | description(cell, repeat) | own | {"repeat": repeat})
    write(folder / "runs.json", runs)
    scored = [
        {
            "repeat": repeat,
            "seed": seed_of_scores,
            "best_epoch": 2,
            "test": {"accuracy": accuracy + repeat, "sentences": {"I love you.": 0.5}},
        }
        for repeat in repeats
    ]
    write(
        workspace / f"metrics/imdb/{cell}.json",
        {
            "study": "imdb",
            "cell": cell,
            "corpus": corpus,
            "data_digest": "d",
            "arms": [arm(cell) | {"parameters": 1945, "repeats": scored}],
        },
    )


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An experiment's temporary folder with results of training, beside the repository with its outbox."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    workspace = tmp_path / "temporary"
    for cell in ("gru", "lstm"):
        write_cell(workspace, cell)
    write(workspace / "metrics/imdb/baseline.json", {"rows": []})
    write(workspace / "plots/imdb/accuracy.png", "a figure")
    write(workspace / "plots/imdb/.gitignore", "/accuracy.png")
    return workspace


def lines():
    return {path.name: path.read_text().count("\n") for path in outbox.folder().glob("*.jsonl")}


def test_results_without_a_record_get_one_and_only_once(workspace):
    assert import_results(workspace) == 3
    for (cell, repeat), key in KEYS.items():
        record = outbox.read(key)
        points = {(p.metric, p.epoch): p.value for p in record.points}
        assert points == {
            **{("train_loss", epoch): repeat + len(cell) / epoch for epoch in (1, 2, 3)},
            ("validation_loss", 2): 1.0,
            ("validation_loss", 3): 1.5,
            ("test_accuracy", None): 0.5 + repeat,
            ("best_epoch", None): 2,
            ("parameter_count", None): 1945,
        }
        expected = description(cell, repeat)
        tags = expected.pop("tags")
        assert {name: getattr(record, name) for name in expected} == expected
        assert tags.items() <= record.tags.items()
        assert record.status == "FINISHED"
        assert [a.path.read_text() for a in record.artifacts] == [f"weights of {cell} {repeat}"]
    study = outbox.read(outbox.study_key("imdb", "sample"))
    assert [(a.name, a.path.read_text()) for a in study.artifacts] == [("accuracy.png", "a figure")]

    before = lines()
    assert import_results(workspace) == 0
    assert lines() == before


def test_a_run_recorded_in_part_is_completed(workspace):
    box = Outbox(KEYS["gru", 1])
    box.start(**description("gru", 1))
    box.epoch(1, {"train_loss": 99.0, "seconds": 3.0})
    box.end("KILLED")
    import_results(workspace)
    record = outbox.read(KEYS["gru", 1])
    losses = {p.epoch: p.value for p in record.points if p.metric == "train_loss"}
    assert losses == {1: 99.0, 2: 1 + 3 / 2, 3: 1 + 3 / 3}
    assert record.status == "FINISHED"


def test_a_run_that_is_still_going_is_left_alone(workspace):
    box = Outbox(KEYS["lstm", 0])
    box.start(**description("lstm", 0))
    import_results(workspace)
    record = outbox.read(KEYS["lstm", 0])
    assert (record.status, record.points) == ("RUNNING", [])
    box.end("FINISHED")


def test_new_scores_of_a_finished_run_are_added(workspace):
    import_results(workspace)
    write_cell(workspace, "lstm", accuracy=0.75)
    assert import_results(workspace) == 1
    assert outbox.read(KEYS["lstm", 0]).score("test_accuracy") == 0.75


def test_scores_of_another_setting_are_nobodys_scores(workspace):
    write_cell(workspace, "lstm", seed_of_scores=4)
    assert import_results(workspace) == 2
    assert outbox.read(KEYS["lstm", 0]) is None


@pytest.mark.parametrize("change", [{"seed_of_scores": 4}, {"corpus": "aclImdb"}])
def test_figures_of_mixed_results_are_not_taken(workspace, change):
    write_cell(workspace, "lstm", **change)
    import_results(workspace)
    for profile in ("sample", "aclImdb"):
        study = outbox.read(outbox.study_key("imdb", profile))
        assert study is None or not study.artifacts


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("models/imdb/gru/runs.json", '[{"key": "aaaaaaaaaaaaaaaa"}]'),
        ("models/imdb/gru/runs.json", "{"),
        ("metrics/imdb/gru.json", "{"),
    ],
)
def test_a_broken_file_costs_a_line_and_only_its_own_runs(workspace, capsys, name, content):
    write(workspace / name, content)
    assert import_results(workspace) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert "models/imdb/gru" in errors[0]
    assert outbox.read(KEYS["lstm", 0]).status == "FINISHED"


def test_the_arms_of_a_sweep_are_one_run_whose_points_are_means_over_repeats(workspace):
    key = "d" * 64
    arms, runs = [], []
    for length in (5, 50):
        described = {
            "setting": str(length),
            "sweep": "length",
            "protocols": ["corrected"],
            "hyperparameters": {"cell": "gru", "length": length},
        }
        weights = f"weights/{length}-corrected-0-1.safetensors"
        write(workspace / "models/latch/gru" / weights, f"weights at {length}")
        repeats = [{"repeat": r, "seed": 3, "best_epoch": 2, "test": {"accuracy": r / length}} for r in (0, 1)]
        arms.append(described | {"parameters": 13, "repeats": repeats})
        for repeat in repeats:
            curve = [{"epoch": e, "validation_accuracy": e + length + repeat["repeat"]} for e in (1, 2)]
            own = {"key": key, "weights": weights, "curve": curve, "name": "latch/gru/corrected/0-1", "study": "latch"}
            runs.append(description("gru", 0) | described | repeat | own)
    write(workspace / "models/latch/gru/runs.json", runs)
    write(workspace / "metrics/latch/gru.json", {"corpus": "sequences", "arms": arms})
    import_results(workspace)
    record = outbox.read(key)
    assert {p.epoch: p.value for p in record.points if p.metric == "validation_accuracy"} == {5: 7.5, 50: 52.5}
    assert {p.epoch: p.value for p in record.points if p.metric == "test_accuracy"} == {5: 0.1, 50: 0.01}
    assert [artifact.name for artifact in record.artifacts] == [
        "5-corrected-0-1.safetensors",
        "50-corrected-0-1.safetensors",
    ]
    points = len(record.points)
    import_results(workspace)
    assert len(outbox.read(key).points) == points
