"""The project's folder, Python in a copy of it or of a part, and studies small enough for a test to train."""

import copy
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.forked import run_forked

ROOT = Path(__file__).parent.parent

SMALL_STUDIES = ("imdb", "ptb", "latch")
"""The clone's: both kinds of text, and a sweep of repeats that train at once."""

SMALL = {
    "batch_size": 16,
    "embedding_size": 8,
    "epochs": 2,
    "hidden_size": 4,
    "lengths": [2, 8],
    "longest": 8,
    "repeats": "0-1",
    "repeats_at_once": 2,
    "sequences": 80,
    "size": 8,
    "test_reviews": 60,
    "test_tokens": 800,
    "train_reviews": 120,
    "train_tokens": 4000,
    "validation_tokens": 800,
}
"""Settings by name, wherever a study has one: a new study of a known kind is small without a line here."""


def python_in(folder, *words, stages=None):
    """Run Python in a folder, with the folder's own `stages` or those of another; returns the finished process."""
    if words[0] == "-m":
        return run_forked(["python", *words], folder, stages=stages)
    environment = os.environ | {"PYTHONPATH": str(stages or folder), "DVC_ROOT": str(folder)}
    return subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)


def small_study(section):
    """A study's section of params.yaml with all that takes time made small, and the same once more as its `full`."""
    base = _small({name: value for name, value in section.items() if name != "full"})
    return base | {"full": {name: copy.deepcopy(value) for name, value in base.items() if name != "kind"}}


def _small(values):
    return {
        name: _small(value) if isinstance(value, dict) else copy.deepcopy(SMALL.get(name, value))
        for name, value in values.items()
    }


def digests(folder):
    """SHA-256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def small_project(folder, study, training, has_data=True, **changes):
    """A folder of one small study, with its data, ready to train; `training` changes its section and those in it."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    small = small_study((values | changes)[study])
    for name, value in training.items():
        small["training"][name] = small["training"].get(name, {}) | value if isinstance(value, dict) else value
    named = {name: value for name, value in values.items() if not isinstance(value, dict)}
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(named | changes | {"studies": [study], study: small}))
    for words in (["check"], *([["fetch", study], ["tokenize", study]] if has_data else [])):
        done = run_forked(["python", "-m", f"stages.{words[0]}", *words[1:]], folder, stages=ROOT)
        assert done.returncode == 0, done.stderr
    return folder


def forget_served_code():
    """Let MLflow load a model's code anew: what an earlier test loaded may lie in a folder that is gone."""
    for name in [name for name in sys.modules if name.startswith("lstm_vs_gru_")]:
        del sys.modules[name]
