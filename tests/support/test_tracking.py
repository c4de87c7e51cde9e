import hashlib
import itertools
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import pytest

from stages.support import outbox, tracking
from stages.support.outbox import Outbox

REPOSITORY = Path(__file__).parents[2]
KEYS = [f"{number:064x}" for number in range(1, 10)]
EPOCHS = range(1, 4)
os.environ.update({name: os.environ.get(name, value) for name, value in tracking.SETTINGS.items()})


@pytest.fixture(scope="session")
def processes():
    """Processes that die by a signal without this one, each with MLflow already imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow", "mlflow.pyfunc", "pandas", "stages.support.tracking"])
    return context


@pytest.fixture(scope="session")
def fresh_database(processes, tmp_path_factory):
    """MLflow's empty database, made by four processes at once after one that was killed over it."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    path.with_name("mlflow.db.new").write_text("what a killed process left")
    path.with_name("mlflow.db.new-journal").write_text("and its journal")
    together = processes.Barrier(4)
    started = [processes.Process(target=create_database_together, args=(path, together)) for _ in range(4)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * 4
    return path


@pytest.fixture
def store(tmp_path, monkeypatch, fresh_database):
    """The address of an empty store beside an empty outbox."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copy(fresh_database, tmp_path / "mlflow.db")
    return tracking.store_address()


def create_database_together(path, together):
    together.wait()
    tracking.create_database(path)


def send_and_die(root, address, steps):
    """Send, and die by SIGKILL right after the given number of steps that change MLflow or this side's notes."""
    from mlflow import MlflowClient

    os.environ["DVC_ROOT"] = root
    left = steps

    def deadly(function):
        def call(*arguments, **named):
            nonlocal left
            result = function(*arguments, **named)
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in (
        "create_experiment", "set_experiment_tag", "create_run", "log_batch", "set_terminated", "update_run",
        "log_artifact", "log_artifacts", "create_registered_model", "create_model_version",
        "set_registered_model_alias",
    ):  # fmt: skip
        setattr(MlflowClient, name, deadly(getattr(MlflowClient, name)))
    tracking.write_json = deadly(tracking.write_json)
    with outbox.tracker_turn():
        tracking.send(address)


def serve(folder, port):
    """MLflow's server application, without the processes that `mlflow server` adds to it."""
    from mlflow.server import constants

    os.chdir(folder)
    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = "sqlite:///mlflow.db"
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
    os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = str(folder / "kept")
    os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
    from mlflow.server import app
    from werkzeug.serving import make_server

    make_server("127.0.0.1", port, app, threaded=True).serve_forever()


def start(key=KEYS[0], repeat=0, profile="sample", **parameters):
    box = Outbox(key)
    box.start(
        name=f"imdb/gru/corrected/{repeat}",
        study="imdb",
        profile=profile,
        parameters={"layers": 1, "optimizer": {"learning_rate": 0.001, "names": ["adam"]}, **parameters},
        tags={"data_digest": "abc"},
    )
    return box


def whole_run(key=KEYS[0], repeat=0, profile="sample"):
    box = start(key, repeat, profile)
    for epoch in EPOCHS:
        box.epoch(epoch, {"train_loss": repeat + 1 / epoch, "tokens_per_second": 1000.0})
    weights = Path("weights.safetensors")
    weights.write_bytes(bytes(range(repeat, repeat + 100)))
    box.artifact(weights, "weights")
    weights.unlink()
    box.end("FINISHED")
    box.scores({"test_accuracy": 0.5 + repeat / 16})


def show(key=KEYS[0], repeat=0):
    """Put the model of a run on show; its weights are as `whole_run` has them."""
    Path("weights.safetensors").write_bytes(bytes(range(repeat, repeat + 100)))
    Path("vocabulary.txt").write_text("<unk>\n<pad>\n")
    settings = {"study": "imdb", "cell": "gru", "key": key, "repeat": repeat, "corpus": "sample", "data_digest": "abc"}
    outbox.put_on_show(settings, {"weights": Path("weights.safetensors"), "vocabulary": Path("vocabulary.txt")})
    Path("weights.safetensors").unlink()


def models_on_show():
    """The repeat under the alias, and the weights' digests of all versions, by MLflow's own tables."""
    shown = rows(
        "select value from model_version_tags t join registered_model_aliases a on a.name = t.name "
        "and a.version = t.version where a.name = 'imdb-on-show' and alias = 'on-show' and key = 'repeat'"
    )
    return shown, rows("select value from model_version_tags where key = 'weights_digest' order by version")


def send(address):
    with outbox.tracker_turn():
        return tracking.send(address)


def runs(address):
    """All runs by name, as MLflow's own client reports them."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("lstm-vs-gru")
    found = client.search_runs([experiment.experiment_id])
    by_name = {run.info.run_name: run for run in found}
    assert len(by_name) == len(found), "a run is there twice"
    return client, by_name


def rows(query):
    with sqlite3.connect("mlflow.db") as database:
        return database.execute(query).fetchall()


def assert_whole(repeats):
    """The store beside the outbox has each value of `whole_run` once, by its own tables."""
    expected = sorted(
        [(f"imdb/gru/corrected/{r}", "train_loss", e, r + 1 / e) for r in repeats for e in EPOCHS]
        + [(f"imdb/gru/corrected/{r}", "system/tokens_per_second", e, 1000.0) for r in repeats for e in EPOCHS]
        + [(f"imdb/gru/corrected/{r}", "test_accuracy", 0, 0.5 + r / 16) for r in repeats]
    )
    found = rows("select name, key, step, value from metrics join runs using (run_uuid) order by 1, 2, 3, 4")
    assert found == expected
    assert rows("select name, status from runs order by name") == sorted(
        [(f"imdb/gru/corrected/{r}", "FINISHED") for r in repeats] + [("imdb (sample)", "FINISHED")]
    )


def test_all_of_a_run_arrives(store, tmp_path):
    whole_run()
    (tmp_path / "accuracy.png").write_bytes(b"figure")
    Outbox.for_study("imdb", "sample").artifact(tmp_path / "accuracy.png", "plots")
    report = send(store)
    assert (report.runs, report.points, report.artifacts, report.problems) == (2, 7, 2, [])
    assert_whole([0])

    client, by_name = runs(store)
    run, parent = by_name["imdb/gru/corrected/0"], by_name["imdb (sample)"]
    record = outbox.read(KEYS[0])
    assert run.data.params == {
        "layers": "1",
        "optimizer.learning_rate": "0.001",
        "optimizer.names": '["adam"]',
    }
    expected = {
        "run_key": KEYS[0],
        "study": "imdb",
        "profile": "sample",
        "data_digest": "abc",
        "mlflow.parentRunId": parent.info.run_id,
        "mlflow.runName": "imdb/gru/corrected/0",
    }
    assert expected.items() <= run.data.tags.items()
    assert (run.info.start_time, run.info.end_time) == (record.started_milliseconds, record.ended_milliseconds)
    history = client.get_metric_history(run.info.run_id, "train_loss")
    times = {p.epoch: p.time_milliseconds for p in record.points if p.metric == "train_loss"}
    assert {m.step: m.timestamp for m in history} == times
    artifacts = tmp_path / "mlruns"
    assert (artifacts / run.info.run_id / "artifacts/weights/weights.safetensors").read_bytes() == bytes(range(100))
    assert (artifacts / parent.info.run_id / "artifacts/plots/accuracy.png").read_bytes() == b"figure"


def test_what_is_sent_is_not_sent_again_but_what_is_new_is(store):
    whole_run()
    send(store)
    assert str(send(store)) == "0 runs, 0 values, 0 files"
    Outbox(KEYS[0]).scores({"test_accuracy": 0.5, "test_auc": 0.75})
    assert str(send(store)) == "1 runs, 1 values, 0 files"
    whole_run(KEYS[1], repeat=1)
    assert send(store).points == 7
    whole_run(KEYS[1], repeat=1)  # a forced rerun: the same run
    assert send(store).points == 0
    assert rows("select count(*) from runs") == [(3,)]


def test_a_curve_grows_while_it_trains_and_longer_than_one_request_takes(store):
    box = start()
    for epoch in range(1, 101):
        box.epoch(epoch, {"loss": 1 / epoch})
    send(store)
    assert rows("select count(*), max(step) from metrics") == [(100, 100)]
    assert rows("select distinct status from runs") == [("RUNNING",)]
    for epoch in range(50, 1301):  # killed after epoch 100, gone on from the checkpoint of epoch 49
        box.epoch(epoch, {"loss": 1 / epoch})
    assert send(store).points == 1200
    assert rows("select step, value from metrics order by step") == [(e, 1 / e) for e in range(1, 1301)]


def deaths(store, processes, folder):
    """Send in processes that die a step later each time, until one lives; yields after each how many have died."""
    for steps in itertools.count(1):
        process = processes.Process(target=send_and_die, args=(str(folder), store, steps))
        process.start()
        process.join()
        if process.exitcode == 0:
            return
        assert process.exitcode == -signal.SIGKILL
        yield steps


def test_a_tracker_killed_after_any_number_of_steps_leaves_no_duplicates(store, processes, tmp_path):
    whole_run(KEYS[0], repeat=0)
    died = 0
    for died in deaths(store, processes, tmp_path):
        if died == 4:
            whole_run(KEYS[1], repeat=1)
    assert died >= 5
    assert_whole([0, 1])


@pytest.mark.parametrize("lose", [Path.unlink, lambda note: note.write_text("")])
def test_lost_notes_on_what_was_sent_make_no_duplicates(store, tmp_path, lose):
    for repeat in (0, 1):
        whole_run(KEYS[repeat], repeat)
    send(store)
    notes = list((tmp_path / "outbox" / "sent").glob("*/*.json"))
    assert len(notes) == 4
    for note in notes:
        lose(note)
    report = send(store)
    assert (report.runs, report.points) == (3, 0)
    assert_whole([0, 1])


def test_the_same_run_recorded_on_another_machine_is_added_once(store, tmp_path, monkeypatch):
    whole_run()
    send(store)
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("DVC_ROOT", str(other))
    whole_run()
    assert send(store).points == 0
    assert_whole([0])


def test_a_new_store_gets_everything(store, tmp_path, fresh_database, processes):
    whole_run()
    send(store)
    (tmp_path / "mlflow.db").unlink()
    shutil.copy(fresh_database, tmp_path / "mlflow.db")
    whole_run(KEYS[1], repeat=1)
    never = -1
    process = processes.Process(target=send_and_die, args=(str(tmp_path), store, never))
    process.start()  # another process, as MLflow here still has the deleted file open
    process.join()
    assert_whole([0, 1])


def test_a_run_that_its_user_deleted_stays_deleted(store):
    whole_run()
    send(store)
    client, by_name = runs(store)
    client.delete_run(by_name["imdb/gru/corrected/0"].info.run_id)
    Outbox(KEYS[0]).scores({"test_auc": 0.75})
    assert send(store).problems == []
    assert set(runs(store)[1]) == {"imdb (sample)"}
    assert str(send(store)) == "0 runs, 0 values, 0 files"


def test_a_model_version_a_set_of_weights_and_the_alias_on_the_one_on_show(store, tmp_path):
    for repeat in (0, 1):
        whole_run(KEYS[repeat], repeat)
    send(store)
    digests = [(hashlib.sha256(bytes(range(r, r + 100))).hexdigest(),) for r in (0, 1)]
    for repeat, known in ((0, 1), (1, 2), (0, 2), (0, 2), (1, 2)):
        show(KEYS[repeat], repeat)
        send(store)
        assert models_on_show() == ([(str(repeat),)], digests[:known])
        assert send(store).runs == 0
    client, by_name = runs(store)
    for version in client.search_model_versions("name = 'imdb-on-show'"):
        run = by_name[f"imdb/gru/corrected/{version.tags['repeat']}"]
        assert version.run_id == run.info.run_id
        assert version.tags.items() >= {"cell": "gru", "corpus": "sample", "data_digest": "abc"}.items()
        files = tmp_path / "mlruns" / version.run_id / "artifacts/model/data/files"
        weights = files / "weights.safetensors"
        assert hashlib.sha256(weights.read_bytes()).hexdigest() == version.tags["weights_digest"]
        assert json.loads((files / "settings.json").read_text())["key"] == KEYS[int(version.tags["repeat"])]


def test_a_model_shown_for_a_while_only_is_not_registered_and_lost_notes_register_none_twice(store, tmp_path):
    for repeat in (0, 1):
        whole_run(KEYS[repeat], repeat)
    for repeat in (0, 1, 0):
        show(KEYS[repeat], repeat)
    send(store)
    show(KEYS[1], 1)
    send(store)
    before = models_on_show()
    assert len(before[1]) == 2
    for note in (tmp_path / "outbox" / "sent").glob("*/*.json"):
        note.unlink()
    send(store)
    assert models_on_show() == before
    assert_whole([0, 1])


def test_a_model_whose_run_is_not_recorded_here_waits_for_it(store):
    show()
    assert str(send(store)) == "0 runs, 0 values, 0 files"
    whole_run()
    assert send(store).on_show == ["imdb-on-show 1"]


def test_the_same_weights_from_another_machine_are_the_same_version(store, tmp_path, monkeypatch):
    whole_run()
    show()
    send(store)
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("DVC_ROOT", str(other))
    monkeypatch.chdir(other)
    whole_run(KEYS[1], 1)
    whole_run()
    show()
    send(store)
    monkeypatch.chdir(tmp_path)
    shown, versions = models_on_show()
    assert (shown, len(versions)) == ([("0",)], 1)


def test_a_tracker_killed_while_it_registers_leaves_one_version(store, processes, tmp_path):
    whole_run(KEYS[1], repeat=1)
    show(KEYS[1], 1)
    send(store)
    whole_run(KEYS[0], repeat=0)
    send(store)
    show(KEYS[0], 0)
    died = len(list(deaths(store, processes, tmp_path)))
    assert died >= 3
    shown, versions = models_on_show()
    assert (shown, len(versions)) == ([("0",)], 2)
    assert_whole([0, 1])


def test_a_first_look_at_mlflow_finds_its_way(store):
    whole_run()
    send(store)
    client, by_name = runs(store)
    experiment = client.get_experiment_by_name("lstm-vs-gru")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    note = by_name["imdb (sample)"].data.tags["mlflow.note.content"]
    assert "sample text made by this project" in note
    # The link lists what MLflow finds by its query: the repeats, not the study's own run.
    (link,) = re.findall(r"\((#[^)]*)\)", note)
    query = dict(urllib.parse.parse_qsl(link.partition("?")[2]))
    found = client.search_runs([experiment.experiment_id], query["searchFilter"], order_by=[query["orderByKey"]])
    assert link.startswith(f"#/experiments/{experiment.experiment_id}/runs?")
    assert [run.info.run_name for run in found] == ["imdb/gru/corrected/0"]
    client.set_experiment_tag(experiment.experiment_id, "mlflow.note.content", "mine")
    whole_run(KEYS[1], 1)
    send(store)
    assert client.get_experiment_by_name("lstm-vs-gru").tags["mlflow.note.content"] == "mine"


def test_a_refused_run_does_not_hold_up_the_others(store):
    box = start(KEYS[0], repeat=0)
    send(store)
    box.end("FAILED")
    start(KEYS[0], repeat=0, layers=2).end("FAILED")  # MLflow allows no change of a parameter
    whole_run(KEYS[1], repeat=1)
    problems = send(store).problems
    assert len(problems) == 1
    assert problems[0].startswith("imdb/gru/corrected/0: ")
    assert "\n" not in problems[0]
    assert rows("select count(*) from metrics") == [(7,)]


def test_profiles_have_parents_of_their_own(store):
    whole_run(KEYS[0], 0, "sample")
    whole_run(KEYS[1], 1, "full")
    send(store)
    _, by_name = runs(store)
    parents = {name: run.data.tags.get("mlflow.parentRunId") for name, run in by_name.items()}
    assert parents == {
        "imdb (sample)": None,
        "imdb (full)": None,
        "imdb/gru/corrected/0": by_name["imdb (sample)"].info.run_id,
        "imdb/gru/corrected/1": by_name["imdb (full)"].info.run_id,
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "sqlite:///{root}/mlflow.db"),
        ("sqlite:///runs/mlflow.db", "sqlite:///{root}/runs/mlflow.db"),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
        ("http://host:5000", "http://host:5000"),
    ],
)
def test_addresses(given, expected, monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    monkeypatch.chdir("/")
    assert tracking.store_address() == expected.format(root=tmp_path)


def track(*words):
    command = [sys.executable, "-m", "stages.track", *words]
    # Not in the repository's own folder, which may hold results that are not this test's.
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, env=env, capture_output=True, text=True)


def test_a_dead_server_loses_nothing_and_a_live_one_gets_it_all(tmp_path, monkeypatch, fresh_database, processes):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://somebody:secret@127.0.0.1:{port}")
    monkeypatch.chdir(tmp_path)
    whole_run()
    show()

    refused = track()
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert len(refused.stderr.splitlines()) == 1
    assert re.match(rf"error: MLflow's store http://127.0.0.1:{port}: .*2 runs wait in .*outbox", refused.stderr)
    assert "Connection refused" in refused.stderr
    assert "secret" not in refused.stderr
    followed = track("--follow", "2147483646")  # a process that has ended
    assert followed.returncode == 0
    assert len(followed.stderr.splitlines()) == 1

    shutil.copy(fresh_database, tmp_path / "mlflow.db")
    server = processes.Process(target=serve, args=(tmp_path, port))
    server.start()
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
            time.sleep(0.1)
        sent = track()
        assert (sent.returncode, sent.stderr) == (0, "")
        assert sent.stdout == f"sent 2 runs, 7 values, 1 files, on show imdb-on-show 1 to http://127.0.0.1:{port}\n"
    finally:
        server.kill()
        server.join()
    assert_whole([0])
    # With the run, and in the model that is registered.
    assert [path.read_bytes() for path in tmp_path.glob("kept/**/weights.safetensors")] == 2 * [bytes(range(100))]
    assert len(models_on_show()[1]) == 1


def wait_for_trackers(log, trackers):
    deadline = time.monotonic() + 60
    while log.read_text().count("beside process") < trackers:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def test_trackers_beside_trainings_send_what_killed_ones_left(store, tmp_path):
    code = """
import os, signal, sys
from stages.support.outbox import Outbox, start_tracker
start_tracker()
box = Outbox(sys.argv[1])
box.start(name="imdb/gru/corrected/" + sys.argv[2], study="imdb", profile="sample", parameters={}, tags={})
for epoch in (1, 2):
    box.epoch(epoch, {"train_loss": int(sys.argv[2]) + 1 / epoch})
os.kill(os.getpid(), signal.SIGKILL)
"""
    with outbox.tracker_turn():  # the trackers can't go on, let alone end, before the trainings' pipes close
        for repeat in (0, 1):
            command = [sys.executable, "-c", code, KEYS[repeat], str(repeat)]
            killed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, timeout=60)
            assert (killed.returncode, killed.stdout, killed.stderr) == (-signal.SIGKILL, b"", b"")
    wait_for_trackers(tmp_path / "outbox" / "tracker.log", 2)
    killed_runs = [(f"imdb/gru/corrected/{repeat}", "KILLED") for repeat in (0, 1)]
    assert rows("select name, status from runs order by name") == [("imdb (sample)", "FINISHED"), *killed_runs]
    assert rows("select count(*) from metrics") == [(4,)]

    for repeat in (0, 1):
        box = Outbox(KEYS[repeat])
        box.start(name=f"imdb/gru/corrected/{repeat}", study="imdb", profile="sample", parameters={}, tags={})
        if repeat == 0:
            send(store)
            assert rows("select name from runs where status = 'RUNNING' order by name") == [
                ("imdb (sample)",),
                ("imdb/gru/corrected/0",),
            ]
        for epoch in EPOCHS:
            box.epoch(epoch, {"train_loss": repeat + 1 / epoch, "tokens_per_second": 1000.0})
        box.scores({"test_accuracy": 0.5 + repeat / 16})
        box.end("FINISHED")
    send(store)
    assert_whole([0, 1])


def test_track_refuses_unknown_words():
    refused = track("--folow", "12")
    assert refused.returncode == 2
    assert "--folow 12" in refused.stderr
