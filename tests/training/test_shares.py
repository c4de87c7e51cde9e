"""A training that several processes share: what one of them would compute alone, whatever their number."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch

from stages.nn.dropout import dropout, of_whole_batch
from stages.support.process import StageError
from stages.training import shares
from tests.copies import ROOT, python_in, small_project
from tests.forked import folder_of_commands
from tests.training.shared_training import KINDS, train, write_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


@pytest.fixture
def launch(monkeypatch, data, tmp_path):
    """Has some processes train, started quickly."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "executable", str(folder_of_commands() / "python"))
    return lambda processes, *words: shares.launch(
        processes, "tests.training.shared_training", str(data), str(tmp_path), *words
    )


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    """The folder of what one process trains."""
    folder = tmp_path_factory.mktemp("alone")
    train(data, folder, 2)
    return folder


def found(folder, process=0):
    with np.load(folder / f"weights.{process}.npz") as weights:
        return json.loads((folder / "curves.json").read_text()), dict(weights)


def assert_alike(mine, expected):
    curves, weights = zip(mine, expected, strict=True)
    assert set(weights[0]) == set(weights[1])
    assert len(weights[0]) >= 3 * len(KINDS)
    for name, values in weights[0].items():
        np.testing.assert_allclose(values, weights[1][name], rtol=1e-8, atol=1e-8)
        for row, other in zip(curves[0][name], curves[1][name], strict=True):
            assert row == pytest.approx(other, rel=1e-8)


def test_processes_train_as_one_does_with_uneven_shares_and_dropout(launch, alone, tmp_path):
    launch(3)
    assert_alike(found(tmp_path), found(alone))
    for process in (1, 2):
        for name, values in found(tmp_path, process)[1].items():
            assert np.array_equal(values, found(tmp_path)[1][name])


def test_machines_with_no_file_in_common_go_on_from_the_first_ones_checkpoint(launch, alone, tmp_path):
    launch(2, "apart")
    assert_alike(found(tmp_path / "0"), found(alone))
    for name, values in found(tmp_path / "0")[1].items():
        with np.load(tmp_path / "1/weights.1.npz") as others:
            assert np.array_equal(values, others[name])


def test_what_processes_do_not_share_they_refuse(tmp_path, monkeypatch):
    folder = small_project(tmp_path / "project", "damped", {}, has_data=False)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a run")
    done = python_in(folder, "-m", "stages.train", "damped", "lstm", stages=ROOT)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "damped" in done.stderr


@pytest.mark.parametrize("how", ["dies", "all die"])
def test_a_process_that_ends_before_its_time_ends_all_in_one_line(launch, how):
    with pytest.raises(StageError, match="process 2 of 2 ended with 7") as failed:
        launch(2, how)
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize(("batch", "processes"), [(5, 2), (1, 3), (64, 3), (2, 2)])
def test_shares_are_whole_and_next_to_each_other(monkeypatch, batch, processes):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: processes)
    taken, weights = [], []
    for rank in range(processes):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        with shares.share_of(batch) as share:
            columns = list(range(batch))[share.columns]
            assert columns
            taken += columns if share.weight else []
            weights.append(share.weight)
    assert taken == list(range(batch))
    assert sum(weights) == pytest.approx(1)


def test_a_share_is_dropped_as_in_its_whole_batch():
    whole = torch.rand(7, 5, 3, dtype=torch.float64) + 1
    torch.manual_seed(4)
    expected = dropout(whole, 0.4, True)
    for columns in (slice(0, 2), slice(2, 5)):
        torch.manual_seed(4)
        with of_whole_batch(columns, 5):
            assert torch.equal(dropout(whole[:, columns], 0.4, True), expected[:, columns])
    torch.manual_seed(4)
    assert torch.equal(dropout(whole, 0.4, True), expected)


def a_study(folder):
    """A small ptb that two processes train, long enough to be killed in between."""
    training = {"models": ["better"], "repeats": "0", "better": {"epochs": 20}}
    return small_project(folder, "ptb", training, processes=2, cell="lstm", cells=["lstm"])


def started(folder):
    """The stage, and the processes that share its training, once it has written a checkpoint more."""
    checkpoints = folder / "checkpoints"
    before = {path: path.stat().st_mtime_ns for path in checkpoints.glob("*.safetensors")}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_ROOT": str(folder), "LSTM_VS_GRU_TRACKING": "off"}
    words = [sys.executable, "-m", "stages.train", "ptb", "lstm"]
    stage = subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    while before == {path: path.stat().st_mtime_ns for path in checkpoints.glob("*.safetensors")}:
        assert stage.poll() is None, stage.stderr.read()
        time.sleep(0.05)
    sharing = {int(child.environ()["RANK"]): child for child in psutil.Process(stage.pid).children()}
    assert set(sharing) == {0, 1}
    return stage, sharing


def test_a_shared_training_that_is_killed_leaves_nobody_behind_and_goes_on_to_the_same_bytes(tmp_path):
    disturbed, undisturbed = a_study(tmp_path / "disturbed"), tmp_path / "undisturbed"
    shutil.copytree(disturbed, undisturbed)
    stage, sharing = started(disturbed)
    sharing[1].kill()
    _, said = stage.communicate(timeout=60)
    assert stage.returncode == 1
    assert said.splitlines()[-1].startswith("error: ptb lstm: process 2 of 2 ended with -9")
    assert not any(map(is_running, sharing.values()))

    stage, sharing = started(disturbed)
    stage.kill()
    psutil.wait_procs(sharing.values(), timeout=20)
    assert not any(map(is_running, sharing.values()))
    stage.communicate()

    for folder in (disturbed, undisturbed):
        done = python_in(folder, "-m", "stages.train", "ptb", "lstm", stages=ROOT)
        assert done.returncode == 0, done.stderr
    assert "epoch 20/20" in done.stderr
    models = [sorted((folder / "models").rglob("*.*")) for folder in (disturbed, undisturbed)]
    assert [path.name for path in models[0]] == [path.name for path in models[1]]
    assert [path.read_bytes() for path in models[0]] == [path.read_bytes() for path in models[1]]


def is_running(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
