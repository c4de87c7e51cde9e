"""The benchmarks of the studies of text: peers that do the same mathematics, arithmetic counted right, honest fits."""

import mmap
from argparse import ArgumentTypeError
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import cost_model, keras_imdb, numpy_ptb, where_time_goes
from benchmarks.cost_model import Setting, fitted, points
from benchmarks.measure import positive
from benchmarks.numpy_language_model import LstmLayer
from benchmarks.texts import news_settings, review_settings, words, write_news, write_reviews
from stages.kinds.classification.task import Task as ReviewTask
from stages.kinds.language_model.model import LanguageModel
from stages.kinds.language_model.task import Task as NewsTask
from stages.nn.cells import CELLS
from stages.nn.recurrent import Recurrent
from stages.support.process import StageError

CPU = torch.device("cpu")
VOCABULARY = 11


def small_model(cell, tied, layers=2):
    model = LanguageModel(cell, VOCABULARY, 4, 4 if tied else 3, layers, 0.0, tied, engine="stepwise").double()
    model.start(torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():  # no zero biases, so that a wrong one shows
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)).double() / 2)
    return model


def small_windows(count=2):
    tokens = torch.randint(VOCABULARY, (count, 6, 5), generator=torch.Generator().manual_seed(2))
    return [(window[:-1], window[1:]) for window in tokens]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
