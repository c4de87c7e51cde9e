"""The served model in a process that is not its own: other packages, other indices, other users, too much at once."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest
import torch

from stages.kinds.classification.model import ReviewClassifier
from stages.support.files import file_digest, write_json
from stages.support.process import InputError
from stages.support.tensors import write_tensors
from stages.trained import served
from stages.trained.package import copy_code

SIZES = {"embedding_size": 4, "hidden_size": 3, "layers": 1, "dropout": 0.0, "dropout_between_layers": 0.0}
WORDS = ["<unk>", "<pad>", "the", "film", "good", "bad", "horrible"]


@pytest.fixture
def folder(tmp_path):
    """The files of a registered model, of random weights."""
    made = tmp_path / "files"
    made.mkdir()
    net = ReviewClassifier("gru", vocabulary_size=len(WORDS), **SIZES)
    net.start(torch.Generator().manual_seed(3))
    write_tensors(made / "w.safetensors", {name: value.numpy() for name, value in net.state_dict().items()})
    (made / "vocabulary.txt").write_text("".join(f"{word}\n" for word in WORDS))
    names = {"weights": "w.safetensors", "vocabulary": "vocabulary.txt"}
    files = {part: {"name": name, "sha256": file_digest(made / name)} for part, name in names.items()}
    settings = {"kind": "classification", "hyperparameters": {"cell": "gru", **SIZES}, "ready": {}, "files": files}
    write_json(made / "settings.json", settings)
    return made


TEXTS = ["good film", "the bad film", "horrible", "good", ""]


@pytest.mark.parametrize(
    "index",
    [
        [7, 3, 3, 0, -1],
        list("edcba"),
        pd.date_range("2020-01-01", periods=5),
        pd.MultiIndex.from_product([[1], range(5)]),
    ],
)
def test_predictions_keep_the_index_that_they_were_asked_with(folder, index):
    model = served._load_pyfunc(str(folder))
    plain = model.predict(pd.DataFrame({"text": TEXTS}))
    frame = pd.DataFrame({"text": TEXTS}, index=index)
    answers = model.predict(frame)
    assert answers.index.equals(frame.index)
    assert answers["probability_positive"].tolist() == plain["probability_positive"].tolist()


def test_predictions_for_a_part_of_a_table_land_on_its_rows(folder):
    model = served._load_pyfunc(str(folder))
    table = pd.DataFrame({"text": TEXTS})
    table["p"] = model.predict(table)["probability_positive"]
    part = table[table.text.str.len() < 10].copy()
    part["again"] = model.predict(part[["text"]])["probability_positive"]
    assert part["again"].tolist() == pytest.approx(part["p"].tolist(), abs=1e-6)


def test_nothing_asked_gets_nothing(folder):
    assert len(served._load_pyfunc(str(folder)).predict(pd.DataFrame({"text": pd.Series([], dtype=object)}))) == 0


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["good", None], ["row 1", "null"]),
        ([float("nan")], ["row 0", "null"]),
        ([pd.NA], ["row 0", "null"]),
        ([5], ["row 0", "5"]),
        ([["a"]], ["row 0", "['a']"]),
        (["a" * 3_000_000], ["3000000 characters"]),
        (["a"] * 20_000, ["20000 texts"]),
    ],
)
def test_what_is_no_text_or_too_much_is_refused(folder, texts, words):
    model = served._load_pyfunc(str(folder))
    with pytest.raises(Exception) as failed:  # noqa: PT011 - ValueError, or MLflow's where a test has imported it
        model.predict(pd.DataFrame({"text": pd.Series(texts, dtype=object)}))
    assert all(word in str(failed.value) for word in words)


@pytest.mark.parametrize("name", ["w.safetensors", "vocabulary.txt"])
def test_a_damaged_file_of_a_registered_model_is_named(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[-2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name} is damaged"):
        served._load_pyfunc(str(folder))


SERVICE = """
import importlib, json, os, sys
import stages  # the service's own
import pandas as pd
import numba
model = importlib.import_module(sys.argv[1] + ".trained.served")._load_pyfunc(sys.argv[2])
answers = model.predict(pd.DataFrame({"text": json.loads(sys.argv[3])}))["probability_positive"].tolist()
compiled = importlib.import_module(sys.argv[1] + ".nn.compiled")
import numpy as np
value = float(numba.njit(lambda x: compiled.tanh(x))(np.float64(0.5)))
ours = [name for name in sys.modules if name.startswith("stages")]
print(json.dumps([stages.MINE, answers, value, ours, numba.config.CACHE_DIR]))
"""


def test_a_service_with_a_package_of_that_name_uses_the_model_and_its_folder_stays_as_it_was(tmp_path, folder):
    package = copy_code(tmp_path / "code")
    assert copy_code(tmp_path / "again") == package  # the code decides the name
    (tmp_path / "service/stages").mkdir(parents=True)
    (tmp_path / "service/stages/__init__.py").write_text("MINE = 'the service'\n")
    (tmp_path / "absent").touch()  # no folder: nobody can write there, the superuser included
    before = {path: path.read_bytes() for path in (tmp_path / "code").rglob("*") if path.is_file()}
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "XDG", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-B", "-c", SERVICE, package, str(folder), json.dumps(TEXTS)],
        cwd=tmp_path / "service", capture_output=True, text=True,
        env=env | {"PYTHONPATH": f"{tmp_path / 'service'}:{tmp_path / 'code'}", "HOME": str(tmp_path / "absent/home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    mine, answers, tanh, ours, cache = json.loads(done.stdout)
    expected = served._load_pyfunc(str(folder)).predict(pd.DataFrame({"text": TEXTS}))["probability_positive"]
    assert (mine, ours, cache) == ("the service", ["stages"], "")
    assert answers == pytest.approx(expected.tolist(), abs=1e-6)
    assert tanh == pytest.approx(0.46211715726000973, rel=1e-12)
    assert {path: path.read_bytes() for path in (tmp_path / "code").rglob("*") if path.is_file()} == before
