"""fibonacci's data: against Fibonacci numbers that no modulus has touched."""

import numpy as np
import pytest

from stages.support.process import InputError
from stages.synthetic.fibonacci import CLOSED_LOOP_STEPS, write_data


def fibonacci(count):
    """The numbers themselves, as Python's unbounded integers."""
    numbers = [1, 1]
    while len(numbers) < count:
        numbers.append(sum(numbers[-2:]))
    return numbers


def load(folder, name):
    return np.load(folder / f"{name}.npy")


def test_every_window_is_a_stretch_of_the_fibonacci_numbers_modulo_5(tmp_path):
    write_data(tmp_path, seed=1)
    expected = [number % 5 for number in fibonacci(2200)]
    assert expected[20:] == expected[:-20]  # Pisano's period of 5
    for part, first, windows in (("train", 0, 1769), ("validation", 1800, 169), ("test", 2000, 169)):
        written = load(tmp_path, f"{part}.windows")
        assert (written.dtype, written.shape) == (np.float32, (windows, 31))
        assert written.tolist() == [expected[first + i : first + i + 31] for i in range(windows)]
    assert load(tmp_path, "closed_loop").tolist() == expected[1800 : 1800 + 30 + CLOSED_LOOP_STEPS]


def test_other_sizes_and_a_closed_loop_that_outruns_the_validation_part(tmp_path):
    write_data(tmp_path, seed=1, values=100, modulus=7, validation_fraction=0.2, window=5)
    expected = [number % 7 for number in fibonacci(300)]
    assert load(tmp_path, "train.windows")[-1].tolist() == expected[73:79]  # the window that ends at 80 is left out
    assert load(tmp_path, "test.windows")[0].tolist() == expected[100:106]
    assert load(tmp_path, "closed_loop").tolist() == expected[80 : 85 + CLOSED_LOOP_STEPS]


def test_the_seed_decides_nothing(tmp_path):
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        write_data(tmp_path / str(seed), seed)
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_a_part_too_short_for_a_window_is_said_in_one_line(tmp_path):
    write_data(tmp_path, seed=1, values=320)
    with pytest.raises(InputError, match=r"^fibonacci: validation has 31 values; a window of 30 needs at least 32$"):
        write_data(tmp_path, seed=1, values=310)
