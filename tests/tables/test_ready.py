"""A person's own data as arrays: what stands in which part, and what the vocabulary knows."""

import json
import math
import tracemalloc

import numpy as np
import pytest

from stages.baselines.series import series_rows
from stages.kinds.classification.task import Data
from stages.support.files import read_json, verify, write_json
from stages.support.process import InputError
from stages.tables.ready import _parts_of, labelled_parts, tokenize_labelled, tokenize_series, tokenize_text
from stages.text.tokens.basic_english import basic_english

LABELS = ["bad", "good", "so so"]
PARTS = ("train", "validation", "test")


def labelled(folder, texts, unit="words"):
    folder.mkdir()
    lines = [json.dumps([text, label]) for text, label in texts]
    (folder / "texts.jsonl").write_text("\n".join(lines) + "\n")
    write_json(folder / "provenance.json", {"corpus": "t.csv", "unit": unit, "labels": LABELS, "rows": len(texts)})
    return folder


@pytest.fixture
def texts():
    """300 texts of three labels, one of them rare, and each tenth again in other case and spacing."""
    random = np.random.default_rng(3)
    words = [f"word{i}" for i in range(200)]
    found = []
    for i in range(300):
        text = " ".join(random.choice(words, random.integers(1, 12)))
        label = 2 if i % 50 == 0 else i % 2
        found.append((text, label))
        if i % 10 == 0:
            found.append((f"  {text.upper()} ", label))
    return found


def test_equal_texts_stand_in_one_part_and_every_label_in_all(tmp_path, texts):
    raw, ready = labelled(tmp_path / "raw", texts), tmp_path / "ready"
    tokenize_labelled(raw, ready, 1000, 0.2, 0.2, 100, 1)
    (found,) = labelled_parts(raw, ready)
    parts = dict(zip(PARTS, found, strict=True))
    assert sorted(item for part in parts.values() for item in part) == sorted(texts)
    keys = {name: {text.strip().lower() for text, _ in part} for name, part in parts.items()}
    assert not keys["train"] & keys["validation"]
    assert not keys["train"] & keys["test"]
    assert not keys["validation"] & keys["test"]
    assert all({label for _, label in part} == {0, 1, 2} for part in parts.values())
    assert read_json(ready / "manifest.json")["texts"] == {name: len(part) for name, part in parts.items()}


@pytest.mark.parametrize("fractions", [(0.4, 0.4), (0.8, 0.05), (0.05, 0.8), (0.1, 0.1)])
def test_the_rarest_label_stands_in_all_parts_however_large_they_are(fractions):
    for texts in range(3, 14):
        keys = np.arange(texts, dtype=np.uint64)
        found = _parts_of(keys, np.zeros(texts, np.int32), ["a"], *fractions, 1)
        sizes = np.bincount(found, minlength=3)
        assert sizes.min() >= 1
        asked = [max(1, round(texts * fraction)) for fraction in fractions]
        if sum(asked) < texts:
            assert sizes[1:].tolist() == asked


def test_arrays_say_what_the_texts_say_by_the_training_parts_words_alone(tmp_path, texts):
    raw, ready = labelled(tmp_path / "raw", [*texts, ("<pad> " * 3, 0)]), tmp_path / "ready"
    tokenize_labelled(raw, ready, 50, 0.2, 0.2, 5, 1)
    vocabulary = (ready / "vocabulary.txt").read_text().splitlines()
    (found,) = labelled_parts(raw, ready)
    parts = dict(zip(PARTS, found, strict=True))
    of_train = [word for text, _ in parts["train"] for word in basic_english(text)[:5]]
    counts = {word: of_train.count(word) for word in of_train if word != "<pad>"}
    assert vocabulary[:2] == ["<unk>", "<pad>"]
    assert vocabulary[2:] == sorted(counts, key=lambda word: (-counts[word], word))[:50]
    for name in PARTS:
        tokens, offsets = (np.load(ready / f"{name}.{what}.npy") for what in ("tokens", "offsets"))
        labels = np.load(ready / f"{name}.labels.npy")
        for (text, label), start, end, stored in zip(parts[name], offsets, offsets[1:], labels, strict=False):
            words = basic_english(text)[:5]
            known = [word if word in vocabulary and word != "<pad>" else "<unk>" for word in words]
            assert [vocabulary[token] for token in tokens[start:end]] == known
            assert label == stored
    assert read_json(ready / "manifest.json")["cut"]["texts"] == sum(len(basic_english(t)) > 5 for t, _ in texts)


