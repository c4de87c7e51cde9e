"""sequence, as fibonacci: both protocols recomputed with torch's own LSTM, and what each leaves out."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from stages.kinds import sequence
from stages.kinds.sequence.model import SequencePredictor
from stages.kinds.sequence.task import Data, Task
from stages.nn.cells import CELLS
from stages.nn.parameters import parameter_count
from stages.studies import arms
from stages.support.process import InputError
from stages.synthetic.fibonacci import write_series
from stages.synthetic.windows import write_windows
from stages.training.loop import Pack, fit
from stages.training.seeds import order_generator

TRAINING = sequence.Training(
    repeats="0",
    epochs=2,
    batch_size=100,
    learning_rate=0.001,
    hidden_size=8,
    dropout=0.3,
    layer_counts=(1, 2, 3, 4),
    optimizer="adam",
    library="chainer",
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As a job trains: two threads that wait for each other on a busy machine take seven times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """data/ready/fibonacci as published."""
    made = tmp_path_factory.mktemp("fibonacci")
    write_series(made, values=2000, test_values=200, modulus=5)
    write_windows(made, made / "ready", 30, 0.1)
    return made / "ready"


HEADINGS = ("published", "corrected", "what_if")


def arms_of(cell, training=TRAINING):
    return arms("fibonacci", sequence, cell, training, HEADINGS)


def arms_by_default(cell, training=TRAINING):
    return arms("fibonacci", sequence, cell, training)


def task(folder, protocol, cell="lstm", layers=1, seed=1, **changes):
    training = TRAINING.model_copy(update={"layer_counts": (layers,), **changes})
    (arm,) = (arm for arm in arms_of(cell, training) if protocol in arm.protocols)
    made = Task(Data(folder), arm.hyperparameters, seed, [0], torch.device("cpu"))
    with torch.no_grad():
        made.model.output.weight *= 30  # so that a prediction says something of the state
    return made


def reference(mine):
    """torch's LSTM and linear layer with the weights of a task: (values (time, batch, 1), state) -> the same."""
    settings = mine._settings
    lstm = nn.LSTM(1, settings.hidden_size, settings.layers)
    lstm.load_state_dict(mine.model.recurrent.state_dict())

    @torch.no_grad()
    def run(values, state=None):
        outputs, state = lstm(values, state)
        return outputs @ mine.model.output.weight.T + mine.model.output.bias, state

    return run


def in_time(windows):
    return torch.from_numpy(np.array(windows)).T.unsqueeze(-1)


def test_every_cell_is_corrected_at_every_depth_and_only_the_lstm_is_published():
    for cell in ("rnn", "lstm", "gru"):
        found = arms_by_default(cell)
        protocols = ["published", "corrected"] if cell == "lstm" else ["corrected"]
        assert [(arm.setting, *arm.protocols) for arm in found] == [
            (setting, protocol) for setting in ("1 layer", "2 layers", "3 layers", "4 layers") for protocol in protocols
        ]
        assert {arm.hyperparameters.dropout for arm in found} == {0.3}
    assert len({arm.slug for arm in arms_by_default("lstm")}) == 8


@pytest.mark.parametrize(("protocol", "sizes"), [("published", [100] * 17), ("corrected", [100] * 17 + [69])])
def test_published_drops_the_windows_that_fill_no_batch(folder, protocol, sizes):
    mine = task(folder, protocol)
    mine.data.train = np.arange(1769, dtype=np.float32)[:, None] + np.arange(31, dtype=np.float32) / 100
    batches = [values for values, _ in mine.batches([order_generator(1, 0, 1)])]
    assert [tuple(values.shape) for values in batches] == [(31, 1, size, 1) for size in sizes]
    seen = torch.cat(batches, 2)[:, 0].squeeze(-1)
    assert len(set(seen[0].tolist())) == sum(sizes) == mine.train_items  # no window twice
    torch.testing.assert_close(seen - seen[0], (torch.arange(31) / 100)[:, None].expand_as(seen), atol=1e-4, rtol=0)
    other = torch.cat([values for values, _ in mine.batches([order_generator(1, 0, 2)])], 2)
    assert not torch.equal(other[0, 0].squeeze(-1), seen[0])


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_the_state_enters_the_next_batch_only_as_published_and_never_the_next_epoch(folder, protocol):
    mine = task(folder, protocol, layers=2, dropout=0.0)
    run, state = reference(mine), None
    for values, _ in mine.batches([order_generator(1, 0, 1)]):
        if protocol == "corrected":
            state = None
        predictions, state = run(values[:-1, 0], state)
        step = mine.step((values, True))
        assert step.loss.shape == (1,)
        assert step.loss.item() == pytest.approx(mse_loss(predictions, values[1:, 0]).item(), rel=1e-5)
        step.loss.sum().backward()  # ends at the batch's start: a second pass through it would raise
    values, _ = next(iter(mine.batches([order_generator(1, 0, 2)])))
    fresh = mse_loss(run(values[:-1, 0])[0], values[1:, 0]).item()
    assert mine.step((values, True)).loss.item() == pytest.approx(fresh, rel=1e-5)


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_the_curves_training_loss_is_the_last_batchs_or_the_mean_over_windows(folder, protocol, tmp_path):
    mine = task(folder, protocol, learning_rate=1e-12)  # as good as no training: the weights stay
    fitted = fit(mine, Pack("fibonacci", 1, [0], 1, tmp_path / "checkpoint.pt"), lambda *_: None)
    run, state, losses = reference(mine), None, []
    for values, _ in mine.batches([order_generator(1, 0, 1)]):
        predictions, state = run(values[:-1, 0], state if protocol == "published" else None)
        losses += [(predictions - values[1:, 0]).square().mean((0, 2)).numpy()]
    expected = losses[-1].mean() if protocol == "published" else np.concatenate(losses).mean()
    assert fitted.curves[0][0]["train_loss"] == pytest.approx(expected, rel=1e-5)
    assert np.ptp([batch.mean() for batch in losses]) > 1e-3 * expected


