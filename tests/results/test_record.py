"""The record: merged, never overwritten, whatever the order."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from rows import make_row

from stages.results.record import merge, write_entries
from stages.results.row import RECORDED_TRIAL, Machine, Provenance, check_recorded, protocol_digest
from stages.support.process import InputError


def entry(repeat, accuracy=0.8, protocol="a", data="d", commit="abcdef1234"):
    return make_row(
        "imdb", "gru", protocols=("corrected",), repeat=repeat, protocol_digest=protocol, data_digest=data * 64,
        validation={"loss": 1.0}, test={"accuracy": accuracy},
        provenance=Provenance(commit=commit.ljust(40, "0"), machine=Machine("a processor")),
    )  # fmt: skip


def test_records_of_several_machines_merge_into_one_whatever_the_order():
    parts = [[entry(0), entry(1)], [entry(1), entry(2)], [entry(0, protocol="b")]]
    ends = []
    for order in itertools.permutations(parts):
        merged, conflicts = [], []
        for part in order:
            merged, new = merge(merged, part)
            conflicts += new
        assert conflicts == []
        ends.append(merged)
    assert all(end == ends[0] for end in ends)
    assert [(row.protocol_digest, row.repeat) for row in ends[0]] == [("a", 0), ("a", 1), ("a", 2), ("b", 0)]


def test_a_second_value_for_a_key_is_reported_and_not_taken():
    merged, conflicts = merge([entry(0, 0.8)], [entry(0, 0.9, commit="fedcba9876"), entry(1)])
    assert [row.test["accuracy"] for row in merged] == [0.8, 0.8]
    assert len(conflicts) == 1
    for word in ("imdb/gru", "repeat 0", "abcdef12", "fedcba98", "the recorded stay"):
        assert word in conflicts[0]


def test_other_data_is_another_measurement():
    merged, conflicts = merge([entry(0, 0.8)], [entry(0, 0.9, data="e")])
    assert len(merged) == 2
    assert conflicts == []


def test_a_row_of_another_protocol_than_its_digest_says_is_not_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="protocol_digest"):
        write_entries("imdb", "gru", [entry(0)])
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("changes", [{"cell": "lstm"}, {"study": "ptb"}, {"validation": {}}, {"protocol_digest": "a"}])
def test_a_trial_is_read_from_another_record_only_where_it_is_of_its_file_and_whole(changes):
    trial = replace(entry(0), protocols=("tuning",), test={}, protocol_digest="")
    digest = protocol_digest("imdb", "", trial.hyperparameters, trial.seed)
    whole = replace(trial, protocol_digest=digest)
    path = Path("metrics/record/imdb/gru.json")
    assert check_recorded(path, [whole], RECORDED_TRIAL) == [whole]
    if "cell" in changes:
        changes = changes | {"hyperparameters": {"cell": "lstm"}}
    with pytest.raises(InputError, match=r"gru\.json: row 0: "):
        check_recorded(path, [replace(whole, **changes)], RECORDED_TRIAL)
