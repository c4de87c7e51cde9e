import base64
import hashlib
import importlib.util
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
import threading
import time
import urllib.parse
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from stages import track
from stages.support.files import seal
from stages.tracking import address as addresses
from stages.tracking import curves
from stages.tracking.curves import live_curve
from stages.tracking.database import create_database, store_address
from stages.tracking.desired import Desired
from stages.tracking.sender import Sender, TrackingError
from stages.tracking.store import SETTINGS
from stages.trained.find import Trained
from tests.forked import run_forked
from tests.tracking.tracked import key_of, row, weights_of, write, write_cell

REPOSITORY = Path(__file__).parents[2]
EPOCHS = (1, 2, 3)
os.environ.update({name: os.environ.get(name, value) for name, value in SETTINGS.items()})


@pytest.fixture(scope="session")
def processes():
    """Processes that die by a signal without this one, each with MLflow already imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow", "mlflow.pyfunc", "pandas", "stages.track"])
    return context


@pytest.fixture(scope="session")
def fresh_database(processes, tmp_path_factory):
    """MLflow's empty database, made by four processes at once after one that was killed over it."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    path.with_name("mlflow.db.new").write_text("what a killed process left")
    path.with_name("mlflow.db.new-journal").write_text("and its journal")
    together(processes, [(create_database, path)] * 4)
    return path


@pytest.fixture
def store(tmp_path, monkeypatch, fresh_database):
    """The address of an empty store beside an empty workspace."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copy(fresh_database, tmp_path / "mlflow.db")
    return store_address()


def together(processes, calls):
    """Make calls in processes of their own, all at once."""
    barrier = processes.Barrier(len(calls))
    started = [processes.Process(target=call_together, args=(barrier, *call)) for call in calls]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * len(calls)


def call_together(barrier, function, *words):
    barrier.wait()
    function(*words)


def send_from(root, address):
    """Send a workspace's results, as a tracker of its own."""
    os.environ["DVC_ROOT"] = str(root)
    os.chdir(root)
    report, unreadable = track.send(Sender(address), is_last=False)
    assert (report.problems, unreadable) == ([], [])


def send_and_die(root, address, shown, steps):
    """Send, and die by SIGKILL right after the given number of steps that change MLflow."""
    from mlflow import MlflowClient

    os.environ["DVC_ROOT"] = str(root)
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
        "create_experiment", "create_run", "log_batch", "log_inputs", "set_terminated", "update_run", "log_artifact",
        "log_artifacts", "create_registered_model", "create_model_version", "set_registered_model_alias",
    ):  # fmt: skip
        setattr(MlflowClient, name, deadly(getattr(MlflowClient, name)))
    Sender(address).send(Desired().runs, shown)


def serve(folder, port):
    """MLflow's server application, without the processes that `mlflow server` adds; notes who asks."""
    from mlflow.server import constants

    os.chdir(folder)
    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = "sqlite:///mlflow.db"
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
    os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = str(folder / "kept")
    os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
    from mlflow.server import app
    from werkzeug.serving import make_server

    def noting(environment, start):
        Path("asked.txt").write_text(environment.get("HTTP_AUTHORIZATION", ""))
        return app(environment, start)

    make_server("127.0.0.1", port, noting, threaded=True).serve_forever()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(processes, folder, port):
    server = processes.Process(target=serve, args=(folder, port))
    server.start()
    try:
        wait_for(port)
        yield
    finally:
        server.kill()
        server.join()


def train(repeat=0, profile="sample", epochs=EPOCHS, **others):
    """A job as it leaves its curve file."""
    with live_curve(key_of(repeat), [row(repeat, profile=profile, **others)]) as record:
        for epoch in epochs:
            record([{"epoch": epoch, "train_loss": repeat + 1 / epoch}], {"tokens_per_second": 1000.0})


def whole_runs(*repeats, folder=Path()):
    for repeat in repeats:
        train(repeat)
    write_cell(folder, [row(repeat) for repeat in repeats])


def shown(repeat):
    """The model of a repeat, to be put on show."""
    write(Path("vocabulary.txt"), "<unk>\n<pad>\n")
    runs = json.loads(Path("models/imdb/gru/runs.json").read_text())
    settings = next(entry for entry in runs if entry["repeat"] == repeat)
    weights = Path("models/imdb/gru") / settings["weights"]
    return Trained("imdb", "classification", "gru", settings, weights, Path("vocabulary.txt"), {})


