"""The one temporary clone that the end-to-end tests share: the shipped pipeline on small studies."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import scipy.linalg  # noqa: F401 - only what is loaded can be limited
import torch
import yaml
from threadpoolctl import threadpool_limits

from tests.copies import ROOT, SMALL_STUDIES, small_study
from tests.forked import folder_of_commands, run_forked

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # as the Makefile has it
os.environ.pop("LSTM_VS_GRU_TRACKING", None)  # of whoever runs the tests: some are about the tracker
torch.set_num_threads(1)  # as a command has; with more, small products wait for each other
threadpool_limits(1)

WITH_CLONE = ("test_pipeline.py", "test_predict.py", "test_sample.py", "test_sharing.py", "test_served.py")
LONG = ("test_cluster.py", "test_shares.py", "test_code.py", "test_sender.py", "test_compiled.py")
"""Files that take a minute or more."""


@dataclass(frozen=True)
class Clone:
    """A clone of the project, and the commands that its user types there."""

    folder: Path

    def run(self, *command, check=True, **environment):
        """Run a command as a user of the clone would, with .venv active; returns the finished process."""
        env = self.environment(**environment)
        if command[0] == "dvc" or command[:2] == ("python", "-m"):
            done = run_forked(command, self.folder, env)
        else:
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
            "PATH": os.pathsep.join(map(str, (folder_of_commands(), Path(sys.executable).parent, os.environ["PATH"]))),
            "COLUMNS": "200",
            "GIT_CONFIG_GLOBAL": os.devnull,  # hooks and signing, say
            "GIT_CONFIG_NOSYSTEM": "1",
            "LSTM_VS_GRU_TRACKING": "off",  # a tracker beside every command takes long; `stages.track` sends as much
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
        if not self.run("git", "status", "--porcelain").stdout:
            return
        self.run("git", "reset", "--quiet", "--hard")
        self.run("dvc", "checkout", "--quiet", "--force")


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """A clone of the working tree with fewer and smaller studies in both profiles, `dvc repro` done and committed."""
    made = make_clone(tmp_path_factory.mktemp("clone") / "lstm-vs-gru")
    done = made.run("dvc", "repro")
    (made.folder / ".git/repro.out").write_text(done.stdout)
    made.run("git", "add", "--all")
    made.run("git", "commit", "--quiet", "--message=Results")
    return made


@pytest.fixture
def changed_clone(clone):
    """The clone, for a test that changes it: put back as it was committed."""
    yield clone
    clone.reset()


def make_clone(folder):
    """A clone of the working tree with fewer and smaller studies in both profiles, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("metrics/", "plots/", "dvc.lock")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    for study in SMALL_STUDIES:
        params[study] = small_study(params[study])  # `full` as well, so that the record needs no real corpus
    params |= {"cell": "lstm", "studies": list(SMALL_STUDIES), "jobs": 1}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    made = Clone(folder)
    made.run("git", "init", "--quiet", "--initial-branch=main")
    made.run("git", "config", "user.name", "A tester")
    made.run("git", "config", "user.email", "tester@example.org")
    made.run("git", "add", "--all")
    made.run("git", "commit", "--quiet", "--message=Small")
    return made


def pytest_itemcollected(item):
    """Refuse a test of the shared clone in a file that `_of_the_clone` does not name."""
    if "clone" in getattr(item, "fixturenames", ()) and not _of_the_clone(item.nodeid):
        raise pytest.UsageError(f"{item.nodeid} has the fixture clone: name its file in tests/conftest.py")


def pytest_collection_modifyitems(items):
    """Run the clone's tests first, then the long files', so that no worker is left with one of them at the end."""
    first = (*WITH_CLONE, *LONG)
    items.sort(key=lambda item: first.index(item.path.name) if item.path.name in first else len(first))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give a file's tests to one of pytest-xdist's workers, as what they share is made once then; the clone's alike.

    xdist's own marks for that do nothing with pytest 9.2: it sets an attribute that pytest no longer reads.
    """
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False  # files with more tests are not those that take longer

    class OneWorkerForAFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return "clone" if _of_the_clone(nodeid) else nodeid.partition("::")[0]

    return OneWorkerForAFile(config, log)


def _of_the_clone(nodeid):
    return Path(nodeid.partition("::")[0]).name in WITH_CLONE
