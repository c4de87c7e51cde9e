"""What the record asks of DVC."""

import itertools
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from stages.kinds import kind, task_module
from stages.record import (
    _add_headings,
    _arms,
    _chosen_rates,
    _missing,
    _overridden,
    _recorded,
    _settings,
    _stretches,
    _take_out_superseded,
    merge_folder,
)
from stages.results.record import comparable_rows
from stages.results.row import protocol_digest, read_rows, write_rows
from stages.support.params import load_params, load_project, study_arms
from stages.support.process import InputError
from stages.text.corpora.download import Mirror

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"


@pytest.mark.parametrize("study", load_params().studies)
def test_dvc_writes_the_settings_of_a_recorded_run_into_params_yaml(study):
    # `-S` rewrites the file around its comments, and some places of a comment break it.
    before = load_project()
    settings = [*_settings(study, "gru"), f"{study}.full.training.repeats=2-4", "dropout=3e-1"]
    after = _overridden(settings)
    params = after.params
    assert (params.profile, params.cell, params.cells, params.studies) == ("full", "gru", ["gru"], [study])
    assert (before.params.dropout, params.dropout) == (0.5, 0.3)
    expected = before.studies[study]["full"].training.model_copy(update={"repeats": "2-4"})
    if "dropout" in kind(before.settings(study).kind).GOVERNED:
        expected = expected.model_copy(update={"dropout": 0.3})
    assert after.settings(study).training == expected
    others = set(before.studies) - {study}
    assert {name: after.studies[name]["full"].corpus for name in others} == {
        name: before.studies[name]["full"].corpus for name in others
    }


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("ptb.full.training.model=[basic]", "ptb.full.training.model: unknown key; did you mean 'models'?"),
        ("ptb.training.model=[basic]", "Could not override 'ptb.training.model'"),
        ("ptb.full.training.models=[best]", "params.yaml: ptb.full.training.models.0: 'best' is not allowed"),
    ],
)
def test_a_setting_that_params_yaml_does_not_allow_is_named(setting, message):
    with pytest.raises(InputError, match=re.escape(message)):
        _overridden([setting])


@pytest.mark.parametrize(
    ("study", "headings"),
    [
        ("imdb", ["published", "corrected"]),
        ("damped", ["published", "corrected"]),
        ("relay", ["published", "corrected"]),
        ("fibonacci", ["published", "corrected"]),
    ],
)
def test_what_is_recorded_of_the_shipped_protocol_is_not_run_again(study, headings):
    project = load_project()
    project = replace(project, params=project.params.model_copy(update={"profile": "full"}))
    reseeded = replace(project, params=project.params.model_copy(update={"seed": project.params.seed + 1}))
    for cell in project.params.cells:
        arms = study_arms(project, study, cell)["arms"]
        settings = list(dict.fromkeys(arm.setting for arm in arms))
        lacking = [name for name in headings if name in [one for arm in arms for one in arm.protocols]]
        assert _missing(project, study, cell, [0, 1, 2], arms) == []
        assert _missing(reseeded, study, cell, [0, 1], arms) == [(lacking, settings, [0, 1])]
        assert _missing(project, study, cell, [0, 10_000], arms) == [(lacking, settings, [10_000])]


def test_only_settings_that_the_record_lacks_are_run(tmp_path, monkeypatch):
    variants = "imdb.full.training.variants=[20 epochs,varied split]"
    project = _overridden([*_settings("imdb", "lstm"), variants])
    rows = read_rows(Path("metrics/record/imdb/lstm.json"))
    shutil.copytree("metrics/record/imdb", tmp_path / "metrics/record/imdb")
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        write_rows(Path("metrics/record/imdb/lstm.json"), [row for row in rows if row.setting in ("", "20 epochs")])
        lacking = _missing(project, "imdb", "lstm", [0, 10_000], _arms(project, "imdb", "lstm", tuned=False))
    assert lacking == [
        (["published", "corrected"], [""], [10_000]),
        (["corrected"], ["20 epochs"], [10_000]),
        (["corrected"], ["varied split"], [0, 10_000]),
    ]
    for headings, settings, _ in lacking:
        named = [f"imdb.full.training.settings={settings}", f"imdb.full.training.headings=[{','.join(headings)}]"]
        (changed,) = [_overridden([*_settings("imdb", "lstm"), variants, *named])]
        found = study_arms(changed, "imdb", "lstm")["arms"]
        assert {(arm.setting, name) for arm in found for name in arm.protocols} == set(
            itertools.product(settings, headings)
        )
    unknown = _overridden(["imdb.full.training.settings=[30 epochs]", "profile=full"])
    with pytest.raises(InputError, match=r"imdb\.training\.settings: '30 epochs' is not one of none here"):
        study_arms(unknown, "imdb", "lstm")


