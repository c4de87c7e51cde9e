"""What compiled code is made of."""

import os
import shutil
import subprocess

import numpy as np
import pytest
from numba import njit

from stages.nn.compiled import exp, hard_sigmoid, hard_sigmoid_slope, sigmoid, tanh
from tests.copies import ROOT
from tests.forked import folder_of_commands, run_forked


@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 3e-7), (np.float64, 3e-15)])
def test_the_sigmoid_keeps_its_relative_accuracy_to_the_ends_and_passes_nan_on(dtype, close):
    @njit
    def sigmoids(values, into):
        for index in range(len(values)):
            into[index] = sigmoid(values[index])

    values = np.linspace(-80, 80, 100_001).astype(dtype)
    actual = np.empty_like(values)
    sigmoids(values, actual)
    np.testing.assert_allclose(actual, 1 / (1 + np.exp(-values.astype(np.longdouble))), rtol=close)
    edges = np.array([-np.inf, np.inf, np.nan], dtype)
    actual = np.empty_like(edges)
    sigmoids(edges, actual)
    np.testing.assert_allclose(actual, [0, 1, np.nan], atol=1e-37)


@pytest.mark.parametrize(("dtype", "close", "ends"), [(np.float32, 3e-7, 87), (np.float64, 3e-14, 708)])
def test_the_exponential_keeps_its_relative_accuracy_to_the_ends_stays_there_and_passes_nan_on(dtype, close, ends):
    @njit
    def exponentials(values, into):
        for index in range(len(values)):
            into[index] = exp(values[index])

    values = np.append(np.linspace(-ends, ends, 100_001), [-2 * ends, 2 * ends, -np.inf, np.nan]).astype(dtype)
    actual = np.empty_like(values)
    exponentials(values, actual)
    expected = np.exp(np.clip(values, -ends, ends).astype(np.longdouble))
    np.testing.assert_allclose(actual, expected, rtol=close)


@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 2e-7), (np.float64, 2e-15)])
def test_the_tangent_is_numpys(dtype, close):
    @njit
    def tangents(values, into):
        for index in range(len(values)):
            into[index] = tanh(values[index])

    values = np.linspace(-30, 30, 100_001).astype(dtype)
    actual = np.empty_like(values)
    tangents(values, actual)
    np.testing.assert_allclose(actual, np.tanh(values.astype(np.longdouble)), rtol=0, atol=close)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_hard_sigmoid_is_keras_2s_and_passes_nan_on(dtype):
    @njit
    def hard_sigmoids(values, into, slopes):
        for index in range(len(values)):
            into[index] = hard_sigmoid(values[index])
            slopes[index] = hard_sigmoid_slope(into[index])

    values = np.append(np.linspace(-4, 4, 1000), [-np.inf, np.inf, np.nan]).astype(dtype)
    actual, slopes = np.empty_like(values), np.empty_like(values)
    hard_sigmoids(values, actual, slopes)
    np.testing.assert_allclose(actual, np.clip(0.2 * values + 0.5, 0, 1), rtol=0, atol=1e-7)
    np.testing.assert_array_equal(slopes[:-1], np.where(np.abs(values[:-1]) < 2.5, dtype(0.2), 0))


PROGRAM = """
import torch
from stages.nn.cells import CELLS
from stages.nn.loops.padded import loops, run_padded
cell = CELLS["rnn"]
weights = [torch.ones(2, 1), torch.ones(2, 2), torch.ones(2), torch.ones(2)]
outputs, _ = run_padded(cell, torch.ones(3, 2, 1), weights, (torch.zeros(2, 2),))
forward, _ = loops(cell.scalars, 1, 1)
hits = forward.stats
print(sum(hits.cache_hits.values()), sum(hits.cache_misses.values()), outputs.sum().item())
"""


