"""Where an update's time goes in the studies of text, and how far it is from the time of its matrix products.

imdb and both of ptb's models, each cell, by the study's own task on one CPU thread: an update on 64 reviews of IMDB's
mean length, or on a window of 35 over 20 streams. torch's profiler gives the time of every autograd node, forwards and
backwards. What a node does in NumPy, compiled code and oneDNN it does not see: the matrix products of those shapes are
timed apart, by OpenBLAS, all of an update's in a row, and the rest of the node is what is left. Time on the clock, so
run it on a quiet machine; the quickest of `--timings` updates. A negative figure means that a product is quicker within
the update than alone.

Run: python -m benchmarks.where_time_goes
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.keras_imdb import TOKENS_A_REVIEW
from benchmarks.measure import RESULTS, about, kernel_name, positive, train
from benchmarks.texts import news_settings, review_settings, write_news, write_reviews
from stages.kinds.classification.task import Task as ReviewTask
from stages.kinds.language_model.model import LanguageModel
from stages.kinds.language_model.task import Task as NewsTask
from stages.nn.cells import CELLS
from stages.nn.compiled import Array, compiled
from stages.nn.products import mm
from stages.nn.recurrent import Recurrent
from stages.support.files import write_json, write_text
from stages.support.process import StageError, run_stage
from stages.training.device import prepare

TABLE = Path(__file__).parent / "where_time_goes.md"
SQUARE = 2048
_UPDATES = 5  # an epoch

UPDATE, REST = "an update", "the rest"
ALL_STEPS, EACH_STEP, OUTPUT = "products over all steps", "products of each step", "products of the output layer"
SCANS, LOSS, DROPOUT = "recurrence without its products", "loss without its products", "dropout"
EMBEDDING, EMBEDDING_GRADIENT = "embedding", "the embedding's gradient"
OPTIMIZER, DATA = "clipping and optimizer", "batch of data"
PRODUCTS_WITHIN = {ALL_STEPS: SCANS, EACH_STEP: SCANS, OUTPUT: LOSS}
PARTS = (*PRODUCTS_WITHIN, SCANS, LOSS, DROPOUT, EMBEDDING, EMBEDDING_GRADIENT, OPTIMIZER, DATA, REST)
EVENTS = {
    DATA: DATA,
    OPTIMIZER: OPTIMIZER,
    "_Run": SCANS,
    "_RunBackward": SCANS,
    "aten::lstm": SCANS,
    "MkldnnRnnLayerBackward0": SCANS,
    "_Dropped": DROPOUT,
    "_DroppedBackward": DROPOUT,
    "aten::embedding": EMBEDDING,
    "EmbeddingBackward0": EMBEDDING_GRADIENT,
    "_LinearCrossEntropy": LOSS,
    "_LinearCrossEntropyBackward": LOSS,
    "aten::binary_cross_entropy_with_logits": LOSS,
    "BinaryCrossEntropyWithLogitsBackward0": LOSS,
}
"""What the profiler calls the outermost of what belongs to a part; nodes carry their autograd function's name."""


@dataclass(frozen=True)
class Products:
    """Some matrix products of an update, apart from it: their part, their arithmetic, and a call of all of them."""

    part: str
    flop: int
    run: Callable[[], object]


@compiled
def _each_step(lefts: Array, right: Array, result: Array) -> None:
    """The product of each of `lefts` (steps, n, k) with `right` (k, m), as a scan makes it: into the same (n, m)."""
    for t in range(lefts.shape[0]):
        np.dot(lefts[t], right, result)


def _both_ways(forwards: tuple[Array, ...], backwards: tuple[Array, ...]) -> None:
    _each_step(*forwards)
    _each_step(*backwards)


def _linear_and_gradients(inputs: Tensor, weight: Tensor, gradient: Tensor) -> None:
    mm(inputs, weight.t())
    mm(gradient, weight)
    mm(gradient.t(), inputs)


def _all_steps(inputs: Tensor, outputs: Tensor, weight_ih: Tensor, d_gates: Tensor) -> None:
    _linear_and_gradients(inputs, weight_ih, d_gates)
    mm(d_gates.t(), outputs)


