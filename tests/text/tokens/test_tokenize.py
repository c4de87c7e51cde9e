import io
import itertools
import json
import shutil
import statistics
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from stages.support.files import write_json
from stages.support.params import load_project, resolved
from stages.support.process import InputError
from stages.synthetic.damped import write_series
from stages.text.corpora.reviews_tar import read_reviews, write_reviews
from stages.text.tokens.basic_english import basic_english
from stages.text.tokens.imdb import SENTENCES, hold_out, tokenize_imdb
from stages.text.tokens.ptb import read_stream, tokenize_ptb
from tests.forked import run_forked

ROOT = Path(__file__).parents[3]
REAL = ROOT / "../shared/data"


def review_name(part, label, number):
    return f"aclImdb/{part}/{label}/{number}_5.txt"


def corpus(folder, texts, corpus="test"):
    folder.mkdir(parents=True, exist_ok=True)
    write_reviews(folder / "reviews.tar", [(name, text) for name, text in texts.items()])
    (folder / "provenance.json").write_text(json.dumps({"corpus": corpus}))
    return folder


def plain_texts(each=10):
    return {
        review_name(part, label, i): f"{label} word{i % 4} film, film".encode()
        for part in ("train", "test")
        for label in ("pos", "neg")
        for i in range(each)
    }


def tokens_of(ready, split):
    """Each review of a split as its list of words, read back from the arrays."""
    vocabulary = (ready / "vocabulary.txt").read_text().splitlines()
    tokens = np.load(ready / f"{split}.tokens.npy", mmap_mode="r")
    offsets = np.load(ready / f"{split}.offsets.npy", mmap_mode="r")
    return [[vocabulary[t] for t in tokens[a:b]] for a, b in itertools.pairwise(offsets)]


def names_of(ready, split):
    return (ready / f"{split}.names.txt").read_text().splitlines()


def test_arrays_give_back_every_review_under_its_name_and_label(tmp_path):
    texts = plain_texts()
    raw, ready = corpus(tmp_path / "raw", texts), tmp_path / "ready"
    tokenize_imdb(raw, ready, vocabulary_size=1000, validation_fraction=0.3)
    for split, count in (("train", 14), ("validation", 6), ("test", 20)):
        names = names_of(ready, split)
        assert len(names) == count
        assert all(("test" if split == "test" else "train") in name for name in names)
        known = set((ready / "vocabulary.txt").read_text().splitlines())
        expected = [[t if t in known else "<unk>" for t in basic_english(texts[name].decode())] for name in names]
        assert tokens_of(ready, split) == expected
        assert np.load(ready / f"{split}.labels.npy").tolist() == [int("/pos/" in name) for name in names]
    assert not set(names_of(ready, "train")) & set(names_of(ready, "validation"))
    manifest = json.loads((ready / "manifest.json").read_text())
    assert manifest["reviews"] == {"train": 14, "validation": 6, "test": 20, "sentences": 13}
    assert manifest["tokens"]["test"] == 20 * 5
    assert np.load(ready / "test.tokens.npy").dtype == np.uint16


def test_vocabulary_counts_the_kept_training_reviews_alone_and_breaks_ties_by_spelling(tmp_path):
    texts = plain_texts()
    ready = tmp_path / "ready"
    tokenize_imdb(corpus(tmp_path / "raw", texts), ready, vocabulary_size=5, validation_fraction=0.3)
    counts = Counter(t for name in names_of(ready, "train") for t in basic_english(texts[name].decode()))
    expected = sorted(counts, key=lambda token: (-counts[token], token))[:5]
    assert (ready / "vocabulary.txt").read_text().splitlines() == ["<unk>", "<pad>", *expected]
    assert (ready / "sentences.txt").read_text().splitlines() == list(SENTENCES)
    assert tokens_of(ready, "sentences")[5] == ["<unk>"]  # hogehoge


