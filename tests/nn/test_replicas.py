"""Replicas are the nets that they stand for: checked in float64 against torch's layers, alone and through training."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from stages.nn.cells import CELLS, Cell
from stages.nn.keras import start_as_keras
from stages.nn.loops.replicas import LANES
from stages.nn.replicas import ENGINES, Replicas, sum_of_losses, train_epoch
from tests.reference import layer_of

ALL_CELLS = pytest.mark.parametrize("cell", CELLS)
VARIANTS = ["lstm.keras2", "gru.keras2"]
SHAPES = [  # replicas, input, hidden, output, batch, time
    (3, 1, 1, 2, LANES, 7),
    (2, 1, 1, 1, 5, 1),
    (4, 2, 8, 2, 2 * LANES + 5, 12),
    (2, 3, 5, 1, 1, 40),
    (1, 1, 40, 1, 10, 3),
]


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def filled(cell, replicas, inputs, hidden, outputs, engine="kernel"):
    """Replicas with random weights: a trained net's biases are not zero."""
    model = Replicas(cell, replicas, inputs, hidden, outputs, engine).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in trained(model):
            parameter.uniform_(-1, 1, generator=generator)
    return model


def trained(module):
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def random(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Alone(nn.Module):
    """One replica as torch would have it: its layer and a linear output."""

    def __init__(self, model, replica):
        super().__init__()
        self.layer = layer_of(model.cell.name, model.input_size, model.hidden_size).double()
        self.output = nn.Linear(model.hidden_size, model.output_size).double()
        self.load_state_dict(
            {
                "layer.weight_ih_l0": model.weight_ih[replica],
                "layer.weight_hh_l0": model.weight_hh[replica],
                "layer.bias_ih_l0": model.bias_ih[replica],
                "layer.bias_hh_l0": model.bias_hh[replica],
                "output.weight": model.output_weight[replica],
                "output.bias": model.output_bias[replica],
            }
        )
        self.layer.bias_hh_l0.requires_grad_(model.bias_hh.requires_grad)

    def forward(self, inputs):
        return self.output(self.layer(inputs)[0])

    def last(self, inputs):
        return self.forward(inputs)[-1]


def results(module, call, inputs, mix):
    """Outputs, and the gradients of a random mix of them in the inputs and every trained parameter."""
    inputs = inputs.clone().requires_grad_()
    outputs = getattr(module, call)(inputs)
    return [outputs, *torch.autograd.grad((outputs * mix).sum(), [inputs, *trained(module)])]


@ALL_CELLS
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("call", ["forward", "last"])
def test_both_engines_are_torchs_layer_in_outputs_and_the_definition_in_all_gradients(cell, shape, call):
    replicas, features, hidden, outputs, batch, time = shape
    inputs = random(time, replicas, batch, features)
    mix = random(*([time] if call == "forward" else []), replicas, batch, outputs, seed=2)
    model = filled(cell, replicas, features, hidden, outputs)
    axis = 1 if call == "forward" else 0
    expected = [results(Alone(model, n), call, inputs[:, n], mix.select(axis, n)) for n in range(replicas)]
    axes = [axis, 1, *[0] * (len(expected[0]) - 2)]
    for index, actual in enumerate(results(model, call, inputs, mix)):
        torch.testing.assert_close(
            actual, torch.stack([one[index] for one in expected], axes[index]), rtol=0, atol=1e-10
        )
    with torch.no_grad():
        assert model.compiled
        compiled = getattr(model, call)(inputs)
    torch.testing.assert_close(compiled, torch.stack([one[0] for one in expected], axis), rtol=0, atol=1e-10)


@ALL_CELLS
@torch.no_grad()
def test_the_kernel_in_float32_is_as_close_to_float64_as_the_definition_in_float32(cell):
    inputs = random(50, 4, LANES, 1)
    exact = filled(cell, 4, 1, 8, 2)(inputs)
    errors = {
        engine: (filled(cell, 4, 1, 8, 2, engine).float()(inputs.float()) - exact).abs().max() for engine in ENGINES
    }
    assert errors["kernel"] < 2 * errors["stepwise"] + 1e-6


REPLICAS, SEQUENCES, TIME, BATCH, EPOCHS = 4, 24, 10, 5, 6  # 24 = 4 batches of 5, and one of 4
DATA, LABELS = random(SEQUENCES, TIME, 1), torch.arange(SEQUENCES) % 2
OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01, fused=True),
}


def started(cell, seeds, hidden):
    model = Replicas(cell, len(seeds), 1, hidden, 2).double()
    start_as_keras(model, generators(*seeds))
    return model


