"""What holds for all parameters, corpora, requests and records: Hypothesis looks for those for which it does not.

The tests try a few examples, always the same; `make faults PARTS=properties` tries 2,000 others of each.
"""

import copy
import itertools
import json
import os
import string
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stages.results.record import merge
from stages.results.row import Machine, Provenance, Row, read_rows, write_rows
from stages.support.files import decode, read_json, write_json
from stages.support.process import InputError
from stages.support.sections import parse_repeats
from stages.support.tensors import read_tensors, write_tensors
from stages.tables.ready import labelled_parts, tokenize_labelled
from stages.trained.weights import read_vocabulary
from stages.training import checkpoint
from tests.faults import inputs
from tests.faults.judge import SURVIVED, judge

SHIPPED = yaml.safe_load((inputs.ROOT / "params.yaml").read_text())
_shared = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("suite", max_examples=25, derandomize=True, **_shared)
settings.register_profile("long", max_examples=2_000, **_shared)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

text = st.text(st.characters(codec="utf-8"))
number = st.floats(allow_nan=False, allow_infinity=False)
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | number | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(autouse=True, scope="module")
def subnormal_numbers():
    """Hypothesis tries them; training in this process may have them flushed to zero."""
    torch.set_flush_denormal(False)


def places(value, path=()):
    """The path to every value in a mapping."""
    for key, inner in value.items():
        yield (*path, key)
        if isinstance(inner, dict):
            yield from places(inner, (*path, key))


@given(st.lists(st.tuples(st.sampled_from(sorted(places(SHIPPED))), json_like), min_size=1, max_size=3))
def test_params_yaml_means_what_it_says_or_is_refused_in_a_line(changes):
    values = copy.deepcopy(SHIPPED)
    for path, value in changes:
        place = values
        for key in path[:-1]:
            place = place.get(key) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place[path[-1]] = value
    with TemporaryDirectory() as folder:
        path = Path(folder, "params.yaml")
        path.write_text(yaml.safe_dump(values, allow_unicode=False))
        assert judge(inputs.read_params(path)) in SURVIVED


@given(
    seed=st.integers(0, 2**63 - 1),
    layers=st.integers(1, 100),
    dropout=st.floats(0, 1, exclude_max=True),
    threads=st.integers(1, 64),
    jobs=st.integers(0, 64),
    rate=st.floats(1e-300, 1e300),
    epochs=st.integers(1, 10**7),
)
def test_parameters_in_their_ranges_are_taken_as_they_are(rate, epochs, **changes):
    values = copy.deepcopy(SHIPPED) | changes
    values["imdb"]["training"] |= {"learning_rate": rate, "epochs": epochs}
    with TemporaryDirectory() as folder:
        path = Path(folder, "params.yaml")
        path.write_text(yaml.safe_dump(values))
        assert judge(inputs.read_params(path)) == "right"


@given(st.text(string.digits + "- ", max_size=9) | st.text(max_size=5))
def test_repeats_are_a_range_or_refused(written):
    try:
        found = parse_repeats(written)
    except ValueError:
        return
    first, _, last = written.partition("-")
    assert (found.start, found.stop - 1) == (int(first), int(last or first))
    assert found


UNICODE = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]


@given(st.lists(text.filter(lambda line: not set(line) & set("\r\n\ufeff")), min_size=1), st.sampled_from(UNICODE))
def test_text_comes_back_from_every_unicode_encoding_with_every_line_end(lines, encoding):
    whole = "".join(f"{line}\n" for line in lines)
    plain = encoding != "utf-8" or not set(whole) & {chr(code) for code in (*range(9), *range(14, 32))}
    assume(plain)  # UTF-8 of many control characters looks like UTF-16
    assume(encoding != "utf-16" or not whole.startswith("\0"))  # after UTF-16's mark that is UTF-32's
    for end in ("\n", "\r\n"):
        assert decode(whole.replace("\n", end).encode(encoding), "texts.txt") == whole


