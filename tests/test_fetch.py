import os
from pathlib import Path

import pytest
import yaml

from stages.support.files import write_json
from stages.support.params import load_project, resolved
from tests.forked import run_forked

REPOSITORY = Path(__file__).parents[1]
REAL = REPOSITORY.parent / "shared" / "data"
NOBODY = "http://127.0.0.1:9"  # the discard port: connections are refused


@pytest.fixture
def fetch(tmp_path):
    """Run the stage in a folder of its own, without a network, on params.yaml with some values changed."""

    def run(study, environment=None, **values):
        params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
        params["imdb"]["corpus"] |= {"train_reviews": 40, "test_reviews": 20}
        params["ptb"]["corpus"] |= {"train_tokens": 4000, "validation_tokens": 400, "test_tokens": 400}
        params["latch"]["corpus"] |= {"sequences": 40}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | values))
        project = load_project(tmp_path / "params.yaml")
        for name in project.params.studies:  # as `check` writes it
            write_json(tmp_path / "data/settings" / name / "fetch.json", resolved(project, name)["fetch"])
        variables = {name: value for name, value in os.environ.items() if name != "LSTM_VS_GRU_MIRROR"}
        variables |= {"PYTHONPATH": str(REPOSITORY), "DVC_ROOT": str(tmp_path)}
        variables |= {"http_proxy": NOBODY, "https_proxy": NOBODY, "no_proxy": ""} | (environment or {})
        return run_forked(["python", "-m", "stages.fetch", *study.split()], tmp_path, variables)

    return run


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("study", "texts"),
    [("imdb", {"reviews.tar"}), ("ptb", {"ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"})],
)
def test_sample_needs_no_network(fetch, tmp_path, study, texts):
    done = fetch(study)
    assert done.returncode == 0, done.stderr
    assert set(contents(tmp_path / "data" / "raw" / study)) == texts | {"LICENCE.txt", "provenance.json"}
    assert not (tmp_path / "downloads").exists()


def test_data_that_a_study_makes_itself_are_the_same_again(fetch, tmp_path):
    fetch("latch", profile="full")
    first = contents(tmp_path / "data" / "raw" / "latch")
    arrays = {f"{part}.{what}.npy" for part in ("train", "test") for what in ("noise", "bits", "labels")}
    assert set(first) == arrays | {"provenance.json"}
    assert fetch("latch", profile="full", seed=5, cell="gru").returncode == 0
    assert contents(tmp_path / "data" / "raw" / "latch") == first


def test_a_sample_corpus_depends_on_its_section_alone(fetch, tmp_path):
    fetch("imdb")
    first = contents(tmp_path / "data" / "raw" / "imdb")
    fetch("imdb", seed=5, cell="gru", mirror="absent")
    assert contents(tmp_path / "data" / "raw" / "imdb") == first


def test_a_mirror_that_is_not_there_is_refused(fetch, tmp_path):
    done = fetch("ptb", profile="full", mirror="absent")
    assert done.returncode == 2
    assert str(tmp_path / "absent") in done.stderr
    assert not (tmp_path / "data" / "raw").exists()


def test_without_a_network_one_error_says_what_to_do(fetch, tmp_path):
    (tmp_path / "data" / "raw" / "ptb").mkdir(parents=True)
    (tmp_path / "data" / "raw" / "ptb" / "ptb.train.txt").write_text("what was there")
    done = fetch("ptb", profile="full")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (error,) = (line for line in done.stderr.splitlines() if line.startswith("error:"))
    for part in ("ptb.train.txt", "no connection", "set mirror", "profile: sample"):
        assert part in error
    assert contents(tmp_path / "data" / "raw" / "ptb") == {"ptb.train.txt": b"what was there"}


@pytest.mark.skipif(not REAL.is_dir(), reason="the real corpora are not beside this repository")
@pytest.mark.parametrize("where", ["params.yaml", "environment"])
def test_full_reads_the_mirror_from_params_or_the_environment(fetch, tmp_path, where):
    (tmp_path / "copies").symlink_to(REAL)
    if where == "params.yaml":
        done = fetch("ptb", profile="full", mirror="copies", environment={"LSTM_VS_GRU_MIRROR": "absent"})
    else:
        done = fetch("ptb", profile="full", environment={"LSTM_VS_GRU_MIRROR": "copies"})
    assert done.returncode == 0, done.stderr
    raw = tmp_path / "data" / "raw" / "ptb"
    assert (raw / "ptb.train.txt").read_bytes() == (REAL / "ptb" / "ptb.train.txt").read_bytes()
    assert not (tmp_path / "downloads").exists()