def train(model, seeds, optimizer, way="compiled"):
    """Epochs in each replica's own data order; returns the batches' losses (updates, replicas) of the last."""
    optimizer = OPTIMIZERS[optimizer](list(model.parameters()))
    orders = [np.random.default_rng(seed) for seed in seeds]
    for _ in range(EPOCHS):
        order = np.stack([order.permutation(SEQUENCES) for order in orders])
        if way == "compiled":
            losses, _ = train_epoch(model, optimizer, DATA, LABELS, order, BATCH)
        else:
            losses = np.stack(list(updates(model, optimizer, order, way == "alone")))
    return losses


def updates(model, optimizer, order, alone):
    """An epoch as torch trains it; a replica's loss is its batch's mean, as a study has it."""
    for start in range(0, SEQUENCES, BATCH):
        chosen = torch.from_numpy(order[:, start : start + BATCH])
        inputs, labels = DATA[chosen].permute(2, 0, 1, 3), LABELS[chosen]
        if alone:
            inputs, labels = inputs[:, 0], labels[0]
        losses = F.cross_entropy(model.last(inputs).flatten(0, -2), labels.flatten(), reduction="none")
        losses = losses.view(labels.shape).mean(-1)
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
        yield losses.detach().numpy()


@ALL_CELLS
@pytest.mark.parametrize("hidden", [1, 8])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_repeat_trained_in_a_pack_ends_with_the_weights_that_it_gets_alone(cell, hidden, optimizer, record_property):
    seeds = list(range(REPLICAS))
    together = started(cell, seeds, hidden)
    train(together, seeds, optimizer)
    apart = 0.0
    for n in seeds:
        alone = started(cell, [n], hidden)
        of_torch = Alone(alone, 0)
        before = alone.weight_hh.detach().clone()
        train(alone, [n], optimizer)
        train(of_torch, [n], optimizer, way="alone")
        assert (alone.weight_hh - before).abs().max() > 1e-3  # it did train
        for ours, mine, its in zip(together.parameters(), alone.parameters(), of_torch.parameters(), strict=True):
            assert torch.equal(ours[n], mine[0])
            apart = max(apart, (ours[n] - its).abs().max().item())
    record_property("weights_apart", apart)
    assert apart < 1e-10


@pytest.mark.parametrize("cell", [*CELLS, *VARIANTS])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_compiled_epochs_are_the_definitions_and_either_can_go_on_from_the_other(cell, optimizer):
    """Four ways through two epochs: weights, optimizer's state and losses are the same to rounding."""
    order = [np.stack([np.random.default_rng([e, n]).permutation(SEQUENCES) for n in range(2)]) for e in range(2)]
    ends = []
    for ways in (("torch", "torch"), ("compiled", "compiled"), ("torch", "compiled"), ("compiled", "torch")):
        model = started(cell, [0, 1], hidden=3)
        steps = OPTIMIZERS[optimizer](list(model.parameters()))
        for way, shuffled in zip(ways, order, strict=True):
            if way == "torch":
                losses = np.stack(list(updates(model, steps, shuffled, alone=False)))
            else:
                losses, _ = train_epoch(model, steps, DATA, LABELS, shuffled, BATCH)
        state = steps.state_dict()["state"]
        moments = [part.double() for of_one in state.values() for _, part in sorted(of_one.items())]
        ends.append([*model.parameters(), torch.from_numpy(losses), *moments])
    for other in ends[1:]:
        for ours, expected in zip(other, ends[0], strict=True):
            torch.testing.assert_close(ours, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("cell", [*CELLS, *VARIANTS])
@pytest.mark.parametrize("hidden", [2, 6])
@pytest.mark.parametrize("batch", [7, LANES + 4])
def test_numbers_at_every_step_are_learnt_as_the_definition_learns_them(cell, hidden, batch):
    inputs, targets = random(25, 6, 2), random(25, 6, 3, seed=3)
    order = np.stack([np.random.default_rng(n).permutation(25) for n in range(2)])
    models = []
    for engine in ENGINES:
        model = filled(cell, 2, 2, hidden, 3, engine)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        if model.compiled:
            losses, _ = train_epoch(model, optimizer, inputs, targets, order, batch)
        else:
            expected = []
            for start in range(0, 25, batch):
                chosen = torch.from_numpy(order[:, start : start + batch])
                error = model(inputs[chosen].permute(2, 0, 1, 3)) - targets[chosen].permute(2, 0, 1, 3)
                loss = error.square().mean((0, 2, 3))
                optimizer.zero_grad()
                loss.sum().backward()
                optimizer.step()
                expected.append(loss.detach().numpy())
        models.append(model)
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-11)
    for ours, definition in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(ours, definition, rtol=0, atol=1e-11)


