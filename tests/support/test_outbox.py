import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages.support import outbox
from stages.support.outbox import Outbox

KEY = "0123456789abcdef"
START = {"name": "imdb/gru/corrected/0", "study": "imdb", "profile": "sample", "parameters": {"layers": 1}}


@pytest.fixture(autouse=True)
def repository(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def curve(record, metric):
    return {point.epoch: point.value for point in record.points if point.metric == metric}


def python(code, **options):
    return subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2], **options)


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_half_a_line_is_neither_read_nor_joined_to_the_next(cut):
    box = Outbox(KEY)
    box.start(**START, tags={"note": "größe"})
    box.epoch(1, {"loss": 0.5})
    whole_lines = box.path.read_bytes()
    box.epoch(2, {"loss": 0.25})
    torn = box.path.read_bytes()[len(whole_lines) :][:cut]
    box.path.write_bytes(whole_lines + torn)
    assert curve(outbox.read(KEY), "loss") == {1: 0.5}
    box.epoch(3, {"loss": 0.125})
    # cut -1 tore off only the newline: that line is whole once another follows
    assert curve(outbox.read(KEY), "loss") == ({1: 0.5, 2: 0.25, 3: 0.125} if cut == -1 else {1: 0.5, 3: 0.125})


def test_a_repeated_epoch_keeps_its_first_value_and_a_changed_score_is_added():
    box = Outbox(KEY)
    box.start(**START)
    for epoch, loss in [(1, 3.0), (2, 2.0), (2, 9.0), (3, 1.0)]:
        box.epoch(epoch, {"loss": loss})
    for accuracy in (0.5, 0.5, 0.75):
        box.scores({"test_accuracy": accuracy})
    record = outbox.read(KEY)
    assert curve(record, "loss") == {1: 3.0, 2: 2.0, 3: 1.0}
    assert [p.value for p in record.points if p.epoch is None] == [0.5, 0.75]
    assert record.score("test_accuracy") == 0.75


def test_losses_that_are_not_finite_are_kept_in_valid_json():
    box = Outbox(KEY)
    box.epoch(1, {"a": math.nan, "b": math.inf, "c": -math.inf})
    json.loads(box.path.read_text(), parse_constant=pytest.fail)
    values = {p.metric: p.value for p in outbox.read(KEY).points}
    assert math.isnan(values["a"])
    assert (values["b"], values["c"]) == (math.inf, -math.inf)


