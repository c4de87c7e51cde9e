"""Every study on every device, and the studies of text in both precisions: the same training, a little rounded.

What needs CUDA is skipped where there is none; the CPU goes through the same tests.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.measure import protocol, synthetic_data
from benchmarks.texts import news_settings, review_settings, write_news, write_reviews
from stages.kinds import task_module
from stages.nn.cells import CELLS
from stages.training.device import prepare, to_device
from stages.training.loop import update
from stages.training.seeds import order_generator

CPU = torch.device("cpu")
UPDATES = 4
TEXTS, SYNTHETIC = ("imdb", "ptb"), ("damped", "latch", "relay", "fibonacci")
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")),
]


@pytest.fixture(params=DEVICES)
def device(request):
    yield prepare(request.param)
    torch.use_deterministic_algorithms(False)


def a_study(study, cell, folder):
    """Its kind, small data, and hyperparameters without dropout, whose masks are a device's own."""
    if study == "imdb":
        lengths = np.random.default_rng(1).integers(3, 30, 8 * UPDATES)
        small = {"dropout": 0.0, "dropout_between_layers": 0.0, "embedding_size": 20}
        return "classification", write_reviews(folder, lengths), replace(review_settings(cell, batch_size=8), **small)
    if study == "ptb":
        small = {"dropout": 0.0, "embedding_size": 24, "hidden_size": 24, "streams": 4, "learning_rate": 5.0}
        data = write_news(folder, UPDATES * 4 * 35 + 1, vocabulary=50)
        return "language_model", data, replace(news_settings(cell, better=True), **small)
    setting = {"damped": "", "latch": "100", "relay": "50", "fibonacci": "2 layers"}[study]
    kind = "bits" if study in ("latch", "relay") else "sequence"
    small = {"dropout": 0.0, "hidden_size": 32} if study == "fibonacci" else {}
    return kind, synthetic_data(study), replace(protocol(study, cell, setting), **small)


def a_task(study, cell, folder, device, **changes):
    kind, data, settings = a_study(study, cell, folder)
    return task_module(kind).Task(data, replace(settings, **changes), 1, [0], device)


def trained(task):
    """The losses of some updates."""
    torch.manual_seed(1)
    task.model.train()
    batches = task.batches([order_generator(1, 0, 1)])
    return [update(task, batch).loss.item() for batch, _ in zip(batches, range(UPDATES), strict=False)]


@pytest.mark.parametrize("study", [*TEXTS, *SYNTHETIC])
@pytest.mark.parametrize("cell", CELLS)
def test_every_device_trains_as_explicit_steps_on_a_cpu_do(study, cell, device, tmp_path):
    expected, mine = a_task(study, cell, tmp_path, CPU), a_task(study, cell, tmp_path, device)
    nets = [module for module in expected.model.modules() if hasattr(module, "engine")]
    assert nets
    for net in nets:
        net.engine = "stepwise"
    losses = trained(mine)
    assert len(losses) == UPDATES
    assert losses == pytest.approx(trained(expected), rel=2e-3)
    assert losses[0] != losses[-1]
    for name, scores in mine.validate()[0].items():
        assert scores == pytest.approx(expected.validate()[0][name], rel=2e-2)


@pytest.mark.parametrize("study", [*TEXTS, *SYNTHETIC])
def test_a_device_repeats_itself_to_the_last_bit(study, device, tmp_path):
    masks = {"imdb": {"dropout_between_layers": 0.5}, "ptb": {"dropout": 0.5}, "fibonacci": {"dropout": 0.5}}
    first, second = (a_task(study, "lstm", tmp_path, device, **masks.get(study, {})) for _ in range(2))
    assert trained(first) == trained(second)
    for one, other in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("study", TEXTS)
@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_trains_nearly_alike_and_is_scored_in_float32(study, cell, device, tmp_path):
    full, low = (a_task(study, cell, tmp_path, device, precision=name) for name in ("float32", "bfloat16"))
    expected, losses = trained(full), trained(low)
    assert losses == pytest.approx(expected, rel=0.02)
    assert losses != expected
    assert {parameter.dtype for parameter in low.model.parameters()} == {torch.float32}
    low.model.load_state_dict(full.model.state_dict())
    assert low.test() == full.test()


def test_batches_go_to_the_device_as_they_are(device):
    batch = torch.arange(6).view(2, 3), torch.ones(3)
    moved = to_device(device, *batch)
    assert {tensor.device.type for tensor in moved} == {device.type}
    for one, other in zip(moved, batch, strict=True):
        assert torch.equal(one.cpu(), other)
        assert one.dtype == other.dtype
