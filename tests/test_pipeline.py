"""The pipeline as its users run it, end to end, in one temporary clone of small studies."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.copies import SMALL_STUDIES as STUDIES
from tests.copies import digests

pytestmark = pytest.mark.end_to_end

TEXTS = [study for study in STUDIES if study in ("imdb", "ptb")]
CELLS = ["rnn", "lstm", "gru"]


def each(*groups, studies=STUDIES):
    """The stages of some groups for some studies."""
    return {f"{group}@{study}" for group in groups for study in studies}


def trained(*studies, cells=CELLS):
    """The trainings of some studies."""
    return {f"{stage}-{cell}" for stage in each("train", studies=studies) for cell in cells}


def trained_and_scored(*studies):
    """What an edit of the code of a training changes itself: the evaluation makes the same net."""
    return trained(*studies) | {f"{stage}-{cell}" for stage in each("evaluate", studies=studies) for cell in CELLS}


def scored(clone, study, cell, **wanted):
    """The rows of metrics/STUDY/CELL.json, one per repeat, that have some values."""
    rows = json.loads(clone.read(f"metrics/{study}/{cell}.json"))
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def of_row(row):
    """What tells a row from the others of its file."""
    return row["setting"], *row["protocols"], row["repeat"]


@pytest.fixture(autouse=True)
def _as_committed(clone):
    yield
    clone.reset()


def test_a_run_from_nothing_makes_every_result_and_a_second_one_does_nothing(clone):
    ran = clone.stages_run(subprocess.CompletedProcess([], 0, clone.read(".git/repro.out")))
    assert ran[0] == "check"
    assert sorted(set(ran) - {"check", "report"}) == sorted(
        each("fetch", "tokenize", "baseline", "headline", "compare") | trained_and_scored(*STUDIES)
    )
    for study in STUDIES:
        table = clone.read(f"plots/{study}/table.md")
        assert ("sample text made by this project" in table) == (study in TEXTS)
        assert "custom" in table or study == "imdb" or study == "ptb"  # reduced, as a sample is
        for name in ("curves.png", "curves.svg", "scores.png", "scores.svg"):
            assert (clone.folder / "plots/figures" / study / name).stat().st_size > 100
        for name in ("table.csv", "repeats.csv"):
            assert (clone.folder / "plots" / study / name).stat().st_size > 100
    again = clone.run("dvc", "repro")
    assert clone.stages_run(again) == []
    assert "up to date" in again.stdout
    assert clone.run("dvc", "status").stdout == "Data and pipelines are up to date.\n"
    clone.run("dvc", "exp", "save", "--name", "saved")
    assert clone.run("git", "status", "--porcelain").stdout == ""
    assert clone.stages_run(clone.run("dvc", "repro", "--all-pipelines")) == []
    clone.run("dvc", "exp", "remove", "saved")
    shown = clone.run("python", "-m", "stages.show").stdout
    assert len(shown.splitlines()) <= 40
    assert max(map(len, shown.splitlines())) <= 100
    for page in ("run", "record"):
        assert "</html>" in clone.read(f"report/{page}.html")
    assert "## ptb" in clone.run("python", "-m", "stages.show", "ptb").stdout
    assert json.loads(clone.read("metrics/ptb.json"))["measured_on"] == "sample text"


def test_scores_agree_with_each_other_along_the_chain(clone):
    for study, score in (("imdb", "accuracy"), ("ptb", "perplexity")):
        table = list(csv.DictReader(clone.read(f"plots/{study}/repeats.csv").splitlines()))
        chosen_by = "validation_loss" if study == "imdb" else "validation_perplexity"
        for cell in CELLS:
            rows = scored(clone, study, cell)
            runs = {of_row(run): run for run in json.loads(clone.read(f"models/{study}/{cell}/runs.json"))}
            assert sorted(runs) == sorted(of_row(row) for row in rows)
            for row in rows:
                curve = [epoch[chosen_by] for epoch in runs[of_row(row)]["curve"]]
                assert row["best_epoch"] == curve.index(min(curve)) + 1
                assert row["validation"][chosen_by.removeprefix("validation_")] == min(curve)
                corrected = [
                    float(line[score])
                    for line in table
                    if (line["setting"], line["protocol"], line["cell"]) == (row["setting"], "corrected", cell)
                    and int(line["repeat"]) == row["repeat"]
                ]
                if "corrected" in row["protocols"]:
                    assert corrected == pytest.approx([row["test"][score]], rel=1e-5)
    assert {tuple(row["protocols"]) for row in scored(clone, "imdb", "gru")} == {("published",), ("corrected",)}
    assert {tuple(row["protocols"]) for row in scored(clone, "imdb", "lstm")} == {("published", "corrected")}
    assert {tuple(row["protocols"]) for row in scored(clone, "imdb", "rnn")} == {("corrected",)}


def test_showing_the_other_cell_trains_nothing_and_metrics_diff_sets_it_beside_the_first(clone):
    lstm = json.loads(clone.read("metrics/imdb.json"))
    done = clone.run("dvc", "exp", "run", "-S", "cell=gru")
    assert set(clone.stages_run(done)) == {"check", "report", *each("headline")}
    gru = scored(clone, "imdb", "gru", protocols=["corrected"])
    mean = sum(row["test"]["accuracy"] for row in gru) / len(gru)
    diff = json.loads(clone.run("dvc", "metrics", "diff", "--json").stdout)
    assert set(diff) == {f"metrics/{study}.json" for study in STUDIES}
    assert diff["metrics/imdb.json"]["parameters"]["new"] == gru[0]["parameters"] < lstm["parameters"]
    shown = json.loads(clone.read("metrics/imdb.json"))
    assert shown["accuracy"]["mean"] == pytest.approx(mean, abs=1e-6)
    assert shown.keys() == lstm.keys()
    parameters = json.loads(clone.run("dvc", "params", "diff", "--json").stdout)
    assert parameters == {"params.yaml": {"cell": {"old": "lstm", "new": "gru"}}}
    page = clone.run("dvc", "plots", "diff", "--out", "dvc_plots").stdout
    html = Path(page.strip().removeprefix("file://")).read_text()
    assert "imdb, the cell on show: validation" in html
    table = list(csv.DictReader(clone.run("dvc", "exp", "show", "--csv", "--no-pager").stdout.splitlines()))
    assert {row["cell"] for row in table} >= {"lstm", "gru"}


def test_one_chain_alone_is_run_for_a_target_and_its_table_says_custom(clone):
    before = digests(clone.folder / "models")
    done = clone.run("dvc", "exp", "run", "-S", "cell=gru", "-S", "dropout=0.3", "headline@imdb")
    assert sorted(clone.stages_run(done)) == ["check", "evaluate@imdb-gru", "headline@imdb", "train@imdb-gru"]
    assert {row["hyperparameters"]["dropout"] for row in scored(clone, "imdb", "gru")} == {0.3}
    clone.run("dvc", "exp", "run", "-S", "cells=[gru]", "compare@imdb")
    table = clone.read("plots/imdb/table.md")
    assert "custom" in table
    assert "dropout 0.3 (0.5)" in table
    assert "| rnn" not in table
    # Put back, everything comes from the cache: nothing trains, and the bytes are the committed ones.
    clone.run("git", "checkout", "--quiet", "params.yaml")
    done = clone.run("dvc", "repro")
    assert not [stage for stage in clone.stages_run(done) if stage.startswith(("train", "fetch", "tokenize"))]
    assert clone.run("git", "status", "--porcelain").stdout == ""
    assert digests(clone.folder / "models") == before


def stage_of(name):
    """The stage that a file of data/settings is of, such as `imdb/train/gru.json`."""
    study, *parts = name.removesuffix(".json").split("/")
    return f"{parts[0]}@{'-'.join([study, *parts[1:]])}" if parts else study


WORDS = '"""', '""" '
"""An edit of a docstring."""


@pytest.mark.parametrize(
    ("edits", "stages"),
    [
        ({"params.yaml": ("\nlayers: 2", "\nlayers: 1")}, trained("imdb", "ptb")),
        ({"params.yaml": ("\nseed: 1", "\nseed: 2")}, trained(*STUDIES)),
        ({"params.yaml": ("rate_divisor: 4.0", "rate_divisor: 3.0")}, trained("ptb")),
        ({"params.yaml": ("vocabulary_size: 25000", "vocabulary_size: 100")}, {"tokenize@imdb"}),
        ({"params.yaml": ("    seed: 1\n    sequences: 80\n", "    seed: 7\n    sequences: 80\n")}, {"fetch@latch"}),
        (
            {
                "params.yaml": ("\nmirror: ''\njobs: 1\n", "\nmirror: http://127.0.0.1:9\njobs: 2\n"),
                "stages/nn/dropout.py": WORDS,
                "stages/training/loop.py": WORDS,
                "stages/support/process.py": WORDS,
            },
            set(),
        ),
        (
            {"stages/kinds/language_model/task.py": ('chosen_by = "perplexity"', 'chosen_by = "loss"')},
            trained_and_scored("ptb"),
        ),
        ({"stages/nn/losses.py": ("import torch\n", "import torch\n\n_UNUSED = 1\n")}, trained_and_scored("ptb")),
        (
            {"stages/training/loop.py": ("_LOSSES_BETWEEN_CHECKS = 50", "_LOSSES_BETWEEN_CHECKS = 51")},
            trained_and_scored(*STUDIES),
        ),
        ({"stages/synthetic/bits.py": WORDS}, each("fetch", "tokenize", studies=["latch"])),
        ({"stages/results/tables.py": WORDS}, {"report", *each("compare")}),
        ({"stages/text/baselines.py": WORDS}, each("baseline", studies=["imdb"])),
        (
            {
                "stages/studies/imdb.yaml": (
                    "gru: {dropout_between_layers: 0.8}",
                    "gru: {dropout_between_layers: 0.7}",
                )
            },
            {"report", *trained("imdb", cells=["gru"]), *each("headline", "compare")},
        ),
    ],
)
def test_an_edit_changes_exactly_what_depends_on_it(clone, tmp_path, edits, stages):
    """What a stage depends on stands in its file of data/settings; that DVC sees it, two of the edits show."""
    settings = clone.folder / "data/settings"
    shutil.copytree(settings, tmp_path / "settings")
    before = digests(settings)
    texts = {file: clone.read(file) for file in edits}
    for file, (old, new) in edits.items():
        clone.edit(file, old, new)
    clone.run("python", "-m", "stages.check")
    after = digests(settings)
    assert {stage_of(name) for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == stages
    if len(stages) < 2:
        changed = json.loads(clone.run("dvc", "status", "--json").stdout)
        # Downstream stages are not changed yet: they are once their inputs are. check has run, by itself.
        assert {name for name, why in changed.items() if "always changed" not in why} - {"check"} == stages
    for file, text in texts.items():
        (clone.folder / file).write_text(text)
    shutil.copytree(tmp_path / "settings", settings, dirs_exist_ok=True)


def test_a_bad_setting_fails_at_once_in_one_line_and_nothing_is_lost(clone):
    before = {name: digests(clone.folder / name) for name in ("metrics", "models", "plots", "data")}
    failed = clone.run("dvc", "exp", "run", "-S", "cells=[rnn,lstm,gru,foo]", check=False)
    assert failed.returncode != 0
    (line,) = [text for text in (failed.stdout + failed.stderr).splitlines() if text.startswith("error: ")]
    for word in ("cells", "'foo'", "rnn, lstm, gru"):
        assert word in line
    assert clone.stages_run(failed) == ["check"]
    assert {name: digests(clone.folder / name) for name in before} == before


def experiments(clone):
    """Git's names of the experiments that have ended well."""
    refs = clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
    return {ref for ref in refs if ref.split("/")[2] not in ("celery", "exec", "stash")}