@pytest.mark.parametrize(("protocol", "scored"), [("published", 100), ("corrected", 169)])
def test_scores_are_those_of_torchs_lstm_with_a_fresh_state(folder, protocol, scored):
    mine = task(folder, protocol)
    mine.step(next(iter(mine.batches([order_generator(1, 0, 1)]))))  # leaves a state that must not enter the scores
    run = reference(mine)
    losses = []
    for part in (mine.data.validation, mine.data.test):
        values = in_time(part[:scored])
        losses.append(mse_loss(run(values[:-1])[0], values[1:]).item())
    assert [mine.validate()[0]["loss"], mine.test()[0]["loss"]] == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize(("protocol", "layers"), [("published", 1), ("corrected", 1), ("corrected", 2)])
def test_the_closed_loop_is_that_of_torchs_lstm(folder, protocol, layers):
    mine = task(folder, protocol, layers=layers)
    run = reference(mine)
    true = [1, 1]
    while len(true) < 2000:
        true.append((true[-1] + true[-2]) % 5)
    known, state = [float(value) for value in true[1800:1830]], None
    for _ in range(120):
        if protocol == "corrected":
            state = None
        for value in known[-30:]:  # one value at a time, as the public code does
            prediction, state = run(torch.tensor([[[value]]]), state)
        known.append(prediction.item())
    scores = mine.test()[0]
    assert scores["closed_loop"] == pytest.approx(known[30:], abs=2e-5)
    assert all(round(value, 5) == value for value in scores["closed_loop"])
    assert mine.data.closed_loop_truth == true[1830:1950]
    rmse = np.sqrt(np.mean(np.square(np.subtract(known[30:], true[1830:1950]))))
    assert scores["closed_loop_rmse"] == pytest.approx(rmse, rel=1e-4)


@pytest.mark.parametrize(
    ("protocol", "acts", "in_loop"),
    [("published", True, True), ("what_if", True, False), ("corrected", False, False)],
)
def test_dropout_acts_in_published_validation_and_in_the_published_closed_loop(folder, protocol, acts, in_loop):
    mine = task(folder, protocol, layers=2)
    losses = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        losses.add(mine.validate()[0]["loss"])
    assert len(losses) == 1 + acts
    tested = mine.test()
    torch.manual_seed(3)
    assert mine.test() == tested
    other = task(folder, protocol, layers=2, seed=2)  # another repeat draws other masks
    other.model.load_state_dict(mine.model.state_dict())
    assert (other.test()[0]["loss"] != tested[0]["loss"]) is acts
    assert (other.test()[0]["closed_loop"] != tested[0]["closed_loop"]) is in_loop
    assert mine.model.recurrent.dropout == 0.3  # as trained, whatever the loop had


@pytest.mark.parametrize("cell", CELLS)
def test_the_initial_weights_are_chainers(cell):
    model = SequencePredictor(cell, 200, 2, 0.3)
    model.start(torch.Generator().manual_seed(0))
    deviations = {"weight_ih_l0": 1.0, "weight_hh_l0": 200**-0.5, "weight_ih_l1": 200**-0.5, "weight_hh_l1": 200**-0.5}
    for name, parameter in model.recurrent.named_parameters():
        assert parameter.std().item() == pytest.approx(deviations.get(name, 0), rel=0.1), name
        assert parameter.mean().item() == pytest.approx(0, abs=0.2 * deviations.get(name, 0)), name
    assert model.output.weight.std().item() == pytest.approx(0.01, rel=0.15)
    assert model.output.bias.item() == 0
    gates = CELLS[cell].gates
    assert parameter_count(model) == gates * 200 * ((1 + 200 + 2) + (200 + 200 + 2)) + 201


@pytest.mark.parametrize("cell", CELLS)
def test_a_few_epochs_learn_the_sequence(folder, cell, tmp_path):
    mine = task(folder, "corrected", cell, learning_rate=0.02, hidden_size=24, batch_size=50)
    fitted = fit(mine, Pack(cell, 1, [0], 6, tmp_path / "checkpoint.pt"), lambda *_: None)
    assert fitted.curves[0][-1]["validation_loss"] < 0.2 * np.var(mine.data.validation)  # the mean would leave it all


def test_published_without_a_full_batch_is_said_in_one_line(folder):
    task(folder, "corrected", batch_size=1770)
    with pytest.raises(InputError, match=r"^batch_size 1770 must be at most 1769, the training windows$"):
        task(folder, "published", batch_size=1770)
