import pytest
import torch

from stages.nn.dropout import Dropout, dropout


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_rate_and_scale(rate):
    values = torch.ones(401, 499)
    torch.manual_seed(3)
    kept = dropout(values, rate, training=True)
    zero = (kept == 0).float().mean().item()
    assert zero == pytest.approx(rate, abs=5 * (rate * (1 - rate) / values.numel()) ** 0.5)
    assert kept[kept != 0].unique().item() == pytest.approx(1 / (1 - rate))


def test_neighbours_are_independent():
    torch.manual_seed(4)
    dropped = (dropout(torch.ones(200_000), 0.5, training=True) == 0).double() - 0.5
    for lag in (1, 2, 3, 64, 100):
        assert abs((dropped[lag:] * dropped[:-lag]).mean().item()) < 5 * 0.25 / len(dropped) ** 0.5


def test_the_gradient_passes_where_the_value_did():
    values = torch.full((1000,), 3.0, requires_grad=True)
    result = dropout(values, 0.4, training=True)
    result.sum().backward()
    torch.testing.assert_close(values.grad, result.detach() / 3)


def test_nothing_happens_outside_training_or_at_rate_zero():
    values = torch.randn(10)
    assert torch.equal(Dropout(0.5).eval()(values), values)
    assert torch.equal(Dropout(0.0)(values), values)


def test_a_checkpoint_of_torchs_generator_restores_the_masks():
    module = Dropout(0.5)
    state = torch.get_rng_state()
    first = [module(torch.ones(7, 3)) for _ in range(2)]
    torch.set_rng_state(state)
    assert all(torch.equal(module(torch.ones(7, 3)), before) for before in first)
    assert not torch.equal(*first)


def test_a_rate_of_one_is_refused():
    with pytest.raises(ValueError, match="dropout 1"):
        dropout(torch.ones(2), 1.0, training=True)
