"""Files whole or not at all."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from stages.support.files import digest, read_json, whole, write_json, write_text


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a", "old")
    with pytest.raises(ZeroDivisionError), whole(tmp_path / "a") as temporary:
        temporary.write_text("half") / 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}


def test_a_folder_is_replaced_whole(tmp_path):
    for names in (["x", "y"], ["z"]):
        with whole(tmp_path / "folder") as temporary:
            temporary.mkdir()
            for name in names:
                (temporary / name).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["z"]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f".a.{gone.pid}.tmp").mkdir()
    (tmp_path / f".a.{os.getppid()}.tmp").touch()
    (tmp_path / f".ab.{gone.pid}.tmp").touch()  # another file's
    write_text(tmp_path / "a", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [f".a.{os.getppid()}.tmp", f".ab.{gone.pid}.tmp", "a"]
    )


def test_what_json_cannot_say_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []
    write_json(tmp_path / "a.json", {"x": 0.1 + 0.2, "text": "déjà vu"})
    assert read_json(tmp_path / "a.json") == {"x": 0.1 + 0.2, "text": "déjà vu"}


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1}) != digest({"a": 1, "b": [3, 2]})


@pytest.mark.skipif(sys.platform != "linux", reason="process groups are signalled as a terminal does on Linux")
def test_ctrl_c_ends_a_stage_and_its_workers_at_once():
    code = (
        "import os, time\n"
        "from stages.support.process import run_stage\n"
        "from stages.training.parallel import run_parallel\n"
        "def wait(n):\n    os.write(1, b'%d\\n' % os.getpid())  # whole, whoever else writes\n    time.sleep(600)\n"
        "run_stage(lambda: run_parallel(wait, [(n,) for n in range(4)], 2))\n"
    )
    stage = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    workers = [psutil.Process(int(stage.stdout.readline())) for _ in range(2)]
    os.killpg(stage.pid, signal.SIGINT)
    deadline = time.monotonic() + 30
    _, errors = stage.communicate(timeout=30)
    assert stage.returncode == -signal.SIGINT
    assert errors == ""
    _, alive = psutil.wait_procs(workers, timeout=deadline - time.monotonic())
    assert alive == []
