"""A series cut into windows: which values each part has, whatever the split, and what is too short for it."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from stages.support.files import read_json, write_json
from stages.support.process import InputError
from stages.synthetic.windows import Series, write_windows, zero_row

VALUES, TEST_VALUES = 100, 40


def write_raw(folder, values=VALUES, test_values=TEST_VALUES, **about):
    """Values that say where they stand: 0, 1, 2, and on into the test part."""
    series = Series(**({"split": "values", "closed_loop_start": "validation", "closed_loop_steps": 8} | about))
    folder.mkdir(exist_ok=True)
    np.save(folder / "series.npy", np.arange(values, dtype=np.float32))
    np.save(folder / "test.npy", np.arange(values, values + test_values, dtype=np.float32))
    write_json(folder / "provenance.json", series.model_dump())
    return folder


def cut(raw, window=4, validation_fraction=0.2):
    write_windows(raw, raw / "ready", window, validation_fraction)
    return {path.stem: np.load(path) for path in (raw / "ready").glob("*.npy")}


@pytest.mark.parametrize("drop_last_window", [False, True])
def test_split_by_values_no_value_is_in_two_parts(tmp_path, drop_last_window):
    found = cut(write_raw(tmp_path, drop_last_window=drop_last_window))
    seen = {part: set(found[f"{part}.windows"].ravel()) for part in ("train", "validation", "test")}
    assert sum(len(values) for values in seen.values()) == len(set.union(*seen.values()))
    assert len(seen["train"]) == 80 - drop_last_window
    assert min(seen["validation"]) == 80
    assert min(seen["test"]) == 100
    assert found["closed_loop"].tolist() == list(range(80, 80 + 4 + 8))


def test_split_by_windows_each_window_of_the_series_is_in_one_part(tmp_path):
    found = cut(write_raw(tmp_path, split="windows", closed_loop_start=1, closed_loop_steps=None))
    both = np.concatenate([found["train.windows"], found["validation.windows"]])
    np.testing.assert_array_equal(both, sliding_window_view(np.arange(VALUES), 5))
    assert len(found["validation.windows"]) == round(0.2 * (VALUES - 4))
    assert found["closed_loop"].tolist() == list(range(1, VALUES))


def test_the_digest_is_of_all_that_training_reads(tmp_path):
    def digest(name, **about):
        raw = write_raw(tmp_path / name, **about)
        cut(raw)
        return read_json(raw / "ready/manifest.json")["digest"]

    assert digest("a") == digest("b") != digest("c", closed_loop_steps=9)


def test_predicting_zero_has_the_closed_loops_own_root_mean_square(tmp_path):
    cut(write_raw(tmp_path))
    values = np.arange(84, 92)
    assert zero_row(tmp_path / "ready")["test"]["closed_loop_rmse"] == pytest.approx(np.sqrt((values**2).mean()))


@pytest.mark.parametrize(
    ("about", "window", "validation_fraction", "message"),
    [
        ({"split": "windows"}, 100, 0.2, r"train has \d+ values; window 100 needs at least 101 in every part"),
        ({"split": "windows"}, 99, 0.2, "validation has 99 values; window 99 needs at least 100 in every part"),
        ({"split": "windows"}, 4, 0.001, r"validation has 4 values; .*validation_fraction is 0.001"),
        ({}, 4, 0.999, r"train has 0 values; .*validation_fraction is 0.999"),
        ({}, 20, 0.2, "validation has 20 values; window 20 needs at least 21 in every part"),
        ({"drop_last_window": True}, 19, 0.2, "validation has 20 values; window 19 needs at least 21 in every part"),
        ({}, 50, 0.5, "train has 50 values; window 50 needs at least 51 in every part"),
        ({"test_values": 4}, 4, 0.2, "test has 4 values; window 4 needs at least 5 in every part"),
        ({"closed_loop_steps": 60}, 4, 0.2, "the closed loop has 60 values from number 80 on; a window of 4 and 60"),
        ({"closed_loop_start": 97, "closed_loop_steps": None}, 4, 0.2, "the closed loop has 3 values from number 97"),
    ],
)
def test_what_is_too_short_is_named_with_what_is_needed(tmp_path, about, window, validation_fraction, message):
    raw = write_raw(tmp_path, **about)
    with pytest.raises(InputError, match=message) as raised:
        cut(raw, window, validation_fraction)
    assert "\n" not in str(raised.value)
