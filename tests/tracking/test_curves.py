import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages.tracking import curves
from stages.tracking.curves import live_curve
from stages.tracking.desired import Desired
from tests.tracking.tracked import key_of, row, write_cell

KEY = key_of(0)
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def repository(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(key=KEY):
    """The run of a key, as it should be in MLflow."""
    return next((run for run in Desired().runs if run.key == key), None)


def curve(key=KEY, metric="train_loss"):
    run = found(key)
    return {p.step: p.value for p in run.points.values() if p.metric == metric} if run else None


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_half_a_line_is_neither_read_nor_joined_to_the_next(cut):
    path = curves.folder() / f"{KEY}.jsonl"
    with live_curve(KEY, [row()]) as record:
        record([{"epoch": 1, "train_loss": 0.5}], {})
        whole_lines = path.read_bytes()
        record([{"epoch": 2, "train_loss": 0.25}], {})
        path.write_bytes(whole_lines + path.read_bytes()[len(whole_lines) :][:cut])
        assert curve() == {1: 0.5}
        record([{"epoch": 3, "train_loss": 0.125}], {})
    assert curve() == {1: 0.5, 3: 0.125}


def test_a_repeated_epoch_keeps_its_first_value_and_repeats_are_averaged():
    with live_curve(KEY, [row(0), row(1)]) as record:
        for epoch, loss in [(1, 3.0), (2, 2.0), (2, 9.0), (3, 1.0)]:
            record([{"epoch": epoch, "train_loss": loss}, {"epoch": epoch, "train_loss": loss + 1}], {"seconds": 4.0})
    assert curve() == {1: 3.5, 2: 2.5, 3: 1.5}
    assert curve(metric="system/seconds") == {1: 4.0, 2: 4.0, 3: 4.0}
    assert found().name == "imdb/gru/corrected/0-1"


def test_losses_that_are_not_finite_are_kept_in_valid_json():
    with live_curve(KEY, [row()]) as record:
        record([{"epoch": 1, "a": math.nan, "b": math.inf, "c": -math.inf}], {})
    for line in (curves.folder() / f"{KEY}.jsonl").read_text().split("\n")[1:]:
        json.loads(line, parse_constant=pytest.fail)
    values = {p.metric: p.value for p in found().points.values()}
    assert math.isnan(values["a"])
    assert (values["b"], values["c"]) == (math.inf, -math.inf)


def test_a_killed_job_is_told_from_a_live_one_and_can_go_on():
    code = f"""
from stages.tracking.curves import live_curve
with live_curve({KEY!r}, [{row()!r}]):
    print("started", flush=True)
    input()
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout.readline() == "started\n"
        assert found().status == "RUNNING"
        job.kill()
    assert found().status == "KILLED"
    with live_curve(KEY, [row()]):
        assert found().status == "RUNNING"
    assert found().status == "FINISHED"
    with pytest.raises(ZeroDivisionError), live_curve(KEY, [row()]):
        raise ZeroDivisionError
    assert found().status == "FAILED"


def test_a_folder_that_cannot_be_written_costs_warnings_and_no_more(repository, capsys):
    (repository / "tracking").write_text("in the way")
    with live_curve(KEY, [row()]) as record:
        record([{"epoch": 1, "train_loss": 1.0}], {})
    curves.start_tracker()
    temporary = repository / "experiment"
    write_cell(temporary, [row()])
    os.chdir(temporary)
    curves.keep("imdb")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert all(line.startswith("tracking: ") for line in lines)


def test_a_start_takes_down_commit_stage_and_experiment(repository, monkeypatch):
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--no-verify", "--allow-empty", "-m", "first"], check=True)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip()
    monkeypatch.setenv("DVC_STAGE", "train@imdb-gru")
    monkeypatch.setenv("DVC_EXP_NAME", "noisy-cell")
    with live_curve(KEY, [row()]):
        pass
    expected = {"DVC_STAGE": "train@imdb-gru", "DVC_EXP_NAME": "noisy-cell", "mlflow.source.git.commit": commit}
    assert expected.items() <= found().tags.items()


def test_results_of_an_experiment_outlive_its_folder_and_are_told_from_the_workspaces(repository, monkeypatch):
    temporary = repository / "experiment"
    write_cell(repository, [row(0)])
    write_cell(temporary, [row(1)])
    (repository / "cache").write_text("from the cache")
    (temporary / "plots/imdb").mkdir(parents=True)
    (temporary / "plots/imdb/accuracy.png").symlink_to(repository / "cache")
    monkeypatch.setenv("DVC_EXP_NAME", "noisy-cell")
    curves.keep("imdb")  # in the workspace itself there is nothing to keep
    assert not curves.folder().exists()
    monkeypatch.chdir(temporary)
    curves.keep("imdb")
    monkeypatch.chdir(repository)
    shutil.rmtree(temporary)
    (repository / "cache").unlink()
    mine, other = found(key_of(0)), found(key_of(1))
    assert "DVC_EXP_NAME" not in mine.tags
    assert other.tags["DVC_EXP_NAME"] == "noisy-cell"
    assert ("test_accuracy", 0) in other.points
    (figure,) = found(mine.parent).files.items()
    assert figure[0] == "experiments/noisy-cell/accuracy.png"
    assert figure[1].read_text() == "from the cache"


def test_no_tracker_is_started_where_it_is_off(repository, monkeypatch):
    monkeypatch.setenv("LSTM_VS_GRU_TRACKING", "off")
    curves.start_tracker()
    assert not list(repository.iterdir())


def test_what_training_imports_of_tracking_is_light():
    code = "import sys, stages.tracking.curves; print(*{'mlflow', 'torch', 'pandas', 'numpy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).strip() == ""