def scan_products(net: Recurrent, steps: int, batch: int) -> list[Products]:
    """The products of each direction of each layer: those over all steps at once, and those of each step."""
    hidden, gates, rows = net.hidden_size, net.cell.gates * net.hidden_size, steps * batch
    found = []
    for layer in range(net.layers):
        for direction in range(net.directions):
            weight_ih, weight_hh = (weight.detach() for weight in net.weights(layer, direction)[:2])
            features = weight_ih.shape[1]
            inputs, outputs, d_gates = (torch.randn(rows, width) for width in (features, hidden, gates))
            forwards, backwards = (
                (values.view(steps, batch, -1).numpy(), weight.numpy(), np.empty((batch, weight.shape[1]), np.float32))
                for values, weight in ((outputs, weight_hh.t().contiguous()), (d_gates, weight_hh))
            )
            all_steps = partial(_all_steps, inputs, outputs, weight_ih, d_gates)
            found.append(Products(ALL_STEPS, 2 * rows * gates * (3 * features + hidden), all_steps))
            found.append(Products(EACH_STEP, 2 * rows * gates * 2 * hidden, partial(_both_ways, forwards, backwards)))
    return found


def output_products(model: LanguageModel, rows: int) -> list[Products]:
    """The products of the layer that scores every word at each of `rows` places."""
    weight = (model.embedding.weight if model.output_weight is None else model.output_weight).detach()
    words, hidden = weight.shape
    run = partial(_linear_and_gradients, torch.randn(rows, hidden), weight, torch.randn(rows, words))
    return [Products(OUTPUT, 3 * 2 * rows * hidden * words, run)]


def quickest(call: Callable[[], object], timings: int) -> float:
    """Milliseconds on the clock of the quickest of some calls, after an untimed one."""
    call()
    seconds = []
    for _ in range(timings):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds)


def profiled_updates(task: ReviewTask | NewsTask, batches: Iterator[Any], count: int) -> list[dict[str, float]]:
    """Milliseconds of each of `count` updates and of each part of it that EVENTS names, products included."""
    task.model.train()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(count):
            with record_function(UPDATE):
                _update(task, batches)
    updates: dict[int, dict[str, float]] = {}
    for event in profiler.events() or []:
        around = list(_around(event))
        if event.name == UPDATE:
            updates.setdefault(event.id, defaultdict(float))[UPDATE] = event.cpu_time_total / 1000
        elif around and event.name in EVENTS and not any(other.name in EVENTS for other in around):
            updates.setdefault(around[-1].id, defaultdict(float))[EVENTS[event.name]] += event.cpu_time_total / 1000
    return list(updates.values())


def _update(task: ReviewTask | NewsTask, batches: Iterator[Any]) -> None:
    """One update as the training loop does it, in regions that the profiler names."""
    with record_function(DATA):
        batch = next(batches)
    step = task.step(batch)
    with record_function(OPTIMIZER):
        task.optimizer.zero_grad(set_to_none=True)
    step.loss.sum().backward()  # type: ignore[no-untyped-call]
    with record_function(OPTIMIZER):
        if task.gradient_norm_limit is not None:
            clip_grad_norm_(task.model.parameters(), task.gradient_norm_limit)
        task.optimizer.step()


def _around(event: Any) -> Iterator[Any]:  # noqa: ANN401 - torch's event
    """The events whose time has an event's within it, the innermost first."""
    while event.cpu_parent is not None:
        event = event.cpu_parent
        yield event


def endless(task: ReviewTask | NewsTask) -> Iterator[Any]:
    """Batches of epoch after epoch."""
    while True:
        yield from task.batches([np.random.default_rng(0)])


def breakdown(task: ReviewTask | NewsTask, products: list[Products], timings: int) -> dict[str, Any]:
    """Where the time of the quickest of some updates goes, and the rates of its products apart.

    Raises:
        StageError: the profiler saw nothing of a part.
    """
    batches = endless(task)
    unprofiled = quickest(lambda: train(task, [next(batches)]), timings)
    seen = min(profiled_updates(task, batches, timings), key=lambda update: update[UPDATE])
    missing = set(EVENTS.values()) - set(seen) - (set() if task.model.dropout.rate else {DROPOUT})
    if missing:
        raise StageError(f"the profiler saw no {', '.join(sorted(missing))}: EVENTS has other names than stages/nn")
    alone = {part: [product for product in products if product.part == part] for part in PRODUCTS_WITHIN}
    times = {part: sum(quickest(product.run, timings) for product in group) for part, group in alone.items() if group}
    flop = {part: sum(product.flop for product in alone[part]) for part in times}
    parts = times | {part: spent for part, spent in seen.items() if part != UPDATE}
    for part, spent in times.items():
        parts[PRODUCTS_WITHIN[part]] -= spent
    parts[REST] = seen[UPDATE] - sum(parts.values())
    return {
        "milliseconds": {part: round(parts[part], 3) for part in PARTS if part in parts},
        "update_milliseconds": round(seen[UPDATE], 3),
        "unprofiled_update_milliseconds": round(unprofiled, 3),
        "gflop": {part: round(flop[part] / 1e9, 3) for part in times},
        "gflop_per_second": {part: round(flop[part] / times[part] / 1e6, 1) for part in times},
        "products_alone_gflop_per_second": round(sum(flop.values()) / sum(times.values()) / 1e6, 1),
        "update_gflop_per_second": round(sum(flop.values()) / seen[UPDATE] / 1e6, 1),
        "times_products_alone": round(seen[UPDATE] / sum(times.values()), 2),
    }


