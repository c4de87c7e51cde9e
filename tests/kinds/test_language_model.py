"""language_model, as ptb: streams and windows that go on where they should, perplexity, the rate's schedule."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from stages.kinds import language_model
from stages.kinds.language_model.task import Data, Task
from stages.studies import arms
from stages.support.files import seal
from stages.training.seeds import order_generator

VOCABULARY = 12
TRAINING = language_model.Training(
    layers=2,
    dropout=0.5,
    repeats="0",
    models=["basic", "better"],
    streams=3,
    window=5,
    learning_rate=20.0,
    gradient_norm_limit=0.25,
    precision="float32",
    basic=language_model.Basic(embedding_size=6, hidden_size=4, epochs=2),
    better=language_model.Better(size=6, epochs=3, rate_divisor=4.0),
)


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for part, tokens in (("train", 101), ("validation", 38), ("test", 40)):
        np.save(tmp_path / f"{part}.tokens.npy", random.integers(0, VOCABULARY, tokens).astype(np.uint16))
    seal(tmp_path, {"corpus": "sample", "digest": "d", "vocabulary_size": VOCABULARY})
    return tmp_path


def arms_of(cell, training=TRAINING):
    return arms("ptb", language_model, cell, training)


def task(folder, setting="basic", cell="lstm"):
    arm = next(arm for arm in arms_of(cell) if arm.setting == setting)
    return Task(Data(folder), arm.hyperparameters, seed=1, repeats=[0], device=torch.device("cpu"))


def test_the_windows_of_a_stream_follow_each_other_and_targets_are_one_step_on(folder):
    mine = task(folder)
    text = mine.data.train
    windows = list(mine.batches([order_generator(1, 0, 1)]))
    assert len(windows) == 6  # 100 pairs: 6 windows of 5 for each of 3 streams, the last 10 dropped
    inputs = torch.cat([window[0] for window in windows])
    targets = torch.cat([window[1] for window in windows])
    for stream in range(3):
        start = stream * 30
        assert inputs[:, stream].tolist() == text[start : start + 30].tolist()
        assert targets[:, stream].tolist() == text[start + 1 : start + 31].tolist()


def test_the_state_is_carried_from_window_to_window_and_reset_at_an_epochs_start(folder):
    mine = task(folder)
    mine.model.eval()
    windows = list(mine.batches([order_generator(1, 0, 1)]))
    carried = [mine.step(window).loss.item() for window in windows]
    whole, _ = mine.model(torch.cat([window[0] for window in windows]))
    for i, (_, targets) in enumerate(windows):
        expected = cross_entropy(whole[i * 5 : i * 5 + 5].flatten(0, 1), targets.flatten()).item()
        assert carried[i] == pytest.approx(expected, rel=1e-5)
    again = [mine.step(window).loss.item() for window in mine.batches([order_generator(1, 0, 2)])]
    assert again == carried


@pytest.mark.parametrize("setting", ["basic", "better"])
def test_perplexity_is_over_every_token_in_one_pass_with_nothing_dropped(folder, setting):
    mine = task(folder, setting)
    text = torch.from_numpy(mine.data.test.astype(np.int64))
    steps = math.ceil((len(text) - 1) / 3)
    mine.model.eval()
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(text) - 1, steps):  # each stream by itself, in one window
            stream = text[start : start + steps + 1]
            logits, _ = mine.model(stream[:-1, None])
            total += cross_entropy(logits[:, 0], stream[1:], reduction="sum").item()
    loss = total / (len(text) - 1)
    mine.model.train()  # scoring must put dropout out by itself
    assert mine.test()[0] == pytest.approx({"loss": loss, "perplexity": math.exp(loss)}, rel=1e-5)


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(folder):
    mine = task(folder)
    for parameter in mine.model.parameters():
        parameter.data.zero_()
    assert mine.validate()[0]["perplexity"] == pytest.approx(VOCABULARY)


def test_only_better_divides_its_rate_and_only_after_an_epoch_that_is_no_better(folder):
    better, basic = task(folder, "better"), task(folder, "basic")
    rates = []
    for improved in (True, False, False, True):
        better.after_epoch(improved)
        basic.after_epoch(improved)
        rates.append(better.optimizer.param_groups[0]["lr"])
    assert rates == [20.0, 5.0, 1.25, 1.25]
    assert basic.optimizer.param_groups[0]["lr"] == 20.0


def test_better_is_tied_and_basic_is_not():
    basic, better = (arm.hyperparameters for arm in arms_of("gru"))
    assert (basic.layers, basic.dropout, basic.tied, basic.rate_divisor) == (1, 0.0, False, 1.0)
    assert (better.layers, better.dropout, better.tied, better.rate_divisor) == (2, 0.5, True, 4.0)


def test_only_the_models_that_are_asked_for_are_arms():
    training = TRAINING.model_copy(update={"models": ["basic"]})
    assert [arm.setting for arm in arms_of("rnn", training)] == ["basic"]