def test_parts_can_be_gone_through_again_and_hold_no_texts(tmp_path):
    peaks = []
    for count in (1_000, 10_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        raw, ready = (
            labelled(folder / "raw", [(f"text {i} of the file", i % 3) for i in range(count)]),
            folder / "ready",
        )
        tokenize_labelled(raw, ready, 1000, 0.2, 0.2, 100, 1)
        tracemalloc.start()
        (parts,) = labelled_parts(raw, ready)
        for part in (*parts, *parts):
            assert sum(1 for _ in part) == len(part)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 9_000 * 50  # a text in a tuple takes more than twice that


def test_of_several_divisions_each_is_whole_and_a_repeat_reads_its_own(tmp_path, texts):
    raw, ready = labelled(tmp_path / "raw", texts), tmp_path / "ready"
    tokenize_labelled(raw, ready, 1000, 0.2, 0.2, 100, 4)
    tokenize_labelled(raw, tmp_path / "once", 1000, 0.2, 0.2, 100, 1)
    for name in PARTS:  # the first is the one that a single division is
        assert (np.load(ready / f"{name}.rows.npy") == np.load(tmp_path / "once" / f"{name}.rows.npy")).all()
    vocabulary = (ready / "vocabulary.txt").read_text().splitlines()
    assert set(vocabulary[2:]) == {word for text, _ in texts for word in basic_english(text)}
    data, trained = Data(ready), set()
    for repeat, parts in enumerate(labelled_parts(raw, ready)):
        keys = [{text.strip().lower() for text, _ in part} for part in parts]
        assert sorted(item for part in parts for item in part) == sorted(texts)
        assert sum(map(len, keys)) == len(set().union(*keys))
        different = len({text.strip().lower() for text, _ in texts})
        assert [len(part) / different for part in keys] == pytest.approx([0.6, 0.2, 0.2], abs=0.01)
        assert all({label for _, label in part} == {0, 1, 2} for part in parts)
        trained.add(frozenset(keys[0]))
        for again in (repeat, repeat + 4):
            for part, reviews in zip(parts, data.parts(again), strict=True):
                read = [
                    (" ".join(vocabulary[token] for token in reviews.tokens[start:end]), label)
                    for start, end, label in zip(reviews.offsets, reviews.offsets[1:], reviews.labels, strict=False)
                ]
                assert sorted(read) == sorted((" ".join(basic_english(text)), label) for text, label in part)
    assert len(trained) == 4


def test_a_label_of_two_different_texts_is_refused_by_name(tmp_path):
    texts = [(f"text {i}", i % 2) for i in range(40)] + [("one", 2), ("One ", 2), ("two", 2)]
    with pytest.raises(InputError, match="'so so' has 2 different texts"):
        tokenize_labelled(labelled(tmp_path / "raw", texts), tmp_path / "ready", 50, 0.2, 0.2, 5, 1)


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_a_text_is_cut_in_three_that_together_are_the_text(tmp_path, unit):
    raw, ready = tmp_path / "raw", tmp_path / "ready"
    raw.mkdir()
    text = "".join(f"the {'cat' if i % 3 else 'dog'} sat on mat{i % 7}\n" for i in range(300))
    (raw / "text.txt").write_text(text)
    write_json(raw / "provenance.json", {"corpus": "t.txt", "unit": unit, "rows": 300})
    tokenize_text(raw, ready, 1000, 0.1, 0.2)
    vocabulary = (ready / "vocabulary.txt").read_text().splitlines()
    tokens = [vocabulary[token] for name in PARTS for token in np.load(ready / f"{name}.tokens.npy")]
    if unit == "characters":
        assert "".join("\n" if token == "\\n" else token for token in tokens) == text
    else:
        assert tokens == text.replace("\n", " <eos> ").split()
    counts = read_json(ready / "manifest.json")["tokens"]
    assert counts["validation"] == round(0.1 * len(tokens))
    assert counts["test"] == round(0.2 * len(tokens))


def test_a_series_is_scaled_by_its_training_part_and_too_short_a_one_is_refused(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    values = np.stack([np.arange(100.0) ** 2, np.full(100, 3.0)], 1)
    np.save(raw / "values.npy", values)
    write_json(raw / "provenance.json", {"corpus": "s.csv", "unit": "words", "rows": 100, "columns": ["y", "x"]})
    tokenize_series(raw, tmp_path / "ready", 5, 2, 0.2, 0.1)
    about = verify(tmp_path / "ready")
    stored = np.load(tmp_path / "ready/values.npy")
    assert (stored == values).all()
    assert (about["train_end"], about["validation_end"]) == (70, 90)
    assert about["mean"] == pytest.approx([(values[:70, 0]).mean(), 3.0])
    assert about["deviation"] == pytest.approx([values[:70, 0].std(), 1.0])  # what never moves is not blown up
    with pytest.raises(InputError, match="test part"):
        tokenize_series(raw, tmp_path / "short", 5, 12, 0.2, 0.1)


@pytest.mark.parametrize(("still", "named"), [((0, 70), "training"), ((69, 90), "validation"), ((89, 100), "test")])
def test_a_part_in_which_nothing_changes_is_refused_and_what_just_moves_is_not(tmp_path, still, named):
    raw = tmp_path / "raw"
    raw.mkdir()
    write_json(raw / "provenance.json", {"corpus": "s.csv", "unit": "words", "rows": 100, "columns": ["y"]})
    values = np.arange(100.0)[:, None] ** 2
    values[slice(*still)] = 7
    np.save(raw / "values.npy", values)
    with pytest.raises(InputError, match=f"y is 7 all through the {named} part"):
        tokenize_series(raw, tmp_path / "ready", 5, 2, 0.2, 0.1)
    values[still[1] - 1] = 8
    np.save(raw / "values.npy", values)
    tokenize_series(raw, tmp_path / "ready", 5, 2, 0.2, 0.1)
    rows = series_rows(values, 70, 90, 5, 2)
    assert all(math.isfinite(score) for row in rows for part in ("validation", "test") for score in row[part].values())