@pytest.fixture
def copied(tmp_path):
    """Copies of the code in places of their own; each called with a name and a change to make in it."""

    def make(name, file=None, old="", new=""):
        folder = tmp_path / name
        shutil.copytree("stages/nn", folder / "stages" / "nn", ignore=shutil.ignore_patterns("__pycache__"))
        if file:
            text = (folder / file).read_text()
            assert old in text
            (folder / file).write_text(text.replace(old, new))
        return folder

    return make


def start(folder, cache):
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | {"XDG_CACHE_HOME": str(cache)}
    (folder / "program.py").write_text(PROGRAM)
    command = [folder_of_commands() / "python", "-m", "program"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder)


def answer(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    hits, misses, total = output.split()
    return int(hits), int(misses), float(total)


def test_a_second_clone_compiles_nothing_and_a_changed_callee_is_never_served_stale(copied, tmp_path):
    cache = tmp_path / "cache"
    hits, misses, total = answer(start(copied("first"), cache))
    assert (hits, misses) == (0, 1)
    files = {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
    assert answer(start(copied("second"), cache)) == (1, 0, total)
    assert {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()} == files
    changed = copied("third", "stages/nn/cells/rnn.py", "h = tanh(a[0])", "h = tanh(a[0] + a[0])")
    hits, misses, other = answer(start(changed, cache))
    assert (hits, misses) == (0, 1)
    assert other > total
    another = copied("fourth", "stages/nn/cells/gru.py", "r * u[2]", "u[2] * r")
    assert answer(start(another, cache)) == (1, 0, total)
    for path in files:
        path.write_bytes(path.read_bytes()[:100])
    assert answer(start(copied("fifth"), cache)) == (0, 1, total)  # a file cut short counts as none


def test_two_processes_at_once_and_a_cache_that_cannot_be_written_do_no_harm(copied, tmp_path):
    folder = copied("one")
    first, second = (start(folder, tmp_path / "cache") for _ in range(2))
    (hits, misses, total), (more_hits, more_misses, same) = answer(first), answer(second)
    assert (hits + more_hits, misses + more_misses) == (1, 1)  # one waited for what the other compiled
    assert answer(start(folder, tmp_path / "cache")) == (1, 0, total)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.name.count(".")]
    (tmp_path / "file").write_text("no folder can be made here")
    assert answer(start(folder, tmp_path / "file")) == (0, 1, total)
    assert same == total


def test_what_compiled_code_takes_in_is_refused_from_python():
    """It has no way in from there: a call would end the process."""
    njit(lambda x: tanh(x))(0.5)
    for argument in (0.5, np.float32(0.5)):
        with pytest.raises(TypeError, match="compiled code alone"):
            tanh(argument)


NUMBERED = """
import sys
import numpy as np
from numba import njit
from stages.nn.loops.rows import reader
compiled_before, blocks = int(sys.argv[1]), int(sys.argv[2])
for _ in range(compiled_before):
    njit(lambda: 0)()
read, numbers = reader(blocks, False, apart=True), njit(lambda read, arrays: read(arrays, 0, 0, 0))
print(*numbers(read, tuple(np.full((1, 1, 1, 1), float(number)) for number in range(4))))
"""


def test_functions_of_one_name_are_told_apart_whatever_was_compiled_before_them(tmp_path):
    """Numba numbers the functions of a process; from a shared cache come others' numbers, which are taken here."""

    def run(cache, compiled_before, blocks):
        environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
        done = run_forked(["python", "-m", "numbered", str(compiled_before), str(blocks)], tmp_path, environment)
        assert done.returncode == 0, done.stderr
        return [float(word) for word in done.stdout.split()]

    (tmp_path / "numbered.py").write_text(NUMBERED)
    first = tmp_path / "first"
    assert run(first, 6, 1) == [0]
    for compiled_before in range(8):
        cache = shutil.copytree(first, tmp_path / str(compiled_before))
        assert run(cache, compiled_before, 4) == [0, 1, 2, 3]
