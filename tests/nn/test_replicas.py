"""Replicas: kernels, the cell's step and torch's own layers give the same numbers; a pack trains as each one alone."""

import pytest
import torch
from torch import nn

from stages.nn.cells import CELLS
from stages.nn.initialise import initialise_as_keras
from stages.nn.models import parameter_count
from stages.nn.replicas import Replicas

KERNELS = [name for name, cell in CELLS.items() if cell.kernel is not None]


def made(cell, seeds=(0, 1, 2), hidden=3, outputs=2, inputs=1, engine="kernel"):
    model = Replicas(cell, len(seeds), inputs, hidden, outputs, engine)
    initialise_as_keras(model, [torch.Generator().manual_seed(seed) for seed in seeds])
    return model.double()


class Alone(nn.Module):
    """One replica as torch's own layer and output: the independent second implementation."""

    def __init__(self, model, replica):
        super().__init__()
        weights = {name: value[replica] for name, value in model.state_dict().items()}
        self.layer = model.cell.layer(model.input_size, model.hidden_size).double()
        self.layer.load_state_dict(
            {f"{name}_l0": weights[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        )
        self.layer.bias_hh_l0.requires_grad_(model.cell.recurrent_bias)
        self.output = nn.Linear(model.hidden_size, model.output_size).double()
        self.output.load_state_dict({"weight": weights["output_weight"], "bias": weights["output_bias"]})

    def forward(self, inputs):
        return self.output(self.layer(inputs)[0])

    def by_name(self, gradients=False):
        named = {name.removesuffix("_l0"): value for name, value in self.layer.named_parameters()}
        named |= {f"output_{name}": value for name, value in self.output.named_parameters()}
        return {name: value.grad if gradients else value for name, value in named.items()}


@pytest.mark.parametrize("cell", KERNELS)
@pytest.mark.parametrize(
    ("hidden", "time", "batch", "inputs"), [(1, 1, 16, 1), (1, 9, 5, 1), (8, 12, 16, 1), (40, 4, 10, 1), (3, 7, 33, 2)]
)
def test_outputs_and_gradients_are_those_of_the_step_and_of_torchs_layer(cell, hidden, time, batch, inputs):
    sequences = torch.randn(time, 3, batch, inputs, generator=torch.Generator().manual_seed(9), dtype=torch.double)
    weigh = torch.randn(time, 3, batch, 2, generator=torch.Generator().manual_seed(8), dtype=torch.double)
    kernel, stepwise = (made(cell, hidden=hidden, inputs=inputs, engine=engine) for engine in ("kernel", "stepwise"))
    given = [sequences.clone().requires_grad_() for _ in range(3)]
    outputs = [model(values) for model, values in zip((kernel, stepwise), given, strict=False)]
    alone = [Alone(kernel, replica) for replica in range(3)]
    outputs.append(torch.stack([net(given[2][:, replica]) for replica, net in enumerate(alone)], 1))
    for result in outputs:
        (result * weigh).sum().backward()
    for other in (1, 2):
        assert torch.allclose(outputs[0], outputs[other], rtol=0, atol=1e-10)
        assert torch.allclose(given[0].grad, given[other].grad, rtol=0, atol=1e-10)
    for name, parameter in kernel.named_parameters():
        if parameter.requires_grad:
            by_torch = torch.stack([net.by_name(gradients=True)[name] for net in alone])
            assert torch.allclose(parameter.grad, by_torch, rtol=0, atol=1e-10), name
            assert torch.allclose(parameter.grad, stepwise.get_parameter(name).grad, rtol=0, atol=1e-10), name


@pytest.mark.parametrize("cell", KERNELS)
@pytest.mark.parametrize("engine", ["kernel", "stepwise"])
def test_the_last_output_is_the_last_of_all_and_so_is_its_gradient(cell, engine):
    sequences = torch.randn(6, 3, 18, 1, dtype=torch.double)
    first, second = (made(cell, engine=engine) for _ in range(2))
    first.last(sequences).square().sum().backward()
    second(sequences)[-1].square().sum().backward()
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        assert one.grad is None or torch.allclose(one.grad, other.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", KERNELS)
def test_gradients_are_those_of_finite_differences(cell):
    model = made(cell, seeds=(0, 1), hidden=2)
    sequences = torch.randn(4, 2, 3, 1, dtype=torch.double, requires_grad=True)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    values = [model.get_parameter(name).detach().clone().requires_grad_() for name in names]

    def run(inputs, *weights):
        return torch.func.functional_call(model, dict(zip(names, weights, strict=True)), (inputs,))

    assert torch.autograd.gradcheck(run, (sequences, *values))


@pytest.mark.parametrize("cell", KERNELS)
def test_float32_kernels_stay_near_float64s(cell):
    model = made(cell, hidden=8)
    sequences = torch.randn(200, 3, 16, 1, dtype=torch.double)
    with torch.no_grad():
        exact, single = model(sequences), model.float()(sequences.float())
    assert (exact - single).abs().max() < 1e-4


def train(forward, parameters, optimizer, sequences, labels, orders):
    """Some epochs; `sequences` (sequences, time), each replica in its own order; the loss is summed over replicas."""
    stepper = optimizer([p for p in parameters if p.requires_grad])
    for epoch_orders in orders:
        for start in range(0, len(labels), 8):
            chosen = epoch_orders[:, start : start + 8]
            outputs = forward(sequences[chosen].permute(2, 0, 1).unsqueeze(-1))
            losses = nn.functional.cross_entropy(outputs.flatten(0, 1), labels[chosen].flatten(), reduction="none")
            stepper.zero_grad()
            losses.view(chosen.shape).mean(1).sum().backward()
            stepper.step()


OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, fused=True),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01, fused=True),
}