def send(address, *on_show):
    return Sender(address).send(Desired().runs, on_show)


def runs(address):
    """All runs by name, as MLflow's own client reports them."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("lstm-vs-gru")
    found = client.search_runs([experiment.experiment_id])
    by_name = {run.info.run_name: run for run in found}
    assert len(by_name) == len(found), "a run is there twice"
    return client, by_name


def rows(query, database="mlflow.db"):
    with sqlite3.connect(database) as connection:
        return connection.execute(query).fetchall()


def models_on_show():
    """The repeat under the alias, and the weights' digests of all versions, by MLflow's own tables."""
    alias = rows(
        "select value from model_version_tags t join registered_model_aliases a on a.name = t.name "
        "and a.version = t.version where a.name = 'imdb-on-show' and alias = 'on-show' and key = 'repeat'"
    )
    return alias, rows("select value from model_version_tags where key = 'weights_digest' order by version")


def assert_whole(*repeats, costs=True, database="mlflow.db"):
    """The store has each value of `whole_runs` once, by its own tables."""
    names = {r: f"imdb/gru/corrected/{r}" for r in repeats}
    expected = [(names[r], "train_loss", e, r + 1 / e) for r in repeats for e in EPOCHS]
    expected += [(names[r], "system/tokens_per_second", e, 1000.0) for r in repeats for e in EPOCHS if costs]
    expected += [(names[r], "test_accuracy", 0, 0.5 + r / 16) for r in repeats]
    expected += [(names[r], "best_epoch", 0, 2.0) for r in repeats]
    expected += [(names[r], "parameter_count", 0, 1945.0) for r in repeats]
    active = "lifecycle_stage = 'active'"
    of_curve = f"{active} and key != 'validation_loss'"
    found = rows(
        f"select name, key, step, value from metrics join runs using (run_uuid) where {of_curve} order by 1, 2, 3, 4",
        database,
    )
    assert found == sorted(expected)
    assert rows(f"select name, status from runs where {active} order by name", database) == sorted(
        [(name, "FINISHED") for name in names.values()] + [("imdb (sample)", "FINISHED")]
    )


def test_all_of_a_run_arrives(store, tmp_path):
    whole_runs(0)
    write(tmp_path / "plots/imdb/accuracy.png", b"figure")
    report = send(store)
    assert (len(report.runs), report.points, report.files, report.problems) == (2, 9, 2, [])
    assert_whole(0)

    client, by_name = runs(store)
    run, parent = by_name["imdb/gru/corrected/0"], by_name["imdb (sample)"]
    assert run.data.params["learning_rate"] == "0.001"
    expected = {
        "run_key": key_of(0),
        "study": "imdb",
        "profile": "sample",
        "corpus": "sample",
        "data_digest": "abc",
        "mlflow.parentRunId": parent.info.run_id,
    }
    assert expected.items() <= run.data.tags.items()
    (wanted,) = [r for r in Desired().runs if r.key == key_of(0)]
    assert (run.info.start_time, run.info.end_time) == (wanted.started, wanted.ended)
    times = {p.step: p.milliseconds for p in wanted.points.values() if p.metric == "train_loss"}
    assert {m.step: m.timestamp for m in client.get_metric_history(run.info.run_id, "train_loss")} == times
    kept = tmp_path / "mlruns"
    assert (kept / run.info.run_id / "artifacts/weights/corrected-0.safetensors").read_bytes() == weights_of(0)
    assert (kept / parent.info.run_id / "artifacts/accuracy.png").read_bytes() == b"figure"


def test_a_study_says_who_is_ahead_and_a_run_what_it_was_trained_on(store, tmp_path):
    whole_runs(0)
    answer = {
        "setting": "", "heading": "tuned", "score": "test accuracy", "lstm": 0.81, "gru": 0.85,
        "gru_minus_lstm_points": 4.0, "low": None, "high": None, "ahead": "too few repeats",
    }  # fmt: skip
    place = tmp_path / "plots/imdb/answer.json"
    write(place, json.dumps([answer, answer | {"setting": "better", "gru": 0.86}]))
    for again in range(2):
        send(store)
        client, by_name = runs(store)
        parent, run = by_name["imdb (sample)"], by_name["imdb/gru/corrected/0"]
        scores = {"lstm": 0.81, "gru": 0.85 + again / 100, "gru_minus_lstm_points": 4.0}
        assert parent.data.metrics == scores | {
            "lstm better": 0.81, "gru better": 0.86, "gru_minus_lstm_points better": 4.0
        }  # fmt: skip
        assert (parent.data.tags["ahead"], parent.data.tags["heading better"]) == ("too few repeats", "tuned")
        view = client.get_experiment(parent.info.experiment_id).tags["mlflow.sharedViewState.answer"]
        there = {f"tags.`{name}`" for name in parent.data.tags} | {f"metrics.`{name}`" for name in parent.data.metrics}
        assert set(json.loads(view)["selectedColumns"]) <= there
        ((data,), none) = run.inputs.dataset_inputs, parent.inputs.dataset_inputs
        assert (data.dataset.name, data.dataset.digest, none) == ("imdb sample", "abc", [])
        write(place, json.dumps([answer | {"gru": 0.86}, answer | {"setting": "better", "gru": 0.86}]))


def test_what_is_there_is_not_sent_again_but_what_is_new_is(store, tmp_path):
    whole_runs(0)
    sender = Sender(store)
    sender.send(Desired().runs)
    for again in (sender, Sender(store)):
        assert str(again.send(Desired().runs)) == "0 runs, 0 values, 0 files"
    write_cell(tmp_path, [row(0)], accuracy=0.75)
    assert str(sender.send(Desired().runs)) == "1 runs, 1 values, 0 files"
    assert runs(store)[1]["imdb/gru/corrected/0"].data.metrics["test_accuracy"] == 0.75
    write(tmp_path / "models/imdb/gru/weights/corrected-0.safetensors", b"others")
    assert str(sender.send(Desired().runs)) == "1 runs, 0 values, 1 files"
    whole_runs(0, 1)
    assert sender.send(Desired().runs).points == 9
    train(1)  # a forced rerun: the same run
    assert sender.send(Desired().runs).points == 0
    assert rows("select count(*) from runs") == [(3,)]


def test_a_curve_grows_while_it_trains_and_longer_than_one_request_takes(store):
    sender = Sender(store)
    with suppress(RuntimeError), live_curve(key_of(0), [row(0)]) as record:
        for epoch in range(1, 101):
            record([{"epoch": epoch, "loss": 1 / epoch}], {})
        sender.send(Desired().runs)
        assert rows("select count(*), max(step) from metrics") == [(100, 100)]
        assert rows("select distinct status from runs") == [("RUNNING",)]
        raise RuntimeError
    sender.send(Desired().runs)
    assert rows("select status from runs order by name") == [("FINISHED",), ("FAILED",)]
    with live_curve(key_of(0), [row(0)]) as record:
        for epoch in range(50, 1301):  # gone on from the checkpoint of epoch 49
            record([{"epoch": epoch, "loss": 1 / epoch}], {})
    assert send(store).points == 1200
    assert rows("select step, value from metrics order by step") == [(e, 1 / e) for e in range(1, 1301)]
    assert rows("select distinct status from runs") == [("FINISHED",)]


def deaths(store, processes, folder, *on_show):
    """Send in processes that die a step later each time, until one lives; yields after each how many have died."""
    for steps in itertools.count(1):
        process = processes.Process(target=send_and_die, args=(folder, store, on_show, steps))
        process.start()
        process.join()
        if process.exitcode == 0:
            return
        assert process.exitcode == -signal.SIGKILL
        yield steps


def test_a_sender_killed_after_any_number_of_steps_leaves_nothing_twice(store, processes, tmp_path):
    whole_runs(0)
    died = 0
    for died in deaths(store, processes, tmp_path):
        if died == 4:
            whole_runs(0, 1)
    assert died >= 5
    assert_whole(0, 1)


def test_a_sender_killed_while_it_registers_leaves_one_version(store, processes, tmp_path):
    whole_runs(0, 1)
    send(store, shown(1))
    died = len(list(deaths(store, processes, tmp_path, shown(0))))
    assert died >= 2
    alias, versions = models_on_show()
    assert (alias, len(versions)) == ([("0",)], 2)
    assert_whole(0, 1)


def test_four_senders_at_once_on_an_empty_store_leave_nothing_twice(tmp_path, processes, monkeypatch):
    address = f"sqlite:///{tmp_path}/shared/mlflow.db"
    workspaces = [tmp_path / name for name in "abcd"]
    for workspace in workspaces:
        workspace.mkdir()
        monkeypatch.setenv("DVC_ROOT", str(workspace))
        write_cell(workspace, [row(0), row(1)])
    together(processes, [(send_from, workspace, address) for workspace in workspaces])
    assert_whole(0, 1, costs=False, database=tmp_path / "shared/mlflow.db")
    monkeypatch.setenv("DVC_ROOT", str(workspaces[0]))
    assert str(send(address)) == "0 runs, 0 values, 0 files"
    _, by_name = runs(address)
    parent = by_name["imdb (sample)"].info.run_id
    assert by_name["imdb/gru/corrected/0"].data.tags["mlflow.parentRunId"] == parent


@pytest.fixture
def server_on_postgresql(tmp_path):
    """The address of MLflow's own server on an empty PostgreSQL."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin")) or [Path(shutil.which("initdb") or "none").parent]
    if not (programs[-1] / "initdb").exists() or importlib.util.find_spec("psycopg2") is None:
        pytest.skip("no PostgreSQL here, or no psycopg2")
    user = "postgres" if os.getuid() == 0 else None  # PostgreSQL refuses to be run by root
    with TemporaryDirectory() as folder, ExitStack() as stack:
        os.chmod(folder, 0o777)  # noqa: PTH101
        data, port = Path(folder, "data"), free_port()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "user": user, "cwd": folder}
        words = [programs[-1] / "initdb", "--pgdata", data, "--auth", "trust", "--username", "lab"]
        subprocess.run(words, check=True, **quiet)
        words = [programs[-1] / "postgres", "-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1"]
        database = subprocess.Popen(words, **quiet)
        stack.callback(lambda: (database.send_signal(signal.SIGQUIT), database.wait()))
        wait_for(port)
        served = free_port()
        store = f"postgresql+psycopg2://lab@127.0.0.1:{port}/postgres"
        words = [sys.executable, "-m", "mlflow", "server", "--port", str(served), "--backend-store-uri", store]
        words += ["--artifacts-destination", tmp_path / "kept"]
        with (tmp_path / "server.log").open("wb") as log:
            server = subprocess.Popen(words, stdout=log, stderr=log, cwd=tmp_path, start_new_session=True)
        stack.callback(lambda: (os.killpg(server.pid, signal.SIGKILL), server.wait()))
        wait_for(served)
        yield f"http://127.0.0.1:{served}"