def tasks(folder: Path, cell: str) -> Iterator[tuple[str, ReviewTask | NewsTask, list[Products]]]:
    """Each model with a cell: its name, its task on random text, and the products of an update."""
    device = torch.device("cpu")
    settings = review_settings(cell)
    reviews = write_reviews(folder, np.full(_UPDATES * settings.batch_size, TOKENS_A_REVIEW))
    review_task = ReviewTask(reviews, settings, 0, [0], device)
    yield "imdb", review_task, scan_products(review_task.model.recurrent, TOKENS_A_REVIEW, settings.batch_size)
    for better in (False, True):
        news = news_settings(cell, better)
        rows = news.window * news.streams
        news_task = NewsTask(write_news(folder, _UPDATES * rows + 1), news, 0, [0], device)
        products = scan_products(news_task.model.recurrent, news.window, news.streams)
        products += output_products(news_task.model, rows)
        yield f"ptb {'better' if better else 'basic'}", news_task, products


def square_rate(timings: int) -> float:
    """GFLOP a second of a large square product: near the most that a product reaches on this machine."""
    square = torch.randn(SQUARE, SQUARE)
    return 2 * SQUARE**3 / quickest(lambda: mm(square, square), timings) / 1e6


def tables(head: dict[str, Any], square: float, rows: list[dict[str, Any]]) -> str:
    """A Markdown table a model: milliseconds and share of each part, a column a cell; then arithmetic and rates."""
    lines = [
        "# Where an update's time goes",
        "",
        "Written by `python -m benchmarks.where_time_goes`, whose head says what is measured and how.",
        "",
        "; ".join(f"{name}: {value}" for name, value in head.items()) + ".",
        f"A product of two {SQUARE} × {SQUARE} matrices: {square:.0f} GFLOP/s.",
    ]
    for model in dict.fromkeys(row["model"] for row in rows):
        columns = [row for row in rows if row["model"] == model]
        parts = [part for part in PARTS if any(part in row["milliseconds"] for row in columns)]
        lines += ["", f"## {model}", "", "| Milliseconds | " + " | ".join(row["cell"] for row in columns) + " |"]
        lines += ["|---|" + "---:|" * len(columns)]
        for part in (*parts, UPDATE):
            spent = [row["milliseconds"].get(part, row["update_milliseconds"]) for row in columns]
            cells = (
                f"{value:.2f} ({value / row['update_milliseconds']:.0%})"
                for value, row in zip(spent, columns, strict=True)
            )
            lines.append(f"| {part} | " + " | ".join(cells) + " |")
        for name, values in (
            ("**times its products alone**", [f"**{row['times_products_alone']:.2f}**" for row in columns]),
            ("GFLOP of products", [f"{sum(row['gflop'].values()):.2f}" for row in columns]),
            *(
                (f"GFLOP/s of {part}, alone", [f"{row['gflop_per_second'][part]:.0f}" for row in columns])
                for part in columns[0]["gflop"]
            ),
            ("GFLOP/s of all of them, alone", [f"{row['products_alone_gflop_per_second']:.0f}" for row in columns]),
            ("GFLOP/s of the update", [f"{row['update_gflop_per_second']:.0f}" for row in columns]),
            ("the update without profiler, ms", [f"{row['unprofiled_update_milliseconds']:.2f}" for row in columns]),
        ):
            lines.append(f"| {name} | " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"


def main(*words: str) -> None:
    """Measure, print the tables, write benchmarks/where_time_goes.md and benchmarks/results/where_time_goes.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timings", type=positive, default=10, help="updates of each model and cell (default: 10)")
    timings = parser.parse_args(words).timings
    head = about(prepare("cpu")) | {"numpy": np.__version__}
    square = square_rate(timings)
    rows = []
    with TemporaryDirectory() as folder:
        for cell in CELLS:
            for model, task, products in tasks(Path(folder), cell):
                names = {"model": model, "cell": cell, "kernel": kernel_name(CELLS[cell], task.engine, "cpu")}
                rows.append(names | breakdown(task, products, timings))
    text = tables(head, square, rows)
    print(text)
    write_text(TABLE, text)
    write_json(
        RESULTS / "where_time_goes.json",
        {"about": head, "square_product_gflop_per_second": round(square, 1), "rows": rows},
    )


if __name__ == "__main__":
    run_stage(main)
