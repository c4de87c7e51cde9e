"""All engines are one function: checked in float64 against each other, against torch, and against properties."""

import copy

import pytest
import torch
from torch.nn import functional as F

from benchmarks.measure import kernel_name
from stages.nn.cells import CELLS, Cell
from stages.nn.engines import ENGINES, engine_for
from stages.nn.loops.padded import run_padded
from stages.nn.recurrent import Recurrent
from stages.training.device import products_in


def minimal_gated_step(projection, state, weight_hh, bias_hh):
    """The minimal gated unit of Zhou et al. 2016: one gate that forgets and lets in, before the matrix product."""
    (h,) = state
    x_f, x_n = projection.chunk(2, -1)
    (w_f, w_n), (b_f, b_n) = weight_hh.chunk(2), bias_hh.chunk(2)
    f = torch.sigmoid(x_f + F.linear(h, w_f, b_f))
    n = torch.tanh(x_n + F.linear(f * h, w_n, b_n))
    return ((1 - f) * h + f * n,)


ADDED = Cell("minimal", gates=2, states=1, step=minimal_gated_step)
ALL_CELLS = [*CELLS.values(), CELLS["lstm.keras2"], CELLS["gru.keras2"], ADDED]
TIME, BATCH, FEATURES, HIDDEN = 9, 5, 4, 3
LENGTHS = torch.tensor([7, 1, 5, 9, 2])
VALID = (torch.arange(TIME).unsqueeze(1) < LENGTHS).unsqueeze(-1)


def filled(cell, layers=1, bidirectional=False, engine="padded", dropout=0.0, seed=0):
    net = Recurrent(cell, FEATURES, HIDDEN, layers, dropout, bidirectional, engine).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.uniform_(-1, 1, generator=generator)
    return net


def random(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def outputs_and_gradients(net, lengths):
    """Every result of both ways to call a net, and the gradient of a random mix of them in everything."""
    dtype = next(net.parameters()).dtype
    inputs = random(TIME, BATCH, FEATURES).to(dtype).requires_grad_()
    shape = (net.layers * net.directions, BATCH, HIDDEN)
    state = tuple(random(*shape, seed=10 + i).to(dtype).requires_grad_() for i in range(net.cell.states))
    outputs, final = net(inputs, lengths, state)
    results = [outputs, *final, net.last_state(inputs, lengths)]
    mix = sum((result * random(*result.shape, seed=20 + i).to(dtype)).sum() for i, result in enumerate(results))
    return [*results, *torch.autograd.grad(mix, [inputs, *net.parameters(), *state])]


@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_all_engines_give_the_same_outputs_and_gradients(cell, layers, bidirectional):
    for lengths in (LENGTHS, None):
        results = {
            engine: outputs_and_gradients(filled(cell, layers, bidirectional, engine), lengths) for engine in ENGINES
        }
        for engine in ("padded", "packed"):
            for expected, actual in zip(results["stepwise"], results[engine], strict=True):
                torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", CELLS.values(), ids=lambda cell: cell.name)
def test_engines_drop_the_same_values_between_layers(cell):
    """Else a checkpoint would not hold all that decides how training goes on."""
    results = {}
    for engine in ENGINES:
        torch.manual_seed(3)
        results[engine] = outputs_and_gradients(filled(cell, 3, True, engine, dropout=0.5), None)
    without = outputs_and_gradients(filled(cell, 3, True), None)
    for engine in ("padded", "packed"):
        for expected, actual in zip(results["stepwise"], results[engine], strict=True):
            torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)
    assert not torch.allclose(results["stepwise"][0], without[0])


@pytest.mark.parametrize("cell", [cell for cell in CELLS.values() if cell.layer], ids=lambda cell: cell.name)
def test_parameters_are_named_and_laid_out_as_in_torchs_layer(cell):
    net = filled(cell, layers=2, bidirectional=True)
    layer = cell.layer(FEATURES, HIDDEN, 2, bidirectional=True).double()
    layer.load_state_dict(net.state_dict())
    expected, final = layer(random(TIME, BATCH, FEATURES))
    outputs, state = net(random(TIME, BATCH, FEATURES))
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    for actual, of_torch in zip(state, final if isinstance(final, tuple) else (final,), strict=True):
        torch.testing.assert_close(actual, of_torch, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS.values(), ids=lambda cell: cell.name)
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_by_hand_agree_with_finite_differences(cell, reverse):
    rows = cell.gates * HIDDEN
    shapes = [(4, 2, FEATURES), (rows, FEATURES), (rows, HIDDEN), (rows,), (rows,), *[(2, HIDDEN)] * cell.states]
    arguments = [random(*shape, seed=i).requires_grad_() for i, shape in enumerate(shapes)]

    def run(inputs, *rest):
        return run_padded(cell, inputs, rest[:4], rest[4:], torch.tensor([4, 3]), reverse)

    assert torch.autograd.gradcheck(run, arguments, atol=1e-8)


