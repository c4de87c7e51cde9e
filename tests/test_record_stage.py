"""What the record asks of DVC."""

import re

import pytest

from stages.record import _overridden, _settings
from stages.support.params import load_params
from stages.support.process import InputError


@pytest.mark.parametrize("study", load_params().studies)
def test_dvc_writes_the_settings_of_a_recorded_run_into_params_yaml(study):
    # `-S` rewrites the file around its comments, and some places of a comment break it.
    before = load_params()
    settings = [*_settings(before, study, "gru"), f"{study}.full.training.repeats=2-4", "dropout=3e-1"]
    after = _overridden(settings)
    assert (after.profile, after.cell, after.cells, after.studies) == ("full", "gru", ["gru"], [study])
    assert (before.dropout, after.dropout) == (0.5, 0.3)
    expected = getattr(before, study).full.training.model_copy(update={"repeats": "2-4"})
    assert after.section(study).training == expected
    untouched = set(type(before).model_fields) - {setting.partition("=")[0].partition(".")[0] for setting in settings}
    assert {name: getattr(after, name) for name in untouched} == {name: getattr(before, name) for name in untouched}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("ptb.full.training.model=[basic]", "Could not override 'ptb.full.training.model'"),
        ("ptb.full.training.models=[best]", "params.yaml: ptb.full.training.models.0: 'best' is not allowed"),
    ],
)
def test_a_setting_that_params_yaml_does_not_allow_is_named(setting, message):
    with pytest.raises(InputError, match=re.escape(message)):
        _overridden([setting])