@given(
    st.lists(st.tuples(text, st.integers(0, 1)), min_size=8, max_size=40),
    st.sampled_from(["words", "characters"]),
    st.integers(1, 30),
)
def test_a_corpus_is_divided_without_a_loss_and_its_vocabulary_reads_back(items, unit, size):
    with TemporaryDirectory() as folder:
        raw, ready = Path(folder, "raw"), Path(folder, "ready")
        raw.mkdir()
        (raw / "texts.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in items))
        write_json(raw / "provenance.json", {"corpus": "a", "unit": unit, "labels": ["n", "p"], "rows": len(items)})
        try:
            tokenize_labelled(raw, ready, size, 0.2, 0.2, 100, 1)
        except InputError:
            labels = {" ".join(each.casefold().split()): label for each, label in reversed(items)}
            assert min(list(labels.values()).count(label) for label in (0, 1)) < 3
            return
        (parts,) = labelled_parts(raw, ready)
        assert sorted(itertools.chain(*parts)) == sorted(items)
        for one, other in itertools.combinations(parts, 2):
            assert not {each.strip() for each, _ in one} & {each.strip() for each, _ in other}
        known = read_json(ready / "manifest.json")["vocabulary_size"]
        assert sorted(read_vocabulary(ready / "vocabulary.txt", unit).values()) == list(range(known))
        for part, kept in zip(("train", "validation", "test"), parts, strict=True):
            tokens, ends = (np.load(ready / f"{part}.{name}.npy") for name in ("tokens", "offsets"))
            assert (len(ends), ends[-1]) == (len(kept) + 1, len(tokens))
            assert (np.diff(ends) >= 1).all()
            assert (tokens < known).all()


@cache
def served():
    return inputs.serve(Path(mkdtemp()))


columns = st.dictionaries(st.sampled_from(["text", "index", "a"]), st.lists(json_like, max_size=5) | json_like)


@given(
    st.dictionaries(st.sampled_from(["inputs", "instances", "dataframe_records", "params"]), columns | json_like)
    | st.fixed_dictionaries({"dataframe_split": st.fixed_dictionaries({"columns": json_like, "data": json_like})})
    | st.builds(lambda texts: {"inputs": {"text": texts}}, st.lists(text | json_like, min_size=1))
)
def test_a_request_is_answered_or_refused_in_a_line(body):
    assert judge(served()(json.dumps(body).encode())) in (*SURVIVED, inputs.BY_MLFLOW)


hexadecimal = st.text("0123456789abcdef", min_size=64, max_size=64)
usual = st.floats(-1e149, 1e149)
scores = st.dictionaries(text, usual | st.lists(usual) | st.dictionaries(text, usual), max_size=4)


@st.composite
def rows(draw):
    epochs = draw(st.integers(1, 5))
    return Row(
        study="imdb", cell="gru", corpus=draw(text), data_digest=draw(st.sampled_from(["0" * 64, "1" * 64])),
        protocol_digest=draw(st.sampled_from(["", "a", "b"])), setting=draw(text), sweep="",
        protocols=draw(st.sampled_from([("published",), ("corrected", "tuned")])),
        hyperparameters={"cell": "gru", "epochs": epochs} | draw(st.dictionaries(st.text("xyz", min_size=1), number)),
        repeat=draw(st.integers(0, 3)), seed=draw(st.integers(0, 2**70)), best_epoch=draw(st.integers(1, epochs)),
        validation=draw(scores), test=draw(scores), key=draw(hexadecimal),
        curve=tuple({"epoch": epoch, "train_loss": draw(usual)} for epoch in range(1, epochs + 1)),
        provenance=draw(st.none() | st.builds(lambda a: Provenance(commit="f" * 40, machine=Machine(a)), text)),
    )  # fmt: skip


@given(st.lists(rows(), max_size=5))
def test_rows_are_read_as_they_were_written(written):
    with TemporaryDirectory() as folder:
        path = Path(folder, "gru.json")
        write_rows(path, written)
        read = read_rows(path)
    assert repr(read) == repr(written)


@given(st.lists(rows(), max_size=8), st.lists(rows(), max_size=8))
def test_a_merge_keeps_what_is_recorded_and_is_the_same_done_twice(recorded, new):
    before, _ = merge([], recorded)
    merged, conflicts = merge(before, new)
    assert [row for row in merged if row in before] == before
    assert merge(merged, before) == (merged, [])
    assert len(merge(merged, new)[1]) == len(conflicts)
    keys = [(row.protocol_digest, row.data_digest, row.repeat) for row in merged]
    assert len(keys) == len(set(keys))
    assert set(keys) == {(row.protocol_digest, row.data_digest, row.repeat) for row in (*recorded, *new)}


kinds = st.sampled_from(["?", "u1", "i2", "u2", "i4", "i8", "f2", "f4", "f8"]).map(np.dtype)
some_arrays = kinds.flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0)))


@given(st.dictionaries(text.filter(lambda name: name != "__metadata__"), some_arrays, max_size=4), text)
def test_arrays_come_back_to_the_bit(written, about):
    with TemporaryDirectory() as folder:
        path = Path(folder, "w.safetensors")
        write_tensors(path, written, {"about": about})
        read, said = read_tensors(path)
    assert said == {"about": about}
    assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in read.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in written.items()
    }


tensors = some_arrays.filter(lambda a: a.dtype != np.uint16).map(lambda a: torch.from_numpy(np.array(a)))
states = st.recursive(
    tensors | st.none() | st.booleans() | st.integers(-(2**53), 2**53) | number | text,
    lambda inner: st.dictionaries(text | st.integers(0, 99), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(text, states, max_size=4))
def test_a_checkpoint_holds_any_state(state):
    with TemporaryDirectory() as folder:
        path = Path(folder, "key.safetensors")
        checkpoint.save(path, state)
        assert repr(checkpoint.load(path)) == repr(state)
