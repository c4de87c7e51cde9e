"""What a kill leaves of DVC's and Git's own files is mended without a loss; each test injects what was seen."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_"))} | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
LOCK = (ROOT / "dvc.lock").read_text(encoding="utf-8")


def command(folder, *words, check=True):
    return subprocess.run(
        words, cwd=folder, env=ENVIRONMENT, check=check, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def mend(folder, *words):
    return command(folder, sys.executable, "-m", "stages.mend", *words).stdout.splitlines()


def commit(folder):
    command(folder, "git", "add", "--all", "--force")
    command(folder, "git", "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "x")


@pytest.fixture
def project(request, tmp_path):
    """A project with the shipped dvc.lock, at the top of a repository or below it."""
    folder = tmp_path / "a repository é" / getattr(request, "param", "")
    (folder / ".dvc/tmp").mkdir(parents=True)
    (folder / "dvc.lock").write_text(LOCK)
    (folder / "params.yaml").write_text("cell: lstm\n")
    command(tmp_path / "a repository é", "git", "init", "--quiet")
    (folder / ".gitignore").write_text("/.dvc/tmp\n")
    command(folder, "git", "add", ".")
    commit(folder)
    return folder


def test_there_is_nothing_to_say_of_a_project_in_order(project):
    assert mend(project) == []
    (project / ".dvc/tmp/rwlock").write_text('{"write": {}, "read": {}}')
    assert mend(project) == []
    (project / "dvc.lock").unlink()
    assert mend(project) == []
    assert sorted(path.name for path in project.iterdir() if path.name != ".git") == [
        ".dvc",
        ".gitignore",
        "params.yaml",
    ]


@pytest.mark.parametrize("project", ["", "lab"], indirect=True)
@pytest.mark.parametrize("size", [0, 15, 700, len(LOCK) // 2, len(LOCK) - 1])
def test_a_torn_dvc_lock_is_whole_again(project, size):
    (project / "dvc.lock").write_text(LOCK[:size])
    (line,) = mend(project)
    assert "dvc.lock" in line
    assert (project / "dvc.lock").read_text() == LOCK
    assert mend(project) == []


def test_what_a_torn_dvc_lock_has_and_git_has_not_is_kept(project):
    new = LOCK.replace("stages:\n", "stages:\n  mine:\n    cmd: exec true\n", 1)
    assert "  check:\n    cmd: exec python -m stages.check\n" in new
    new = new.replace("    cmd: exec python -m stages.check\n", "    cmd: exec another\n", 1)
    (project / "dvc.lock").write_text(new[: len(new) // 2])
    assert len(mend(project)) == 1
    mended = (project / "dvc.lock").read_text()
    assert "  mine:\n    cmd: exec true\n" in mended
    assert "    cmd: exec another\n" in mended
    assert mended.count("\n  check:\n") == 1
    for block in LOCK.split("\n  ")[-300:]:
        assert block in mended


def test_bytes_that_are_no_text_cost_their_stage_alone(project):
    data = bytearray(LOCK.encode())
    data[len(data) // 2] = 0
    (project / "dvc.lock").write_bytes(data)
    assert len(mend(project)) == 1
    assert (project / "dvc.lock").read_text() == LOCK


@pytest.mark.parametrize(
    "text", ["schema: '9.9'\nstages:\n  a:\n    cmd: b\n    outs:\n    - path: c\n      etag: d\n"]
)
def test_what_another_dvc_writes_and_a_merge_are_left_alone(project, text):
    for whole in (text, LOCK + "<<<<<<< HEAD\n=======\n>>>>>>> other\n"):
        (project / "dvc.lock").write_text(whole)
        assert mend(project) == []
        assert (project / "dvc.lock").read_text() == whole


def info(pid, words="dvc repro"):
    return {"pid": pid, "cmd": words}


def ended():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("rwlock", "words"),
    [
        ("", ["unreadable"]),
        ('{"write": {"a": ', ["unreadable"]),
        ("[]", ["unreadable"]),
        ('{"write": {"a": {"cmd": "dvc"}}}', ["unreadable"]),
        (json.dumps({"write": {"a": info(1)}, "read": {"b": [info(1)]}}), ["process 1 ", "dvc repro"]),
        (json.dumps({"write": {"a": info(os.getpid())}, "read": {}}), [f"process {os.getpid()} "]),
        (json.dumps({"write": {}, "read": {"b": [info(ended())]}}), ["dvc repro"]),
    ],
    ids=["empty", "cut off", "a list", "without a number", "the first process", "another program", "ended"],
)
def test_dvcs_list_of_files_in_use_names_nobody_who_has_ended(project, rwlock, words):
    path = project / ".dvc/tmp/rwlock"
    path.write_text(rwlock)
    (line,) = mend(project)
    assert all(word in line for word in [".dvc/tmp/rwlock", *words])
    assert not path.exists() or json.loads(path.read_text()) == {"write": {}, "read": {}}
    assert mend(project) == []


@pytest.fixture
def living(project, tmp_path):
    """A living `dvc repro` and a living `git commit` in the project."""
    programs = [tmp_path / "bin/dvc", tmp_path / "bin/git"]
    programs[0].parent.mkdir()
    for program in programs:
        program.write_text("import time\nprint(flush=True)\ntime.sleep(600)\n")
    processes = [
        subprocess.Popen([sys.executable, program, word], cwd=project, stdout=subprocess.PIPE)
        for program, word in zip(programs, ("repro", "commit"), strict=True)
    ]
    for process in processes:
        process.stdout.readline()
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def test_what_living_programs_hold_is_left_until_they_end(project, living):
    dvc, _ = living
    lock = Path(command(project, "git", "rev-parse", "--path-format=absolute", "--git-path", "index.lock").stdout[:-1])
    lock.touch()
    held = {"write": {"a": info(dvc.pid), "b": info(ended())}, "read": {"c": [info(dvc.pid), info(1)]}}
    (project / ".dvc/tmp/rwlock").write_text(json.dumps(held))
    (project / "dvc.lock").write_text("")  # it may be in the middle of writing
    said = mend(project)
    assert len(said) == 2
    assert all(".dvc/tmp/rwlock" in line for line in said)
    left = {"write": {"a": info(dvc.pid)}, "read": {"c": [info(dvc.pid)]}}
    assert json.loads((project / ".dvc/tmp/rwlock").read_text()) == left
    assert (project / "dvc.lock").read_text() == ""
    assert lock.exists()
    for process in living:
        process.kill()
        process.wait()
    assert len(mend(project)) == 3
    assert not lock.exists()
    assert (project / "dvc.lock").read_text() == LOCK


@pytest.mark.parametrize("project", ["", "lab"], indirect=True)
@pytest.mark.parametrize("name", ["index.lock", "refs/exps/exec/EXEC_HEAD.lock"])
def test_a_lock_of_git_that_nobody_holds_is_removed(project, name):
    git = Path(command(project, "git", "rev-parse", "--absolute-git-dir").stdout[:-1])
    (git / name).parent.mkdir(parents=True, exist_ok=True)
    (git / name).touch()
    (line,) = mend(project)
    assert name in line
    assert not (git / name).exists()


def test_a_file_that_a_killed_setting_emptied_comes_from_git(project):
    (project / "params.yaml").write_text("")
    assert "params.yaml" in mend(project)[0]
    assert (project / "params.yaml").read_text() == "cell: lstm\n"


def test_a_link_to_a_file_that_is_gone_goes_and_the_others_stay(project):
    own = project / "data/own"
    own.mkdir(parents=True)
    (own / "mine.csv").write_text("a file")
    for name, target in (("there.csv", "mine.csv"), ("gone.csv", "../../moved.csv")):
        (own / name).symlink_to(target)
    (line,) = mend(project)
    assert all(word in line for word in ("data/own/gone.csv", "../../moved.csv", "make own"))
    assert sorted(path.name for path in own.iterdir()) == ["mine.csv", "there.csv"]
    assert (own / "there.csv").read_text() == "a file"


def test_without_git_and_without_dvc_nothing_is_done(tmp_path):
    assert mend(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_words_that_mean_nothing_are_refused(tmp_path):
    failed = command(tmp_path, sys.executable, "-m", "stages.mend", "--all", check=False)
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)


DVC_YAML = """stages:
  copy:
    cmd: cat in >> ran && mkdir -p out && cp in out/a && echo b > out/b && cp in alone
    deps: [in]
    outs: [out, alone]
