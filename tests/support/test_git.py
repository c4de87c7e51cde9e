"""The user's own settings of Git, and a project that is no repository's top, change nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages.record import _read
from stages.support import git

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Git with settings that people have, in a new repository; returns a function that calls it there."""
    (tmp_path / "config").write_text(
        "[core]\n\tautocrlf = true\n\tquotePath = true\n[color]\n\tui = always\n[status]\n\tshowUntrackedFiles = no\n"
        "[user]\n\tname = A\n\temail = a@example.org\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    for name in [name for name in os.environ if name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")]:
        monkeypatch.delenv(name)
    (tmp_path / "top").mkdir()
    monkeypatch.chdir(tmp_path / "top")

    def call(*words):
        subprocess.run(["git", *words], check=True, capture_output=True)

    call("init", "--quiet")
    return call


def test_a_checkout_has_the_same_bytes_under_autocrlf(run):
    files = [".gitattributes", "Makefile", "dvc.yaml", "README.md", ".ci/run", *(ROOT / "plots").rglob("*.png")][:9]
    files = [Path(ROOT, name).relative_to(ROOT) for name in files]
    for name in files:
        name.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, name)
    run("add", ".")
    run("commit", "--quiet", "-m", "x")
    for name in files:
        name.unlink()
    run("checkout", ".")
    for name in files:
        assert name.read_bytes() == (ROOT / name).read_bytes(), name


@pytest.mark.parametrize("place", ["", "a folder/é"])
def test_what_an_experiment_left_is_read_from_a_project_in_any_folder_of_its_repository(run, monkeypatch, place):
    folder = Path(place)
    (folder / "metrics").mkdir(parents=True)
    monkeypatch.chdir(folder)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet", *(["--subdir"] if place else [])], check=True)
    Path("metrics/gru.json").write_text("[1]\n")
    run("add", ".")
    run("commit", "--quiet", "-m", "x")
    Path("metrics/gru.json").write_text("[2]\n")
    assert _read(Path("metrics/gru.json"), "HEAD") == "[1]\n"


def test_locks_are_found_from_every_folder_and_worktree(run, monkeypatch, tmp_path):
    run("commit", "--quiet", "--allow-empty", "-m", "x")
    run("worktree", "add", "--quiet", str(tmp_path / "beside"))
    (tmp_path / "beside/inner").mkdir()
    assert git.lock_files() == []
    Path(".git/refs/heads/main.lock").touch()
    Path(".git/worktrees/beside/index.lock").touch()
    assert [path.name for path in git.lock_files()] == ["main.lock"]
    monkeypatch.chdir(tmp_path / "beside/inner")
    assert sorted(path.name for path in git.lock_files()) == ["index.lock", "main.lock"]
