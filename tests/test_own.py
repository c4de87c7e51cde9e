"""`python -m stages.own FILE`, as its users type it: refusals, and one study of a dirty table from end to end."""

import csv
import json
import math
import os
import random
import re
import shutil
import signal
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from stages import check, fetch, own
from stages.own import add_study, main
from stages.support.process import InputError, StageError
from tests.conftest import make_clone
from tests.copies import ROOT, digests

GOOD = ["great", "lovely", "brilliant", "moving", "superb", "tender", "clever", "warm"]
BAD = ["dull", "awful", "boring", "tedious", "weak", "clumsy", "cold", "cheap"]
OTHER = ["the", "film", "was", "a", "story", "of", "two", "people", "who", "met", "in", "paris", "and", "left"]


def reviews(count, seed=0, labels=("good", "bad")):
    chance = random.Random(seed)
    for i in range(count):
        label = labels[i % len(labels)]
        words = chance.choices(GOOD if label == labels[0] else BAD, k=2) + chance.choices(OTHER, k=8)
        chance.shuffle(words)
        yield f"{' '.join(words)} {i}", label


def table(path, rows, header=("text", "label"), delimiter=",", encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with params.yaml, where nothing can be trained."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(ROOT / "params.yaml", folder)
    monkeypatch.chdir(folder)
    return folder


WAVE = [round(10 * math.sin(i) + i % 5, 2) for i in range(99)]


def series(values):
    return [[f"2020-{1 + i // 28:02}-{1 + i % 28:02}", value] for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("name", "header", "rows", "words", "named"),
    [
        ("leak.csv", None, [[f"{text} {label}", label] for text, label in reviews(120)], [], ["label"]),
        ("one.csv", None, [[text, "good"] for text, _ in reviews(60)], ["TEXT=text", "LABEL=label"], ["label"]),
        ("constant.csv", ["date", "y"], series([5] * 100), [], ["constant", "y"]),
        (
            "two.csv",
            ["date", "height", "width"],
            [[*row, i * i % 11 + row[1]] for i, row in enumerate(series(WAVE))],
            [],
            ["VALUE="],
        ),
        ("huge.csv", ["date", "y"], series([value * 1e300 for value in WAVE]), [], ["y has", "e+301", "1e+150"]),
        ("few.csv", ["date", "y"], series([1, 2, 3, 2, 1]), ["VALUE=y"], ["5 rows"]),
        ("good.csv", None, list(reviews(60)), ["NAME=Reviews 1"], ["NAME=Reviews 1"]),
        ("good.csv", None, list(reviews(60)), ["NAME=imdb"], ["NAME=imdb"]),
        ("good.csv", None, list(reviews(60)), ["NAME=studies"], ["NAME=studies"]),
        ("good.csv", None, list(reviews(60)), ["NAME=record"], ["NAME=record"]),
        ("good.csv", None, list(reviews(60)), ["NAME=run"], ["NAME=run"]),
        ("good.csv", None, list(reviews(60)), ["NAME=no"], ["NAME=no"]),
        ("y.csv", ["date", "y"], series(WAVE), ["INPUTS=y"], ["INPUTS=y"]),
        ("good.csv", None, list(reviews(60)), ["BUDGET=soon"], ["BUDGET=soon"]),
        ("good.csv", None, list(reviews(60)), ["COLUMN=text"], ["COLUMN=text", "LABEL="]),
        ("good.csv", None, list(reviews(60)), ["LABEL=stars"], ["stars", "label"]),
        ("good.csv", None, list(reviews(60)), ["HORIZON=3"], ["HORIZON=", "classification"]),
    ],
)
def test_what_cannot_be_a_study_is_refused_in_one_line_and_nothing_is_changed(
    project, name, header, rows, words, named
):
    file = table(project.parent / name, rows, header or ("text", "label"))
    before = (project / "params.yaml").read_bytes()
    with pytest.raises(InputError) as failed:
        main(str(file), *words)
    line = str(failed.value)
    assert "\n" not in line
    assert all(word in line for word in named)
    assert (project / "params.yaml").read_bytes() == before
    assert not list(project.rglob("data/own/*"))


def test_a_section_is_added_and_every_comment_and_value_stays(tmp_path):
    path = tmp_path / "params.yaml"
    before = (ROOT / "params.yaml").read_text()
    path.write_text(before)
    section = {
        "kind": "series",
        "corpus": {"source": "file", "path": "data/own/s.csv", "value": "y: z", "inputs": ["no", "1"]},
        "tokens": {"window": 4, "horizon": 1, "validation_fraction": 0.1, "test_fraction": 0.1},
        "training": {"repeats": "0", "epochs": 2, "batch_size": 4, "learning_rate": 0.00001, "hidden_size": 3},
    }
    add_study("shares", section, path)
    after = path.read_text()
    mine = after.index("\nshares:\n")
    assert after[:mine].replace("- shares\n", "") + "\n" == before
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    add_study("shares", section, path)
    assert path.read_text() == after
    with pytest.raises(InputError, match=r"shares\.tokens\.window"):
        add_study("shares", section | {"tokens": section["tokens"] | {"window": 0}}, path)
    for twice in (["1", "1"], ["y: z"]):
        with pytest.raises(InputError, match="twice"):
            add_study("shares", section | {"corpus": section["corpus"] | {"inputs": twice}}, path)
    assert path.read_text() == after
    assert any("y: z" in line for line in added)


def test_an_address_is_downloaded_once(project):
    served = table(project.parent / "some%20reviews.csv", list(reviews(60)))
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if "some" in self.path else 404)
            self.end_headers()
            self.wfile.write(served.read_bytes())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/some%20reviews.csv?version=2"
        for _ in range(2):
            path, name = own._found(address, "")
            assert (path.parent, path.suffix, name) == (Path("data/own"), ".csv", "some_reviews")
            assert path.read_bytes() == served.read_bytes()
        other, _ = own._found(address.replace("=2", "=3"), "")
        assert other != path, "another address's file was taken for this one's"
        gone = address.replace("some", "no")
        with pytest.raises(StageError) as failed:
            own._found(gone, "")
        assert "mirror" not in str(failed.value)
    finally:
        server.shutdown()
    assert asked[:2] == ["/some%20reviews.csv?version=2", "/some%20reviews.csv?version=3"]


