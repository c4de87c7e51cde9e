"""ptb's training speed: the study as it trains on a CPU against the book's arithmetic done in NumPy, on one thread.

Whole updates of both published models (windows of 35 over 20 streams, 10,000 words, SGD 20, norm clipped to 0.25):
the study's task with engine `padded`, with torch's own layers (`packed`; the study takes one or the other, marked *),
with its products in bfloat16 (`bfloat16`), and `benchmarks.numpy_language_model`, on the same windows of random text:
once as the book has it, with an embedding's gradient a time step (`book`), once with one for the whole window
(`numpy`). Processor time, in turn for each model and cell, subnormal numbers flushed on all sides; the quickest of
`--timings`. `products` is no way to train, but an update's matrix products in float32 and nothing else, by the library
that NumPy has, too: what is left when all else takes no time. `losses apart` is the largest difference between NumPy's
losses and the study's, in float64 from the same weights, over updates without dropout: that they are the same
mathematics.

Run: python -m benchmarks.numpy_ptb
"""

import argparse
from functools import partial
from itertools import islice, product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import RESULTS, about, kernel_name, positive, processor_milliseconds, train
from benchmarks.numpy_language_model import Array, LanguageModel
from benchmarks.texts import news_settings, write_news
from benchmarks.where_time_goes import output_products, scan_products
from stages.kinds.language_model import model as trained_by_torch
from stages.kinds.language_model.task import Data, Task
from stages.nn.cells import CELLS
from stages.support.files import write_json
from stages.support.process import StageError, run_stage
from stages.training.device import prepare
from stages.training.loop import update

ENGINES = ("padded", "packed")
LOW_PRECISION, PRODUCTS = "bfloat16", "products"
BARS = {
    ("basic", "rnn"): 3,
    ("basic", "lstm"): 3,
    ("basic", "gru"): 3,
    ("better", "lstm"): 5,
    ("better", "gru"): 4,
}
"""The ratio to the book's arithmetic that the study should reach; the better rnn is held to the LSTM's speed."""
UPDATES = {False: 5, True: 1}  # a timing
COMPARED_UPDATES = 2
ROUNDING = 1e-10  # nats: what float64 may leave between the sides after those updates


def in_numpy(model: trained_by_torch.LanguageModel, dropout: float, embedding_at_once: bool = False) -> LanguageModel:
    """The same model in NumPy, its weights copied; of two biases that only add, the sum."""

    def array(tensor: Tensor) -> Array:
        return np.array(tensor.detach().numpy(), order="C")

    recurrent = model.recurrent
    layers = []
    for layer in range(recurrent.layers):
        wx, wh, bias_ih, bias_hh = recurrent.weights(layer, 0)
        biases = {"b": bias_ih, "bh": bias_hh} if recurrent.cell.recurrent_bias else {"b": bias_ih + bias_hh}
        layers.append({name: array(weight) for name, weight in {"wx": wx.t(), "wh": wh.t(), **biases}.items()})
    weights = {"embedding": model.embedding.weight, "output_bias": model.output_bias}
    if model.output_weight is not None:
        weights["output"] = model.output_weight.t()
    arrays = {name: array(weight) for name, weight in weights.items()}
    return LanguageModel(recurrent.cell.name, arrays, layers, dropout, embedding_at_once)


def windows_of(task: Task, count: int) -> list[tuple[Tensor, Tensor]]:
    """The first windows of an epoch, as the study cuts them."""
    return list(islice(task.batches([]), count))


def train_in_numpy(model: LanguageModel, windows: list[tuple[Tensor, Tensor]], task: Task) -> list[float]:
    """Train on windows as `task` would; returns the loss of each."""
    (group,) = task.optimizer.param_groups
    return [
        model.update(inputs.numpy(), targets.numpy(), group["lr"], task.gradient_norm_limit)
        for inputs, targets in windows
    ]


def losses_apart(data: Data, cell: str, better: bool) -> float:
    """Largest difference (nats) between both sides' losses, each following its own updates, nothing dropped.

    In float64, because SGD at 20 soon turns float32's rounding into a difference of its own.

    Raises:
        StageError: it is more than rounding.
    """
    task = Task(data, news_settings(cell, better, dropout=0.0), 0, [0], torch.device("cpu"))
    task.model.double()
    other = in_numpy(task.model, dropout=0.0)
    if not CELLS[cell].recurrent_bias:  # else two biases that only add go twice as far as one
        for name, parameter in task.model.recurrent.named_parameters():
            parameter.requires_grad_(not name.startswith("bias_hh"))
    windows = windows_of(task, COMPARED_UPDATES)
    pairs = zip(windows, train_in_numpy(other, windows, task), strict=True)
    apart = max(abs(update(task, window).loss.item() - loss) for window, loss in pairs)
    if not apart < ROUNDING:
        raise StageError(f"{cell}: losses in NumPy and in the study are {apart} nats apart; allowed is {ROUNDING}")
    return apart


