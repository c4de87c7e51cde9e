"""params.yaml: every refusal in one line that names the thing, its value and what is allowed; and what is resolved."""

import copy
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from stages.check import main
from stages.kinds import kind
from stages.support.files import read_json, without_defaults, write_json
from stages.support.params import (
    load_params,
    load_project,
    read_corpus,
    read_kind,
    read_tokens,
    read_training,
    resolved,
    study_arms,
)
from stages.support.process import InputError
from stages.support.sections import parse_repeats

SHIPPED = yaml.safe_load(Path("params.yaml").read_text())


def changed(changes):
    """What ships with some values changed; None takes the key out."""
    values = copy.deepcopy(SHIPPED)
    for dotted, value in changes.items():
        *path, last = dotted.split(".")
        place = values
        for key in path:
            place = place.setdefault(key, {})
        place[last] = value
        if value is None and dotted != "mirror":
            del place[last]
    return values


def load_with(tmp_path, changes):
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(changed(changes)))
    return load_project(file)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dropot": 0.2}, ["dropot", "did you mean 'dropout'"]),
        ({"dropot": 0.2, "dropout": None}, ["dropot", "did you mean 'dropout'"]),
        ({"imdb.training.epoch": 3}, ["imdb.training.epoch", "did you mean 'epochs'"]),
        ({"imdb.full.training.epoch": 3}, ["imdb.full.training.epoch", "did you mean 'epochs'"]),
        ({"imdb.corpus.train_review": 3}, ["imdb.corpus.train_review", "did you mean 'train_reviews'"]),
        ({"ptb.training.better.sizes": 3}, ["ptb.training.better.sizes", "did you mean 'size'"]),
        ({"ptb.tokens": {"window": 3}}, ["ptb.tokens.window", "unknown key", "known are vocabulary_size"]),
        ({"imdb.trainig": {}}, ["imdb.trainig", "unknown key", "did you mean 'training'"]),
        ({"zzz": 1}, ["zzz", "known are cell, cells"]),
        ({"dropout": 1}, ["dropout", "1", "less than 1"]),
        ({"dropout": -0.1}, ["dropout", "-0.1", "greater than or equal to 0"]),
        ({"dropout": ".nan"}, ["dropout", "nan"]),
        ({"dropout": float("nan")}, ["dropout", "nan"]),
        ({"layers": 0}, ["layers", "0", "greater than or equal to 1"]),
        ({"layers": True}, ["layers", "True", "number"]),
        ({"layers": 1.5}, ["layers", "1.5"]),
        ({"device": "gpu"}, ["device", "'gpu'", "'auto', 'cpu' or 'cuda'"]),
        ({"profile": "tiny"}, ["profile", "'tiny'", "'sample' or 'full'"]),
        ({"cell": "foo"}, ["cell", "'foo'", "rnn, lstm, gru"]),
        ({"cell": "gru", "cells": ["lstm"]}, ["cell", "'gru'", "lstm"]),
        ({"cells": []}, ["cells", "at least 1"]),
        ({"cells": ["gru", "lstm", "gru"]}, ["cells", "'gru'", "twice"]),
        ({"studies": ["imdb", "imdb"]}, ["studies", "'imdb'", "twice"]),
        ({"studies": ["imbd"]}, ["studies", "'imbd'", "section"]),
        ({"studies": ["cell"]}, ["studies", "'cell'", "section"]),
        ({"record": {"kind": "bits"}}, ["'record'", "the project's own"]),
        ({"my study": {"kind": "bits"}}, ["'my study'", "small letters, digits and _"]),
        ({"a/b": {"kind": "bits"}}, ["'a/b'", "small letters"]),
        ({"imdb.training.headings": ["tuning"]}, ["headings", "'tuning'"]),
        ({"imdb": 3}, ["imdb"]),
        ({"imdb.kind": "poem"}, ["imdb.kind", "'poem'", "bits, classification, language_model, sequence"]),
        ({"imdb.kind": None}, ["imdb.kind"]),
        ({"imdb.corpus": None}, ["imdb.corpus"]),
        ({"imdb.full": 3}, ["imdb.full", "3", "mapping"]),
        ({"imdb.full": [1]}, ["imdb.full", "[1]", "mapping"]),
        ({"imdb.full.training": 3}, ["imdb.full.training", "3", "mapping"]),
        ({"imdb.full.trainig": {}}, ["imdb.full.trainig", "did you mean 'training'"]),
        ({"imdb.full.kind": "bits"}, ["imdb.full.kind", "unknown key", "corpus, tokens, training"]),
        ({"imdb.training": [3]}, ["imdb.training", "[3]", "mapping"]),
        ({"imdb.tokens": "x"}, ["imdb.tokens", "'x'", "mapping"]),
        ({"imdb.corpus": "x"}, ["imdb.corpus"]),
        ({"imdb.training.precision": {"a": 1}}, ["imdb.training.precision", "{'a': 1}"]),
        ({"cells": {"gru": 1}}, ["cells", "{'gru': 1}"]),
        ({"studies": "imdb"}, ["studies", "'imdb'", "list"]),
        ({"studies": [["imdb"]]}, ["studies", "['imdb']"]),
        ({"imdb.full.corpus.source": "web"}, ["imdb.full.corpus", "web", "'imdb'", "'sample'"]),
        ({"imdb.full.training.learning_rate": "quick"}, ["imdb.full.training.learning_rate", "'quick'", "number"]),
        ({"imdb.full.training.learning_rate": 0}, ["learning_rate", "0", "greater than 0"]),
        ({"ptb.full.training.repeats": "3-1"}, ["ptb.full.training.repeats", "3-1", "0-9"]),
        ({"ptb.full.training.precision": "float16"}, ["precision", "'float16'", "'float32' or 'bfloat16'"]),
        ({"damped.tokens.validation_fraction": 1}, ["damped.tokens.validation_fraction", "1", "less than or equal"]),
        ({"damped.tokens.validation_fraction": 1e-9}, ["damped.tokens.validation_fraction", "1e-09", "0.001"]),
        ({"imdb.training.hidden_size": 1_000_000}, ["imdb.training.hidden_size", "1000000", "20000"]),
        ({"imdb.training.repeats": "0-99999999999"}, ["imdb.training.repeats", "0-99999999999"]),
        ({"imdb.training.repeats": "0-999999"}, ["imdb.training.repeats", "0-999999", "at most 10000 repeats"]),
        ({"damped.training.layer_counts": [1, 2]}, ["damped.training", "library", "keras", "layer_counts"]),
        ({"fibonacci.training.repeats_at_once": 2}, ["fibonacci.training", "repeats_at_once", "2", "keras"]),
        ({"latch.training.lengths": [5, 5]}, ["latch.training", "lengths", "[5, 5]", "twice"]),
        ({"latch.full.training.lengths": [5, 300]}, ["latch.full.training.lengths", "300", "corpus.longest", "200"]),
        ({"imdb.tokens.longest": 100}, ["imdb", "tokens.longest", "a file of your own"]),
        ({"ptb.tokens": {"vocabulary_size": 50}}, ["ptb", "tokens.vocabulary_size", "a file of your own"]),
        ({"damped.corpus.points": 1}, ["damped.corpus.points", "1", "2"]),
        ({"fibonacci.training.layer_counts": [2, 1, 2]}, ["fibonacci.training", "layer_counts", "[2, 1, 2]", "twice"]),
        ({"imdb.corpus.source": "imdb"}, ["imdb.corpus.test_reviews", "unknown key", "known are source ("]),
        ({"latch.corpus.sequences": 22}, ["latch.corpus.sequences", "22", "multiple of 4"]),
        (
            {"latch.corpus.sequences": 40, "latch.tokens.validation_fraction": 0.01},
            ["latch.tokens", "0.01", "less than"],
        ),
        ({"cluster": "tcp://there:8786", "processes": 2}, ["cluster", "there", "processes: 2", "not both"]),
        ({"mirror": None}, ["mirror", "None", "string"]),
        ({"device": "x" * 300}, ["device", "xxx…"]),
    ],
)
def test_what_is_not_allowed_is_named_in_one_short_line(tmp_path, changes, words):
    with pytest.raises(InputError) as raised:
        load_with(tmp_path, changes)
    message = str(raised.value)
    assert message.startswith(str(tmp_path / "params.yaml"))
    message = message.removeprefix(str(tmp_path))
    assert "\n" not in message
    assert len(message) < 400
    for word in words:
        assert word in message


