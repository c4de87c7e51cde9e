"""What is said of each document, the arms that follow, and the protocol that the shipped full profile has."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import get_args

import pytest
import yaml

from stages.kinds import kind
from stages.studies import arms, document
from stages.support.files import read_json
from stages.support.params import load_project, resolved, resolved_report, study_arms
from stages.support.sections import Heading
from tests.copies import ROOT, python_in

PROJECT = load_project(ROOT / "params.yaml")
STUDIES = sorted(path.stem for path in (ROOT / "stages/studies").glob("*.yaml"))
CELLS = ("rnn", "lstm", "gru")
SECTIONS = {
    "title", "document", "source", "cells", "arms", "variants", "scores", "curve", "sweep", "closed_loop", "landscape",
    "protocol", "published", "flaws", "differs", "claims", "epochs", "sentences",
}  # fmt: skip


def arms_of(study, cell, profile):
    settings = PROJECT.studies[study][profile]
    return arms(study, kind(settings.kind), cell, settings.training)


def test_every_document_has_a_study_in_params_yaml():
    assert set(STUDIES) == set(PROJECT.studies)
    assert document("mine") is None


@pytest.mark.parametrize("study", STUDIES)
def test_a_document_says_what_is_known_of_a_document(study):
    about = document(study)
    found = kind(PROJECT.studies[study]["full"].kind)
    assert set(about) <= SECTIONS
    assert set(about["cells"]) <= set(CELLS)
    assert set(about.get("arms", {})) <= set(get_args(Heading))
    names = {field.name for field in fields(found.Hyperparameters)}
    for changes in about.get("arms", {}).values():
        for cell, values in changes.items():
            assert cell in ("all", *about["cells"])
            assert set(values) <= names - {"cell"}
    for changes in about.get("variants", {}).values():
        assert changes
        assert set(changes) <= names - {"cell"}
    assert all(isinstance(text, str) for text in (*about["flaws"], *about.get("differs", ())))
    settings = {arm.setting for cell in CELLS for arm in arms_of(study, cell, "full")}
    assert set(about["protocol"]) <= {"", *settings}
    for fixed in about["protocol"].values():
        assert set(fixed) <= names
    scores = about.get("scores") or found.DOCUMENT["scores"]
    for row in about["published"]:
        assert row["cell"] in about["cells"]
        assert row["setting"] in {"", *settings}
    for claim in about.get("claims", ()):
        assert study in claim["study"]
        assert set(claim.get("protocols", ())) <= set(get_args(Heading))
        for rule in claim["rules"]:
            if "score" in rule and "different_winner" not in rule:
                assert rule["score"] in scores
            for pair in rule.get("pairs", ()):
                assert len(pair) == 2
                assert all(any(word in CELLS for word in side.split()) for side in pair)


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("profile", ["sample", "full"])
@pytest.mark.parametrize("cell", CELLS)
def test_only_a_cell_that_the_document_has_is_published_and_equal_arms_are_one(study, profile, cell):
    settings = PROJECT.studies[study][profile]
    grid = kind(settings.kind).settings(cell, settings.training)
    changes = document(study).get("arms", {})
    found = arms_of(study, cell, profile)
    assert len({arm.slug for arm in found}) == len(found)
    for setting, base in grid.items():
        mine = {heading: arm for arm in found if arm.setting == setting for heading in arm.protocols}
        assert list(mine) == [
            heading for heading in ("published", "corrected") if heading == "corrected" or heading in mine
        ]
        assert ("published" in mine) == (cell in document(study)["cells"])
        for heading, arm in mine.items():
            asked = changes.get(heading, {})
            expected = asdict(base) | asked.get("all", {}) | asked.get(cell, {})
            assert asdict(arm.hyperparameters) == expected
        if "published" in mine:
            same = mine["published"].hyperparameters == mine["corrected"].hyperparameters
            assert (mine["published"] is mine["corrected"]) == same


@pytest.fixture(scope="module", params=["sample", "full"])
def checked(request, tmp_path_factory):
    """A folder in which check ran on what ships, in a profile, and what it printed of itself."""
    folder = tmp_path_factory.mktemp("checked")
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"profile": request.param}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    code = "import sys, stages.check; stages.check.main(); print('torch' in sys.modules)"
    done = python_in(folder, "-c", code, stages=ROOT)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout.strip()


def test_check_writes_each_studys_settings_as_they_are_resolved_and_needs_no_torch(checked):
    folder, torch_was_imported = checked
    assert torch_was_imported == "False"
    project = load_project(folder / "params.yaml")
    written = {str(path.relative_to(folder / "data/settings")) for path in (folder / "data/settings").rglob("*.json")}
    expected = {
        f"{study}/{name}.json": content
        for study in project.params.studies
        for name, content in resolved(project, study).items()
    }
    expected["report.json"] = resolved_report(project)
    assert written == set(expected)
    for name, content in expected.items():
        assert read_json(folder / "data/settings" / name) == json.loads(json.dumps(content))
    for study in project.params.studies:
        for cell in CELLS:
            assert study_arms(project, study, cell)["arms"] == arms_of(study, cell, project.params.profile)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cells": ["lstm", "foo"]}, ["cells", "'foo'", "rnn, lstm, gru"]),
        ({"cells": ["lstm", "../.."]}, ["cells", "'../..'", "rnn, lstm, gru"]),
        ({"mirror": "not/there"}, ["mirror", "not/there"]),
        ({"layers": 0}, ["layers", "0"]),
    ],
)
def test_a_check_that_refuses_leaves_the_settings_as_they_were(tmp_path, changes, words):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(params | {"cell": "lstm", "studies": ["damped"]}))
    assert python_in(tmp_path, "-m", "stages.check", stages=ROOT).returncode == 0
    settings = tmp_path / "data/settings"
    before = {path: path.read_bytes() for path in settings.rglob("*.json")}
    assert {Path(path).relative_to(settings).parts[0] for path in before} == {"damped", "report.json"}
    file.write_text(yaml.safe_dump(params | {"cell": "lstm"} | changes))
    done = python_in(tmp_path, "-m", "stages.check", stages=ROOT)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    for word in words:
        assert word in done.stderr
    assert {path: path.read_bytes() for path in settings.rglob("*.json")} == before


def test_a_study_that_is_taken_out_leaves_no_settings_behind(tmp_path):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for studies in (["damped", "latch"], ["latch"]):
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | {"studies": studies}))
        assert python_in(tmp_path, "-m", "stages.check", stages=ROOT).returncode == 0
        assert sorted(path.name for path in (tmp_path / "data/settings").iterdir()) == [*studies, "report.json"]