def wait_for(port):
    deadline = time.monotonic() + 120
    while socket.socket().connect_ex(("127.0.0.1", port)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_eight_senders_at_once_to_a_server_on_postgresql_leave_nothing_twice(
    tmp_path, processes, monkeypatch, server_on_postgresql
):
    workspaces = [tmp_path / f"workspace{number}" for number in range(8)]
    for workspace in workspaces:
        workspace.mkdir()
        monkeypatch.setenv("DVC_ROOT", str(workspace))
        write_cell(workspace, [row(0), row(1), row(2)])
    monkeypatch.setitem(SETTINGS, "MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")  # eight at once on few processors
    together(processes, [(send_from, workspace, server_on_postgresql) for workspace in workspaces])
    monkeypatch.setenv("DVC_ROOT", str(workspaces[0]))
    assert str(send(server_on_postgresql)) == "0 runs, 0 values, 0 files"
    client, by_name = runs(server_on_postgresql)
    assert by_name.keys() == {"imdb (sample)", *(f"imdb/gru/corrected/{repeat}" for repeat in range(3))}
    for repeat in range(3):
        run = by_name[f"imdb/gru/corrected/{repeat}"]
        assert run.data.tags["mlflow.parentRunId"] == by_name["imdb (sample)"].info.run_id
        points = [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "train_loss")]
        assert sorted(points) == [(epoch, repeat + 1 / epoch) for epoch in EPOCHS]