def test_odd_reviews_are_kept_whole_and_never_empty(tmp_path):
    texts = plain_texts()
    odd = {
        review_name("test", "pos", 90): b"",
        review_name("test", "pos", 91): b' "" ;: <br />',
        review_name("test", "pos", 92): b"film",
        review_name("test", "pos", 93): b"film , " * 50_000,
        review_name("test", "pos", 94): b"<pad> <unk> film",
    }
    ready = tmp_path / "ready"
    tokenize_imdb(corpus(tmp_path / "raw", texts | odd), ready, vocabulary_size=9, validation_fraction=0.3)
    read = dict(zip(names_of(ready, "test"), tokens_of(ready, "test"), strict=True))
    empty, blank, one, long, special = (read[name] for name in odd)
    assert empty == blank == ["<unk>"]
    assert one == ["film"]
    assert long == ["film", ","] * 50_000
    assert special == ["<unk>", "<unk>", "film"]


def test_a_large_vocabulary_takes_four_bytes(tmp_path):
    texts = plain_texts() | {
        review_name("train", "pos", i): " ".join(f"w{j}" for j in range(i, i + 2000)).encode()
        for i in range(100, 200_000, 2000)
    }
    ready = tmp_path / "ready"
    tokenize_imdb(corpus(tmp_path / "raw", texts), ready, vocabulary_size=100_000, validation_fraction=0.3)
    tokens = np.load(ready / "train.tokens.npy")
    assert tokens.dtype == np.int32
    assert tokens.max() == 100_001


def test_same_input_same_bytes(tmp_path):
    raw = corpus(tmp_path / "raw", plain_texts())
    for name in ("a", "b"):
        tokenize_imdb(raw, tmp_path / name, vocabulary_size=9, validation_fraction=0.3)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_hold_out_divides_and_keeps_order():
    places = list(range(100, 125_00))
    kept, held = hold_out(places, 0.3)
    assert sorted(kept + held) == places
    assert (kept, held) == (sorted(kept), sorted(held))
    assert len(held) == round(0.3 * len(places))
    assert abs(statistics.mean(held) - statistics.mean(places)) < 200  # drawn, not cut off an end


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({review_name("train", "pos", 3): b"good \xff film"}, r"train/pos/3_5.txt is not UTF-8 \(byte 0xff at 5\)"),
        ({"aclImdb/train/unsup/0_0.txt": b"x"}, r"'aclImdb/train/unsup/0_0.txt' is no file"),
        ({"../evil.txt": b"x"}, r"'../evil.txt' is no file"),
    ],
)
def test_bad_members_are_named(tmp_path, change, message):
    raw = corpus(tmp_path / "raw", plain_texts() | change)
    with pytest.raises(InputError, match=message):
        tokenize_imdb(raw, tmp_path / "ready", vocabulary_size=9, validation_fraction=0.3)
    assert not (tmp_path / "ready").exists()


def test_a_part_without_both_labels_is_refused(tmp_path):
    texts = {name: text for name, text in plain_texts().items() if "test/pos" not in name}
    with pytest.raises(InputError, match="the test split has 10 reviews and not both labels"):
        tokenize_imdb(corpus(tmp_path / "raw", texts), tmp_path / "r", vocabulary_size=9, validation_fraction=0.3)


def test_damaged_archives_are_refused(tmp_path):
    raw = corpus(tmp_path / "raw", plain_texts())
    whole = (raw / "reviews.tar").read_bytes()
    damaged = {
        "cut in a header": whole[: 512 * 20 + 100],
        "cut in a text": whole[: 512 * 21 + 3],
        "cut between members": whole[: 512 * 20],
        "a header's byte changed": whole[: 512 * 20] + b"?" + whole[512 * 20 + 1 :],
        "no archive": b"<html>not found</html>" * 100,
        "nothing": b"",
    }
    for damage, content in damaged.items():
        (raw / "reviews.tar").write_bytes(content)
        with pytest.raises(InputError, match="damaged tar"):
            print(damage, len(list(read_reviews(raw / "reviews.tar"))))
    with pytest.raises(InputError, match="no such file"):
        list(read_reviews(raw / "missing.tar"))


def test_a_link_in_the_archive_is_refused(tmp_path):
    with tarfile.open(tmp_path / "reviews.tar", "w") as archive:
        link = tarfile.TarInfo(review_name("train", "pos", 1))
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link, io.BytesIO())
    with pytest.raises(InputError, match=r"1_5\.txt"):
        list(read_reviews(tmp_path / "reviews.tar"))


