"""What the record asks of DVC."""

import shutil

import pytest
from dvc.utils.hydra import apply_overrides

from stages.record import _settings
from stages.support.params import load_params


@pytest.mark.parametrize("study", load_params().studies)
def test_dvc_writes_the_settings_of_a_recorded_run_into_params_yaml(study, tmp_path):
    # `-S` rewrites the file around its comments, and some places of a comment break it.
    path = tmp_path / "params.yaml"
    shutil.copy("params.yaml", path)
    before = load_params(path)
    settings = _settings(before, study, "gru", "2-4")
    apply_overrides(path, [f"{name}={value}" for name, value in settings.items()])
    after = load_params(path)
    assert (after.profile, after.cell, after.cells, after.studies) == ("full", "gru", ["gru"], [study])
    expected = getattr(before, study).full.training.model_copy(update={"repeats": "2-4"})
    assert after.section(study).training == expected
    untouched = set(type(before).model_fields) - {name.partition(".")[0] for name in settings}
    assert {name: getattr(after, name) for name in untouched} == {name: getattr(before, name) for name in untouched}
