"""Every refusal in one line that names the thing, its value and what is allowed."""

import copy
from pathlib import Path

import pytest
import yaml

from stages.support.params import Params, load_params, parse_repeats
from stages.support.process import InputError

SHIPPED = yaml.safe_load(Path("params.yaml").read_text())


def load_with(tmp_path, changes):
    values = copy.deepcopy(SHIPPED)
    for dotted, value in changes.items():
        *path, last = dotted.split(".")
        place = values
        for key in path:
            place = place[key]
        place[last] = value
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(values))
    return load_params(file)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dropot": 0.2}, ["dropot", "did you mean 'dropout'"]),
        ({"imdb.sample.training.epoch": 3}, ["imdb.sample.training.epoch", "did you mean 'epochs'"]),
        ({"imdb.sample.corpus.train_review": 3}, ["imdb.sample.corpus.train_review", "did you mean 'train_reviews'"]),
        ({"zzz": 1}, ["zzz", "known are cell, cells"]),
        ({"dropout": 1}, ["dropout", "1", "less than 1"]),
        ({"dropout": -0.1}, ["dropout", "-0.1", "greater than or equal to 0"]),
        ({"dropout": ".nan"}, ["dropout", "nan"]),
        ({"layers": 0}, ["layers", "0", "greater than or equal to 1"]),
        ({"layers": True}, ["layers", "True", "number"]),
        ({"layers": 1.5}, ["layers", "1.5"]),
        ({"device": "gpu"}, ["device", "'gpu'", "'auto', 'cpu' or 'cuda'"]),
        ({"cell": "foo"}, ["cell", "'foo'", "rnn, lstm, gru"]),
        ({"cell": "gru", "cells": ["lstm"]}, ["cell", "'gru'", "lstm"]),
        ({"cells": []}, ["cells", "at least 1"]),
        ({"cells": ["gru", "lstm", "gru"]}, ["cells", "twice"]),
        ({"studies": ["imbd"]}, ["studies", "'imbd'", "'imdb', 'ptb', 'damped'"]),
        ({"imdb.full.corpus.source": "web"}, ["imdb.full.corpus", "web", "'real'"]),
        ({"imdb.full.training.learning_rate": "quick"}, ["learning_rate", "'quick'", "number"]),
        ({"imdb.full.training.learning_rate": 0}, ["learning_rate", "0", "greater than 0"]),
        ({"ptb.full.training.repeats": "3-1"}, ["repeats", "3-1", "0-9"]),
        ({"ptb.full.training.precision": "float16"}, ["precision", "'float16'", "'float32' or 'bfloat16'"]),
        ({"mirror": None}, ["mirror", "None", "string"]),
    ],
)
def test_what_is_not_allowed_is_named_in_one_line(tmp_path, changes, words):
    with pytest.raises(InputError) as raised:
        load_with(tmp_path, changes)
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_missing_key_is_named(tmp_path):
    values = copy.deepcopy(SHIPPED)
    del values["ptb"]["full"]["training"]["window"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(InputError, match=r"ptb\.full\.training\.window: missing"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "\x00"])
def test_what_is_not_a_mapping_is_refused(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError):
        load_params(tmp_path / "params.yaml")


def test_numbers_that_dvc_writes_as_text_are_numbers(tmp_path):
    params = load_with(tmp_path, {"imdb.full.training.learning_rate": "1e-06", "layers": "3", "dropout": 0})
    assert params.section("imdb") == params.imdb.sample
    assert params.imdb.full.training.learning_rate == 1e-6
    assert (params.layers, params.dropout) == (3, 0.0)


def test_the_shipped_file_is_in_order_and_in_block_style():
    params = Params.model_validate(SHIPPED)
    assert params.profile == "sample"
    assert "[" not in Path("params.yaml").read_text()


@pytest.mark.parametrize(("text", "expected"), [("0-2", [0, 1, 2]), ("3", [3]), (3, [3]), ("4-4", [4])])
def test_repeats(text, expected):
    assert list(parse_repeats(text)) == expected


@pytest.mark.parametrize("text", ["", "-", "2-1", "a", "1-", "-3", "1.5", "0-2-4"])
def test_bad_repeats(text):
    with pytest.raises(ValueError, match="repeats"):
        parse_repeats(text)