"""


@pytest.mark.parametrize("cache", [".dvc/cache", "elsewhere"])
def test_dvc_makes_anew_what_its_cache_holds_damaged(tmp_path, cache):
    command(tmp_path, "git", "init", "--quiet")
    command(tmp_path, "dvc", "init", "--quiet")
    if cache == "elsewhere":
        command(tmp_path, "dvc", "cache", "dir", "--local", cache)
    (tmp_path / "in").write_text("the input\n")
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    command(tmp_path, "dvc", "repro")
    lock = (tmp_path / "dvc.lock").read_text()
    before = {name: (tmp_path / name).read_bytes() for name in ("out/a", "out/b", "alone")}
    assert mend(tmp_path, "--cache") == []
    (cached,) = [p for p in (tmp_path / cache / "files/md5").glob("*/*") if p.read_bytes() == b"the input\n"]
    cached.chmod(0o644)
    cached.write_bytes(b"the imput\n")
    for name in ("out/a", "alone"):
        (tmp_path / name).unlink()
    command(tmp_path, "dvc", "checkout")
    assert (tmp_path / "alone").read_bytes() == b"the imput\n"  # the fault: DVC does not look
    (line,) = mend(tmp_path, "--cache")
    assert str(cached.relative_to(tmp_path)) in line
    assert "out/a" in line
    assert "alone" in line
    time.sleep(0.01)
    command(tmp_path, "dvc", "repro")
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert (tmp_path / "dvc.lock").read_text() == lock
    assert mend(tmp_path, "--cache") == []
