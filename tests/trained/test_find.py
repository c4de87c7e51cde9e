import json
import shutil

import pytest

from stages.support.files import seal
from stages.support.process import InputError
from stages.trained.find import find_trained
from tests.copies import ROOT


def entry(repeat, losses, best_epoch, **changes):
    return {
        "key": f"{repeat:064x}",
        "corpus": "sample",
        "setting": "",
        "protocols": ["corrected"],
        "repeat": repeat,
        "seed": 1,
        "hyperparameters": {},
        "best_epoch": best_epoch,
        "curve": [{"epoch": e, "validation_loss": loss, "train_loss": -loss} for e, loss in enumerate(losses, 1)],
        "weights": f"weights/corrected-{repeat}.safetensors",
        "data_digest": "d",
    } | changes


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A workspace whose repeat 1 has the lowest loss at its chosen epoch, and repeat 0 the lowest at any."""
    monkeypatch.chdir(tmp_path)
    entries = [
        entry(0, [0.5, 0.1], best_epoch=1),
        entry(1, [0.9, 0.3], best_epoch=2),
        entry(2, [0.3, 0.4], best_epoch=1),
        entry(1, [0.01], best_epoch=1, protocols=["published"], weights="weights/published-1.safetensors"),
        entry(0, [0.02], best_epoch=1, setting="basic", weights="weights/basic-0.safetensors"),
    ]
    models, ready = tmp_path / "models/imdb/gru", tmp_path / "data/ready/imdb"
    (models / "weights").mkdir(parents=True)
    ready.mkdir(parents=True)
    (models / "runs.json").write_text(json.dumps(entries))
    for each in entries:
        (models / each["weights"]).write_bytes(b"")
    (ready / "vocabulary.txt").write_text("<unk>\n")
    seal(models, {})
    seal(ready, {"digest": "d"})
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def test_validation_chooses_the_repeat_at_its_own_epoch_and_the_first_of_equals(project):
    assert find_trained("imdb", "gru").settings["repeat"] == 1
    runs = project / "models/imdb/gru/runs.json"
    runs.write_text(runs.read_text().replace("0.9", "0.2").replace('"best_epoch": 2', '"best_epoch": 1'))
    seal(runs.parent, {})
    assert find_trained("imdb", "gru").settings["repeat"] == 1
    runs.write_text(runs.read_text().replace("0.2,", "0.3,"))
    seal(runs.parent, {})
    assert find_trained("imdb", "gru").settings["repeat"] == 1  # repeat 2 is as good


def test_the_corrected_arm_of_the_setting_is_meant(project):
    found = find_trained("imdb", "gru", repeat=1)
    assert found.weights.name == "corrected-1.safetensors"
    assert find_trained("imdb", "gru", "basic").weights.name == "basic-0.safetensors"


def test_a_model_that_was_not_among_those_to_train_is_named_with_those_that_were(project):
    with pytest.raises(InputError, match=r"'better': trained are .*basic"):
        find_trained("imdb", "gru", "better")


@pytest.mark.parametrize(
    ("lost", "repeat", "words"),
    [
        ("models/imdb/gru/runs.json", None, ["runs.json", "dvc repro train@imdb-gru"]),
        ("models/imdb/gru", None, ["models/imdb/gru", "`dvc repro train@imdb-gru`"]),
        ("models/imdb/gru/weights/corrected-1.safetensors", None, ["corrected-1", "dvc repro train@imdb-gru"]),
        ("data/ready/imdb/manifest.json", None, ["manifest.json", "dvc repro train@imdb-gru"]),
        ("data/ready/imdb/vocabulary.txt", None, ["vocabulary.txt", "dvc repro train@imdb-gru"]),
        (None, 7, ["repeat 7", "0, 1, 2"]),
    ],
)
def test_what_is_missing_is_named_with_the_command_to_run(project, lost, repeat, words):
    if lost:
        (project / lost).rename(project / "elsewhere")
    with pytest.raises(InputError) as failed:
        find_trained("imdb", "gru", repeat=repeat)
    assert all(word in str(failed.value) for word in words)
    assert "\n" not in str(failed.value)


def test_a_vocabulary_that_is_not_the_models_is_refused(project):
    seal(project / "data/ready/imdb", {"digest": "another"})
    with pytest.raises(InputError, match=r"trained on other data.*dvc repro train@imdb-gru"):
        find_trained("imdb", "gru")


@pytest.mark.parametrize(
    "name",
    [
        "data/ready/imdb/manifest.json",
        "data/ready/imdb/vocabulary.txt",
        "models/imdb/gru/manifest.json",
        "models/imdb/gru/runs.json",
        "models/imdb/gru/weights/corrected-1.safetensors",
    ],
)
@pytest.mark.parametrize("damage", [lambda data: b"[]", lambda data: data[:-3] + b"\0", lambda data: data + b" 1"])
def test_a_damaged_file_is_named_with_the_command_to_run(project, name, damage):
    path = project / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=rf"{name} is damaged.*stages.mend --cache.*dvc repro train@imdb-gru"):
        find_trained("imdb", "gru")


def test_of_a_persons_own_study_the_tuned_arm_is_meant(project):
    runs = project / "models/imdb/gru/runs.json"
    entries = [
        entry(10, [0.5], 1, protocols=["tuned"], weights="weights/a"),
        entry(11, [0.4], 1, protocols=["tuned", "equal_size"], weights="weights/b"),
        entry(12, [0.3], 1, protocols=["equal_size"], weights="weights/c"),
        entry(0, [0.1], 1, protocols=["tuning"], weights=""),
    ]
    runs.write_text(json.dumps(entries))
    seal(runs.parent, {})
    found = find_trained("imdb", "gru")
    assert (found.settings["repeat"], found.is_own) == (11, True)