def ptb_corpus(folder, train, valid=" a b \n", test=" b \n"):
    folder.mkdir(parents=True)
    for name, text in (("train", train), ("valid", valid), ("test", test)):
        (folder / f"ptb.{name}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    (folder / "provenance.json").write_text('{"corpus": "test"}')
    return folder


def test_ptb_streams_have_an_end_at_every_line_and_unknown_words_become_unk(tmp_path):
    raw = ptb_corpus(tmp_path / "raw", " b b <unk> \n a \n", " a new word \n", " b")
    tokenize_ptb(raw, tmp_path / "ready")
    vocabulary = (tmp_path / "ready/vocabulary.txt").read_text().splitlines()
    assert vocabulary == ["<eos>", "b", "<unk>", "a"]
    read = {
        split: [vocabulary[t] for t in np.load(tmp_path / f"ready/{split}.tokens.npy", mmap_mode="r")]
        for split in ("train", "validation", "test")
    }
    assert read["train"] == ["b", "b", "<unk>", "<eos>", "a", "<eos>"]
    assert read["validation"] == ["a", "<unk>", "<unk>", "<eos>"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ((" a b \n", " a c \n"), "'c' is not in ptb.train.txt, which has no <unk>"),
        ((" a b \n", ""), "ptb.valid.txt: empty"),
        ((" a <eos> b \n",), "ptb.train.txt: <eos> stands in the text"),
        ((b" a \xe9 \n",), "ptb.train.txt: not UTF-8 at byte 3"),
    ],
)
def test_bad_ptb_text_is_refused(tmp_path, texts, message):
    with pytest.raises(InputError, match=message):
        tokenize_ptb(ptb_corpus(tmp_path / "raw", *texts), tmp_path / "ready")
    assert not (tmp_path / "ready").exists()


def run_stage(folder, study):
    settings = load_project(ROOT / "params.yaml")
    shutil.copy(ROOT / "params.yaml", folder)
    if study in settings.studies:
        write_json(folder / "data/settings" / study / "tokenize.json", resolved(settings, study)["tokenize"])
    return run_forked(["python", "-m", "stages.tokenize", study], folder, stages=ROOT)


def test_stage_writes_the_folder_or_leaves_the_old_one(tmp_path):
    raw = ptb_corpus(tmp_path / "data/raw/ptb", " a b <unk> \n")
    assert run_stage(tmp_path, "ptb").returncode == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "data/ready/ptb").iterdir()}
    assert "manifest.json" in before
    (raw / "ptb.test.txt").write_bytes(b"\xff")
    failed = run_stage(tmp_path, "ptb")
    assert failed.returncode == 2
    assert failed.stderr.count("\n") == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "data/ready/ptb").iterdir()} == before
    assert [path.name for path in (tmp_path / "data/ready").iterdir()] == ["ptb"]


@pytest.mark.parametrize("study", ["poems", "ptb"])
def test_stage_refuses_a_study_that_is_not_there_or_not_fetched(tmp_path, study):
    failed = run_stage(tmp_path, study)
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
    assert study in failed.stderr
    assert not list((tmp_path / "data").glob("ready/*"))


def test_a_part_too_short_for_a_window_is_said_with_the_study_and_writes_nothing(tmp_path):
    raw = tmp_path / "data/raw/damped"
    raw.mkdir(parents=True)
    write_series(raw, points=25)
    failed = run_stage(tmp_path, "damped")
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
    assert "damped: " in failed.stderr
    assert "window 20" in failed.stderr
    assert not list((tmp_path / "data").glob("ready/*"))


def test_real_ptb(tmp_path):
    if not (REAL / "ptb").exists():
        pytest.skip("the real Penn Treebank files are not here")
    streams = [read_stream(REAL / "ptb" / f"ptb.{name}.txt") for name in ("train", "valid", "test")]
    assert [len(stream) for stream in streams] == [929_589, 73_760, 82_430]
    assert len(set(streams[0])) == 10_000
    assert set(streams[0]) >= set(streams[1]) | set(streams[2])