@pytest.mark.parametrize("study", ["damped", "latch", "relay", "fibonacci"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_tuned_run_goes_on_from_recorded_trials_and_repeats(study, cell, tmp_path, monkeypatch):
    headings = ["tuned", "equal_size"]
    asked = [*_settings(study, cell), f"{study}.full.training.headings={headings}"]
    project = _overridden(asked)
    rows = read_rows(Path("metrics/record", study, f"{cell}.json"))
    tuned = [row for row in rows if "tuned" in row.protocols]
    by_setting = {row.setting: row.hyperparameters["learning_rate"] for row in tuned}
    assert _chosen_rates(project, study, cell) == by_setting
    finals = range(100, 110)
    assert _missing(project, study, cell, finals, _arms(project, study, cell, tuned=True)) == []
    (tmp_path / "metrics").mkdir()
    shutil.copytree("metrics/record", tmp_path / "metrics/record")
    path = tmp_path / "metrics/record" / study / f"{cell}.json"
    all_settings = [arm.setting for arm in study_arms(project, study, cell)["tuned"]]
    short = all_settings[:1]
    lost = [r for r in rows if "equal_size" in r.protocols and r.setting in short and r.repeat in (101, 102, 107)]
    under = [name for name in headings if any(name in row.protocols for row in lost)]
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        write_rows(path, [row for row in rows if row not in lost])
        ((lacking, settings, missing),) = _missing(
            project, study, cell, range(100, 110), _arms(project, study, cell, tuned=True)
        )
    assert (lacking, settings, missing) == (under, short, [101, 102, 107])
    assert _stretches(missing, 1) == [(101, 101), (102, 102), (107, 107)]
    assert _stretches(missing, 2) == [(101, 102), (107, 107)]
    only = [*asked, f"{study}.full.training.headings={lacking}", f"{study}.full.training.tuning.settings={settings}"]
    (arm,) = study_arms(_overridden(only), study, cell)["tuned"]
    assert arm.setting == short[0]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics/record" / study / "trials" / f"{cell}.json").unlink()
    assert _chosen_rates(project, study, cell) is None
    assert _missing(project, study, cell, range(100, 110), _arms(project, study, cell, tuned=True)) == [
        (headings, all_settings, list(range(100, 110)))
    ]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_rows_trained_under_one_heading_alone_stand_under_the_others_of_their_arm(cell, tmp_path, monkeypatch):
    project = _overridden([*_settings("damped", cell), "damped.full.training.headings=[tuned,equal_size]"])
    rows = read_rows(Path("metrics/record/damped", f"{cell}.json"))
    shutil.copytree("metrics/record/damped", tmp_path / "metrics/record/damped")
    shutil.copy("params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    arms = _arms(project, "damped", cell, tuned=True)
    assert not _add_headings(project, "damped", cell, range(100, 110), arms)
    alone = [replace(row, protocols=("tuned",)) if "tuned" in row.protocols else row for row in rows]
    # As where the document's rate is the tuned one: its repeats chose the rate, and are no fresh ones.
    (tuned,) = {row.protocol_digest for row in alone if row.protocols == ("tuned",)}
    alone += [
        replace(row, protocols=("corrected",), repeat=7)
        for row in alone
        if row.repeat == 100 and row.protocol_digest == tuned
    ]
    path = Path("metrics/record/damped", f"{cell}.json")
    write_rows(path, alone)
    assert _add_headings(project, "damped", cell, range(100, 110), arms) == (cell == "lstm")  # whose size all have
    found = read_rows(path)
    (chose,) = [row for row in found if row.repeat == 7 and row.protocol_digest == tuned]
    assert chose.protocols == ("corrected",)
    assert [row for row in found if row is not chose] == rows


def test_tuned_rows_leave_the_record_where_the_trials_choose_another_rate(tmp_path, monkeypatch, capsys):
    project = _overridden([*_settings("damped", "gru"), "damped.full.training.headings=[tuned,equal_size]"])
    shutil.copytree("metrics/record/damped", tmp_path / "metrics/record/damped")
    shutil.copy("params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    path = Path("metrics/record/damped/gru.json")
    rows, arms = read_rows(path), _arms(project, "damped", "gru", tuned=True)
    tuned = next(arm for arm in arms if arm.protocols == ("tuned",))
    slower = replace(tuned, hyperparameters=replace(tuned.hyperparameters, learning_rate=1e-5))
    kept = [row for row in rows if row.protocols != ("tuned",)]
    assert len(kept) == len(rows) - 10
    # One that the document's own rate has stays for that, a heading less.
    both = replace(next(row for row in rows if row.protocols == ("tuned",)), protocols=("corrected", "tuned"))
    write_rows(path, [both, *(row for row in rows if (row.repeat, row.protocols) != (both.repeat, ("tuned",)))])
    assert _add_headings(project, "damped", "gru", range(100, 110), [slower])
    found = read_rows(path)
    assert sorted(row.name for row in found if row.protocols == ("corrected",) and row.repeat == both.repeat)
    assert {row.protocols for row in found if "tuned" in row.protocols} == set()
    assert len(found) == len(kept) + 1
    assert "9 tuned rows are taken out" in capsys.readouterr().out
    assert not _add_headings(project, "damped", "gru", range(100, 110), [slower])
    # Another clone's record may have such rows still.
    hyperparameters = [row.hyperparameters | {"learning_rate": 1e-5} for row in rows if row.protocols == ("tuned",)]
    others = [
        replace(rows[0], protocols=("tuned",), hyperparameters=values, repeat=repeat,
                protocol_digest=protocol_digest("damped", rows[0].setting, values, rows[0].seed))
        for repeat, values in enumerate(hyperparameters, 100)
    ]  # fmt: skip
    write_rows(path, [*rows, *others])
    _take_out_superseded("damped", "gru")
    assert read_rows(path) == rows


def test_a_row_is_recorded_with_its_own_job_s_times_and_a_curve_of_a_hundred_points(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    (scored, *_) = read_rows(ROOT / "metrics/record/damped/gru.json")
    curve = tuple({"epoch": epoch, "train_loss": 1.0, "validation_loss": 1 / epoch} for epoch in range(1, 1001))
    trained = replace(scored, curve=curve, job="abcd", weights="w")
    bare = replace(scored, curve=(), provenance=None, protocol_digest="")
    epochs = [{"seconds": s, "tokens_per_second": 10 * s, "peak_memory_bytes": 7} for s in (1.0, 2.0, 4.5)]
    timings = {
        "versions": {"python": "3", "torch": "2", "numpy": "1"}, "processor": "p", "machine": "m", "device": "cpu",
        "engine": "kernel", "threads": 1, "repeats": 5, "epochs": epochs,
    }  # fmt: skip
    (tmp_path / "timings").mkdir()
    (tmp_path / "timings/abcd.json").write_text(json.dumps(timings))
    row = _recorded(bare, trained, "f" * 40)
    assert replace(row, curve=(), provenance=None) == replace(bare, protocol_digest=scored.protocol_digest)
    assert [point["epoch"] for point in row.curve] == list(range(10, 1001, 10))
    origin = row.provenance
    assert (origin.seconds, origin.seconds_per_epoch, origin.tokens_per_second) == (7.5, 2.0, 20)
    assert (origin.repeats_at_once, origin.peak_memory_bytes, origin.machine.engine) == (5, 7, "kernel")
    assert _recorded(replace(bare, sweep="length"), trained, "f" * 40).curve == ()
    elsewhere = _recorded(bare, replace(trained, job="ef"), "f" * 40)
    assert elsewhere.provenance.versions is None
    assert "another machine" in elsewhere.provenance.machine.processor


@pytest.mark.parametrize("study", load_params().studies)
def test_what_the_record_was_trained_on_is_what_is_made_today(tmp_path, study):
    """Else new rows would be no repeats of the recorded ones."""
    settings = load_project().studies[study]["full"]
    found = kind(settings.kind)
    if settings.corpus.source in ("imdb", "ptb") and not SHARED.is_dir():
        pytest.skip("the real corpora are not beside this checkout")
    raw, ready = tmp_path / "raw", tmp_path / "ready"
    mirror = Mirror.chosen(str(SHARED), ROOT) if SHARED.is_dir() else Mirror()
    found.fetch(settings.corpus, raw, mirror, tmp_path / "downloads")
    if study == "imdb":
        provenance = json.loads((raw / "provenance.json").read_text())
        assert provenance["reviews"] == {"train": 25_000, "test": 25_000}
        assert provenance["review_bytes"] == {"train": 33_132_823, "test": 32_350_685}
    found.tokenize(settings.tokens, raw, ready)
    assert task_module(settings.kind).Data(ready).digest == comparable_rows(study)[0].data_digest


@pytest.fixture
def clones(tmp_path, monkeypatch):
    """A project with one recorded cell, and the record of another clone with two studies and a baseline."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, cells in ((here / "metrics/record", ["damped/gru"]), (there, ["damped/lstm", "fibonacci/gru"])):
        for name in cells:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "metrics/record" / f"{name}.json", folder / f"{name}.json")
    shutil.copy(ROOT / "metrics/record/damped/baseline.json", there / "damped")
    shutil.copy(ROOT / "params.yaml", here)
    monkeypatch.chdir(here)
    return here, there


def first_row(path, change):
    rows = json.loads(path.read_text())
    change(rows[0])
    path.write_text(json.dumps(rows))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda there: first_row(there / "fibonacci/gru.json", lambda row: row["test"].clear()), ["gru.json", "test"]),
        (
            lambda there: first_row(there / "fibonacci/gru.json", lambda row: row["test"].pop("closed_loop")),
            ["gru.json: row 0", "closed_loop"],
        ),
        (
            lambda there: first_row(there / "fibonacci/gru.json", lambda row: row.update(test={"loss": 1.0})),
            ["gru.json: row 0"],
        ),
        (
            lambda there: first_row(there / "fibonacci/gru.json", lambda row: row["validation"].update(loss=[1.0])),
            ["gru.json: row 0"],
        ),
        (lambda there: (there / "fibonacci/gru.json").write_bytes(b"[\xe9"), ["gru.json", "0xe9"]),
        (lambda there: (there / "fibonacci").rename(there / "nosuch"), ["nosuch", "imdb, ptb"]),
        (lambda there: (there / "fibonacci/gru.json").rename(there / "fibonacci/evil<b>.json"), ["evil<b>", "lstm"]),
        (lambda there: (there / "damped/baseline.json").write_text("garbage<script>"), ["baseline.json", "JSON"]),
        (lambda there: (there / "damped/baseline.json").write_text('{"rows": [{"name": "a"}]}'), ["baseline.json"]),
    ],
)
def test_a_record_with_one_fault_is_merged_nowhere(clones, fault, words):
    here, there = clones
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    fault(there)
    with pytest.raises(InputError) as refused:
        merge_folder(there)
    assert all(word in str(refused.value) for word in words)
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_repeats_that_a_rate_was_chosen_with_are_none_of_its_fresh_ones():
    rows = [row for path in Path("metrics/record").glob("*/[!b]*.json") for row in read_rows(path)]
    assert rows
    for row in rows:
        assert row.repeat >= 100 or not set(row.protocols) & {"tuned", "equal_size"}, row.name
