"""series: forecasts scaled back, scores recomputed from a net made by hand, windows that never look ahead."""

import numpy as np
import pytest
import torch

from stages.kinds.series import Hyperparameters
from stages.kinds.series.task import Data, Task
from stages.support.files import write_json
from stages.tables.ready import tokenize_series
from stages.training.seeds import order_generator

WINDOW, HORIZON = 6, 3


@pytest.fixture
def ready(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    random = np.random.default_rng(1)
    values = np.stack([50 + 10 * random.normal(size=120).cumsum(), random.normal(size=120)], 1)
    np.save(raw / "values.npy", values)
    write_json(raw / "provenance.json", {"corpus": "s.csv", "unit": "words", "rows": 120, "columns": ["y", "x"]})
    tokenize_series(raw, tmp_path / "ready", WINDOW, HORIZON, 0.2, 0.2)
    return tmp_path / "ready"


def task(ready, cell="gru"):
    return Task(Data(ready), Hyperparameters(cell, 1, 8, 16, 0.01, 2), 1, [0], torch.device("cpu"))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_net_that_learnt_nothing_forecasts_the_last_value(ready, cell):
    mine = task(ready, cell)
    values = np.load(ready / "values.npy")[:, 0]
    (scores,) = mine.test()
    where = range(96 - 1, 120 - HORIZON)
    errors = [values[i + step] - values[i] for i in where for step in range(1, HORIZON + 1)]
    assert scores["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-6)
    assert scores["mae"] == pytest.approx(np.mean(np.abs(errors)), rel=1e-6)
    naive = np.abs(np.diff(values[:72])).mean()
    assert scores["mase"] == pytest.approx(scores["mae"] / naive, rel=1e-6)


def test_a_constant_change_is_scaled_back_into_the_series_unit(ready):
    mine = task(ready)
    change = torch.tensor([0.5, -0.25, 1.0])
    with torch.no_grad():
        mine.model.output.bias.copy_(change)  # its weights are 0: the same change from every window
    values = np.load(ready / "values.npy")[:, 0]
    deviation = values[:72].std()
    (scores,) = mine.test()
    where = range(96 - 1, 120 - HORIZON)
    errors = [values[i] + deviation * change[h].item() - values[i + h + 1] for i in where for h in range(HORIZON)]
    assert scores["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-5)
    rights = [
        np.sign(deviation * change[h].item()) == np.sign(values[i + h + 1] - values[i])
        for i in where
        for h in range(HORIZON)
    ]
    assert scores["direction"] == pytest.approx(np.mean(rights))


def test_an_epoch_has_each_training_window_once_and_nothing_of_the_later_parts(ready):
    mine = task(ready)
    values = np.load(ready / "values.npy")
    scaled = ((values - values[:72].mean(0)) / values[:72].std(0)).astype(np.float32)
    seen = []
    for inputs, wanted in mine.batches([order_generator(1, 0, 1)]):
        for window, ahead in zip(inputs.transpose(0, 1), wanted, strict=True):
            (start,) = np.flatnonzero((scaled[:, 0] == float(window[0, 0])) & (scaled[:, 1] == float(window[0, 1])))
            seen.append(int(start))
            assert np.array_equal(window, scaled[start : start + WINDOW])
            assert np.array_equal(ahead, scaled[start + WINDOW : start + WINDOW + HORIZON, 0])
    assert sorted(seen) == list(range(72 - WINDOW - HORIZON + 1))
