"""What a kind is held to, and that one which lacks a part is refused before anything is trained."""

import gc
import shutil
from dataclasses import fields, is_dataclass

import pytest
import torch
import yaml

from stages.kinds import Kind, kind, names, task_module
from stages.studies import arms
from stages.support.files import read_json
from stages.support.params import load_project
from stages.support.process import InputError
from stages.support.sections import Section, parse_repeats
from stages.text.corpora.download import Mirror
from stages.training import loop
from tests.copies import ROOT, python_in, small_study

STUDIES = load_project(ROOT / "params.yaml").studies


def test_every_kind_but_that_of_peoples_own_series_has_a_study_and_every_study_a_kind():
    used = {settings.kind for profiles in STUDIES.values() for settings in profiles.values()}
    assert (
        used | {"series"}
        == set(names())
        == {path.parent.name for path in (ROOT / "stages/kinds").glob("*/__init__.py")}
    )


@pytest.mark.parametrize("name", names())
def test_a_kind_has_all_that_a_kind_has(name):
    found = kind(name)
    assert isinstance(found, Kind)
    assert found.__doc__
    assert issubclass(found.Tokens, Section)
    assert issubclass(found.Training, Section)
    assert "repeats" in found.Training.model_fields
    assert set(found.GOVERNED) <= set(found.Training.model_fields)
    assert is_dataclass(found.Hyperparameters)
    assert fields(found.Hyperparameters)[0].name == "cell"
    assert {"scores", "curve"} <= set(found.DOCUMENT)
    assert found.DOCUMENT["epoch_chosen_by"] == task_module(name).Task.chosen_by
    for score in found.DOCUMENT["scores"].values():
        assert score["label"]
        assert score["better"] in ("higher", "lower")


@pytest.fixture(scope="module")
def _only_what_this_file_makes():
    """A search for cycles looks through nothing of other tests."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_only_what_this_file_makes")
@pytest.mark.parametrize("study", STUDIES)
def test_a_study_goes_from_its_section_to_scores_as_its_kind_says(study, tmp_path):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | {study: small_study(params[study])}))
    settings = load_project(tmp_path / "params.yaml").studies[study]["sample"]
    found, module = kind(settings.kind), task_module(settings.kind)
    raw, ready = tmp_path / "raw", tmp_path / "ready"
    found.fetch(settings.corpus, raw, Mirror(), tmp_path / "downloads")
    corpus = read_json(raw / "provenance.json")["corpus"]
    found.tokenize(settings.tokens, raw, ready)
    assert read_json(ready / "manifest.json").items() >= {"corpus": corpus}.items()
    assert all(row["name"] for row in found.baselines(raw, ready))
    data = module.Data(ready)
    assert (data.corpus, len(data.digest)) == (corpus, 64)
    repeats = list(range(getattr(settings.training, "repeats_at_once", 1)))
    for arm in arms(study, found, "gru", settings.training):
        task = module.Task(data, arm.hyperparameters, 1, repeats, torch.device("cpu"))
        assert [name for name in (*loop.Task.__annotations__, "engine") if not hasattr(task, name)] == []
        assert task.gradient_norm_limit is None or len(repeats) == 1
        assert task.chosen_by is None or len(repeats) == 1
        pack = loop.Pack(study, 1, repeats, 1, tmp_path / "checkpoint.pt")
        fitted = loop.fit(task, pack, lambda *_: None)
        assert len(fitted.curves) == len(repeats)
        for scores in (task.validate(), task.test()):
            assert len(scores) == len(repeats)
        assert task.chosen_by is None or task.chosen_by in task.validate()[0]
        assert _cycles_left_by(lambda: loop._train_epoch(task, pack, 1)) == []  # noqa: B023
        columns = {f"{part}_{about['column']}" for part, about in found.DOCUMENT["curve"].items()}
        assert columns <= set(fitted.curves[0][0])
        (tmp_path / "checkpoint.pt").unlink(missing_ok=True)


def _cycles_left_by(function):
    """Objects that only a search for cycles can free: a stage seldom looks (`stages.support.process.protect`)."""
    while gc.collect():
        pass  # what freeing earlier tests' objects has left in turn: SQLAlchemy's, say
    gc.disable()
    try:
        function()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        return [repr(each)[:200] for each in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize(("study", "profile"), [(study, p) for study in STUDIES for p in ("sample", "full")])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_settings_are_hyperparameters_of_the_cell_that_can_be_written_and_read(study, profile, cell):
    settings = STUDIES[study][profile]
    found = kind(settings.kind)
    grid = found.settings(cell, settings.training)
    assert grid
    for hyperparameters in grid.values():
        assert isinstance(hyperparameters, found.Hyperparameters)
        assert hyperparameters.cell == cell
        assert hash(hyperparameters) is not None  # arms are compared as keys
        assert yaml.safe_load(yaml.safe_dump(vars(hyperparameters))) == vars(hyperparameters)
    assert len(parse_repeats(settings.training.repeats)) > 0


def test_a_kind_that_is_not_there_is_named():
    with pytest.raises(InputError, match="'poem' is not one of bits, classification, language_model, sequence"):
        kind("poem")
    with pytest.raises(InputError, match=r"'\.\./nn' is not one of"):
        kind("../nn")


@pytest.fixture
def copy(tmp_path):
    """Of the project: its stages and params.yaml."""
    shutil.copytree(ROOT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "part", "lacking"),
    [
        ("__init__.py", "def baselines(", "baselines"),
        ("__init__.py", "def check(", "check"),
        ("__init__.py", "class Hyperparameters", "Hyperparameters"),
        ("__init__.py", "GOVERNED = ", "GOVERNED"),
        ("task.py", "    def test(", "task.Task.test"),
        ("task.py", "    def after_epoch(", "task.Task.after_epoch"),
        ("task.py", "class Data", "task.Data"),
    ],
)
def test_a_kind_that_lacks_a_part_is_refused_by_check_and_nothing_is_written(copy, file, part, lacking):
    broken = copy / "stages/kinds/classification" / file
    text = broken.read_text()
    assert text.count(part) == 1
    name = lacking.rsplit(".", 1)[-1]
    whole = name == "Hyperparameters"  # which the rest of the module uses
    found = name if whole else part
    broken.write_text(text.replace(found, found.replace(name, f"{name}_misspelt")))
    done = python_in(copy, "-m", "stages.check")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"error: params.yaml: imdb.kind: stages/kinds/classification lacks {lacking}",
    ]
    assert not (copy / "data").exists()


def test_a_new_kind_is_its_folder_alone(copy):
    """A copy of a kind under another name and a section that names it: nothing else lists the kinds."""
    shutil.copytree(copy / "stages/kinds/sequence", copy / "stages/kinds/another")
    for path in (copy / "stages/kinds/another").glob("*.py"):
        path.write_text(path.read_text().replace("stages.kinds.sequence", "stages.kinds.another"))
    params = yaml.safe_load((copy / "params.yaml").read_text())
    params |= {"studies": ["mine"], "mine": params["damped"] | {"kind": "another"}}
    (copy / "params.yaml").write_text(yaml.safe_dump(params))
    done = python_in(copy, "-m", "stages.check")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (copy / "data/settings").iterdir()) == ["mine", "report.json"]
