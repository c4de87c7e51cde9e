"""fibonacci's training speed: each device, cell and engine, as in the document's table.

One layer of 200 units, batches of 100 windows of 30 values, Adam: the mean of three timings of an epoch (17 updates,
as published), and the quickest and slowest. Time on the clock, one thread on the CPU; on CUDA once all its work is
done. `padded` and `stepwise` are this project's; `packed` is torch's own layer, here on windows of one length, so that
nothing is packed; its kernel is told from the gradients that it leaves. Engines are timed in turn.

Run: python -m benchmarks.fibonacci_speed
"""

import argparse
import time
from dataclasses import replace
from statistics import mean
from typing import Any

import numpy as np
import torch

from benchmarks.measure import RESULTS, about, kernel_name, positive, protocol, synthetic_data, train
from stages.kinds.sequence.model import SequencePredictor
from stages.kinds.sequence.task import Data, Task
from stages.nn.cells import CELLS
from stages.nn.engines import ENGINES
from stages.nn.recurrent import Recurrent
from stages.support.files import write_json
from stages.support.process import run_stage
from stages.training.device import prepare

LAYER_KERNELS = {"CudnnRnnBackward0": "cuDNN", "MkldnnRnnLayerBackward0": "oneDNN"}
"""The gradients that torch's own layers leave behind where a kernel ran the whole sequence."""


def one_layer(data: Data, cell: str, engine: str, device: torch.device) -> Task:
    """The task of one layer whose every window starts from zeros; windows that fill no batch are left out."""
    task = Task(data, replace(protocol("fibonacci", cell, "1 layer"), full_batches_only=True), 0, [0], device)
    recurrent_of(task).engine = engine
    return task


def recurrent_of(task: Task) -> Recurrent:
    """The recurrent layers of a task that does not train replicas."""
    assert isinstance(task.model, SequencePredictor)
    return task.model.recurrent


def train_epoch(task: Task) -> int:
    """Train on one epoch's batches; returns how many there were."""
    return train(task, task.batches([np.random.default_rng(0)]))


def kernel(task: Task) -> str:
    """What runs the recurrence. For torch's own layer on windows of one length it is read off the autograd graph."""
    recurrent = recurrent_of(task)
    if recurrent.engine != "packed" or recurrent.cell.layer is None:
        return kernel_name(recurrent.cell, recurrent.engine, task.device.type)
    todo: list[Any] = [task.step(next(task.batches([np.random.default_rng(0)]))).loss.grad_fn]
    seen: set[Any] = set()
    while todo:
        node = todo.pop()
        if node.name() in LAYER_KERNELS:
            return LAYER_KERNELS[node.name()]
        seen.add(node)
        todo += [earlier for earlier, _ in node.next_functions if earlier is not None and earlier not in seen]
    return "torch's loop"


def epoch_seconds(task: Task) -> float:
    """Seconds on the clock of one epoch."""
    start = time.perf_counter()
    train_epoch(task)
    if task.device.type == "cuda":
        torch.cuda.synchronize(task.device)
    return time.perf_counter() - start


def main(*words: str) -> None:
    """Measure, print the table, write benchmarks/results/fibonacci_speed.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timings", type=positive, default=3, help="timed epochs of each way (default: 3)")
    timings = parser.parse_args(words).timings
    data = synthetic_data("fibonacci")
    heads, rows = [], []
    for device in [prepare("cpu"), *([prepare("cuda")] if torch.cuda.is_available() else [])]:
        heads.append(about(device))
        print("  ".join(f"{name}: {value}" for name, value in heads[-1].items()))
        print("device cell engine    ms an update (quickest-slowest)  s an epoch  to stepwise  kernel")
        for cell in CELLS:
            tasks = {engine: one_layer(data, cell, engine, device) for engine in ENGINES}
            kernels = {engine: kernel(task) for engine, task in tasks.items()}
            updates = {engine: train_epoch(task) for engine, task in tasks.items()}
            laps = [{engine: epoch_seconds(task) for engine, task in tasks.items()} for _ in range(timings)]
            seconds = {engine: [lap[engine] for lap in laps] for engine in tasks}
            for engine, epochs in seconds.items():
                ratio = mean(seconds["stepwise"]) / mean(epochs)
                low, middle, high = (
                    1000 * value / updates[engine] for value in (min(epochs), mean(epochs), max(epochs))
                )
                rows.append(
                    {
                        "device": device.type,
                        "cell": cell,
                        "engine": engine,
                        "kernel": kernels[engine],
                        "update_milliseconds": round(middle, 3),
                        "quickest_and_slowest_milliseconds": [round(low, 3), round(high, 3)],
                        "epoch_seconds": round(mean(epochs), 4),
                        "ratio_to_stepwise": round(ratio, 2),
                    }
                )
                print(
                    f"{device.type:6} {cell:4} {engine:8} {middle:13.2f} {f'({low:.2f}-{high:.2f})':>18} "
                    f"{mean(epochs):11.3f} {ratio:11.2f}x  {kernels[engine]}",
                    flush=True,
                )
    write_json(RESULTS / "fibonacci_speed.json", {"about": heads, "rows": rows})


if __name__ == "__main__":
    run_stage(main)
