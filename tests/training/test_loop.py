"""The training loop, on a task small enough to compute by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from stages.support.process import StageError
from stages.training import checkpoint
from stages.training.loop import Pack, Step, fit


class Line:
    """Fit y = w x by SGD; validation scores are given, so that the choice can be predicted."""

    gradient_norm_limit = None
    chosen_by = "loss"
    train_items = train_tokens = 6

    def __init__(self, scores, x=(1.0, 2.0, 3.0), rate=0.01, momentum=0.9, noise=0.1):
        self.device = torch.device("cpu")
        self.model = nn.Linear(1, 1, bias=False)
        self.model.weight.data.fill_(0.0)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=rate, momentum=momentum)
        self.x = torch.tensor(x)
        self.scores = scores
        self.noise = noise
        self.epoch = 0
        self.improvements = []

    def batches(self, orders):
        (order,) = orders
        self.epoch += 1
        return [[i] for i in order.permutation(len(self.x))]

    def step(self, batch):
        x = self.x[batch][:, None]
        noise = torch.rand(1) * self.noise  # stands for dropout
        loss = ((self.model(x) - 2 * x - noise) ** 2).mean()
        return Step(loss[None], {"loss": loss.detach() * len(batch)}, len(batch))

    def validate(self):
        return [{"loss": self.scores[self.epoch - 1]}]

    def after_epoch(self, improved):
        self.improvements.append(improved)


def repeat(tmp_path, epochs, number=0):
    return Pack("toy/0", seed=1, repeats=[number], epochs=epochs, checkpoint=tmp_path / "key.pt")


def test_the_epoch_with_the_best_validation_is_kept(tmp_path):
    weights = []
    task = Line([3.0, 1.0, 2.0, 1.0])
    rows = []
    fitted = fit(task, repeat(tmp_path, 4), lambda r, cost: (rows.extend(r), weights.append(task.model.weight.item())))
    assert fitted.best_epoch == 2  # the first of equals
    assert fitted.weights["weight"].item() == weights[1] != weights[3]
    assert task.improvements == [True, True, False, False]
    assert [row["validation_loss"] for row in fitted.curves[0]] == [3.0, 1.0, 2.0, 1.0]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]


def test_the_training_loss_is_a_mean_over_items(tmp_path):
    task = Line([1.0], x=(1.0, 2.0, 3.0), rate=0.0)
    torch.manual_seed(0)
    fitted = fit(task, repeat(tmp_path, 1), lambda rows, cost: None)
    # With the weight at 0 and noise in [0, 0.1], each loss lies between (2x)^2 and (2x + 0.1)^2.
    low, high = (np.mean([(2 * x + noise) ** 2 for x in (1, 2, 3)]) for noise in (0.0, 0.1))
    assert low < fitted.curves[0][0]["train_loss"] < high


def test_the_gradient_is_clipped_to_its_limit(tmp_path):
    task = Line([1.0], x=(100.0,), rate=1.0, momentum=0.0)
    task.gradient_norm_limit = 0.25
    fit(task, repeat(tmp_path, 1), lambda rows, cost: None)
    assert task.model.weight.item() == pytest.approx(0.25, rel=1e-5)


class Killed(BaseException):
    """Stands for a kill: nothing in the loop may catch it."""


@pytest.mark.parametrize("batches_before", range(1, 12))
def test_killed_at_any_batch_and_resumed_it_ends_in_the_same_bytes(tmp_path, batches_before):
    scores = [3.0, 1.0, 2.0, 0.5]
    whole = fit(Line(scores), repeat(tmp_path / "whole", 4), lambda rows, cost: None)

    class Mortal(Line):
        steps = 0

        def step(self, batch):
            self.steps += 1
            if self.steps > batches_before:
                raise Killed
            return super().step(batch)

    with pytest.raises(Killed):
        fit(Mortal(scores), repeat(tmp_path, 4), lambda rows, cost: None)
    torch.manual_seed(99)  # another process has other global state
    resumed_task = Line(scores)
    resumed_task.epoch = batches_before // 3
    rows = []
    resumed = fit(resumed_task, repeat(tmp_path, 4), lambda r, cost: rows.extend(r))
    assert len(rows) == 4 - batches_before // 3
    assert np.array_equal(resumed.weights["weight"], whole.weights["weight"])
    assert resumed.curves == whole.curves
    assert resumed.best_epoch == whole.best_epoch


def test_a_finished_repeat_trains_no_further(tmp_path):
    first = fit(Line([2.0, 1.0]), repeat(tmp_path, 2), lambda rows, cost: None)
    rows = []
    again = fit(Line([]), repeat(tmp_path, 2), lambda r, cost: rows.extend(r))
    assert rows == []
    assert np.array_equal(again.weights["weight"], first.weights["weight"])


@pytest.mark.parametrize("alone", [{"noise": 0.0}, {"x": (1.0, 1.0, 1.0)}], ids=["order", "dropout"])
def test_repeats_differ_in_their_order_and_in_their_dropout(tmp_path, alone):
    packs = [repeat(tmp_path / str(n), 1, n) for n in range(4)]
    ends = {fit(Line([1.0], **alone), pack, lambda rows, cost: None).weights["weight"].item() for pack in packs}
    assert len(ends) > 1


@pytest.mark.parametrize(("batch", "epoch"), [(1, 1), (2, 1), (3, 2), (1, 3)])
def test_a_loss_that_is_not_finite_is_named_with_its_epoch_batch_and_last_checkpoint(tmp_path, batch, epoch):
    class Breaking(Line):
        steps = 0

        def step(self, items):
            self.steps += 1
            done = super().step(items)
            broken = self.steps == (epoch - 1) * 3 + batch
            return Step(done.loss * (math.nan if broken else 1.0), done.sums, done.items)

    with pytest.raises(StageError) as raised:
        fit(Breaking([3.0, 2.0, 1.0]), repeat(tmp_path, 3), lambda rows, cost: None)
    message = str(raised.value)
    assert f"loss is nan in epoch {epoch}, batch {batch};" in message
    if epoch == 1:
        assert "none, it was the first epoch" in message
    else:
        assert f"{tmp_path / 'key.pt'} (epoch {epoch - 1})" in message
        assert checkpoint.load(tmp_path / "key.pt")["epoch"] == epoch - 1


def test_a_validation_score_that_is_not_finite_stops_the_repeat(tmp_path):
    with pytest.raises(StageError, match="validation loss is nan after epoch 2"):
        fit(Line([1.0, math.nan]), repeat(tmp_path, 2), lambda rows, cost: None)


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_damaged_checkpoint_is_named_and_the_repeat_goes_on_from_the_one_before_or_starts_over(
    tmp_path, capsys, damaged
):
    scores = [3.0, 2.0, 1.0]
    whole = fit(Line(scores), repeat(tmp_path, 3), lambda rows, cost: None)
    paths = [tmp_path / "key.pt", tmp_path / "key.before.pt"][:damaged]
    for path in paths:
        path.write_bytes(path.read_bytes()[:-1] + b"?")  # the sign of a weight, say
    task = Line(scores)
    task.epoch = 2 if damaged == 1 else 0
    rows = []
    again = fit(task, repeat(tmp_path, 3), lambda r, cost: rows.extend(r))
    said = capsys.readouterr().err
    assert all(f"{path} is damaged" in said for path in paths)
    assert [row["epoch"] for row in rows] == ([3] if damaged == 1 else [1, 2, 3])
    assert np.array_equal(again.weights["weight"], whole.weights["weight"])


class Lines(Line):
    """Several lines fitted at once, each to its own slope."""

    chosen_by = None

    def __init__(self, slopes):
        super().__init__([])
        self.slopes = torch.tensor(slopes)
        self.model = nn.Linear(1, len(slopes), bias=False)
        self.model.weight.data.fill_(0.0)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)

    def batches(self, orders):
        return list(np.stack([order.permutation(len(self.x)) for order in orders], 1))

    def step(self, batch):
        x = self.x[batch]
        loss = (self.model.weight[:, 0] * x - self.slopes * x) ** 2
        return Step(loss, {"loss": loss.detach()}, 1)

    def validate(self):
        return [{"loss": (weight - slope) ** 2} for weight, slope in zip(*self.ends(), strict=True)]

    def ends(self):
        return self.model.weight[:, 0].tolist(), self.slopes.tolist()


def pack(path, repeats, epochs=3):
    return Pack("toy/pack", seed=1, repeats=repeats, epochs=epochs, checkpoint=path / "pack.pt")


def test_repeats_trained_together_end_where_each_ends_alone_and_the_last_epoch_is_kept(tmp_path):
    slopes = [2.0, -1.0, 0.5]
    together = fit(Lines(slopes), pack(tmp_path / "all", [0, 1, 2]), lambda rows, cost: None)
    assert together.best_epoch == 3
    for repeat, slope in enumerate(slopes):
        alone = fit(Lines([slope]), pack(tmp_path / str(repeat), [repeat]), lambda rows, cost: None)
        assert alone.weights["weight"][0] == pytest.approx(together.weights["weight"][repeat], abs=1e-6)
        assert [row["train_loss"] for row in together.curves[repeat]] == pytest.approx(
            [row["train_loss"] for row in alone.curves[0]], abs=1e-6
        )


def test_a_loss_that_is_not_finite_in_a_pack_names_its_repeat(tmp_path):
    with pytest.raises(StageError, match="loss of repeat 7 is nan in epoch 1, batch 1;"):
        fit(Lines([1.0, math.nan]), pack(tmp_path, [6, 7]), lambda rows, cost: None)
