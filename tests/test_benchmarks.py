"""Benchmarks are listed where one looks for them, and a peer stands alone."""

import ast
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import epoch_seconds, measure
from benchmarks.fibonacci_speed import kernel, one_layer
from stages.nn.cells import CELLS
from stages.support.process import StageError

FOLDER = Path(measure.__file__).parent
BENCHMARKS = {path.stem for path in FOLDER.glob("*.py") if f"python -m benchmarks.{path.stem}" in path.read_text()}


def test_every_benchmark_is_in_the_readme():
    readme = (FOLDER / "README.md").read_text()
    assert [name for name in BENCHMARKS if f"`python -m benchmarks.{name}`" not in readme] == []


@pytest.mark.parametrize("script", [path.name for path in FOLDER.glob("*_peer.py")])
def test_a_peer_needs_nothing_of_the_project(script):
    nodes = list(ast.walk(ast.parse((FOLDER / script).read_text())))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in modules} & {"stages", "benchmarks", "torch"} == set()


def test_a_peer_runs_on_one_thread_and_its_failure_is_one_line(tmp_path):
    script = tmp_path / "peer.py"  # joining an absolute path to the folder gives that path
    script.write_text("import json, os, sys; print(json.dumps([os.environ['OMP_NUM_THREADS'], sys.argv[1:]]))")
    assert measure.run_peer(sys.executable, str(script), "a b") == ["1", ["a b"]]
    script.write_text("import no_such_peer")
    with pytest.raises(StageError, match=r"could not run .*peer\.py: benchmarks/README\.md"):
        measure.run_peer(sys.executable, str(script))
    with pytest.raises(StageError, match="/no/such/python could not run"):
        measure.run_peer("/no/such/python", str(script))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")
def test_the_kernel_named_is_the_one_that_ran():
    data = measure.synthetic_data("fibonacci")
    cpu = torch.device("cpu")
    found = {cell: kernel(one_layer(data, cell, "packed", cpu)) for cell in CELLS}
    assert found["lstm"] == "oneDNN"
    assert found["gru"] == found["rnn"] == "torch's loop"
    with torch.backends.mkldnn.flags(enabled=False):
        assert kernel(one_layer(data, "lstm", "packed", cpu)) == "torch's loop"
    assert kernel(one_layer(data, "gru", "stepwise", cpu)) == "step by step, autograd"


def test_an_update_is_timed_as_many_times_as_asked_after_one_untimed():
    calls = []
    assert len(measure.processor_milliseconds(lambda: calls.append(1) or 17, 3)) == 3
    assert len(calls) == 4


def test_ways_are_timed_in_turn_and_the_first_round_is_not_kept():
    calls = []

    def way(name):
        return lambda: calls.append(name) or float(len(calls))

    assert epoch_seconds.time_in_turn({"a": way("a"), "b": way("b")}, 2) == {"a": [3.0, 5.0], "b": [4.0, 6.0]}
    assert calls == ["a", "b"] * 3


def test_at_a_steady_rate_an_epoch_of_reviews_takes_its_tokens_times_it():
    done = 0.0

    class Steady:
        def update(self, batch):
            nonlocal done
            done += 0.001 * int(batch[1].sum())

    batches = [(None, torch.tensor(lengths), None) for lengths in ([5, 7], [100, 300, 20], [1000])]
    seconds = epoch_seconds.reviews_epoch(Steady(), batches, lambda: done)
    assert seconds == pytest.approx(0.001 * 17_500 * 271)


def test_models_tied_and_not_are_timed_over_as_many_words_and_differ_by_the_output_layers_weights(monkeypatch):
    monkeypatch.setattr(epoch_seconds, "WINDOWS", 1)
    tied, untied = (epoch_seconds.news_task(output, torch.device("cpu")) for output in (True, False))
    counts = [sum(parameter.numel() for parameter in task.model.parameters()) for task in (tied, untied)]
    assert counts[1] - counts[0] == 10_000 * 650
    ticks = iter([5.0, 7.0])
    assert epoch_seconds.news_epoch(tied, lambda: next(ticks)) == pytest.approx(2 * 929_589 / (35 * 20))
