"""The cells: found by their files, each apart from the others, and Keras 2.1's as Keras has them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.nn.cells import CELLS
from tests.copies import ROOT
from tests.forked import run_forked

PACKAGE = Path("stages/nn/cells")


def imported_by(code):
    """The modules that a fresh interpreter has after `code`."""
    code += "\nimport sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_cells_are_the_files_of_the_package():
    assert list(CELLS) == ["rnn", "lstm", "gru"]
    assert {path.stem for path in PACKAGE.glob("*.py")} == {*CELLS, "__init__"}
    assert [CELLS[name].name for name in CELLS] == list(CELLS)


@pytest.mark.parametrize("name", ["foo", "", "__init__", "lstm.keras3", "foo.keras2", "../lstm"])
def test_what_no_file_defines_is_no_cell(name):
    assert name not in CELLS
    with pytest.raises(KeyError):
        CELLS[name]


def test_a_file_more_is_a_cell_more_and_listing_imports_nothing(tmp_path):
    names = imported_by("from stages.nn.cells import CELLS\nassert 'foo' not in CELLS; print(*CELLS)")
    assert not names & {"torch", "numba", "numpy"}
    code = f"""
import shutil, sys
shutil.copytree("stages", {str(tmp_path / "stages")!r}, ignore=shutil.ignore_patterns("__pycache__"))
sys.path.insert(0, {str(tmp_path)!r})
with open({str(tmp_path / PACKAGE / "mine.py")!r}, "w") as file:
    file.write("from stages.nn.cells import Cell\\nCELL = Cell('mine', 1, 1, step=None)")
from stages.nn.cells import CELLS
assert list(CELLS) == ["rnn", "lstm", "gru", "mine"] and CELLS["mine"].name == "mine"
"""
    assert not imported_by(code) & {"torch", "numba"}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_needs_no_other_cells_file(tmp_path, name):
    code = f"import sys\nfrom stages.nn.cells import CELLS\nCELLS[{name!r}]\nprint(*sys.modules)"
    (tmp_path / "probe.py").write_text(code)
    modules = set(run_forked(["python", "-m", "probe"], tmp_path, stages=ROOT).stdout.split())
    assert {module for module in modules if module.startswith("stages.nn.cells.")} == {f"stages.nn.cells.{name}"}


def numpy_keras2(name, x, h, c, w, u, b):
    """One step in the words of Keras 2.1's layers (recurrent.py), in NumPy; matrices are (inputs, gates * units)."""

    def hard(values):
        return np.clip(0.2 * values + 0.5, 0, 1)

    n = len(h)
    if name == "lstm":
        z = x @ w + h @ u + b
        i, f, o = hard(z[:n]), hard(z[n : 2 * n]), hard(z[3 * n :])
        c = f * c + i * np.tanh(z[2 * n : 3 * n])
        return o * np.tanh(c), c
    z, r = (hard((x @ w + b)[k : k + n] + h @ u[:, k : k + n]) for k in (0, n))
    candidate = np.tanh((x @ w + b)[2 * n :] + (r * h) @ u[:, 2 * n :])
    return z * h + (1 - z) * candidate, c


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_keras2s_cells_are_keras_21s(name):
    cell, units = CELLS[f"{name}.keras2"], 3
    random = np.random.default_rng(0)
    w, u = (random.normal(size=(rows, cell.gates * units)) for rows in (2, units))
    b = random.normal(size=cell.gates * units)
    x, h, c = (random.normal(size=size) for size in (2, units, units))
    order = [1, 0, 2] if name == "gru" else [0, 1, 2, 3]  # Keras has the GRU's update gate first
    rows = np.concatenate([np.arange(g * units, (g + 1) * units) for g in order])
    expected = numpy_keras2(name, x, h, c, w, u, b)
    state = tuple(torch.from_numpy(part)[None] for part in (h, c)[: cell.states])
    weight_hh = torch.from_numpy(u.T[rows].copy())
    actual = cell.step(torch.from_numpy((x @ w + b)[rows])[None], state, weight_hh, torch.zeros(len(b)).double())
    for part, of_keras in zip(actual, expected, strict=False):
        np.testing.assert_allclose(part[0], of_keras, rtol=0, atol=1e-14)
    assert cell.name == f"{name}.keras2"
    assert CELLS["rnn.keras2"] is CELLS["rnn"]
