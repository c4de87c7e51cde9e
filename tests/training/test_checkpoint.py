"""A checkpoint is read back as it was written, or not at all; nothing else is ever read as code."""

import pickle

import pytest
import torch

from stages.training import checkpoint


def trained(optimizer, **settings):
    torch.manual_seed(1)
    model = torch.nn.LSTM(3, 2)
    optimizer = optimizer(model.parameters(), **settings)
    for _ in range(3):
        model(torch.randn(4, 1, 3))[0].sum().backward()
        optimizer.step()
    return model, optimizer


OPTIMIZERS = [
    (torch.optim.Adam, {"lr": 0.1, "betas": (0.8, 0.9)}),
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (torch.optim.Adagrad, {"lr": 0.1}),
    (torch.optim.RMSprop, {"lr": 0.1, "centered": True}),
]


@pytest.mark.parametrize(("optimizer", "settings"), OPTIMIZERS)
def test_training_goes_on_in_the_same_bytes(tmp_path, optimizer, settings):
    model, before = trained(optimizer, **settings)
    curves = [[{"epoch": 1, "loss": 0.1 + 0.2}]]
    checkpoint.save(
        tmp_path / "a",
        {"epoch": 3, "curves": curves, "model": model.state_dict(), "optimizer": before.state_dict(), "best": {}},
    )
    state = checkpoint.load(tmp_path / "a")
    assert (state["epoch"], state["curves"], state["best"]) == (3, curves, {})
    other = torch.nn.LSTM(3, 2)
    after = optimizer(other.parameters(), **settings)
    other.load_state_dict(state["model"])
    after.load_state_dict(state["optimizer"])
    for net, steps in ((model, before), (other, after)):
        torch.manual_seed(2)
        steps.zero_grad()
        net(torch.randn(4, 1, 3))[0].sum().backward()
        steps.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_any_damage_gives_the_checkpoint_before_and_damage_to_both_gives_none(tmp_path, capsys):
    path = tmp_path / "key.safetensors"
    for epoch in (1, 2):
        checkpoint.save(path, {"epoch": epoch, "model": {"w": torch.arange(20.0)}})
    path.write_bytes(path.read_bytes()[:-1])  # tests/faults has all other kinds of damage
    assert checkpoint.load(path)["epoch"] == 1
    assert "key.safetensors is damaged" in capsys.readouterr().err
    (tmp_path / "key.before.safetensors").write_bytes(b"")
    assert checkpoint.load(path) is None
    checkpoint.remove(path)
    assert list(tmp_path.iterdir()) == []


def test_a_kill_between_two_checkpoints_leaves_the_one_before(tmp_path):
    path = tmp_path / "key.safetensors"
    checkpoint.save(path, {"epoch": 1})
    path.rename(tmp_path / "key.before.safetensors")  # as far as `save` comes before its last step
    assert checkpoint.load(path) == {"epoch": 1}


def test_a_pickle_is_never_read(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("code of a checkpoint was run",))

    (tmp_path / "a").write_bytes(pickle.dumps(Trap()))
    assert checkpoint.load(tmp_path / "a") is None
    torch.save({"epoch": 1}, tmp_path / "a")
    assert checkpoint.load(tmp_path / "a") is None