def test_a_queued_sweep_runs_side_by_side(clone):
    before = experiments(clone)
    clone.run("dvc", "exp", "run", "--queue", "-S", "dropout=0.2,0.5", "-S", "cell=gru", "headline@imdb")
    with (clone.folder / ".git/queue.out").open("w") as out:  # a pipe would be held open by the workers
        command = ["dvc", "queue", "start", "-j", "2"]
        subprocess.run(command, cwd=clone.folder, env=clone.environment(), stdout=out, stderr=out, check=True)
    deadline = time.monotonic() + 300
    while len(experiments(clone) - before) < 2:  # asking DVC takes as much of a processor as what is waited for
        assert time.monotonic() < deadline, clone.run("dvc", "queue", "status").stdout
        time.sleep(0.5)
    rows = list(csv.DictReader(clone.run("dvc", "exp", "show", "--csv", "--no-pager").stdout.splitlines()))
    swept = {row["dropout"]: row["accuracy.mean"] for row in rows if row["Experiment"] and row["cell"] == "gru"}
    assert {"0.2", "0.5"} <= set(swept)
    # Experiments ran in temporary folders, and are tracked where the pipeline is.
    clone.run("python", "-m", "stages.track")
    swept_runs = [run for run in tracked(clone) if run.data.params.get("dropout") == "0.2"]
    assert sorted(run.info.run_name for run in swept_runs) == [
        f"imdb/gru/{protocol}/{repeat}" for protocol in ("corrected", "published") for repeat in (0, 1)
    ]
    assert all(run.data.tags["DVC_EXP_NAME"] for run in swept_runs)