@pytest.mark.parametrize("cell", KERNELS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_repeat_trained_in_a_pack_ends_with_the_weights_that_it_gets_alone(cell, optimizer):
    generator = torch.Generator().manual_seed(3)
    sequences = torch.randn(40, 12, generator=generator, dtype=torch.double)
    labels = (sequences[:, 0] > 0).long()
    orders = [torch.stack([torch.randperm(40, generator=generator) for _ in range(4)]) for _ in range(5)]
    pack = made(cell, seeds=range(4))
    train(pack.last, pack.parameters(), OPTIMIZERS[optimizer], sequences, labels, orders)
    moved = (pack.weight_hh - made(cell, seeds=range(4)).weight_hh).abs().max()
    assert moved > 1e-3
    for replica in range(4):
        mine = [epoch[replica : replica + 1] for epoch in orders]
        single = made(cell, seeds=[replica])
        by_torch = Alone(single, 0)
        train(single.last, single.parameters(), OPTIMIZERS[optimizer], sequences, labels, mine)
        train(
            lambda inputs, net=by_torch: net(inputs[:, 0])[-1][None],
            by_torch.parameters(),
            OPTIMIZERS[optimizer],
            sequences,
            labels,
            mine,
        )
        for name, packed in pack.named_parameters():
            assert torch.allclose(packed[replica], single.get_parameter(name)[0], rtol=0, atol=1e-10), name
            assert torch.allclose(packed[replica], by_torch.by_name()[name], rtol=0, atol=1e-10), name


def test_one_unit_starts_as_keras_makes_it():
    rnn, lstm = (made(cell, seeds=range(20), hidden=1) for cell in ("rnn", "lstm"))
    assert torch.allclose(rnn.weight_hh.abs(), torch.ones(20, 1, 1).double())
    assert set(rnn.weight_hh.sign().flatten().tolist()) == {-1.0, 1.0}
    assert torch.allclose(lstm.weight_hh.norm(dim=1), torch.ones(20, 1).double())


@pytest.mark.parametrize("cell", CELLS)
def test_initial_weights_have_keras_distributions(cell):
    model = made(cell, seeds=range(50), hidden=8)
    gates = CELLS[cell].gates
    identity = torch.eye(8).double()
    for weight in model.weight_hh:  # Keras's matrix is (units, gates * units): its rows are orthonormal
        assert torch.allclose(weight.mT @ weight, identity, atol=1e-5)
    limit = (6 / (1 + gates * 8)) ** 0.5
    assert 0.97 * limit < model.weight_ih.abs().max() <= limit
    assert model.weight_ih.std().item() == pytest.approx(limit / 3**0.5, rel=0.1)
    limit = (6 / (8 + 2)) ** 0.5
    assert 0.97 * limit < model.output_weight.abs().max() <= limit
    biases = model.bias_ih.unflatten(1, (gates, 8))
    ones = [gate for gate in range(gates) if (biases[:, gate] == 1).all()]
    assert ones == ([] if CELLS[cell].forget_gate is None else [CELLS[cell].forget_gate])
    assert biases.sum() == 50 * 8 * len(ones)
    assert not model.bias_hh.any()
    assert not model.output_bias.any()


def test_a_replicas_start_does_not_depend_on_its_pack():
    pack, single = made("gru", seeds=(4, 5, 6)), made("gru", seeds=[5])
    assert all((one[1] == other[0]).all() for one, other in zip(pack.parameters(), single.parameters(), strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_the_second_bias_is_trained_only_where_it_does_something(cell):
    model = made(cell, hidden=40, outputs=1, seeds=[0])
    frozen = parameter_count(model, frozen=True) - parameter_count(model)
    assert frozen == (0 if CELLS[cell].recurrent_bias else CELLS[cell].gates * 40)


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match=r"engine 'fast': allowed are kernel, stepwise"):
        Replicas("rnn", 1, 1, 1, 1, engine="fast")