@pytest.mark.parametrize("failure", [None, MemoryError, RuntimeError])
def test_what_fails_once_the_data_are_made_leaves_nothing_behind(project, monkeypatch, failure):
    file = table(project.parent / "y.csv", series(WAVE), ("date", "y"))
    monkeypatch.setattr(own, "_dvc_repro", lambda *words: True)  # and so there are no data to time an epoch of
    before = digests(project)
    if failure:

        def fail(*_):
            raise failure

        monkeypatch.setattr(own, "_cut", fail)
    with pytest.raises(failure or StageError):
        main(str(file))
    assert digests(project) == before


def test_a_refusal_gives_a_study_that_was_there_its_data_back(project, monkeypatch):
    file = table(project.parent / "y.csv", series(WAVE), ("date", "y"))
    asked = []

    def dvc_repro(*words):
        asked.append((*words, "window: 90" in Path("params.yaml").read_text()))
        if asked[-1] == ("tokenize@y", True):
            raise InputError("y: too long a window")
        return True

    monkeypatch.setattr(own, "_dvc_repro", dvc_repro)
    monkeypatch.setattr(own, "_cut", lambda *_: None)
    monkeypatch.setattr(own, "show", lambda _: None)
    main(str(file))
    before = digests(project)
    with pytest.raises(InputError, match="too long a window"):
        main(str(file), "WINDOW=90")
    assert asked[-1] == ("tokenize@y", False)
    assert digests(project) == before


def test_a_file_that_is_not_at_hand_stops_nobody_who_has_what_was_made_of_it(project, monkeypatch, capsys):
    """Git carries no link: an experiment's folder has none, nor another clone; and a file may be gone."""
    file = table(project.parent / "mine.csv", series(WAVE), ("date", "y"))
    link = Path("data/own/mine.csv")
    own._point(link, file)
    section = {
        "kind": "series",
        "corpus": {"source": "file", "path": str(link), "value": "y"},
        "tokens": {"window": 4, "horizon": 1, "validation_fraction": 0.1, "test_fraction": 0.1},
        "training": {"repeats": "0", "epochs": 2, "batch_size": 4, "learning_rate": 0.01, "hidden_size": 3},
    }
    add_study("mine", section)
    (project / "data/own/.gitignore").write_text("*\n")
    check.main()
    settings = digests(project / "data/settings")

    experiment = project / "experiment"
    experiment.mkdir()
    shutil.copy("params.yaml", experiment)
    monkeypatch.setenv("DVC_ROOT", str(project))
    monkeypatch.chdir(experiment)
    check.main()
    assert digests(experiment / "data/settings") == settings
    fetch.main("mine")
    assert np.load("data/raw/mine/values.npy")[:, 0].tolist() == WAVE
    shutil.rmtree("data/settings")
    file.unlink()
    with pytest.raises(InputError, match="make own FILE="):
        check.main()

    monkeypatch.delenv("DVC_ROOT")
    monkeypatch.chdir(project)
    assert link.is_symlink()
    assert not link.exists()
    check.main()
    assert digests(project / "data/settings") == settings
    assert str(link) in capsys.readouterr().err
    add_study("mine", section | {"corpus": section["corpus"] | {"path": "data/own/other.csv"}})
    with pytest.raises(InputError, match="other"):
        check.main()
    assert digests(project / "data/settings") == settings