@pytest.mark.parametrize("name", ["processes", "threads"])
def test_more_than_this_machine_has_cores_for_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    monkeypatch.chdir(tmp_path)
    load_with(tmp_path, {name: 4})
    with pytest.raises(InputError, match=f"{name}: 4 .*3 cores"):
        main()
    load_with(tmp_path, {name: 3})
    main()
    load_with(tmp_path, {name: 4} | ({"cluster": "tcp://there:8786"} if name == "threads" else {"processes": 3}))
    main()


def test_git_sees_a_refused_value_of_the_same_second_and_size(tmp_path, monkeypatch):
    def git(*words):
        names = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "core.trustctime=false"]
        return subprocess.run(["git", *names, *words], check=True, capture_output=True, text=True).stdout

    monkeypatch.chdir(tmp_path)
    load_with(tmp_path, {})
    params = Path("params.yaml")
    text, when = params.read_text(), params.stat().st_mtime - 10
    os.utime(params, (when, when))
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message=x")
    params.write_text(text.replace("dropout: 0.5", "dropout: 1.5", 1))
    os.utime(params, (when, when))
    assert git("status", "--porcelain", "params.yaml") == ""  # the fault: Git has seen this time and this size
    with pytest.raises(InputError, match=r"dropout: 1\.5"):
        main()
    git("checkout", "--quiet", "params.yaml")
    assert params.read_text() == text