def test_numpys_losses_and_gradients_are_autograds_from_window_to_window(cell, tied, at_once):
    model = small_model(cell, tied)
    other = numpy_ptb.in_numpy(model, dropout=0.0, embedding_at_once=at_once)
    state = None
    for inputs, targets in small_windows():
        logits, state = model(inputs, state)
        state = tuple(part.detach() for part in state)
        model.zero_grad()
        expected = cross_entropy(logits.flatten(0, 1), targets.flatten())
        expected.backward()
        loss, gradients = other.loss_and_gradients(inputs.numpy(), targets.numpy())
        assert loss == pytest.approx(expected.item(), rel=1e-12)
        found = {
            "embedding": model.embedding.weight.grad,
            "output_bias": model.output_bias.grad,
            **({} if tied else {"output": model.output_weight.grad.t()}),
        }
        assert set(gradients) == set(found)
        for name, gradient in found.items():
            np.testing.assert_allclose(gradients[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)
        for place, layer in enumerate(other.layers):
            wx, wh, b, bh = (weight.grad for weight in model.recurrent.weights(place, 0))
            for name, gradient in layer.gradients.items():
                np.testing.assert_allclose(
                    gradient, {"wx": wx.t(), "wh": wh.t(), "b": b, "bh": bh}[name], rtol=1e-9, atol=1e-12, err_msg=name
                )


def test_numpys_gradient_goes_through_its_dropouts():
    inputs, targets = (tokens.numpy() for tokens in small_windows()[0])
    random = np.random.default_rng(3)

    def model():  # anew, so that the same values are dropped
        return numpy_ptb.in_numpy(small_model("lstm", tied=True), dropout=0.5)

    whole = model()
    _, gradients = whole.loss_and_gradients(inputs, targets)
    pairs = [(None, name, gradient) for name, gradient in gradients.items()]
    pairs += [(i, name, gradient) for i, layer in enumerate(whole.layers) for name, gradient in layer.gradients.items()]
    directions = [random.standard_normal(gradient.shape) for _, _, gradient in pairs]

    def loss_at(step):
        moved = model()
        for (layer, name, _), direction in zip(pairs, directions, strict=True):
            weights = moved.weights if layer is None else moved.layers[layer].weights
            weights[name] += step * direction
        return moved.loss_and_gradients(inputs, targets)[0]

    slope = sum((gradient * direction).sum() for (_, _, gradient), direction in zip(pairs, directions, strict=True))
    assert (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6 == pytest.approx(slope, rel=1e-6)
    assert loss_at(0) != small_loss_without_dropout(inputs, targets)


def small_loss_without_dropout(inputs, targets):
    return numpy_ptb.in_numpy(small_model("lstm", tied=True), dropout=0.0).loss_and_gradients(inputs, targets)[0]


@pytest.mark.parametrize("cell", CELLS)
def test_numpy_follows_the_studys_own_updates(cell, tmp_path):
    assert numpy_ptb.losses_apart(write_news(tmp_path, 1401, vocabulary=50), cell, better=False) < 1e-12


def test_a_wrong_gradient_is_found_before_anything_is_timed(tmp_path, monkeypatch):
    right = LstmLayer.step_back

    def wrong(self, d_state, *kept):
        d_x, (d_h, d_c) = right(self, d_state, *kept)
        return d_x, [d_h, 0.99 * d_c]

    monkeypatch.setattr(LstmLayer, "step_back", wrong)
    with pytest.raises(StageError, match=r"lstm: losses in NumPy and in the study are .* nats apart"):
        numpy_ptb.losses_apart(write_news(tmp_path, 1401, vocabulary=50), "lstm", better=False)


@pytest.mark.parametrize("word", ["0", "-1", "2.5", "many"])
def test_a_number_of_timings_that_cannot_be_is_refused(word):
    with pytest.raises(ArgumentTypeError, match=f"{word}: allowed is a whole number from 1"):
        positive(word)


def test_random_words_follow_their_law_and_reviews_are_read_as_written(tmp_path):
    drawn = words(200_000, 1000, np.random.default_rng(0), first=2)
    assert (drawn.min(), drawn.max()) == (2, 999)
    counts = np.bincount(drawn)
    assert counts[2] / counts[11] == pytest.approx((10 + 2.7) / (1 + 2.7), rel=0.1)
    data = write_reviews(tmp_path, np.array([3, 1, 5]), copies=2)
    assert data.train.lengths.tolist() == [3, 1, 5, 3, 1, 5]
    assert data.train.tokens[:9].tolist() == data.train.tokens[9:].tolist()
    assert data.train.tokens.min() >= 2  # neither unknown nor padding
    assert isinstance(data.train.tokens, np.memmap)


@pytest.mark.parametrize(
    ("cell", "gates", "biases"), [("rnn", 1, 1), ("lstm", 4, 1), ("gru", 3, 2)]
)  # as Keras's layers have them
def test_the_parameters_compared_with_keras_are_those_of_its_layers(cell, gates, biases, tmp_path):
    task = ReviewTask(write_reviews(tmp_path, np.array([2])), review_settings(cell), 0, [0], CPU)
    layers = [2 * gates * 32 * (features + 32 + biases) for features in (100, 64)]
    assert keras_imdb.parameters(task) == 25_002 * 100 + sum(layers) + 64 + 1


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_products_counted_are_those_that_autograd_makes(cell, bidirectional):
    net = Recurrent(CELLS[cell], 5, 3, layers=2, bidirectional=bidirectional, engine="stepwise")
    for parameter in net.parameters():
        torch.nn.init.uniform_(parameter)
    steps, batch = 7, 4
    inputs = torch.randn(steps, batch, 5, requires_grad=True)
    state = tuple(torch.zeros(2 * net.directions, batch, 3, requires_grad=True) for _ in range(net.cell.states))
    with FlopCounterMode(display=False) as counter:
        outputs, _ = net(inputs, state=state)
        outputs.sum().backward()
    products = where_time_goes.scan_products(net, steps, batch)
    assert sum(product.flop for product in products) == counter.get_total_flops()
    for product in products:
        product.run()  # shapes that fit


def small_tasks(folder):
    reviews = write_reviews(folder, np.full(8, 5))
    settings = review_settings("lstm", hidden_size=4, batch_size=4)
    yield ReviewTask(reviews, settings, 0, [0], CPU), []
    news = NewsTask(write_news(folder, 1401, vocabulary=50), news_settings("gru", better=False), 0, [0], CPU)
    yield news, where_time_goes.output_products(news.model, 700)


def test_the_parts_of_an_update_are_apart_and_all_of_it(tmp_path):
    for task, products in small_tasks(tmp_path):
        products = products + where_time_goes.scan_products(task.model.recurrent, 5, 4)
        row = where_time_goes.breakdown(task, products, timings=2)
        assert sum(row["milliseconds"].values()) == pytest.approx(row["update_milliseconds"], abs=0.01)
        assert row["milliseconds"][where_time_goes.REST] >= 0  # else something was counted twice
        head = {"machine": "a machine"}
        table = where_time_goes.tables(head, 100.0, [row | {"model": "m", "cell": c} for c in ("lstm", "gru")])
        assert (
            f"| an update | {row['update_milliseconds']:.2f} (100%) | {row['update_milliseconds']:.2f} (100%) |"
            in table
        )


def test_a_part_that_the_profiler_no_longer_sees_is_named(tmp_path, monkeypatch):
    renamed = {event.replace("_Run", "_Renamed"): part for event, part in where_time_goes.EVENTS.items()}
    monkeypatch.setattr(where_time_goes, "EVENTS", renamed)
    task, _ = next(small_tasks(tmp_path))
    with pytest.raises(StageError, match="saw no recurrence without its products"):
        where_time_goes.breakdown(task, where_time_goes.scan_products(task.model.recurrent, 5, 4), timings=1)


def test_a_fit_finds_the_costs_that_made_the_figures_and_none_is_negative():
    x = [16, 32, 64, 128]
    fit = fitted(("1", "x", "x^2"), x, [2 + 0.5 * value + 0.01 * value**2 for value in x])
    assert fit.coefficients == pytest.approx({"1": 2, "x": 0.5, "x^2": 0.01})
    assert fit.largest_error < 1e-6
    assert fit.at(np.array([10.0])) == pytest.approx([8.0])
    assert cost_model.formula(fit) == "2 + 0.5 x + 0.01 x²"
    falling = fitted(("1", "x"), [1, 2, 4], [3.0, 2.0, 1.0])
    assert falling.coefficients["x"] == 0
    assert falling.largest_error > 0.3


def test_reviews_are_as_long_as_imdbs():
    lengths = cost_model.review_lengths(100_000)
    assert lengths.mean() == pytest.approx(271, rel=0.02)
    assert np.median(lengths) == pytest.approx(202, rel=0.02)
    assert lengths.max() <= 2752


def test_a_sweep_changes_one_thing():
    rows = [
        {"eighths": 1, "batch_size": 64, "hidden_size": 32, "jobs": 1, "tokens": 5_000_000},
        {"eighths": 8, "batch_size": 64, "hidden_size": 32, "jobs": 1, "tokens": 40_000_000},
        {"eighths": 1, "batch_size": 16, "hidden_size": 32, "jobs": 1, "tokens": 5_000_000},
        {"eighths": 1, "batch_size": 64, "hidden_size": 32, "jobs": 2, "tokens": 5_000_000},
    ]
    assert points(rows, "eighths") == [(5, rows[0]), (40, rows[1])]
    assert points(rows, "batch_size") == [(64, rows[0]), (16, rows[2])]
    assert points(rows, "jobs") == [(1, rows[0]), (2, rows[3])]


@pytest.mark.skipif(not cost_model.has_memory_accounts(), reason="no /proc/self/smaps_rollup here")
def test_memory_of_our_own_is_told_from_pages_of_files(tmp_path):
    size = 64 << 20
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    before = cost_model.memory_bytes()
    own = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    own.write(b"x" * size)
    with_own = cost_model.memory_bytes()
    mapped = np.memmap(path, np.uint8, mode="r")
    assert mapped.sum() == 0  # touches every page
    with_file = cost_model.memory_bytes()
    slack = 8 << 20
    assert with_own["anonymous"] - before["anonymous"] == pytest.approx(size, abs=slack)
    assert with_own["files"] - before["files"] == pytest.approx(0, abs=slack)
    assert with_file["anonymous"] - with_own["anonymous"] == pytest.approx(0, abs=slack)
    assert with_file["files"] - with_own["files"] == pytest.approx(size, abs=slack)
    assert with_file["peak"] >= with_file["anonymous"] + with_file["files"] - slack
    own.close()


@pytest.mark.skipif(not cost_model.has_memory_accounts(), reason="no /proc/self/smaps_rollup here")
def test_two_jobs_train_an_epoch_each_in_processes_of_their_own(tmp_path):
    write_reviews(tmp_path, np.arange(1, 9))
    setting = Setting(batch_size=4, hidden_size=4, jobs=2)
    row = cost_model.measure({1: tmp_path}, setting)
    one = cost_model.in_fresh_processes(partial(cost_model.epoch, tmp_path, Setting(batch_size=4, hidden_size=4)), 1)
    assert row["tokens"] == one[0]["tokens"] == 36
    assert row["megabytes"] == pytest.approx(2 * one[0]["megabytes"], rel=0.1)