def test_what_is_classified_right_is_counted_and_losses_are_summed_over_items():
    model = filled("gru", 3, 1, 2, 2)
    order = np.stack([np.random.default_rng(n).permutation(SEQUENCES) for n in range(3)])
    with torch.no_grad():  # a rate of nothing: every batch meets the same weights
        outputs = model.last(DATA.transpose(0, 1).unsqueeze(1).expand(-1, 3, -1, -1))
    losses, correct = train_epoch(model, torch.optim.SGD(model.parameters(), lr=0.0), DATA, LABELS, order, BATCH)
    assert correct.tolist() == (outputs.argmax(2) == LABELS).sum(1).tolist()
    expected = F.cross_entropy(outputs.flatten(0, 1), LABELS.repeat(3), reduction="none").view(3, -1).sum(1)
    np.testing.assert_allclose(sum_of_losses(losses, SEQUENCES, BATCH), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
        lambda parameters: torch.optim.Adam(parameters, lr=0.1, weight_decay=0.1),
        lambda parameters: torch.optim.RMSprop(parameters, lr=0.1),
    ],
)
def test_an_optimizer_that_the_loops_do_not_have_is_refused(optimizer):
    model = started("rnn", [0], hidden=1)
    with pytest.raises(ValueError, match="allowed are plain SGD and Adam"):
        train_epoch(model, optimizer(model.parameters()), DATA, LABELS, np.arange(SEQUENCES)[None], BATCH)


@ALL_CELLS
@pytest.mark.parametrize("hidden", [1, 5])
def test_keras_initialisation_has_kerass_distributions(cell, hidden):
    replicas, features, outputs = 2000, 3, 2
    model = Replicas(cell, replicas, features, hidden, outputs).double()
    start_as_keras(model, generators(*range(replicas)))
    gates = model.cell.gates
    for weight, fans in ((model.weight_ih, features + gates * hidden), (model.output_weight, hidden + outputs)):
        bound = math.sqrt(6 / fans)
        assert 0.999 * bound < weight.abs().max() <= bound
        torch.testing.assert_close(weight.std().item(), bound / math.sqrt(3), rtol=0.02, atol=0)
        assert weight.mean().abs() < 0.03 * bound
    columns = model.weight_hh.mT  # Keras's matrix: (units, gates * units)
    identity = torch.eye(hidden, dtype=torch.float64).expand(replicas, -1, -1)
    torch.testing.assert_close(columns @ columns.mT, identity, rtol=0, atol=1e-12)
    # a direction drawn uniformly: no coordinate is preferred, in sign or in size
    assert model.weight_hh.mean(0).abs().max() < 0.1
    torch.testing.assert_close(
        model.weight_hh.square().mean(0), torch.full_like(model.weight_hh[0], 1 / (gates * hidden)), rtol=0.2, atol=0
    )
    biases = model.bias_ih.unflatten(1, (gates, hidden))
    for gate in range(gates):
        assert (biases[:, gate] == (gate == model.cell.forget_gate)).all()
    assert not model.bias_hh.any()
    assert not model.output_bias.any()


def test_one_unit_starts_with_a_recurrent_weight_of_one_or_minus_one_and_the_lstms_four_are_a_unit_vector():
    starts = {}
    for cell in CELLS:
        starts[cell] = started(cell, range(200), hidden=1).weight_hh.squeeze(2)
    assert set(starts["rnn"].flatten().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(starts["lstm"].norm(dim=1), torch.ones(200, dtype=torch.float64), rtol=0, atol=1e-12)


@ALL_CELLS
def test_a_replicas_start_is_the_same_in_every_pack(cell):
    pack, alone = started(cell, [3, 1, 2], hidden=4), started(cell, [2], hidden=4)
    for ours, mine in zip(pack.parameters(), alone.parameters(), strict=True):
        assert torch.equal(ours[2], mine[0])
    with pytest.raises(ValueError, match="zip"):
        start_as_keras(pack, generators(0))


@pytest.mark.parametrize(
    ("cell", "counted", "of_torch"), [("lstm", 6761, 6921), ("gru", 5201, 5201), ("rnn", 1721, 1761)]
)
def test_parameters_are_counted_as_the_document_counts_them(cell, counted, of_torch):
    model = Replicas(cell, 1, 1, 40, 1)
    assert sum(parameter.numel() for parameter in trained(model)) == counted
    assert sum(parameter.numel() for parameter in Alone(model, 0).parameters()) == of_torch


@ALL_CELLS
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_second_bias_that_only_adds_to_the_first_stays_zero(cell, optimizer):
    model = started(cell, [0, 1], hidden=3)
    train(model, [0, 1], optimizer)
    assert model.bias_hh.any() == CELLS[cell].recurrent_bias


@torch.no_grad()
def test_a_cell_without_scalars_goes_step_by_step():
    inputs = random(4, 2, 3, 1)
    expected = filled("gru", 2, 1, 3, 1, "stepwise")(inputs)
    plain: Cell = dataclasses.replace(CELLS["gru"], scalars=None)
    assert torch.equal(filled(plain, 2, 1, 3, 1)(inputs), expected)


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="engine 'padded': allowed are kernel, stepwise"):
        Replicas("rnn", 1, 1, 1, 1, engine="padded")
