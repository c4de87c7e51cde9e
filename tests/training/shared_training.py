"""Small trainings in float64, of a kind and cell each; run by several processes, or by the one that imports it."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.texts import news_settings, review_settings, write_news, write_reviews
from stages.kinds import task_module
from stages.kinds.series import Hyperparameters as SeriesSettings
from stages.nn.cells import CELLS
from stages.support.files import write_json
from stages.tables.ready import tokenize_series
from stages.training import shares
from stages.training.device import prepare
from stages.training.loop import Pack, fit

KINDS = ("classification", "language_model", "series")


def write_data(folder):
    """Data of every kind: batches of 5 with a last one of 1, and 5 streams, which 2 and 3 processes share unevenly."""
    for kind in ("classification", "language_model"):
        (folder / kind).mkdir()
    write_reviews(folder / "classification", np.random.default_rng(1).integers(3, 20, 21))
    write_news(folder / "language_model", 5 * 35 * 2 + 1, vocabulary=40)
    random = np.random.default_rng(2)
    np.save(folder / "values.npy", random.normal(size=(60, 2)).cumsum(0))
    write_json(folder / "provenance.json", {"corpus": "s.csv", "unit": "words", "rows": 60, "columns": ["y", "x"]})
    tokenize_series(folder, folder / "series", 6, 2, 0.2, 0.2)


def a_task(folder, kind, cell):
    if kind == "classification":
        settings = replace(review_settings(cell, batch_size=5), embedding_size=6, hidden_size=4, learning_rate=0.01)
    elif kind == "language_model":
        settings = replace(
            news_settings(cell, better=True), embedding_size=8, hidden_size=8, streams=5, learning_rate=2.0
        )
    else:
        settings = SeriesSettings(cell, 2, 4, 5, 0.01, 2)
    module = task_module(kind)
    task = module.Task(module.Data(folder / kind), settings, 1, [0], prepare("cpu"))
    task.model.double()
    if kind == "series":
        single = task._batch
        task._batch = lambda where: tuple(part.double() for part in single(where))
    return task


def train(folder, output, epochs):
    """Train each, going on from `output`'s checkpoints; the first process writes curves, each process its weights."""
    output.mkdir(parents=True, exist_ok=True)
    curves, weights = {}, {}
    for kind in KINDS:
        for cell in CELLS:
            name = f"{kind}-{cell}"
            pack = Pack(name, 1, [0], epochs, output / f"{name}.safetensors")
            task = a_task(folder, kind, cell)
            curves[name] = fit(task, pack, lambda rows, cost: None).curves[0]
            weights[name] = torch.cat([part.detach().flatten() for part in task.model.parameters()]).numpy()
    np.savez(output / f"weights.{torch.distributed.get_rank() if shares.several() else 0}.npz", **weights)
    if shares.is_first():
        write_json(output / "curves.json", curves)


if __name__ == "__main__":
    shares.join(torch.device("cpu"))
    if sys.argv[3:] == ["dies"] and not shares.is_first():
        sys.exit(7)
    if sys.argv[3:] == ["all die"]:  # at once, as where one's death is the others' before anyone looks
        shares.wait()
        sys.exit(1 if shares.is_first() else 7)
    data, output = map(Path, sys.argv[1:3])
    if sys.argv[3:] == ["apart"]:  # stopped after an epoch, on machines that share no folder
        output /= str(torch.distributed.get_rank())
        train(data, output, 1)
    train(data, output, 2)
