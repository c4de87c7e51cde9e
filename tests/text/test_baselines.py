import json
import math
import shutil
from collections import Counter
from pathlib import Path

import pytest

from stages.kinds.language_model import baselines
from stages.results.row import read_baselines
from stages.support.files import write_json
from stages.support.params import load_project, resolved
from stages.text.baselines import bag_of_words_row
from stages.text.corpora import sample_imdb, sample_ptb
from stages.text.tokens.imdb import SENTENCES, tokenize_imdb
from stages.text.tokens.ptb import read_stream, tokenize_ptb
from tests.forked import run_forked

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with data/raw and data/ready of both studies' samples."""
    folder = tmp_path_factory.mktemp("baselines")
    raw, ready = folder / "data/raw", folder / "data/ready"
    for study in ("imdb", "ptb"):
        (raw / study).mkdir(parents=True)
    sample_imdb.write_sample(raw / "imdb", train_reviews=1000, test_reviews=300, seed=1)
    sample_ptb.write_sample(raw / "ptb", train_tokens=20_000, validation_tokens=1000, test_tokens=1000, seed=1)
    tokenize_imdb(raw / "imdb", ready / "imdb", vocabulary_size=500, validation_fraction=0.3)
    tokenize_ptb(raw / "ptb", ready / "ptb")
    return folder


def test_the_source_is_below_the_trigram_and_that_below_the_shares_of_words(prepared):
    train = Counter(read_stream(prepared / "data/raw/ptb/ptb.train.txt"))
    unigram, trigram, source = baselines(prepared / "data/raw/ptb", prepared / "data/ready/ptb")
    for split, name in (("validation", "valid"), ("test", "test")):
        words = read_stream(prepared / f"data/raw/ptb/ptb.{name}.txt")
        words = [word if word in train else "<unk>" for word in words]
        bits = -sum(math.log2(train[word] / train.total()) for word in words) / len(words)
        assert unigram[split]["perplexity"] == pytest.approx(2**bits, rel=1e-6)
        assert source[split]["perplexity"] < trigram[split]["perplexity"] < unigram[split]["perplexity"] / 2


def test_the_recorded_trigram_of_the_real_text_is_the_published_one():
    """148.3 on the test part (Mikolov, "Statistical language models based on neural networks", 2012, table 4.1)."""
    rows = read_baselines(ROOT / "metrics/record/ptb/baseline.json")
    (trigram,) = [row for row in rows if "3-gram" in row["name"]]
    assert trigram["test"]["perplexity"] == pytest.approx(148.3, abs=0.2)


def test_bag_of_words_trains_on_the_kept_reviews_alone(prepared, tmp_path):
    """Held-out reviews may say anything, and nothing changes."""
    from stages.text.corpora.reviews_tar import read_reviews, write_reviews

    raw, ready = prepared / "data/raw/imdb", prepared / "data/ready/imdb"
    row = bag_of_words_row(raw, ready)
    assert 0.6 < row["test"]["accuracy"] < 0.9
    assert 0.2 < row["test"]["loss"] < math.log(2)
    assert list(row["sentences"]) == list(SENTENCES)
    assert row["sentences"]["This film is horrible"] < 0.5 < row["sentences"]["I loved the movie, every part of it"]

    held_out = set((ready / "validation.names.txt").read_text().splitlines())
    changed = [
        (r.name, b"nonsense" if r.name in held_out else r.text.encode()) for r in read_reviews(raw / "reviews.tar")
    ]
    write_reviews(tmp_path / "reviews.tar", changed)
    assert bag_of_words_row(tmp_path, ready) == row


def test_stage_writes_both_studies_rows(prepared):
    shutil.copy(ROOT / "params.yaml", prepared)
    for study, names in (
        ("imdb", ["TF-IDF + logistic regression"]),
        ("ptb", ["unigram", "Kneser–Ney 3-gram", "source (lowest possible)"]),
    ):
        settings = resolved(load_project(ROOT / "params.yaml"), study)["baseline"]
        write_json(prepared / "data/settings" / study / "baseline.json", settings)
        done = run_forked(["python", "-m", "stages.baseline", study], prepared, stages=ROOT)
        assert done.returncode == 0, done.stderr
        written = json.loads((prepared / f"metrics/{study}/baseline.json").read_text())
        assert (written["study"], written["corpus"]) == (study, "sample")
        assert [row["name"] for row in written["rows"]] == names
        array = next((prepared / "data/ready" / study).glob("train.*.npy"))
        content = bytearray(array.read_bytes())
        content[-1] ^= 1  # a disk's fault, and DVC does not look
        array.write_bytes(content)
        done = run_forked(["python", "-m", "stages.baseline", study], prepared, stages=ROOT)
        assert done.returncode
        assert f"{array.relative_to(prepared)} is damaged" in done.stderr
