"""Repeats side by side: order, failures, and nobody left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from stages.support.process import StageError
from stages.training import checkpoint
from stages.training.device import prepare
from stages.training.parallel import run_parallel


def multiply(seed):
    prepare("cpu", 1)
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(64, 300, generator=generator)
    return (a @ a.T).softmax(1).sum(0)


def fail_for_two(number, folder, error):
    if number == 2:
        raise error
    time.sleep(0.2)
    Path(folder, str(number)).touch()
    return number


def test_results_come_in_order_and_in_the_same_bytes_whatever_the_job_count():
    calls = [(seed,) for seed in range(5)]
    ends = [run_parallel(multiply, calls, jobs) for jobs in (1, 2, 5)]
    for end in ends[1:]:
        assert all(torch.equal(a, b) for a, b in zip(ends[0], end, strict=True))
    assert [run_parallel(multiply, [], jobs) for jobs in (1, 2)] == [[], []]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("error", [StageError("two is refused"), OSError(28, "two is refused", "a file")])
def test_a_failure_is_raised_after_the_others_have_ended(tmp_path, jobs, error):
    with pytest.raises(type(error), match="two is refused") as failed:
        run_parallel(fail_for_two, [(n, str(tmp_path), error) for n in range(4)], jobs)
    assert getattr(failed.value, "filename", "") == getattr(error, "filename", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "3"]


def kill_itself(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_said_in_one_line():
    with pytest.raises(StageError, match=r"was killed.*run again"):
        run_parallel(kill_itself, [(n,) for n in range(3)], 2)


@pytest.mark.skipif(sys.platform != "linux", reason="children end with their parent on Linux only")
def test_workers_end_when_their_parent_is_killed():
    code = (
        "import os, time\n"
        "from stages.training.parallel import run_parallel\n"
        "def wait(n):\n    os.write(1, b'%d\\n' % os.getpid())\n    time.sleep(600)\n"
        "run_parallel(wait, [(0,), (1,)], 2)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in workers if psutil.pid_exists(pid)], timeout=10)
    assert alive == []


def test_cuda_is_refused_in_one_line_where_there_is_none():
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(StageError, match=r"device: 'cuda'.*use cpu or auto"):
        prepare("cuda")


def train_while_another_waits(folder, number):
    path = Path(folder, "key.pt")
    with checkpoint.only_here(path):
        log = Path(folder, "log")
        with log.open("a") as file:
            file.write(f"{number} in\n")
            file.flush()
            time.sleep(0.3)
            file.write(f"{number} out\n")


def test_two_processes_never_train_one_repeat_at_the_same_time(tmp_path):
    run_parallel(train_while_another_waits, [(str(tmp_path), n) for n in range(4)], 4)
    lines = (tmp_path / "log").read_text().split("\n")[:-1]
    assert [line.split()[1] for line in lines] == ["in", "out"] * 4
    assert all(a.split()[0] == b.split()[0] for a, b in zip(lines[::2], lines[1::2], strict=True))
