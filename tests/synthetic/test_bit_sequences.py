"""Sequences of latch and relay: which are positive, how the two splits differ, and what noise they have."""

import numpy as np
import pytest

from stages.kinds.bits.task import Data
from stages.synthetic.bits import write_sequences, write_splits

SEQUENCES = 400


def made(folder, source, seed=1, noise=0.1):
    folder.mkdir(exist_ok=True)
    write_sequences(folder, source, seed, SEQUENCES, longest=40, noise=noise)
    write_splits(folder, folder / "ready", validation_fraction=0.2)
    return Data(folder / "ready")


@pytest.mark.parametrize("length", [2, 5, 40])
def test_latch_is_decided_by_the_first_value(tmp_path, length):
    data = made(tmp_path, "latch")
    for part in (data.train, data.test):
        sequences = part.of_length(length)
        assert sequences.shape == (SEQUENCES, length)
        assert ((sequences[:, 0] > 0).long() == part.labels).all()
        assert sequences[:, 1:].abs().max() < 0.6


@pytest.mark.parametrize("length", [2, 3, 10, 40])
def test_relay_is_decided_by_the_signs_of_the_first_and_the_middle_value(tmp_path, length):
    data = made(tmp_path, "relay")
    for part in (data.train, data.test):
        sequences = part.of_length(length)
        first, middle = sequences[:, 0] > 0, sequences[:, length // 2] > 0
        assert ((first == middle).long() == part.labels).all()
        combinations = np.unique(np.stack([first, middle]), axis=1, return_counts=True)[1]
        assert combinations.tolist() == [SEQUENCES // 4] * 4


@pytest.mark.parametrize("source", ["latch", "relay"])
def test_published_validation_has_no_positive_sequence_and_corrected_as_many_as_chance_gives(tmp_path, source):
    data = made(tmp_path, source)
    labels = data.train.labels.numpy()
    train, validation = data.split["published"]
    assert labels[validation].sum() == 0
    assert (labels[train].sum(), len(train)) == (SEQUENCES / 2, SEQUENCES * 0.8)  # 5,000 to 3,000 of 10,000
    train, validation = data.split["corrected"]
    assert 0.3 < labels[validation].mean() < 0.7
    assert sorted([*train, *validation]) == list(range(SEQUENCES))


def test_noise_has_its_deviation_and_test_and_training_share_none_of_it(tmp_path):
    data = made(tmp_path, "latch")
    train, test = (part.of_length(40)[:, 1:].numpy() for part in (data.train, data.test))
    assert train.std() == pytest.approx(0.1, rel=0.03)
    assert train.mean() == pytest.approx(0, abs=0.005)
    assert abs(np.corrcoef(train.ravel(), test.ravel())[0, 1]) < 0.03


def test_the_seed_decides_all_of_it(tmp_path):
    first, same, other = (made(tmp_path / name, "relay", seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert (first.train.of_length(9) == same.train.of_length(9)).all()
    assert (first.split["corrected"][0] == same.split["corrected"][0]).all()
    assert not (first.train.of_length(9) == other.train.of_length(9)).all()
    assert not (first.split["corrected"][0] == other.split["corrected"][0]).all()
    assert first.digest == same.digest != other.digest
