"""Seconds that training takes an epoch, for what the documents claim about time: every timing, not their mean.

- imdb: 17,500 reviews, by the batches and the training of `benchmarks.imdb_engines`: each batch stands for an equal
  share of the epoch's tokens. `packed` is the document's way, `padded` this project's on a CPU.
- damped: whole epochs of one repeat, as the study trains it.
- fibonacci: whole epochs of one layer, `packed` (torch's own, the document's fused one) and `stepwise`. LSTM only, as
  in the document.
- ptb: the better model, its output layer `tied` to the embedding or not; windows of random text, scaled to an epoch's.

Ways are timed in turn, round by round, so that each round's timings are a pair to compare. Processor time on one thread
of a CPU, which on a quiet machine is the time on the clock; on CUDA, where there is one, time on the clock once all its
work is done. `stages/results/claims.py` reads the results. What the file says of a device that is not timed now stays:
a machine with a GPU adds its rows to those of another's CPU.

Run: python -m benchmarks.epoch_seconds
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import numpy as np
import torch
from tqdm import tqdm

from benchmarks import fibonacci_speed, imdb_engines
from benchmarks.measure import RESULTS, about, kernel_name, protocol, synthetic_data, train, train_epoch
from benchmarks.texts import news_settings, write_news
from stages.kinds.language_model.task import Task as NewsTask
from stages.kinds.sequence.task import Task
from stages.nn.cells import CELLS
from stages.support.files import read_json, write_json
from stages.support.process import InputError, run_stage
from stages.training.device import prepare

TRAIN_REVIEWS = 17_500
TRAIN_WORDS = 929_589
WINDOWS = 5  # of ptb, timed for an epoch's
FEWEST_TIMINGS = 2


@dataclass(frozen=True)
class Way:
    """One way to train a study's net."""

    study: str
    cell: str
    device: str
    engine: str
    kernel: str
    output: str = ""
    """`tied` or `untied`, of a language model."""


Clock = Callable[[], float]


def clock(device: torch.device) -> Clock:
    """Seconds so far: of this process's processor time, or on the clock once all of CUDA's work is done."""
    if device.type == "cpu":
        return time.process_time

    def after_all_work() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return after_all_work


def reviews_epoch(training: imdb_engines.Training, batches: list[imdb_engines.Batch], now: Clock) -> float:
    """Seconds of an epoch of imdb: those of its batches, scaled to an equal share of the epoch's tokens each."""
    seconds = 0.0
    share = TRAIN_REVIEWS * imdb_engines.MEAN_LENGTH_TOKENS / len(batches)
    for batch in batches:
        start = now()
        training.update(batch)
        seconds += (now() - start) * share / int(batch[1].sum())
    return seconds


def task_epoch(task: Task, now: Clock) -> float:
    """Seconds of an epoch of a sequence study."""
    start, orders = now(), [np.random.default_rng(0)]
    train_epoch(task, orders)
    return now() - start


def news_epoch(task: NewsTask, now: Clock) -> float:
    """Seconds of an epoch of ptb: those of its windows, scaled to an epoch's words."""
    start = now()
    train(task, task.batches([np.random.default_rng(0)]))
    return (now() - start) * TRAIN_WORDS / task.train_tokens


def news_task(tied: bool, device: torch.device) -> NewsTask:
    """The better model of ptb on random text, whose output layer is its embedding or is not."""
    settings = news_settings("lstm", better=True, tied=tied)
    with TemporaryDirectory() as folder:
        data = write_news(Path(folder), WINDOWS * settings.window * settings.streams + 1)
        return NewsTask(data, settings, 0, [0], device)


def ways(device: torch.device) -> dict[Way, Callable[[], float]]:
    """Each way on a device, with what trains it for an epoch and returns the seconds."""
    now = clock(device)
    batches: list[imdb_engines.Batch] = [
        (tokens.to(device), lengths.to(device), labels.to(device))
        for tokens, lengths, labels in imdb_engines.timed_batches()
    ]
    oscillation, numbers = synthetic_data("damped"), synthetic_data("fibonacci")
    found: dict[Way, Callable[[], float]] = {}
    for name, cell in CELLS.items():
        for engine in ("packed", "padded") if device.type == "cpu" else ("packed",):
            training = imdb_engines.Training(name, engine, dropout=0.5)
            training.model.to(device)
            way = Way("imdb", name, device.type, engine, kernel_name(cell, engine, device.type))
            found[way] = partial(reviews_epoch, training, batches, now)
        net = Task(oscillation, protocol("damped", name), 0, [0], device)
        compiled = getattr(net.model, "compiled", False)
        kernel = "compiled loops, gradients by hand" if compiled else "step by step, autograd"
        found[Way("damped", name, device.type, net.engine, kernel)] = partial(task_epoch, net, now)
    for engine in ("packed", "stepwise"):
        layer = fibonacci_speed.one_layer(numbers, "lstm", engine, device)
        found[Way("fibonacci", "lstm", device.type, engine, fibonacci_speed.kernel(layer))] = partial(
            task_epoch, layer, now
        )
    for output in ("tied", "untied"):
        news = news_task(output == "tied", device)
        kernel = kernel_name(CELLS["lstm"], news.engine, device.type)
        found[Way("ptb", "lstm", device.type, news.engine, kernel, output)] = partial(news_epoch, news, now)
    return found


def time_in_turn(trained: Mapping[Way, Callable[[], float]], timings: int) -> dict[Way, list[float]]:
    """Each way's seconds in `timings` rounds; a round before them, not kept, lets compilers and caches settle."""
    rounds = tqdm(range(1 + timings), desc="rounds", unit="round", leave=False)
    laps = [{way: epoch() for way, epoch in trained.items()} for _ in rounds]
    return {way: [round(lap[way], 5) for lap in laps[1:]] for way in trained}


def main(*words: str) -> None:
    """Measure, print the table, write benchmarks/results/epoch_seconds.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timings", type=int, default=5, help="timed epochs of each way (default: 5)")
    available = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    parser.add_argument("--devices", nargs="+", choices=available, default=available, help="default: all there are")
    chosen = parser.parse_args(words)
    timings = chosen.timings
    if timings < FEWEST_TIMINGS:
        raise InputError(f"--timings {timings}: at least {FEWEST_TIMINGS}, since one shows no spread")
    path = RESULTS / "epoch_seconds.json"
    kept = read_json(path) if path.exists() else {"about": {}, "rows": []}
    heads = {device: about for device, about in kept["about"].items() if device not in chosen.devices}
    rows = [row for row in kept["rows"] if row["device"] not in chosen.devices]
    for device in map(prepare, chosen.devices):
        heads[device.type] = about(device)
        print("  ".join(f"{name}: {value}" for name, value in heads[device.type].items()))
        print("study     cell device engine    s an epoch  (quickest-slowest)  kernel")
        for way, seconds in time_in_turn(ways(device), timings).items():
            named = {name: value for name, value in asdict(way).items() if value}
            rows.append({**named, "seconds": seconds})
            spread = f"({min(seconds):.3f}-{max(seconds):.3f})"
            print(
                f"{way.study:9} {way.cell:4} {way.device:6} {way.engine:8} {mean(seconds):11.3f} {spread:>19}  "
                f"{way.kernel} {way.output}".rstrip(),
                flush=True,
            )
    write_json(path, {"about": heads, "rows": rows})


if __name__ == "__main__":
    run_stage(main)