@pytest.mark.parametrize("file", ["no.csv", "run.csv"])
def test_a_file_whose_name_is_taken_gets_another(file):
    assert own._name_of(Path(file)) == f"own_{file.partition('.')[0]}"


def test_an_interrupt_waits_for_dvc_and_leaves_what_was_there(project, monkeypatch, tmp_path):
    ended = tmp_path / "ended"
    dvc = tmp_path / "bin" / "dvc"
    dvc.parent.mkdir()
    dvc.write_text(f"#!/bin/sh\ntrap 'sleep 1; touch {ended}; exit 1' INT\nsleep 0.5\nkill -INT $PPID $$\nsleep 5\n")
    dvc.chmod(0o755)
    monkeypatch.setenv("PATH", f"{dvc.parent}:{os.environ['PATH']}")
    file = table(project.parent / "y.csv", series(WAVE), ("date", "y"))
    before, handler = digests(project), signal.signal(signal.SIGINT, signal.SIG_DFL)  # as a command has it
    try:
        with pytest.raises(SystemExit) as failed:
            main(str(file))
    finally:
        signal.signal(signal.SIGINT, handler)
    assert failed.value.code == 130
    assert ended.exists()
    assert digests(project) == before


def test_a_file_that_lies_where_the_link_would_stays(project):
    mine = project / "data" / "own" / "reviews.csv"
    mine.parent.mkdir(parents=True)
    table(mine, list(reviews(60, 1)))
    before = digests(project)
    with pytest.raises(InputError, match="NAME="):
        main(str(table(project.parent / "reviews.csv", list(reviews(60)))))
    assert digests(project) == before


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A clone in which a dirty table has become a study with the smallest budget, and what that command said."""
    clone = make_clone(tmp_path_factory.mktemp("own") / "lstm-vs-gru")
    rows = [[text, label, ""] for text, label in reviews(240)]
    rows[7:7] = [["", "good", ""], [rows[3][0].upper(), rows[3][1], ""]]
    table(clone.folder.parent / "Kritiken 2.csv", rows, ("Größe", "Urteil", ""), ";", "latin-1")
    done = clone.run("python", "-m", "stages.own", "../Kritiken 2.csv", "LABEL=Urteil", "BUDGET=0.01")
    return clone, done


@pytest.mark.end_to_end
def test_a_table_becomes_an_answer(trained):
    clone, done = trained
    assert "rows read: 241" in done.stdout
    rows = {cell: json.loads(clone.read(f"metrics/kritiken_2/{cell}.json")) for cell in ("rnn", "lstm", "gru")}
    assert {row["corpus"] for of_cell in rows.values() for row in of_cell} == {"Kritiken 2.csv"}
    assert {tuple(row["protocols"]) for row in rows["lstm"]} == {("tuned", "equal_size")}
    assert {tuple(row["protocols"]) for row in rows["gru"]} == {("tuned",), ("equal_size",)}
    assert {row["repeat"] for row in rows["gru"]} == {10, 11, 12}
    (said,) = [line for line in done.stdout.splitlines() if line.startswith("On kritiken_2, tuned,")]
    means = [f"{100 * sum(r['test']['accuracy'] for r in rows[cell] if 'tuned' in r['protocols']) / 3:.1f} %"
             for cell in ("lstm", "gru")]  # fmt: skip
    assert all(mean in said for mean in means)
    page = clone.read("report/kritiken_2.html")
    assert said.split(";")[0].replace("'", "&#39;") in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    shown = " ".join(clone.run("python", "-m", "stages.show", "kritiken_2").stdout.split())
    assert said.split("; the GRU has")[0] in shown
    clone.run("python", "-m", "stages.report")
    assert '<h2 id="kritiken_2">' in clone.read("report/run.html")
    baseline = json.loads(clone.read("metrics/kritiken_2/baseline.json"))["rows"][-1]
    (line,) = [line for line in clone.read("plots/kritiken_2/table.md").splitlines() if baseline["name"] in line]
    assert f"{baseline['test']['accuracy']:.2%}" in line


@pytest.mark.end_to_end
def test_mlflow_gets_its_trials_and_who_is_ahead(trained):
    from mlflow import MlflowClient

    clone, _ = trained
    clone.run("python", "-m", "stages.track")
    client = MlflowClient(f"sqlite:///{clone.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("lstm-vs-gru")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id], max_results=1000)}
    (study,) = [run for name, run in runs.items() if name.startswith("kritiken_2 (")]
    assert {"score", "heading", "ahead"} <= study.data.tags.keys()
    assert {"lstm", "gru"} <= study.data.metrics.keys()
    assert "table.md" in {file.path for file in client.list_artifacts(study.info.run_id)}
    trials = json.loads(clone.read("models/kritiken_2/gru/runs.json"))
    rates = {row["hyperparameters"]["learning_rate"] for row in trials if row["protocols"] == ["tuning"]}
    assert {f"kritiken_2/gru/tuning-{rate:g}/0" for rate in rates} < runs.keys()


@pytest.mark.end_to_end
def test_its_model_names_labels_and_a_changed_file_reruns_its_chain(trained):
    clone, _ = trained
    words = ("python", "-m", "stages.predict", "kritiken_2", "--json", "a great lovely superb film", "a dull weak film")
    given = [json.loads(line) for line in clone.run(*words).stdout.splitlines()]
    assert all(set(verdict["probabilities"]) == {"good", "bad"} for verdict in given)
    assert all(sum(verdict["probabilities"].values()) == pytest.approx(1) for verdict in given)
    new = [[label, text] for text, label in reviews(5, seed=9)]
    file = table(clone.folder.parent / "new.csv", new, ("Urteil", "Größe"), encoding="cp1252")
    read = clone.run("python", "-m", "stages.predict", "kritiken_2", "--json", "--file", str(file)).stdout
    typed = clone.run("python", "-m", "stages.predict", "kritiken_2", "--json", *(text for _, text in new)).stdout
    assert read == typed
    lacking = table(clone.folder.parent / "lacking.csv", new, ("Urteil", "Inhalt"))
    wrong = clone.run("python", "-m", "stages.predict", "kritiken_2", "--file", str(lacking), check=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "Inhalt" in wrong.stderr
    target = "headline@kritiken_2"
    assert clone.stages_run(clone.run("dvc", "repro", target)) == []
    file = clone.folder.parent / "Kritiken 2.csv"
    file.write_bytes(file.read_bytes() + "ein guter Film;good;\r\n".encode("latin-1"))
    assert "tokenize@kritiken_2" in clone.stages_run(clone.run("dvc", "repro", "tokenize@kritiken_2"))
    other = table(clone.folder / "kritiken_2.csv", list(reviews(60)))
    failed = clone.run("python", "-m", "stages.own", str(other), check=False)
    assert failed.returncode == 2
    assert "NAME=" in failed.stderr


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("header", "rows", "words", "named"),
    [
        (["date", "y"], series(WAVE), ["HORIZON=40"], ["horizon 40"]),
        (["date", "y"], series(WAVE), ["WINDOW=90"], ["window 90"]),
        (["date", "y"], series([*WAVE[:80], *[7] * 19]), [], ["y is 7", "test"]),
        (["text", "label"], [*reviews(120), *[("all the same", "odd")] * 5], [], ["'odd'", "1 different"]),
    ],
)
def test_what_a_stage_refuses_is_said_in_its_own_line(trained, header, rows, words, named):
    clone, _ = trained
    table(clone.folder.parent / "unfit.csv", rows, header)
    before = clone.read("params.yaml")
    failed = clone.run("python", "-m", "stages.own", "../unfit.csv", *words, check=False)
    assert failed.returncode == 2
    last = failed.stderr.splitlines()[-1]
    assert last.startswith("error: unfit: ")
    assert all(word in last for word in named)
    assert clone.read("params.yaml") == before
    assert not [path for made in ("own", "raw", "ready") for path in clone.folder.glob(f"data/{made}/unfit*")]


@pytest.mark.end_to_end
def test_a_column_that_the_file_lacks_is_refused_by_check(trained):
    clone, _ = trained
    before = clone.read("params.yaml")
    for named in ("text: 'Größe'", "label: Urteil"):
        key = named.partition(":")[0]
        clone.edit("params.yaml", named, f"{key}: Preis")
        failed = clone.run("python", "-m", "stages.check", check=False)
        (clone.folder / "params.yaml").write_text(before, encoding="utf-8")
        assert failed.returncode == 2
        assert all(word in failed.stderr for word in (f"kritiken_2.corpus.{key}", "'Preis'", "Größe, Urteil"))
    clone.run("python", "-m", "stages.check")
