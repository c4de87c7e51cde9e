"""Rows: the record as it stands, what is refused and in which words, and digests that a new setting leaves alone."""

import copy
import json
from dataclasses import dataclass, make_dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from rows import make_row

from stages.kinds import kind
from stages.results.record import RECORD
from stages.results.row import check_recorded, parse_rows, protocol_digest, read_rows, write_rows
from stages.studies import document
from stages.support.files import read_json, without_defaults
from stages.support.process import InputError

KINDS = yaml.safe_load(Path("params.yaml").read_text())
FILES = sorted(path for path in RECORD.glob("*/*.json") if path.stem != "baseline")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_recorded_row_is_whole_and_written_back_to_the_byte(path, tmp_path):
    rows = check_recorded(path, read_rows(path))
    hyperparameters = kind(KINDS[path.parent.name]["kind"]).Hyperparameters
    cells = document(path.parent.name)["cells"]
    for row in rows:
        assert row.hyperparameters == without_defaults(hyperparameters(**row.hyperparameters))
        assert row.cell in cells or "published" not in row.protocols
        assert not row.provenance.commit.endswith("-dirty"), "a row must name the code that computed it"
        assert row.provenance.versions
        assert row.provenance.seconds > 0
        assert row.provenance.tokens_per_second
        assert row.provenance.peak_memory_bytes
    write_rows(tmp_path / "written.json", rows)
    assert (tmp_path / "written.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda e: e["hyperparameters"].update(hidden_size=41), "protocol_digest is not that of"),
        (lambda e: e.update(seed=e["seed"] + 1), "protocol_digest is not that of"),
        (lambda e: e["test"].update(loss=float("nan")), "finite"),
        (lambda e: e["test"].update(loss=10**400), "finite"),
        (lambda e: e["hyperparameters"].update(learning_rate=float("inf")), "JSON"),
        (lambda e: e["test"].update(loss="0.1"), "number"),
        (lambda e: e["provenance"].pop("commit"), "provenance.commit: Field required"),
        (lambda e: e.pop("provenance"), "provenance: a recorded row needs it"),
        (lambda e: e.pop("test"), "test: a recorded row needs it"),
        (lambda e: e.update(best_epoch=1001), "best epoch 1001"),
        (lambda e: e["curve"].pop(), "the curve's last one"),
        (lambda e: e.update(accuracy=1.0), "accuracy: Unexpected keyword argument"),
        (lambda e: e.pop("repeat"), "repeat: Field required"),
        (lambda e: e.update(cell="lstm"), "hyperparameters have another cell than lstm"),
        (lambda e: e.update(protocols=["tunes"]), "protocols.0: Input should be 'published'"),
    ],
)
def test_a_row_that_is_none_is_refused_in_one_line_by_file_place_and_reason(fault, message):
    path = Path("elsewhere/damped/gru.json")
    entries = copy.deepcopy(read_json(RECORD / "damped" / "gru.json"))
    fault(entries[2])
    with pytest.raises(InputError, match=r"^elsewhere/damped/gru.json: row 2[.:]") as refusal:
        check_recorded(path, parse_rows(path, json.dumps(entries)))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["{", '{"arms": []}', "[1]", "", "null"])
@pytest.mark.parametrize("name", ["gru.json", "runs.json"])
def test_what_is_no_list_of_rows_is_refused_in_one_line(name, text, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError) as refusal:
        read_rows(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"missing\.json is not there"):
        read_rows(tmp_path / "missing.json")


def test_rows_of_another_cell_or_study_are_refused():
    rows = read_rows(RECORD / "damped" / "gru.json")
    for path in (Path("damped/lstm.json"), Path("relay/gru.json")):
        with pytest.raises(InputError, match="row 0: it is of damped/gru"):
            check_recorded(path, rows)


def test_what_is_written_is_read_back_to_the_digit(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2**63, 2000, dtype=np.uint64)
    bits = np.concatenate([bits, bits | np.uint64(2**63)]).view(np.float64)
    values = [*bits[np.abs(bits) < 1e150].tolist(), 0.1 + 0.2, 5e-324, -0.0, 1.0, 1]
    scores = {"one": values[0], "several": values, "named": {"ü | \n": 0.5}, "whole": 3}
    points = tuple({"epoch": n, "train_loss": loss} for n, loss in enumerate(values, 1))
    rows = [make_row("imdb", "gru", test=scores, curve=points, setting="ü, |", weights="w", job="ab", repeat=10**9)]
    write_rows(tmp_path / "rows.json", rows)
    (read,) = read_rows(tmp_path / "rows.json")
    assert [read] == rows
    assert repr(read) == repr(rows[0])  # -0.0 is no 0, nor 1.0 1


@dataclass(frozen=True)
class Before:
    """A study's settings as they were recorded."""

    cell: str
    layers: int


After = make_dataclass(
    "After", [("cell", str), ("layers", int), ("tied", bool, False), ("rate", float, 0.5)], frozen=True
)


def test_a_digest_depends_on_what_was_trained_and_on_nothing_else():
    base = protocol_digest("imdb", "", {"layers": 2, "dropout": 0.5}, 1)
    assert base == protocol_digest("imdb", "", {"dropout": 0.5, "layers": 2}, 1)
    others = [
        protocol_digest("ptb", "", {"layers": 2, "dropout": 0.5}, 1),
        protocol_digest("imdb", "basic", {"layers": 2, "dropout": 0.5}, 1),
        protocol_digest("imdb", "", {"layers": 1, "dropout": 0.5}, 1),
        protocol_digest("imdb", "", {"layers": 2, "dropout": 0.5}, 2),
    ]
    assert len({base, *others}) == 5


def test_a_setting_that_is_added_with_a_default_leaves_older_digests_alone():
    recorded = protocol_digest("imdb", "", Before("gru", 2), 1)
    assert protocol_digest("imdb", "", without_defaults(Before("gru", 2)), 1) == recorded
    assert protocol_digest("imdb", "", After("gru", 2), 1) == recorded
    changed = {protocol_digest("imdb", "", After("gru", 2, **other), 1) for other in ({"tied": True}, {"rate": 0.25})}
    assert len(changed | {recorded}) == 3
    assert protocol_digest("imdb", "", After("gru", 2, rate=0.25), 1) == protocol_digest(
        "imdb", "", without_defaults(After("gru", 2, rate=0.25)), 1
    )


def test_a_value_that_only_equals_its_default_is_kept():
    assert without_defaults(After("gru", 2, tied=0)) == {"cell": "gru", "layers": 2, "tied": 0}  # 0 is no False