def test_a_missing_key_is_named(tmp_path):
    with pytest.raises(InputError, match=r"ptb\.training\.window: missing"):
        load_with(tmp_path, {"ptb.training.window": None})


def test_a_key_that_stands_twice_is_refused_wherever_it_stands(tmp_path):
    file = tmp_path / "params.yaml"
    text = Path("params.yaml").read_text()
    nested = text.replace("    epochs: 7\n", "    epochs: 7\n    epochs: 8\n")
    for name, twice in (("layers", text + "layers: 3\n"), ("epochs", nested)):
        assert twice != text
        file.write_text(twice)
        with pytest.raises(InputError, match=f"'{name}' stands twice"):
            load_project(file)


@pytest.mark.parametrize(
    "text", ["a: [", "- 1", "", "\x00", "? [a]\n: 1", "a: &a [*a]", "1: 2", "null: {}", "2024: {kind: series}"]
)
def test_what_is_not_a_mapping_is_refused(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError) as raised:
        load_params(tmp_path / "params.yaml")
    assert "\n" not in str(raised.value)


def test_without_the_file_the_folder_is_said_to_be_the_wrong_one(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_params(tmp_path / "params.yaml")


def test_numbers_that_dvc_writes_as_text_are_numbers(tmp_path):
    project = load_with(tmp_path, {"imdb.full.training.learning_rate": "1e-06", "layers": "3", "dropout": 0})
    assert project.studies["imdb"]["full"].training.learning_rate == 1e-6
    assert (project.params.layers, project.params.dropout) == (3, 0.0)


def test_layers_and_dropout_govern_the_kinds_of_text_alone(tmp_path):
    project = load_with(tmp_path, {"layers": 3, "dropout": 0.25})
    for study in ("imdb", "ptb"):
        for settings in project.studies[study].values():
            assert (settings.training.layers, settings.training.dropout) == (3, 0.25)
    assert project.studies["fibonacci"]["full"].training.dropout == 0.3


def test_the_full_profile_changes_what_it_names_and_another_source_replaces_the_corpus_whole(tmp_path):
    project = load_with(tmp_path, {"profile": "full", "damped.full.tokens.window": 25, "latch.full.corpus.noise": 0.2})
    sample, full = (project.studies["imdb"][profile] for profile in ("sample", "full"))
    assert full.corpus.model_dump() == {"source": "imdb"}
    assert sample.corpus.train_reviews == 2500
    changes = {"epochs": 10, "learning_rate": 0.001, "hidden_size": 32}
    changes |= {name: getattr(full.training, name) for name in ("tuning", "variants")}
    assert full.training == sample.training.model_copy(update=changes)
    assert full.tokens == sample.tokens
    assert project.settings("damped").tokens.model_dump() == {"window": 25, "validation_fraction": 0.1}
    assert project.settings("latch").corpus.model_dump() == SHIPPED["latch"]["corpus"] | {"noise": 0.2}
    assert project.studies["latch"]["sample"].corpus.noise == 0.1
    assert project.studies["relay"]["full"].training.lengths[-1] == 200  # a list is replaced, not joined
    better = project.settings("ptb").training.better
    assert (better.size, better.epochs, better.rate_divisor) == (650, 40, 4.0)


def test_a_study_that_is_not_run_is_checked_too(tmp_path):
    with pytest.raises(InputError, match=r"imdb\.training\.epochs: 0"):
        load_with(tmp_path, {"studies": ["damped"], "imdb.training.epochs": 0})
    assert set(load_with(tmp_path, {"studies": ["damped"]}).studies) == set(SHIPPED["studies"])


def test_a_study_of_ones_own_is_a_section_alone(tmp_path):
    mine = copy.deepcopy(SHIPPED["fibonacci"]) | {"corpus": SHIPPED["fibonacci"]["corpus"] | {"modulus": 7}}
    project = load_with(tmp_path, {"mine": mine, "studies": [*SHIPPED["studies"], "mine"]})
    arms = resolved(project, "mine")["train/lstm"]["arms"]
    assert [(arm["setting"], arm["protocols"]) for arm in arms] == [
        ("1 layer", ("corrected",)),
        ("2 layers", ("corrected",)),
    ]


@pytest.mark.parametrize("profile", ["sample", "full"])
def test_what_is_resolved_is_read_again_as_it_was(tmp_path, monkeypatch, profile):
    project = load_with(tmp_path, {"profile": profile, "seed": 9, "threads": 2, "device": "cpu"})
    monkeypatch.chdir(tmp_path)
    for study in SHIPPED["studies"]:
        settings = project.settings(study)
        for name, content in resolved(project, study).items():
            write_json(Path("data/settings", study, f"{name}.json"), content)
        assert read_corpus(study)[1] == settings.corpus
        assert read_tokens(study)[1] == settings.tokens
        assert read_kind(study) is read_tokens(study)[0] is read_corpus(study)[0] is kind(settings.kind)
        for cell in SHIPPED["cells"]:
            training = read_training(study, cell)
            assert list(training.repeats) == list(parse_repeats(settings.training.repeats))
            assert (training.seed, training.threads, training.device) == (9, 2, "cpu")
            assert training.repeats_at_once == getattr(settings.training, "repeats_at_once", 1)
            stored = read_json(Path("data/settings", study, f"train/{cell}.json"))
            assert [without_defaults(arm.hyperparameters) for arm in training.arms] == [
                arm["hyperparameters"] for arm in stored["arms"]
            ]
            assert {arm.hyperparameters.cell for arm in training.arms} == {cell}
            assert all(isinstance(arm.protocols, tuple) for arm in training.arms)


def test_what_is_tuned_trains_for_its_own_epochs_and_the_protocol_for_the_documents(tmp_path):
    project = load_with(tmp_path, {"profile": "full", "latch.full.training.tuning.epochs": 40})
    for study, of_tuned, of_protocol in (("latch", 40, {10}), ("damped", 1000, {1000})):
        arms = study_arms(project, study, "gru")
        assert {arm.hyperparameters.epochs for arm in arms["tuned"]} == {of_tuned}
        assert {arm.hyperparameters.epochs for arm in arms["arms"]} == of_protocol


def test_of_a_studys_settings_those_that_are_named_are_tuned(tmp_path):
    place = "fibonacci.full.training.tuning.settings"
    project = load_with(tmp_path, {"profile": "full", place: ["4 layers", "2 layers"]})
    arms = study_arms(project, "fibonacci", "gru")
    assert [arm.setting for arm in arms["tuned"]] == ["2 layers", "4 layers"]
    assert {arm.setting for arm in arms["arms"]} == {"1 layer", "2 layers", "3 layers", "4 layers"}
    project = load_with(tmp_path, {"profile": "full", place: ["5 layers"]})
    with pytest.raises(
        InputError, match=r"training\.tuning\.settings: '5 layers' is not one of 1 layer, 2 layers, 3 layers"
    ):
        study_arms(project, "fibonacci", "gru")


def test_variants_are_corrected_alone_and_tuned_where_they_are_named_and_those_that_are_not_are_refused(tmp_path):
    place = "imdb.full.training.variants"
    arms = study_arms(load_with(tmp_path, {"profile": "full", place: ["20 epochs"]}), "imdb", "gru")
    assert [(arm.setting, arm.protocols) for arm in arms["arms"]] == [
        ("", ("published",)),
        ("", ("corrected",)),
        ("20 epochs", ("corrected",)),
    ]
    _, corrected, longer = arms["arms"]
    assert longer.hyperparameters == replace(corrected.hyperparameters, epochs=20)
    assert [arm.setting for arm in arms["tuned"]] == [""]
    named = {"profile": "full", place: ["20 epochs"], "imdb.full.training.tuning.settings": ["20 epochs"]}
    (tuned,) = study_arms(load_with(tmp_path, named), "imdb", "gru")["tuned"]
    assert (tuned.setting, tuned.hyperparameters) == ("20 epochs", longer.hyperparameters)
    alone = study_arms(load_with(tmp_path, {"imdb.training.headings": ["published"]}), "imdb", "gru")
    assert [arm.setting for arm in alone["arms"]] == [""]
    for study, known in (("imdb", "20 epochs, "), ("damped", "none here")):
        project = load_with(tmp_path, {f"{study}.training.variants": ["30 epochs"]})
        with pytest.raises(
            InputError, match=rf"params\.yaml: {study}\.training\.variants: '30 epochs' is not one of {known}"
        ):
            study_arms(project, study, "gru")


def test_headings_that_leave_the_cell_on_show_without_a_net_are_refused(tmp_path):
    def of_cells(headings, **changes):
        project = load_with(tmp_path, {"latch.training.headings": headings, "latch.training.tuning": None} | changes)
        return {cell: study_arms(project, "latch", cell) for cell in project.params.cells}

    assert [len(of_cells(["corrected"])[cell]["arms"]) for cell in ("rnn", "gru")] == [4, 4]
    for headings in (["tuned"], ["equal_size", "tuned"]):
        with pytest.raises(InputError, match=f"latch: training.headings: {headings[0]}.*'lstm'"):
            of_cells(headings)
    asked = of_cells(["what_if"])  # which a document may say of some of its cells alone
    assert {arm.protocols for arm in asked["gru"]["arms"]} == {("what_if",)}
    assert not any(found["tuned"] for found in asked.values())
    # The document of ptb has no GRU: nothing of it is published.
    project = load_with(tmp_path, {"ptb.training.headings": ["published"]})
    assert study_arms(project, "ptb", "gru")["arms"] == []
    assert study_arms(project, "ptb", "lstm")["arms"]
    with pytest.raises(InputError, match=r"ptb: training.headings: published.*'gru'"):
        study_arms(load_with(tmp_path, {"ptb.training.headings": ["published"], "cell": "gru"}), "ptb", "gru")


def test_rates_that_trials_chose_before_are_one_a_setting_and_of_one_cell(tmp_path):
    place = "damped.full.training.tuning.chosen_rates"
    project = load_with(tmp_path, {"profile": "full", "cell": "gru", "cells": ["gru"], place: [0.07]})
    assert resolved(project, "damped")["train/gru"]["tuning"]["chosen_rates"] == [0.07]
    for changes in ({"cells": ["gru"], place: [0.07, 0.1]}, {place: [0.07]}):
        project = load_with(tmp_path, {"profile": "full", "cell": "gru", **changes})
        with pytest.raises(InputError, match=r"chosen_rates: \[0.07.*\] is not allowed: 1 settings"):
            resolved(project, "damped")


def test_what_decides_no_training_is_not_among_its_settings(tmp_path):
    before = load_with(tmp_path, {})
    after = load_with(tmp_path, {"mirror": "elsewhere", "jobs": 7, "cell": "gru", "imdb.tokens.vocabulary_size": 100})
    for study in SHIPPED["studies"]:
        old, new = resolved(before, study), resolved(after, study)
        assert {name for name in old if old[name] != new[name]} == ({"tokenize"} if study == "imdb" else set())


def test_the_shipped_file_is_in_order_and_in_block_style():
    project = load_project(Path("params.yaml"))
    assert project.params.profile == "sample"
    assert list(project.studies) == sorted(project.params.studies)
    assert "[" not in Path("params.yaml").read_text()


@pytest.mark.parametrize(("text", "expected"), [("0-2", [0, 1, 2]), ("3", [3]), (3, [3]), ("4-4", [4])])
def test_repeats(text, expected):
    assert list(parse_repeats(text)) == expected


@pytest.mark.parametrize("text", ["", "-", "2-1", "a", "1-", "-3", "1.5", "0-2-4"])
def test_bad_repeats(text):
    with pytest.raises(ValueError, match="repeats"):
        parse_repeats(text)