def milliseconds(data: Data, cell: str, better: bool, timings: int) -> tuple[str, dict[str, list[float]]]:
    """The study's own engine, and of every way the processor milliseconds of an update in each timing."""
    found = {}
    settings = news_settings(cell, better)
    task = Task(data, settings, 0, [0], torch.device("cpu"))
    windows = windows_of(task, UPDATES[better])
    for way, at_once in (("book", False), ("numpy", True)):
        model = in_numpy(task.model, settings.dropout, at_once)
        train_on = partial(train_in_numpy, model, windows, task)
        found[way] = processor_milliseconds(lambda train_on=train_on: len(train_on()), timings)  # type: ignore[misc]
    for engine in ENGINES:
        task.model.recurrent.engine = engine
        found[engine] = processor_milliseconds(partial(train, task, windows), timings)
    low = Task(data, news_settings(cell, better, precision=LOW_PRECISION), 0, [0], torch.device("cpu"))
    found[LOW_PRECISION] = processor_milliseconds(partial(train, low, windows), timings)
    products = scan_products(task.model.recurrent, settings.window, settings.streams)
    products += output_products(task.model, settings.window * settings.streams)

    def an_updates_products() -> int:
        for part in products:
            part.run()
        return 1

    found[PRODUCTS] = processor_milliseconds(an_updates_products, timings)
    return task.engine, found


def main(*words: str) -> None:
    """Measure, print the table, write benchmarks/results/numpy_ptb.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timings", type=positive, default=3, help="timings of each way (default: 3)")
    timings = parser.parse_args(words).timings
    device = prepare("cpu")
    head = about(device) | {"numpy": np.__version__}
    print("  ".join(f"{name}: {value}" for name, value in head.items()))
    print("Milliseconds of processor time an update, tokens a second, and how often book's and numpy's time hold it.")
    print("model  cell way      ms (slowest)      tokens/s  to book   bar  to numpy  losses apart  kernel")
    rows, quickest = [], {}
    settings = news_settings("lstm", better=False)
    tokens = settings.streams * settings.window
    with TemporaryDirectory() as name:
        data = write_news(Path(name), tokens * max(COMPARED_UPDATES, *UPDATES.values()) + 1)
        for better, cell in product((False, True), CELLS):
            model = "better" if better else "basic"
            apart = losses_apart(data, cell, better)
            chosen, timed = milliseconds(data, cell, better, timings)
            quickest[model, cell] = min(timed[chosen])
            for way, spent in timed.items():
                engine = chosen if way == LOW_PRECISION else way
                kernel = kernel_name(CELLS[cell], engine, device.type) if engine in ENGINES else "NumPy"
                bar = BARS.get((model, cell)) if way == chosen else None
                ratios = {other: min(timed[other]) / min(spent) for other in ("book", "numpy")}
                rows.append(
                    {
                        "model": model,
                        "cell": cell,
                        "way": way,
                        "study": way == chosen,
                        "kernel": kernel,
                        "milliseconds": [round(value, 2) for value in spent],
                        "tokens_per_second": round(1000 * tokens / min(spent)),
                        "ratios": {other: round(ratio, 2) for other, ratio in ratios.items()},
                        "bar": bar,
                        "losses_apart_nats": apart,
                    }
                )
                print(
                    f"{model:6} {cell:4} {way + '*' * (way == chosen):8} {min(spent):8.1f} ({max(spent):7.1f}) "
                    f"{1000 * tokens / min(spent):8,.0f} {ratios['book']:7.1f}x {f'{bar}x' if bar else 'none':>5} "
                    f"{ratios['numpy']:8.1f}x {apart:13.1e}  {kernel}",
                    flush=True,
                )
    rnn_to_lstm = {model: round(quickest[model, "lstm"] / quickest[model, "rnn"], 2) for model in ("basic", "better")}
    print("the study's tokens/s of rnn to LSTM's (bar 1x): " + ", ".join(f"{m} {r}x" for m, r in rnn_to_lstm.items()))
    write_json(RESULTS / "numpy_ptb.json", {"about": head, "rows": rows, "rnn_to_lstm": rnn_to_lstm})


if __name__ == "__main__":
    run_stage(main)
