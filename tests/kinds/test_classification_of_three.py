"""classification of three labels: loss, accuracy and macro-F1 recomputed from the logits by scikit-learn."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss

from stages.kinds.classification import Hyperparameters
from stages.kinds.classification.task import Data, Task
from stages.text.tokens.arrays import write_manifest

LABELS = ["bad", "good", "so so"]
VOCABULARY = 20


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for part in ("train", "validation", "test"):
        lengths = random.integers(1, 9, 40)
        np.save(tmp_path / f"{part}.tokens.npy", random.integers(2, VOCABULARY, lengths.sum()).astype(np.uint16))
        np.save(tmp_path / f"{part}.offsets.npy", np.concatenate([[0], lengths.cumsum()]))
        np.save(tmp_path / f"{part}.labels.npy", random.integers(0, 3, 40).astype(np.uint8))
    write_manifest(tmp_path, "t.csv", VOCABULARY, labels=LABELS)
    return tmp_path


@torch.no_grad()
def test_scores_are_those_of_the_logits_one_text_at_a_time(folder):
    hyperparameters = Hyperparameters("gru", 1, 0.5, 0.5, 6, 4, 8, 0.01, 2, "float32")
    mine = Task(Data(folder), hyperparameters, 1, [0], torch.device("cpu"))
    mine.model.output.weight.mul_(20)  # so that the classes differ
    mine.model.eval()
    tokens, offsets = np.load(folder / "test.tokens.npy"), np.load(folder / "test.offsets.npy")
    logits = torch.cat(
        [
            mine.model(torch.tensor(tokens[start:end].astype(np.int64))[:, None], torch.tensor([end - start]))
            for start, end in pairwise(offsets)
        ]
    )
    truth = np.load(folder / "test.labels.npy")
    predicted = logits.argmax(1).numpy()
    assert logits.shape == (40, 3)
    assert len(set(predicted.tolist())) == 3
    (scores,) = mine.test()
    assert scores["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert scores["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert scores["loss"] == pytest.approx(log_loss(truth, torch.softmax(logits.double(), 1).numpy()), rel=1e-5)


def test_training_descends_the_loss(folder):
    hyperparameters = Hyperparameters("lstm", 1, 0.0, 0.0, 6, 8, 8, 0.01, 2, "float32")
    mine = Task(Data(folder), hyperparameters, 1, [0], torch.device("cpu"))
    batch = next(iter(mine.batches([np.random.default_rng(0)])))
    losses = []
    for _ in range(60):
        step = mine.step(batch)
        mine.optimizer.zero_grad()
        step.loss.sum().backward()
        mine.optimizer.step()
        losses.append(step.loss.item())
    assert losses[0] == pytest.approx(np.log(3), abs=0.4)
    assert losses[-1] < 0.3 * losses[0]
