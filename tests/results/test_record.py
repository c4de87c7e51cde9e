"""The record: merged, never overwritten, whatever the order."""

import itertools

from stages.results.record import merge, protocol_digest


def entry(repeat, accuracy=0.8, protocol="p", data="d", commit="abcdef1234"):
    return {
        "study": "imdb", "cell": "gru", "setting": "", "protocols": ["corrected"], "repeat": repeat,
        "protocol_digest": protocol, "data_digest": data, "test": {"accuracy": accuracy},
        "provenance": {"commit": commit, "machine": {"processor": "a processor"}},
    }  # fmt: skip


def test_records_of_several_machines_merge_into_one_whatever_the_order():
    parts = [[entry(0), entry(1)], [entry(1), entry(2)], [entry(0, protocol="q")]]
    ends = []
    for order in itertools.permutations(parts):
        merged, conflicts = [], []
        for part in order:
            merged, new = merge(merged, part)
            conflicts += new
        assert conflicts == []
        ends.append(merged)
    assert all(end == ends[0] for end in ends)
    assert [(e["protocol_digest"], e["repeat"]) for e in ends[0]] == [("p", 0), ("p", 1), ("p", 2), ("q", 0)]


def test_a_second_value_for_a_key_is_reported_and_not_taken():
    merged, conflicts = merge([entry(0, 0.8)], [entry(0, 0.9, commit="fedcba9876"), entry(1)])
    assert [e["test"]["accuracy"] for e in merged] == [0.8, 0.8]
    assert len(conflicts) == 1
    for word in ("imdb/gru", "repeat 0", "abcdef12", "fedcba98", "the recorded stay"):
        assert word in conflicts[0]


def test_other_data_is_another_measurement():
    merged, conflicts = merge([entry(0, 0.8)], [entry(0, 0.9, data="other")])
    assert len(merged) == 2
    assert conflicts == []


def test_the_protocol_digest_depends_on_what_was_trained_and_on_nothing_else():
    base = protocol_digest("imdb", "", {"layers": 2, "dropout": 0.5}, 1)
    assert base == protocol_digest("imdb", "", {"dropout": 0.5, "layers": 2}, 1)
    others = [
        protocol_digest("ptb", "", {"layers": 2, "dropout": 0.5}, 1),
        protocol_digest("imdb", "basic", {"layers": 2, "dropout": 0.5}, 1),
        protocol_digest("imdb", "", {"layers": 1, "dropout": 0.5}, 1),
        protocol_digest("imdb", "", {"layers": 2, "dropout": 0.5}, 2),
    ]
    assert len({base, *others}) == 5
