"""bits, as latch and relay: arms, batches, and scores recomputed with torch's own layers, a repeat at a time."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from stages.kinds import bits
from stages.kinds.bits.task import Data, Task
from stages.nn.cells import CELLS
from stages.studies import arms
from stages.synthetic.bits import write_sequences, write_splits
from stages.training.seeds import order_generator
from tests.reference import layer_of

TRAINING = bits.Training(
    repeats="4-6", repeats_at_once=3, hidden_size=3, batch_size=16, learning_rate=0.01, epochs=2, lengths=[2, 7]
)
REPEATS = [4, 5, 6]


@pytest.fixture(params=["latch", "relay"])
def made(request, tmp_path):
    write_sequences(tmp_path, request.param, seed=1, sequences=200, longest=10, noise=0.1)
    write_splits(tmp_path, tmp_path / "ready", 0.2)
    return request.param, Data(tmp_path / "ready")


def task(made, cell, protocol="what_if", length=7, repeats=REPEATS):
    """By default with today's cells on the broken split."""
    study, data = made
    found = arms(study, bits, cell, TRAINING, ("published", "corrected", "what_if"))
    (arm,) = [arm for arm in found if (arm.setting, arm.protocols) == (str(length), (protocol,))]
    return Task(data, arm.hyperparameters, 1, repeats, torch.device("cpu"))


def test_every_length_has_an_arm_under_each_protocol(made):
    assert [(arm.setting, arm.slug, arm.sweep) for arm in arms(made[0], bits, "rnn", TRAINING)] == [
        ("2", "2-published", "length"),
        ("2", "2-corrected", "length"),
        ("7", "7-published", "length"),
        ("7", "7-corrected", "length"),
    ]


def test_each_repeat_sees_every_training_sequence_once_in_its_own_order(made):
    mine = task(made, "rnn")
    orders = [order_generator(1, repeat, 1) for repeat in REPEATS]
    batches = list(mine.batches(orders))
    sequences = torch.cat([batch[0] for batch in batches], 2).squeeze(-1)  # (time, repeats, sequences)
    trained = made[1].train.of_length(7)[made[1].split["published"][0]].t()
    assert sequences.shape == (7, 3, 160)
    for repeat in range(3):
        assert (sequences[:, repeat].sort(1).values == trained.sort(1).values).all()
    assert not (sequences[:, 0] == sequences[:, 1]).all()


def test_latch_as_published_is_its_first_version_which_had_no_gru():
    for cell in ("rnn", "lstm"):
        (arm,) = [arm for arm in arms("latch", bits, cell, TRAINING) if arm.slug == "7-published"]
        h = arm.hyperparameters
        assert (h.split, h.keras2, h.epochs, TRAINING.epochs) == ("published", True, 5, 2)
    assert {arm.protocols for arm in arms("latch", bits, "gru", TRAINING)} == {("corrected",)}


def test_relay_as_published_has_keras_21s_cells_on_the_repaired_split():
    for cell, name in (("gru", "gru.keras2"), ("lstm", "lstm.keras2"), ("rnn", "rnn")):
        (arm,) = [arm for arm in arms("relay", bits, cell, TRAINING) if arm.slug == "7-published"]
        assert (arm.hyperparameters.split, arm.hyperparameters.keras2) == ("corrected", True)
        assert CELLS[f"{cell}.keras2"].name == name


def alone(mine, repeat, sequences):
    """Outputs (sequences, 2) of one repeat by torch's own layers."""
    weights = {name: value[repeat] for name, value in mine.model.state_dict().items()}
    layer = layer_of(mine.model.cell.name, 1, 3)
    layer.load_state_dict({f"{name}_l0": weights[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")})
    outputs, _ = layer(sequences.t().unsqueeze(-1))
    return torch.nn.functional.linear(outputs[-1], weights["output_weight"], weights["output_bias"])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("protocol", ["what_if", "corrected"])
def test_scores_are_those_of_each_repeat_alone(made, cell, protocol):
    mine = task(made, cell, protocol)
    data = made[1]
    split = data.split["corrected" if protocol == "corrected" else "published"]
    parts = {
        "validate": (data.train.of_length(7), data.train.labels, split[1]),
        "test": (data.test.of_length(7), data.test.labels, np.arange(200)),
    }
    for name, (sequences, labels, chosen) in parts.items():
        scored = getattr(mine, name)()
        for repeat in range(3):
            with torch.no_grad():
                outputs = alone(mine, repeat, sequences[chosen])
            assert scored[repeat]["loss"] == pytest.approx(cross_entropy(outputs, labels[chosen]).item(), rel=1e-4)
            right = (outputs.argmax(1) == labels[chosen]).double().mean().item()
            assert scored[repeat]["accuracy"] == pytest.approx(right)


def test_a_repeat_starts_and_is_ordered_as_it_is_alone(made):
    together, single = task(made, "lstm"), task(made, "lstm", repeats=[5])
    for name, value in single.model.state_dict().items():
        assert (together.model.state_dict()[name][1] == value[0]).all()
    orders = [order_generator(1, repeat, 1) for repeat in REPEATS]
    pairs = zip(together.batches(orders), single.batches([order_generator(1, 5, 1)]), strict=True)
    assert all((many[0][:, 1] == one[0][:, 0]).all() for many, one in pairs)


@pytest.mark.parametrize("made", ["latch"], indirect=True)
def test_a_latch_of_length_two_is_learnt(made):
    mine = task(made, "gru", "corrected", length=2)
    for epoch in range(1, 31):
        for batch in mine.batches([order_generator(1, repeat, epoch) for repeat in REPEATS]):
            mine.optimizer.zero_grad()
            mine.step(batch).loss.sum().backward()
            mine.optimizer.step()
    assert min(score["accuracy"] for score in mine.test()) > 0.95