def test_killed_while_it_trains_and_started_again_it_ends_in_the_same_bytes(clone):
    whole = digests(clone.folder / "models/imdb/gru")
    lock = clone.read("dvc.lock")
    clone.edit("params.yaml", "jobs: 1", "jobs: 2")
    kills = 0

    def checkpoints():
        return {path: path.stat().st_mtime_ns for path in (clone.folder / "checkpoints").glob("*.safetensors")}

    there = checkpoints()
    command = ["dvc", "repro", "--single-item", "--force", "--no-run-cache", "train@imdb-gru"]
    # Not forked: a killed `dvc` takes its own stages with it alone.
    env = clone.environment(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for _ in range(3):
        before = checkpoints()
        victim = subprocess.Popen(
            command, cwd=clone.folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while checkpoints() == before and victim.poll() is None:
            time.sleep(0.01)
        if victim.poll() is None:
            kills += 1
            victim.kill()
            victim.wait()
            # The README's advice after a kill: Git leaves its lock, and DVC does not write its own file whole.
            (clone.folder / ".git/index.lock").unlink(missing_ok=True)
            (clone.folder / "dvc.lock").write_text(lock)
    clone.run(*command)
    assert kills
    assert digests(clone.folder / "models/imdb/gru") == whole
    assert checkpoints() == there


def test_the_job_count_changes_no_byte_of_repeats_that_train_together(clone):
    whole = digests(clone.folder / "models/latch/lstm")
    clone.edit("params.yaml", "jobs: 1", "jobs: 2")
    clone.run("dvc", "repro", "--single-item", "--force", "--no-run-cache", "train@latch-lstm")
    assert digests(clone.folder / "models/latch/lstm") == whole


def tracked(clone):
    """All runs of the clone's own MLflow store."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{clone.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("lstm-vs-gru")
    return client.search_runs([experiment.experiment_id], max_results=1000)


def test_every_repeat_is_tracked_once_with_its_curve_scores_and_weights(clone):
    clone.run("python", "-m", "stages.track")
    again = clone.run("python", "-m", "stages.track")
    assert "nothing new" in again.stdout
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{clone.folder}/mlflow.db")
    runs = tracked(clone)
    by_name: dict[str, list] = {}
    for run in runs:
        by_name.setdefault(run.info.run_name, []).append(run)
    for row in scored(clone, "imdb", "gru"):
        mine = [
            run
            for run in by_name[f"imdb/gru/{row['protocols'][0]}/{row['repeat']}"]
            if run.data.params["dropout"] == "0.5"
        ]
        assert len(mine) == 1
        assert mine[0].info.status == "FINISHED"
        assert mine[0].data.metrics["test_accuracy"] == row["test"]["accuracy"]
        history = client.get_metric_history(mine[0].info.run_id, "validation_loss")
        assert sorted(point.step for point in history) == [1, 2]
        assert mine[0].data.tags["data_digest"] == row["data_digest"]
        files = [file.path for file in client.list_artifacts(mine[0].info.run_id, "weights")]
        files += [file.path for file in client.list_artifacts(mine[0].info.run_id)]
        assert any(name.endswith(".safetensors") for name in files)
    # A study of many lengths is one run a cell and protocol, with a point a length.
    (latch,) = by_name["latch/gru/corrected/0-1"]
    rows = scored(clone, "latch", "gru", protocols=["corrected"])
    means = {
        int(setting): sum(row["test"]["accuracy"] for row in rows if row["setting"] == setting) / 2
        for setting in {row["setting"] for row in rows}
    }
    history = client.get_metric_history(latch.info.run_id, "test_accuracy")
    assert {point.step: point.value for point in history} == pytest.approx(means)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    (imdb,) = [run for run in parents if run.info.run_name == "imdb (sample)"]
    for cell in ("lstm", "gru"):
        tested = [row["test"]["accuracy"] for row in scored(clone, "imdb", cell, protocols=["corrected"])]
        tested = tested or [row["test"]["accuracy"] for row in scored(clone, "imdb", cell)]
        assert imdb.data.metrics[cell] == pytest.approx(sum(tested) / len(tested))
    assert sorted(run.info.run_name for run in parents) == sorted(
        [f"{study} ({'sample' if study in TEXTS else 'sample, sequences'})" for study in STUDIES]
    )


def test_the_record_adds_only_what_it_lacks_and_leaves_the_workspace_alone(clone):
    before = {name: digests(clone.folder / name) for name in ("models", "data", "plots/imdb", "metrics/imdb")}
    clone.run("python", "-m", "stages.record", "imdb", "gru", "0")
    first = json.loads(clone.read("metrics/record/imdb/gru.json"))
    assert [entry["repeat"] for entry in first] == [0, 0]  # published and corrected
    assert "nothing to do" in clone.run("python", "-m", "stages.record", "imdb", "gru", "0").stdout
    # The small sample and full profiles are one protocol on one corpus, so that their scores must agree.
    entries = {of_row(entry): entry for entry in first}
    for row in scored(clone, "imdb", "gru", repeat=0):
        entry = entries[of_row(row)]
        assert entry["test"] == row["test"]
        assert len(entry["curve"]) == 2
        assert entry["provenance"]["seconds"] >= entry["provenance"]["seconds_per_epoch"] > 0
    assert "gru" in clone.read("plots/record/imdb/table.md")
    assert {name: digests(clone.folder / name) for name in before} == before
    assert yaml.safe_load(clone.read("params.yaml"))["profile"] == "sample"