def test_the_same_run_of_another_machine_is_added_once(store, tmp_path, monkeypatch):
    whole_runs(0)
    send(store, shown(0))
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("DVC_ROOT", str(other))
    monkeypatch.chdir(other)
    whole_runs(0)
    report = send(store, shown(0))
    assert (report.points, report.on_show) == (0, [])
    monkeypatch.chdir(tmp_path)
    assert_whole(0)
    assert len(models_on_show()[1]) == 1


def test_a_new_store_gets_everything(store, tmp_path, fresh_database, processes):
    whole_runs(0)
    send(store)
    (tmp_path / "mlflow.db").unlink()
    shutil.copy(fresh_database, tmp_path / "mlflow.db")
    whole_runs(0, 1)
    process = processes.Process(target=send_from, args=(tmp_path, store))
    process.start()  # another process, as MLflow here still has the deleted file open
    process.join()
    assert_whole(0, 1)


def test_a_run_that_its_user_deleted_stays_deleted(store, tmp_path):
    whole_runs(0)
    send(store)
    client, by_name = runs(store)
    client.delete_run(by_name["imdb/gru/corrected/0"].info.run_id)
    write_cell(tmp_path, [row(0)], accuracy=0.75)
    for _ in range(2):
        assert str(send(store)) == "0 runs, 0 values, 0 files"
    assert set(runs(store)[1]) == {"imdb (sample)"}


