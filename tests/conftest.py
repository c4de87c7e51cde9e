"""The one temporary clone that the end-to-end tests share, with a tiny profile of the shipped pipeline."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml

ROOT = Path(__file__).parent.parent

torch.set_num_threads(1)  # as a training process has; with more, small products wait for each other

TINY = {
    "jobs": 2,
    "imdb": {
        "corpus": {"source": "sample", "train_reviews": 120, "test_reviews": 60},
        "training": {"repeats": "0-1", "epochs": 2, "batch_size": 16, "embedding_size": 8, "hidden_size": 4},
    },
    "ptb": {
        "corpus": {"source": "sample", "train_tokens": 4000, "validation_tokens": 800, "test_tokens": 800},
        "training": {
            "repeats": "0-1",
            "basic": {"embedding_size": 8, "hidden_size": 8, "epochs": 2},
            "better": {"size": 8, "epochs": 2, "rate_divisor": 4.0},
        },
    },
    "damped": {"training": {"repeats": "0-3", "repeats_at_once": 2, "epochs": 3, "hidden_size": 4}},
    "latch": {
        "data": {"sequences": 80, "longest": 8},
        "training": {"repeats": "0-3", "repeats_at_once": 2, "epochs": 2, "lengths": [2, 8]},
    },
    "relay": {
        "data": {"sequences": 80, "longest": 8},
        "training": {"repeats": "0-1", "repeats_at_once": 2, "epochs": 2, "lengths": [2, 8]},
    },
    "fibonacci": {
        "data": {"values": 400},
        "training": {"repeats": "0-1", "epochs": 2, "batch_size": 20, "hidden_size": 4, "layer_counts": [1, 2]},
    },
}


@dataclass(frozen=True)
class Clone:
    """A clone of the project, and the commands that its user types there."""

    folder: Path

    def run(self, *command, check=True, **environment):
        """Run a command as a user of the clone would, with .venv active; returns the finished process."""
        env = self.environment(**environment)
        done = subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=900
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def environment(self, **changes):
        """What a user's commands inherit, with .venv active, and without the settings of whoever runs the tests."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_", "GIT_"))}
        return inherited | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "200",
            "GIT_CONFIG_GLOBAL": os.devnull,  # hooks and signing, say
            "GIT_CONFIG_NOSYSTEM": "1",
            **changes,
        }

    def stages_run(self, done):
        """The stages that a `dvc repro` or `dvc exp run` has run, in order; those restored from cache are not."""
        return re.findall(r"Running stage '([^']+)'", done.stdout)

    def read(self, name):
        return (self.folder / name).read_text(encoding="utf-8")

    def edit(self, name, old, new):
        text = self.read(name)
        assert old in text
        (self.folder / name).write_text(text.replace(old, new), encoding="utf-8")

    def reset(self):
        """Back to the last commit, and its outputs from DVC's cache."""
        # DVC refreshes Git's index, which then takes an edit of the same size and second for none.
        (self.folder / "params.yaml").touch()
        self.run("git", "reset", "--quiet", "--hard")
        self.run("dvc", "checkout", "--quiet", "--force")


def merged(values, changes):
    """`values` with `changes` put over them, section by section; a corpus is replaced whole."""
    return values | {
        key: merged(values[key], change) if isinstance(change, dict) and key != "corpus" else change
        for key, change in changes.items()
    }


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """A clone of the working tree with both profiles made tiny, `dvc repro` done and committed."""
    made = make_clone(tmp_path_factory.mktemp("clone") / "lstm-vs-gru")
    done = made.run("dvc", "repro")
    (made.folder / ".git/repro.out").write_text(done.stdout)
    made.run("git", "add", "--all")
    made.run("git", "commit", "--quiet", "--message=Results")
    return made


def make_clone(folder):
    """A clone of the working tree with both profiles made tiny, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("metrics/", "plots/", "dvc.lock")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    for study in params["studies"]:
        tiny = merged(params[study]["sample"], TINY[study])
        params[study] = {"sample": tiny, "full": tiny}  # so that the record runs without the real corpora
    params["jobs"] = TINY["jobs"]
    # By way of JSON, since YAML would write the second of two equal sections as an alias of the first.
    (folder / "params.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(params)), sort_keys=False))
    made = Clone(folder)
    made.run("git", "init", "--quiet", "--initial-branch=main")
    made.run("git", "config", "user.name", "A tester")
    made.run("git", "config", "user.email", "tester@example.org")
    made.run("git", "add", "--all")
    made.run("git", "commit", "--quiet", "--message=Tiny")
    return made