def test_a_killed_run_is_told_from_a_live_one_and_can_go_on():
    code = f"""
from stages.support.outbox import Outbox
box = Outbox({KEY!r})
box.start(**{START!r})
print("started", flush=True)
input()
"""
    with python(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "started\n"
        assert outbox.read(KEY).status == "RUNNING"
        writer.kill()
    assert outbox.read(KEY).status == "KILLED"
    box = Outbox(KEY)
    box.start(**START)
    assert outbox.read(KEY).status == "RUNNING"
    box.end("FAILED")
    assert outbox.read(KEY).status == "FAILED"


def test_processes_that_append_at_once_lose_nothing():
    code = f"""
import sys
from stages.support.outbox import Outbox
box = Outbox({KEY!r})
for epoch in range(200):
    box.epoch(epoch, {{sys.argv[1]: epoch / 7, "padding" * 50: 0}})
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, name], cwd=Path(__file__).parents[2]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    record = outbox.read(KEY)
    for name in "abc":
        assert curve(record, name) == {epoch: epoch / 7 for epoch in range(200)}
    lines = (outbox.folder() / f"{KEY}.jsonl").read_text().splitlines()
    assert sum(bool(json.loads(line)) for line in lines if line) == 600


def test_an_artifact_outlives_its_original_and_its_newest_version_counts(tmp_path):
    original = tmp_path / "temporary" / "weights.safetensors"
    original.parent.mkdir()
    box = Outbox(KEY)
    for text in ("first", "second", "first", "first"):
        original.write_text(text)
        box.artifact(original, "weights")
        original.unlink()  # a file replaced, not changed in place
    artifacts = outbox.read(KEY).artifacts
    assert [a.path.read_text() for a in artifacts] == ["first", "second", "first"]
    assert {(a.name, a.place) for a in artifacts} == {("weights.safetensors", "weights")}


def test_an_artifact_behind_a_link_is_kept_itself(tmp_path):
    (tmp_path / "cache").write_text("from the cache")
    (tmp_path / "figure.png").symlink_to(tmp_path / "cache")
    Outbox(KEY).artifact(tmp_path / "figure.png")
    (tmp_path / "figure.png").unlink()
    kept = outbox.read(KEY).artifacts[0].path
    assert not kept.is_symlink()
    assert kept.read_text() == "from the cache"


def test_an_outbox_that_cannot_be_written_costs_a_warning_and_no_more(repository, capsys):
    (repository / "outbox").write_text("in the way")
    box = Outbox(KEY)
    box.start(**START)
    box.epoch(1, {"loss": 1.0})
    box.artifact(repository / "absent")
    box.end("FINISHED")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("tracking: ") for line in lines)


@pytest.mark.parametrize("key", ["", "abc", "../../0123456789", "0123456789ABCDEF", "0" * 65])
def test_a_key_that_is_no_digest_is_refused(key):
    with pytest.raises(ValueError, match="hexadecimal"):
        Outbox(key)


def test_a_start_takes_down_commit_stage_and_experiment(repository, monkeypatch):
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip()
    monkeypatch.setenv("DVC_STAGE", "train@imdb-gru")
    monkeypatch.setenv("DVC_EXP_NAME", "noisy-cell")
    Outbox(KEY).start(**START, tags={"data_digest": "d"})
    assert outbox.read(KEY).tags == {
        "DVC_STAGE": "train@imdb-gru",
        "DVC_EXP_NAME": "noisy-cell",
        "mlflow.source.git.commit": commit,
        "data_digest": "d",
    }


def test_a_study_runs_while_one_of_its_runs_does(repository):
    Outbox.for_study("imdb", "sample")
    Outbox.for_study("imdb", "full")
    box = Outbox(KEY)
    box.start(**START)
    assert {r.name: r.status for r in outbox.read_all()} == {
        "imdb (sample)": "RUNNING",
        "imdb (full)": "FINISHED",
        START["name"]: "RUNNING",
    }
    box.end("FINISHED")
    assert {r.status for r in outbox.read_all()} == {"FINISHED"}


def show(folder, cell, text):
    weights = folder / f"{cell}.safetensors"
    weights.write_text(text)
    outbox.put_on_show({"study": "imdb", "cell": cell, "key": KEY}, {"weights": weights})
    weights.unlink()


def on_show():
    (record,) = [record for record in outbox.read_all() if record.key == KEY]
    return record.on_show


def test_the_last_model_put_on_show_is_the_one_and_outlives_its_files(repository):
    Outbox(KEY).start(**START)
    assert on_show() is None
    show(repository, "lstm", "first")
    first = on_show()
    show(repository, "gru", "second")
    assert on_show().settings["cell"] == "gru"
    assert on_show().files["weights"].read_text() == "second"
    assert on_show().digest != first.digest
    show(repository, "lstm", "first")
    assert on_show() == first
    assert first.files["weights"].read_text() == "first"


def test_an_experiment_in_a_temporary_folder_puts_nothing_on_show(repository, monkeypatch):
    Outbox(KEY).start(**START)
    show(repository, "lstm", "mine")
    temporary = repository / "temporary"
    temporary.mkdir()
    monkeypatch.chdir(temporary)
    show(temporary, "gru", "another")
    assert on_show().settings["cell"] == "lstm"


def test_a_model_that_cannot_be_put_on_show_costs_a_warning_and_no_more(repository, capsys):
    Outbox(KEY).start(**START)
    show(repository, "lstm", "whole")
    outbox.put_on_show({"study": "imdb", "key": KEY}, {"weights": repository / "absent"})
    assert on_show().settings["cell"] == "lstm"
    (outbox.folder() / "on-show/imdb.json").write_text("{")
    assert on_show() is None
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("tracking: ") for line in lines)


def test_neither_the_outbox_nor_its_tracker_is_started_where_it_is_off(repository, monkeypatch):
    monkeypatch.setenv("LSTM_VS_GRU_TRACKING", "off")
    outbox.start_tracker()
    assert not list(repository.iterdir())


def test_the_outbox_imports_nothing_heavy():
    code = "import sys, stages.support.outbox; print(*{'mlflow', 'torch', 'pandas', 'numpy'} & set(sys.modules))"
    assert (
        subprocess.check_output(
            [sys.executable, "-c", code], text=True, env={**os.environ}, cwd=Path(__file__).parents[2]
        ).strip()
        == ""
    )