def test_a_finished_run_is_not_unmade_where_only_its_curve_of_a_kill_is_left(store, tmp_path):
    with pytest.raises(RuntimeError), live_curve(key_of(0), [row(0)]):
        raise RuntimeError
    write_cell(tmp_path, [row(0)])
    send(store)
    shutil.rmtree(tmp_path / "models")
    send(store)
    assert_whole(0, costs=False)


def test_a_model_version_a_set_of_weights_and_the_alias_on_the_one_on_show(store, tmp_path):
    whole_runs(0, 1)
    digests = [(hashlib.sha256(weights_of(r)).hexdigest(),) for r in (0, 1)]
    for repeat, known in ((0, 1), (1, 2), (0, 2), (0, 2), (1, 2)):
        changes = models_on_show()[0] != [(str(repeat),)]
        assert len(send(store, shown(repeat)).on_show) == changes
        assert models_on_show() == ([(str(repeat),)], digests[:known])
    client, by_name = runs(store)
    for version in client.search_model_versions("name = 'imdb-on-show'"):
        run = by_name[f"imdb/gru/corrected/{version.tags['repeat']}"]
        assert version.run_id == run.info.run_id
        assert version.tags.items() >= {"cell": "gru", "corpus": "sample", "data_digest": "abc"}.items()
        files = tmp_path / "mlruns" / version.run_id / "artifacts/model/data/files"
        weights = files / f"corrected-{version.tags['repeat']}.safetensors"
        assert hashlib.sha256(weights.read_bytes()).hexdigest() == version.tags["weights_digest"]
        assert json.loads((files / "settings.json").read_text())["key"] == key_of(int(version.tags["repeat"]))


def test_a_moved_project_goes_on_in_its_new_place(store, tmp_path, processes, monkeypatch):
    before = tmp_path / "before"
    for name in ("models", "metrics"):
        (before / name).mkdir(parents=True)
    shutil.copy("mlflow.db", before / "mlflow.db")
    monkeypatch.chdir(before)
    monkeypatch.setenv("DVC_ROOT", str(before))
    whole_runs(0)
    send(store_address(), shown(0))
    monkeypatch.chdir(tmp_path)
    after = before.rename(tmp_path / "after it was möved")
    for path in after.rglob("*"):
        if "tracking" in path.parts and path.is_file():
            assert str(tmp_path) not in path.read_text()
    monkeypatch.setenv("DVC_ROOT", str(after))
    monkeypatch.chdir(after)
    assert str(send(store_address())) == "0 runs, 0 values, 0 files"
    whole_runs(0, 1)
    assert len(send(store_address(), shown(1)).on_show) == 1
    assert_whole(0, 1)
    assert not before.exists()
    client, by_name = runs(store_address())
    for repeat in (0, 1):
        run_id = by_name[f"imdb/gru/corrected/{repeat}"].info.run_id
        (place,) = after.glob(f"mlruns/{run_id}/artifacts/weights/*")
        assert place.read_bytes() == weights_of(repeat)
        assert Path(client.download_artifacts(run_id, f"weights/{place.name}")).read_bytes() == weights_of(repeat)
        source = client.get_model_version("imdb-on-show", str(repeat + 1)).source
        assert Path(urllib.parse.unquote(urllib.parse.urlsplit(source).path), "MLmodel").is_relative_to(after)
        assert Path(urllib.parse.unquote(urllib.parse.urlsplit(source).path), "MLmodel").is_file()


