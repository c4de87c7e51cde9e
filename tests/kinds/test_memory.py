"""A net's memory does not grow with its data: what of them lies in memory is an order of rows, not rows."""

import tracemalloc
from itertools import islice

import numpy as np
import pytest
import torch

from stages.kinds import classification, language_model, series, task_module
from stages.support.files import seal, write_json
from stages.tables.ready import tokenize_series
from stages.training.seeds import order_generator

FEW, MANY = 10_000, 110_000


def texts(folder, rows):
    random = np.random.default_rng(0)
    folder.mkdir()
    for part, share in (("train", 8), ("validation", 1), ("test", 1)):
        lengths = random.integers(1, 40, rows * share // 10)
        np.save(folder / f"{part}.tokens.npy", random.integers(2, 30, lengths.sum()).astype(np.uint16))
        np.save(folder / f"{part}.offsets.npy", np.concatenate([[0], lengths.cumsum()]))
        np.save(folder / f"{part}.labels.npy", random.integers(0, 3, len(lengths)).astype(np.uint8))
    seal(folder, {"corpus": "s", "digest": "d", "vocabulary_size": 30, "labels": ["a", "b", "c"]})
    return classification.Hyperparameters(
        "gru", layers=1, dropout=0.0, dropout_between_layers=0.0, embedding_size=4, hidden_size=4, batch_size=512,
        learning_rate=0.01, epochs=1, precision="float32",
    )  # fmt: skip


def text(folder, rows):
    folder.mkdir()
    for part, share in (("train", 8), ("validation", 1), ("test", 1)):
        tokens = np.random.default_rng(0).integers(0, 30, rows * share // 10)
        np.save(folder / f"{part}.tokens.npy", tokens.astype(np.uint16))
    seal(folder, {"corpus": "s", "digest": "d", "vocabulary_size": 30})
    return language_model.Hyperparameters(
        "gru", layers=1, dropout=0.0, tied=False, embedding_size=4, hidden_size=4, streams=20, window=35,
        learning_rate=1.0, rate_divisor=4.0, gradient_norm_limit=1.0, epochs=1, precision="float32",
    )  # fmt: skip


def table(folder, rows):
    raw = folder.with_name(f"{folder.name}.raw")
    raw.mkdir()
    np.save(raw / "values.npy", np.random.default_rng(0).normal(size=(rows, 4)))
    write_json(raw / "provenance.json", {"corpus": "s", "columns": ["y", "a", "b", "c"]})
    tokenize_series(raw, folder, 8, 1, 0.1, 0.1)
    return series.Hyperparameters("gru", layers=1, hidden_size=4, batch_size=512, learning_rate=0.01, epochs=1)


@pytest.mark.parametrize(("kind", "make"), [("classification", texts), ("language_model", text), ("series", table)])
def test_a_row_more_takes_no_more_than_its_place_in_an_order(tmp_path, kind, make):
    taken = []
    for rows in (FEW, MANY):
        folder = tmp_path / str(rows)
        hyperparameters, module = make(folder, rows), task_module(kind)
        tracemalloc.start()
        task = module.Task(module.Data(folder), hyperparameters, 1, [0], torch.device("cpu"))
        for _ in islice(task.batches([order_generator(1, 0, 1)]), 5):
            pass
        taken.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (taken[1] - taken[0]) / (MANY - FEW) < 24
