"""The record as it stands: every entry is what the schema says, of a protocol that its study still has."""

import copy
from pathlib import Path

import pytest
from stages.results.record_schema import check_entries

from stages.results.record import RECORD
from stages.support.files import read_json
from stages.support.process import InputError
from stages.training.repeats import study_module

FILES = sorted(path for path in RECORD.glob("*/*.json") if path.stem != "baseline")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_recorded_entry_is_as_the_schema_says_and_complete(path):
    entries = check_entries(path, read_json(path))
    study = study_module(path.parent.name)
    for entry in entries:
        study.Hyperparameters(**entry["hyperparameters"])
        provenance = entry["provenance"]
        assert not provenance["commit"].endswith("-dirty"), "an entry must name the code that computed it"
        assert {"versions", "seconds", "tokens_per_second", "peak_memory_bytes"} <= provenance.keys()
        assert provenance["seconds"] > 0


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda e: e["hyperparameters"].update(hidden_size=41), "protocol_digest is not that of"),
        (lambda e: e.update(seed=e["seed"] + 1), "protocol_digest is not that of"),
        (lambda e: e["test"].update(loss=float("nan")), "finite"),
        (lambda e: e["test"].update(loss="0.1"), "number"),
        (lambda e: e["provenance"].pop("commit"), "provenance.commit: Field required"),
        (lambda e: e.update(best_epoch=1001), "best epoch 1001"),
        (lambda e: e["curve"].pop(), "the curve's last one"),
        (lambda e: e.update(accuracy=1.0), "accuracy: Extra inputs are not permitted"),
        (lambda e: e.pop("repeat"), "repeat: Field required"),
    ],
)
def test_an_entry_that_is_none_is_refused_by_file_place_and_reason(fault, message):
    path = Path("elsewhere/damped/gru.json")
    entries = copy.deepcopy(read_json(RECORD / "damped" / "gru.json"))
    fault(entries[2])
    with pytest.raises(InputError, match=r"record: elsewhere/damped/gru.json: entry 2[.:]") as refusal:
        check_entries(path, entries)
    assert message in str(refusal.value)


def test_entries_of_another_cell_or_study_are_refused():
    entries = read_json(RECORD / "damped" / "gru.json")
    for path in (Path("damped/lstm.json"), Path("relay/gru.json")):
        with pytest.raises(InputError, match="entry 0: it is of damped/gru"):
            check_entries(path, entries)
