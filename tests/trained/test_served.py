"""The model on show, registered in MLflow and served over HTTP on loopback, far from this repository."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.forked import run_forked

pytestmark = pytest.mark.end_to_end


TEXTS = ["I loved the movie", "This film is horrible", "hogehoge", "", "the " * 3000, "nul \x00 😀"]


def client(clone):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{clone.folder}/mlflow.db")


@pytest.fixture(scope="module")
def shown(clone):
    """The versions on show while one cell was, then the other, which it still is."""
    versions = []
    for cell in ("lstm", "gru"):
        clone.edit("params.yaml", "cell: lstm\ncells:", f"cell: {cell}\ncells:")
        clone.run("python", "-m", "stages.track")
        versions.append(client(clone).get_model_version_by_alias("imdb-on-show", "on-show"))
        assert versions[-1].tags["cell"] == cell
    yield versions
    clone.reset()


def predicted(clone, cell, folder):
    """What `predict` says of TEXTS."""
    file = folder / "texts.txt"
    file.write_text("".join(f"{text}\n" for text in TEXTS))
    given = clone.run("python", "-m", "stages.predict", "imdb", "--cell", cell, "--json", "--file", str(file))
    return [json.loads(line) for line in given.stdout.splitlines()]


@contextmanager
def serving(store, folder):
    """`mlflow models serve` of the model on show, from a folder that holds nothing; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "PYTHON", "MLFLOW_"))}
    env |= {
        "MLFLOW_TRACKING_URI": store,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = ["mlflow", "models", "serve", "--model-uri", "models:/imdb-on-show@on-show", "--env-manager", "local"]
    with (folder / "serve.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert server.poll() is None, (folder / "serve.log").read_text()
            assert time.monotonic() < deadline, (folder / "serve.log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def post(address, body):
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.load(reply)["predictions"]


@pytest.mark.usefixtures("shown")
def test_the_served_model_answers_what_predict_answers(clone, tmp_path):
    expected = predicted(clone, "gru", tmp_path)
    with serving(f"sqlite:///{clone.folder}/mlflow.db", tmp_path) as address:
        for body in (
            {"inputs": {"text": TEXTS}},
            {"dataframe_split": {"columns": ["text"], "data": [[text] for text in TEXTS]}},
            {"dataframe_records": [{"text": text} for text in TEXTS]},
        ):
            answers = post(address, body)
            assert answers == [
                {
                    **{
                        f"probability_{label}": pytest.approx(value, abs=1e-6)
                        for label, value in verdict["probabilities"].items()
                    },
                    "label": verdict["label"],
                    "unknown_words": verdict["unknown_words"],
                }
                for verdict in expected
            ]
        wrong = [
            {"inputs": {"words": ["good"]}},
            {"dataframe_records": []},
            {"dataframe_records": [{"text": None}]},
            {"dataframe_records": [{"text": "good"}, {"text": 5}]},
            {"inputs": {"text": ["good " * 500_000]}},
        ]
        for body in wrong:
            with pytest.raises(urllib.error.HTTPError) as refused:
                post(address, body)
            assert refused.value.code == 400
            said = refused.value.read().decode()
            assert "Traceback" not in said
            assert len(said) < 1000
        assert len(post(address, {"inputs": {"text": ["good"]}})) == 1  # it goes on after what it refused


def test_a_registered_model_is_whole_without_the_repository_and_holds_no_pickle(clone, shown, tmp_path):
    registered, _ = shown
    scored = json.loads(clone.read("metrics/imdb/lstm.json"))
    assert (registered.tags["cell"], registered.tags["corpus"]) == ("lstm", "sample")
    assert registered.tags["data_digest"] == scored[0]["data_digest"]
    commits = clone.run("git", "log", "--format=%H").stdout.split()
    assert registered.tags["commit"] in commits
    run = client(clone).get_run(registered.run_id)
    assert run.data.params["cell"] == "lstm"
    code = """
import json
import sys
from pathlib import Path
import mlflow
model = mlflow.pyfunc.load_model(f"models:/imdb-on-show/{sys.argv[1]}")
assert "stages" not in sys.modules
(package,) = [module for name, module in sys.modules.items() if name.startswith("lstm_vs_gru_") and "." not in name]
print(json.dumps({
    "code": package.__file__,
    "inputs": model.metadata.signature.inputs.to_dict(),
    "example": model.input_example.to_dict("list"),
    "answers": model.predict(model.input_example).to_dict("list"),
    "files": [str(p) for p in Path(package.__file__).parents[2].rglob("*") if p.is_file()],
}))
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "PYTHON", "MLFLOW_"))}
    env["MLFLOW_TRACKING_URI"] = f"sqlite:///{clone.folder}/mlflow.db"
    (tmp_path / "probe.py").write_text(code)
    done = run_forked(["python", "-m", "probe", str(registered.version)], tmp_path, env)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "/code/lstm_vs_gru_" in loaded["code"]
    assert loaded["inputs"] == [{"type": "string", "name": "text", "required": True}]
    assert len(loaded["answers"]["label"]) == len(loaded["example"]["text"]) > 0
    names = {Path(name).name for name in loaded["files"]}
    assert {"settings.json", "vocabulary.txt"} <= names
    assert [name for name in names if name.endswith(".safetensors")]
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".pth"))]
