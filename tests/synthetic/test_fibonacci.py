"""fibonacci's series and windows: against Fibonacci numbers that no modulus has touched."""

import numpy as np

from stages.synthetic.fibonacci import CLOSED_LOOP_STEPS, write_series
from stages.synthetic.windows import write_windows


def fibonacci(count):
    """The numbers themselves, as Python's unbounded integers."""
    numbers = [1, 1]
    while len(numbers) < count:
        numbers.append(sum(numbers[-2:]))
    return numbers


def made(folder, window=30, validation_fraction=0.1, **sizes):
    folder.mkdir(exist_ok=True)
    write_series(folder, **({"values": 2000, "test_values": 200, "modulus": 5} | sizes))
    write_windows(folder, folder / "ready", window, validation_fraction)
    return folder / "ready"


def load(folder, name):
    return np.load(folder / f"{name}.npy")


def test_every_window_is_a_stretch_of_the_fibonacci_numbers_modulo_5(tmp_path):
    ready = made(tmp_path)
    expected = [number % 5 for number in fibonacci(2200)]
    assert expected[20:] == expected[:-20]  # Pisano's period of 5
    for part, first, windows in (("train", 0, 1769), ("validation", 1800, 169), ("test", 2000, 169)):
        written = load(ready, f"{part}.windows")
        assert (written.dtype, written.shape) == (np.float32, (windows, 31))
        assert written.tolist() == [expected[first + i : first + i + 31] for i in range(windows)]
    assert load(ready, "closed_loop").tolist() == expected[1800 : 1800 + 30 + CLOSED_LOOP_STEPS]


def test_other_sizes_and_a_closed_loop_that_outruns_the_validation_part(tmp_path):
    ready = made(tmp_path, window=5, validation_fraction=0.2, values=100, modulus=7)
    expected = [number % 7 for number in fibonacci(300)]
    assert load(ready, "train.windows")[-1].tolist() == expected[73:79]  # the window that ends at 80 is left out
    assert load(ready, "test.windows")[0].tolist() == expected[100:106]
    assert load(ready, "closed_loop").tolist() == expected[80 : 85 + CLOSED_LOOP_STEPS]


def test_the_numbers_that_a_modulus_of_two_gives_repeat_after_three(tmp_path):
    made(tmp_path, modulus=2)
    assert load(tmp_path, "series")[:9].tolist() == [1, 1, 0] * 3