def test_a_first_look_at_mlflow_finds_its_way(store):
    whole_runs(0)
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
    whole_runs(0, 1)
    send(store)
    assert client.get_experiment_by_name("lstm-vs-gru").tags["mlflow.note.content"] == "mine"


def test_a_refused_run_does_not_hold_up_the_others(store):
    train(0)
    send(store)
    (curves.folder() / f"{key_of(0)}.jsonl").unlink()
    train(0, hyperparameters={"cell": "lstm"})  # MLflow allows no change of a parameter
    train(1)
    problems = send(store).problems
    assert len(problems) == 1
    assert problems[0].startswith("imdb/gru/corrected/0: ")
    assert "\n" not in problems[0]
    assert rows("select count(*) from metrics") == [(12,)]


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
    assert store_address() == expected.format(root=tmp_path)


PASSWORDS = ["secret", "se#cret", "se?cret", "se@cret", "se/cret", "/#?@secret@?#/", "se:cret://x@", "s%40cret", "1/2"]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("scheme", ["http://", "https://", "postgresql+psycopg2://", ""])
def test_no_piece_of_a_password_is_printed_and_a_server_gets_it_whole(password, scheme):
    address = f"{scheme}somebody:{password}@server.example:5000"
    pieces = [piece for piece in re.split(r"[:/@?#]+", password) if piece] + ["somebody"]
    errors = [f"no host in {address!r}", f"bad {address.partition('/w')[0]}", *(f"host '{piece}'" for piece in pieces)]
    for text in [addresses.printable(address), *(addresses.one_line(ValueError(e), address) for e in errors)]:
        assert not [piece for piece in pieces if re.search(rf"(?<!\w){re.escape(piece)}(?!\w)", text)]
    if scheme.startswith("http") and password != "1/2":  # which may be a port and a path as well
        plain, credentials = addresses.take_out_credentials(address)
        assert plain == f"{scheme}server.example:5000"
        assert credentials["MLFLOW_TRACKING_USERNAME"] == "somebody"
        assert credentials["MLFLOW_TRACKING_PASSWORD"] == urllib.parse.unquote(password)


@pytest.mark.parametrize("address", ["http://host:5000", "https://host/path/to@it", "http://10.0.0.1:80/x@y"])
def test_an_address_without_a_password_stays_as_it_is(address):
    assert addresses.take_out_credentials(address) == (address, {})


def run_track(*words):
    # Not in the repository's own folder, which may hold results that are not this test's.
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return run_forked(["python", "-m", "stages.track", *words], Path.cwd(), env)


def test_a_dead_server_loses_nothing_and_a_live_one_gets_it_all(tmp_path, monkeypatch, fresh_database, processes):
    port, password = free_port(), "se/c#r?e@t"
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://somebody:{password}@127.0.0.1:{port}")
    monkeypatch.chdir(tmp_path)
    train(0)
    write_cell(tmp_path, [row(0)], validation=True)
    write(Path("params.yaml"), re.sub(r"(?m)^cell: \w+", "cell: gru", (REPOSITORY / "params.yaml").read_text()))
    write(Path("data/ready/imdb/manifest.json"), {"digest": "abc"})
    write(Path("data/ready/imdb/vocabulary.txt"), "<unk>\n<pad>\n")
    seal(Path("data/ready/imdb"), {"digest": "abc"})
    seal(Path("models/imdb/gru"), {})

    refused = run_track()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert len(refused.stderr.splitlines()) == 1
    assert "Connection refused" in refused.stderr
    assert "somebody" not in refused.stderr
    assert run_track("--ui").returncode == 0
    followed = run_track("--follow")
    assert followed.returncode == 0
    assert len(followed.stderr.splitlines()) == 1

    shutil.copy(fresh_database, tmp_path / "mlflow.db")
    with serving(processes, tmp_path, port):
        sent = run_track()
        assert (sent.returncode, sent.stderr) == (0, "")
        assert re.match("sent 2 runs, 12 values, 1 files, on show imdb-on-show 1 to ", sent.stdout)
        shown_there = run_track("--ui")
        assert (shown_there.returncode, shown_there.stderr) == (0, "")
        assert re.match("nothing new", shown_there.stdout)
    asked = (tmp_path / "asked.txt").read_text()
    assert base64.b64decode(asked.removeprefix("Basic ")).decode() == f"somebody:{password}"
    assert_whole(0)
    # With the run, and in the model that is registered.
    assert [path.read_bytes() for path in tmp_path.glob("kept/**/*.safetensors")] == 2 * [weights_of(0)]