@pytest.mark.parametrize("cell", CELLS.values(), ids=lambda cell: cell.name)
def test_the_compiled_loop_in_float32_is_as_close_to_float64_as_the_definition_in_float32(cell):
    inputs = random(50, BATCH, FEATURES)
    exact, _ = filled(cell)(inputs)
    errors = {
        engine: (filled(cell, engine=engine).float()(inputs.float())[0] - exact).abs().max()
        for engine in ("padded", "stepwise")
    }
    assert errors["padded"] < 2 * errors["stepwise"] + 1e-6


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.name)
def test_padding_is_zero_in_the_outputs_and_influences_nothing(cell, engine):
    net = filled(cell, layers=2, bidirectional=True, engine=engine)
    inputs = random(TIME, BATCH, FEATURES)
    results = []
    for padding in (0.0, 1000.0):
        padded = torch.where(VALID, inputs, padding).requires_grad_()
        outputs, state = net(padded, LENGTHS)
        assert (outputs[~VALID.squeeze(-1)] == 0).all()
        total = outputs.square().sum() + sum(tensor.sum() for tensor in state) + net.last_state(padded, LENGTHS).sum()
        gradients = torch.autograd.grad(total, [padded, *net.parameters()])
        assert (gradients[0][~VALID.squeeze(-1)] == 0).all()
        results.append([outputs, *state, *gradients])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.name)
def test_a_carried_state_continues_the_sequence(cell, engine):
    net = filled(cell, layers=2, engine=engine)
    inputs = random(TIME, BATCH, FEATURES)
    whole, final = net(inputs)
    first, state = net(inputs[:4])
    second, last = net(inputs[4:], state=state)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-12)
    for actual, expected in zip(last, final, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_dropout_is_between_layers_at_its_rate_and_in_training_only(engine):
    # The first layer puts out tanh(1) everywhere, the second tanh of what reaches it: a zero is a dropped value.
    hidden, rate = 40, 0.3
    net = Recurrent(CELLS["rnn"], 2, hidden, layers=2, dropout=rate, engine=engine)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.bias_ih_l0.fill_(1)
        net.weight_ih_l1.copy_(torch.eye(hidden))
    arrives = torch.tanh(torch.tensor(1.0))
    lengths = torch.full((20,), 50)
    inputs = torch.zeros(50, 20, 2)

    torch.manual_seed(0)
    outputs, _ = net(inputs, lengths)
    dropped = outputs == 0
    assert dropped.float().mean().item() == pytest.approx(rate, abs=5 * (rate * (1 - rate) / outputs.numel()) ** 0.5)
    torch.testing.assert_close(outputs[~dropped], torch.tanh(arrives / (1 - rate)).expand(int((~dropped).sum())))
    again, _ = net(inputs, lengths)
    assert not torch.equal(again, outputs)
    torch.manual_seed(0)
    same, _ = net(inputs, lengths)
    assert torch.equal(same, outputs)

    net.eval()
    torch.testing.assert_close(net(inputs, lengths)[0], torch.tanh(arrives).expand_as(outputs))


def test_a_single_layer_has_nothing_to_drop_between():
    for engine in ENGINES:
        net = filled(CELLS["gru"], engine=engine, dropout=0.9)
        inputs = random(TIME, BATCH, FEATURES)
        torch.testing.assert_close(net(inputs, LENGTHS)[0], net.eval()(inputs, LENGTHS)[0])


def test_torchs_layer_follows_its_parameters():
    net = filled(CELLS["lstm"], layers=2, bidirectional=True, engine="packed")
    inputs = random(TIME, BATCH, FEATURES)
    before = net(inputs, LENGTHS)[0]
    twin = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(2)
    torch.testing.assert_close(net(inputs, LENGTHS)[0], before)
    assert not torch.allclose(twin(inputs, LENGTHS)[0], before)
    assert net.float()(inputs.float(), LENGTHS)[0].dtype == torch.float32
    assert len(list(net.parameters())) == 16


@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("lengths", [LENGTHS, None], ids=["padded", "of one length"])
def test_float32_is_near_float64_in_every_engine(cell, lengths):  # torch's fused layers are there for float32 alone
    exact = outputs_and_gradients(filled(cell, 2, engine="stepwise"), lengths)
    for engine in ENGINES:
        found = outputs_and_gradients(filled(cell, 2, engine=engine).float(), lengths)
        assert {part.dtype for part in found} == {torch.float32}
        for mine, expected in zip(found, exact, strict=True):
            torch.testing.assert_close(mine.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", ALL_CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("lengths", [LENGTHS, None], ids=["padded", "of one length"])
def test_bfloat16_rounds_products_and_nothing_that_comes_out(cell, engine, lengths):
    net = filled(cell, 2, engine=engine).float()
    exact = outputs_and_gradients(net, lengths)
    with products_in("bfloat16", torch.device("cpu")):
        found = outputs_and_gradients(net, lengths)
    assert {part.dtype for part in found} == {torch.float32}
    apart = [((mine - right).norm() / right.norm()).item() for mine, right in zip(found, exact, strict=True)]
    assert max(apart) < 0.05  # eight bits a factor
    assert min(apart) > 1e-5  # float32 would be below 1e-6


def test_engines_are_chosen_by_device_and_named():
    lstm, gru = CELLS["lstm"], CELLS["gru"]
    assert [engine_for("cuda", cell) for cell in (lstm, gru)] == ["packed", "packed"]
    assert [engine_for("cpu", cell) for cell in (lstm, gru)] == ["padded", "padded"]
    assert [engine_for("cpu", cell, one_length=True) for cell in (lstm, gru)] == ["packed", "padded"]
    assert kernel_name(CELLS["gru"], "packed", "cuda") == "cuDNN"
    assert kernel_name(ADDED, "packed", "cuda") == kernel_name(ADDED, "padded", "cpu") == "step by step, autograd"
    with pytest.raises(ValueError, match=r"'fast'.*padded, packed, stepwise"):
        Recurrent(ADDED, 1, 1, engine="fast")
