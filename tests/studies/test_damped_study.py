"""damped: windows, losses and the closed loop recomputed a repeat at a time with torch's own layers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stages.nn.cells import CELLS
from stages.nn.models import parameter_count
from stages.studies import damped
from stages.support.files import write_json
from stages.synthetic import damped as damped_data
from stages.training.seeds import order_generator

TRAINING = SimpleNamespace(hidden_size=40, batch_size=10, learning_rate=0.01, epochs=3)


@pytest.fixture
def data(tmp_path):
    damped_data.write_data(tmp_path, 1)
    write_json(tmp_path / "manifest.json", {"corpus": "sequences", "digest": "d"})
    return damped.Data(tmp_path)


def task(data, cell, repeats=(0, 1)):
    (arm,) = damped.arms(cell, TRAINING, 2, 0.5)
    assert arm.protocols == ("published", "corrected")
    return damped.Task(data, arm.hyperparameters, 1, repeats, torch.device("cpu"))


def predictor(mine, repeat):
    """One repeat as torch's own layer and output: inputs (time, batch) to outputs (time, batch), zero state."""
    weights = {name: value[repeat] for name, value in mine.model.state_dict().items()}
    layer = CELLS[mine.model.cell.name].layer(1, 40)
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


def test_an_epoch_has_each_training_window_once(data):
    batches = list(task(data, "rnn").batches([order_generator(1, repeat, 1) for repeat in (0, 1)]))
    assert [batch[0].shape for batch in batches] == [(20, 2, 10, 1)] * 16 + [(20, 2, 2, 1)]
    starts = torch.cat([batch[0][0, 1, :, 0] for batch in batches])
    assert sorted(starts.tolist()) == sorted(data.curve[:162].tolist())


@pytest.mark.parametrize("cell", CELLS)
def test_losses_and_the_closed_loop_are_those_of_each_repeat_alone(data, cell):
    mine = task(data, cell)
    for batch in mine.batches([order_generator(1, repeat, 1) for repeat in (0, 1)]):
        mine.optimizer.zero_grad()
        mine.step(batch).loss.sum().backward()
        mine.optimizer.step()
    validated, tested = mine.validate(), mine.test()
    curve = torch.tensor(data.curve)
    for repeat in (0, 1):
        predict = predictor(mine, repeat)
        for scored, (inputs, targets) in ((validated, data.validation), (tested, data.test)):
            loss = (predict(inputs.t()) - targets.t()).square().mean().item()
            assert scored[repeat]["loss"] == pytest.approx(loss, rel=1e-4)
        values = curve[1:21].tolist()
        while len(values) < 199:
            values.append(predict(torch.tensor(values[-20:])[:, None])[-1, 0].item())
        assert tested[repeat]["closed_loop"] == pytest.approx(values[20:], abs=2e-5)
        rmse = np.sqrt(np.mean((np.array(values[20:]) - data.curve[21:]) ** 2))
        assert tested[repeat]["closed_loop_rmse"] == pytest.approx(rmse, rel=1e-3)
    assert data.closed_loop_truth == pytest.approx(data.curve[21:], abs=1e-5)