def test_a_server_that_drips_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stages.tracking.sender.SECONDS_A_RUN", 2.0)
    train(0)
    ended = threading.Event()

    def drip(connection):
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not ended.wait(0.2):
                connection.sendall(b" ")

    def listen(server):
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=listen, args=(server,), daemon=True).start()
        with pytest.raises(TrackingError, match="no whole answer"):
            send(f"http://127.0.0.1:{server.getsockname()[1]}")
        ended.set()


def wait_until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, (curves.folder() / "tracker.log").read_text()
        time.sleep(0.1)


def test_a_tracker_beside_trainings_sends_what_killed_ones_left_and_ends(store, tmp_path):
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(REPOSITORY)!r})
from stages.tracking.curves import live_curve, start_tracker
start_tracker()
with live_curve(sys.argv[1], [eval(sys.argv[2])]) as record:
    for epoch in (1, 2):
        record([{{"epoch": epoch, "train_loss": int(sys.argv[3]) + 1 / epoch}}], {{"tokens_per_second": 1000.0}})
    os.kill(os.getpid(), signal.SIGKILL)
"""
    write(tmp_path / "tracking/followed/no-process", "")
    write(tmp_path / "tracking/followed" / f"{os.getpid()}-1", "")  # a number that lives again
    with track._one_sender():  # the tracker can't go on, let alone end, before the trainings' pipes close
        for repeat in (0, 1):
            command = [sys.executable, "-c", code, key_of(repeat), repr(row(repeat)), str(repeat)]
            killed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, timeout=60)
            assert (killed.returncode, killed.stdout, killed.stderr) == (-signal.SIGKILL, b"", b"")
    wait_until(lambda: "has ended" in (tmp_path / "tracking/tracker.log").read_text())
    killed_runs = [(f"imdb/gru/corrected/{repeat}", "KILLED") for repeat in (0, 1)]
    assert rows("select name, status from runs order by name") == [("imdb (sample)", "FINISHED"), *killed_runs]
    assert rows("select count(*) from metrics") == [(8,)]
    assert not list((tmp_path / "tracking/followed").iterdir())

    whole_runs(0, 1)
    send(store)
    assert_whole(0, 1)


def test_results_of_an_experiment_are_sent_and_then_no_longer_kept(store, tmp_path, monkeypatch):
    temporary = tmp_path / "experiment"
    temporary.mkdir()
    monkeypatch.setenv("DVC_EXP_NAME", "noisy-cell")
    monkeypatch.chdir(temporary)
    whole_runs(0)
    curves.keep("imdb")
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(temporary)
    report, unreadable = track.send(Sender(store), is_last=False)
    assert (len(report.runs), report.files, unreadable) == (2, 1, [])
    assert not list(curves.folder().glob("kept/*"))
    for _ in range(2):
        assert str(send(store)) == "0 runs, 0 values, 0 files"
    assert_whole(0)
    assert runs(store)[1]["imdb/gru/corrected/0"].data.tags["DVC_EXP_NAME"] == "noisy-cell"


@pytest.mark.parametrize("words", [["--folow", "12"], ["--follow", "12"], ["--ui", "x"]])
def test_track_refuses_unknown_words(words):
    refused = run_track(*words)
    assert refused.returncode == 2
    assert " ".join(words) in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
