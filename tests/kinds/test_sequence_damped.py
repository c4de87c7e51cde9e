"""sequence, as damped: windows, losses and the closed loop recomputed a repeat at a time with torch's own layers."""

import numpy as np
import pytest
import torch

from stages.kinds import sequence
from stages.kinds.sequence.task import Data, Task
from stages.nn.cells import CELLS
from stages.nn.parameters import parameter_count
from stages.studies import arms
from stages.synthetic.damped import write_series
from stages.synthetic.windows import write_windows
from stages.training.seeds import order_generator
from tests.reference import layer_of

TRAINING = sequence.Training(
    repeats="0-1",
    repeats_at_once=2,
    epochs=3,
    batch_size=10,
    learning_rate=0.01,
    hidden_size=40,
    optimizer="sgd",
    library="keras",
)


@pytest.fixture
def data(tmp_path):
    write_series(tmp_path, 200)
    write_windows(tmp_path, tmp_path / "ready", 20, 0.1)
    return Data(tmp_path / "ready")


@pytest.fixture
def curve(tmp_path):
    """The damped oscillation itself, not as it was written."""
    x = np.linspace(0, 5 * np.pi, 200)
    return (np.exp(-x / 5) * np.cos(x)).astype(np.float32)


def task(data, cell, repeats=(0, 1)):
    (arm,) = arms("damped", sequence, cell, TRAINING)
    assert arm.protocols == (("published", "corrected") if cell in ("lstm", "gru") else ("corrected",))
    return Task(data, arm.hyperparameters, 1, repeats, torch.device("cpu"))


def predictor(mine, repeat):
    """One repeat as torch's own layer and output: inputs (time, batch) to outputs (time, batch), zero state."""
    weights = {name: value[repeat] for name, value in mine.model.state_dict().items()}
    layer = layer_of(mine.model.cell.name, 1, 40)
    layer.load_state_dict({f"{name}_l0": weights[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")})

    @torch.no_grad()
    def predict(inputs):
        outputs = layer(inputs.unsqueeze(-1))[0]
        return torch.nn.functional.linear(outputs, weights["output_weight"], weights["output_bias"]).squeeze(-1)

    return predict


@pytest.mark.parametrize(("cell", "trained", "in_torch"), [("lstm", 6761, 6921), ("gru", 5201, 5201)])
def test_parameters_are_those_that_the_document_prints(data, cell, trained, in_torch):
    model = task(data, cell, repeats=[0]).model
    assert (parameter_count(model), parameter_count(model, frozen=True)) == (trained, in_torch)


def test_an_epoch_has_each_training_window_once(data, curve):
    batches = list(task(data, "rnn").batches([order_generator(1, repeat, 1) for repeat in (0, 1)]))
    assert [values.shape for values, _ in batches] == [(21, 2, 10, 1)] * 16 + [(21, 2, 2, 1)]
    assert all(counted for _, counted in batches)
    starts = torch.cat([values[0, 1, :, 0] for values, _ in batches])
    assert sorted(starts.tolist()) == sorted(curve[:162].tolist())


@pytest.mark.parametrize("cell", CELLS)
def test_losses_and_the_closed_loop_are_those_of_each_repeat_alone(data, curve, cell):
    mine = task(data, cell)
    for batch in mine.batches([order_generator(1, repeat, 1) for repeat in (0, 1)]):
        mine.optimizer.zero_grad()
        mine.step(batch).loss.sum().backward()
        mine.optimizer.step()
    validated, tested = mine.validate(), mine.test()
    for repeat in (0, 1):
        predict = predictor(mine, repeat)
        for scored, part in ((validated, data.validation), (tested, data.test)):
            values = torch.from_numpy(part).t()
            loss = (predict(values[:-1]) - values[1:]).square().mean().item()
            assert scored[repeat]["loss"] == pytest.approx(loss, rel=1e-4)
        values = curve[1:21].tolist()
        while len(values) < 199:
            values.append(predict(torch.tensor(values[-20:])[:, None])[-1, 0].item())
        assert tested[repeat]["closed_loop"] == pytest.approx(values[20:], abs=2e-5)
        rmse = np.sqrt(np.mean((np.array(values[20:]) - curve[21:]) ** 2))
        assert tested[repeat]["closed_loop_rmse"] == pytest.approx(rmse, rel=1e-3)
    assert data.closed_loop_truth == pytest.approx(curve[21:], abs=1e-5)
