"""The quick form of `make faults`: some cases of every kind, always the same; and that it would see a failure."""

import errno
import json
import random

import pytest

from stages.support.process import InputError
from tests.faults.catalog import FAULTS, chances, failures, tried
from tests.faults.inputs import differs
from tests.faults.judge import Seen, judge, watched
from tests.faults.mutations import mutate, mutate_value
from tests.faults.table import PAGE, faults_table, generated


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.quick])
def test_every_fault_is_survived(name, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    outcomes = tried(name, FAULTS[name].quick)
    assert failures(name, outcomes) == [], f"see `python -m tests.faults {name} --cases {FAULTS[name].quick}`"
    assert set(outcomes) & {"mended", "refused"}, "nothing was injected"


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (Seen("a.json"), "right"),
        (Seen("a.json", said="a.json is damaged"), "mended"),
        (Seen("a.json", error=InputError("a.json: 3 is not allowed")), "refused"),
        (Seen("a.json", error=FileNotFoundError(errno.ENOENT, "No such file", "a.json")), "refused"),
        (Seen("a.json", wrong="another file taken"), "another file taken"),
        (Seen("a.json", wrong="another file taken", said="a.json is damaged"), "another file taken"),
        (Seen("a.json", error=InputError("3 is not allowed")), "a message that does not name a.json"),
        (Seen("a.json", said="something is damaged"), "a message that does not name a.json"),
        (Seen("a.json", error=InputError("x" * 1001 + "a.json")), "a message that does not name a.json"),
        (Seen("", said="a" * 1001), "a message longer than a line"),
        (Seen("", error=KeyError("a.json")), "traceback of KeyError"),
        (Seen("", error=OSError("no number")), "traceback of OSError"),
    ],
)
def test_what_is_survived(seen, outcome):
    assert judge(seen) == outcome


def test_a_reader_without_a_digest_and_one_without_a_check_are_seen():
    rows = [{"seed": number, "scores": [0.5, number / 7]} for number in range(9)]
    good = json.dumps(rows).encode()
    outcomes = set()
    for _, chance in chances("careless", range(200)):
        data = mutate(chance, good)
        careless = watched("", lambda data=data: json.loads(data), lambda read: "silent" if read != rows else "")
        outcomes.add(judge(careless))
    assert {"silent", "traceback of JSONDecodeError"} <= outcomes


def test_a_case_is_the_same_wherever_it_is_drawn_and_leaves_what_it_is_made_of():
    values = {"a": [1, {"b": None}], "c": "text"}
    for number, chance in chances("x", [3, 4, 3]):
        again = random.Random(f"x {number}")
        assert (mutate(chance, b"some bytes"), repr(mutate_value(chance, values))) == (
            mutate(again, b"some bytes"),
            repr(mutate_value(again, values)),
        )
    assert values == {"a": [1, {"b": None}], "c": "text"}


@pytest.mark.parametrize(
    ("written", "read", "place"),
    [
        ({"a": 1}, {"a": 1, "default": 2}, ""),
        ({"a": "1e-3"}, {"a": 0.001}, ""),
        ({"a": [1, 2]}, {"a": (1, 2)}, ""),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ".a.b"),
        ({"a": [1, 2]}, {"a": [1]}, ".a"),
        ({"a": 1}, {}, ".a"),
        ({"a": "x"}, {"a": 1}, ".a"),
    ],
)
def test_what_was_read_is_held_against_what_is_written(written, read, place):
    found = differs(written, read)
    assert found.endswith(f"at {place}") if place else found == ""


def test_the_table_is_that_of_what_was_measured():
    assert generated(PAGE.read_text(encoding="utf-8")) == PAGE.read_text(encoding="utf-8"), "run `make faults`"
    for row in faults_table().rows:
        tried_, survived = (int(str(row[column]).partition(":")[0].replace(",", "")) for column in (1, 2))
        assert survived <= tried_
        assert survived == tried_ or str(row[3]) != "–"
