"""What a training epoch costs: seconds and peak memory against corpus size, batch size, hidden size and jobs, fitted.

imdb's lstm by the study's own task and training loop, each epoch in a fresh process of one thread, on random reviews of
IMDB's lengths (log-normal, its mean and median) in the token arrays that the study maps into memory. A corpus is an
eighth of about 17,500 reviews, repeated: the longest review is the same in all of them, and an eighth is whole batches
of the largest size, so that the batch of the longest is always full. Seconds are the training's alone, on the clock, so
run it on a quiet machine; peak memory is the process's (`VmHWM`), mapped pages of files in it.

Each sweep is fitted by costs that cannot be negative, with the least relative error: seconds = fixed + a * corpus;
fixed + a / batch size + b * batch size; fixed + a * hidden size + b * hidden size²; bytes = fixed + a * what is swept.
Last, memory held between updates on a corpus and on one 8 times larger, reviews of one length: anonymous memory apart
from pages of files, after some updates and then after drawing every batch of an epoch, which touches all of the corpus.

Run: python -m benchmarks.cost_model
"""

import argparse
import math
import multiprocessing
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from benchmarks.imdb_engines import LONGEST_TOKENS, MEAN_LENGTH_TOKENS, MEDIAN_LENGTH_TOKENS
from benchmarks.keras_imdb import TOKENS_A_REVIEW
from benchmarks.measure import RESULTS, about, kernel_name, train
from benchmarks.texts import review_settings, write_reviews
from stages.kinds.classification.task import Data, Task
from stages.nn.cells import CELLS
from stages.support.files import write_json
from stages.support.process import InputError, StageError, die_with_parent, run_stage
from stages.training.device import prepare
from stages.training.loop import Pack, fit

CELL = "lstm"
TRAIN_REVIEWS, EIGHTHS = 17_500, 8
MEGABYTE = 1e6
HELD_UPDATES = 20


@dataclass(frozen=True)
class Setting:
    """What an epoch's cost is measured for."""

    eighths: int = 1
    batch_size: int = 64
    hidden_size: int = 32
    jobs: int = 1

    def __str__(self) -> str:
        """What messages call it."""
        of_corpus = f"{self.eighths}/{EIGHTHS} of the corpus"
        return f"{of_corpus}, batch {self.batch_size}, {self.hidden_size} units, {self.jobs} at once"


SWEEPS: dict[str, Sequence[int]] = {
    "eighths": (1, 2, 4, 8),
    "batch_size": (16, 32, 64, 128, 256),
    "hidden_size": (16, 32, 64, 128),
    "jobs": (1, 2),
}
TERMS: dict[str, dict[str, tuple[str, ...]]] = {
    "eighths": {"seconds": ("1", "x"), "megabytes": ("1", "x")},
    "batch_size": {"seconds": ("1", "1/x", "x"), "megabytes": ("1", "x")},
    "hidden_size": {"seconds": ("1", "x", "x^2"), "megabytes": ("1", "x")},
}
_FUNCTIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "1": np.ones_like,
    "x": lambda x: x,
    "1/x": lambda x: 1 / x,
    "x^2": np.square,
}


@dataclass(frozen=True)
class Fit:
    """Costs that add up to what was measured: a coefficient a term, and the largest relative error."""

    coefficients: dict[str, float]
    largest_error: float

    def at(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the fit says for values of what is swept."""
        total: NDArray[np.float64] = sum(
            (factor * _FUNCTIONS[term](x) for term, factor in self.coefficients.items()), np.zeros_like(x)
        )
        return total


def fitted(terms: Sequence[str], x: Sequence[float], y: Sequence[float]) -> Fit:
    """The non-negative costs of `terms` with the least squared relative error."""
    where, measured = np.array(x, float), np.array(y, float)
    columns = np.stack([_FUNCTIONS[term](where) for term in terms], axis=1) / measured[:, None]
    coefficients, _ = nnls(columns, np.ones(len(measured)))
    errors = np.abs(columns @ coefficients - 1)
    return Fit(dict(zip(terms, coefficients.tolist(), strict=True)), float(errors.max()))


def review_lengths(reviews: int) -> NDArray[np.int64]:
    """Log-normal lengths with IMDB's mean and median, none longer than its longest."""
    sigma = math.sqrt(2 * math.log(MEAN_LENGTH_TOKENS / MEDIAN_LENGTH_TOKENS))
    lengths = np.random.default_rng(0).lognormal(math.log(MEDIAN_LENGTH_TOKENS), sigma, reviews)
    return lengths.astype(np.int64).clip(1, LONGEST_TOKENS)


def has_memory_accounts() -> bool:
    """Whether this system tells a process's anonymous memory from pages of files, as Linux does."""
    return Path("/proc/self/smaps_rollup").exists()


def memory_bytes() -> dict[str, int]:
    """This process's memory, of Linux: `anonymous` and `files` resident now, `peak` resident ever.

    Not `getrusage`: its peak is never less than what the parent process held when it started this one.
    """
    held = _kilobytes("smaps_rollup")
    return {
        "anonymous": 1024 * held["Anonymous"],
        "files": 1024 * (held["Rss"] - held["Anonymous"]),
        "peak": 1024 * _kilobytes("status")["VmHWM"],
    }


def _kilobytes(name: str) -> dict[str, int]:
    text = Path("/proc/self", name).read_text(encoding="utf-8")
    return {field: int(value) for field, value in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}


_started: list[Barrier] = []


def _initialise(barrier: Barrier) -> None:
    die_with_parent()
    _started.append(barrier)


def epoch(folder: Path, setting: Setting) -> dict[str, float]:
    """Train one epoch on the data in `folder`, beginning when all jobs do: its seconds, tokens and peak megabytes."""
    settings = review_settings(CELL, hidden_size=setting.hidden_size, batch_size=setting.batch_size)
    task: Any = Task(Data(folder), settings, 0, [0], prepare("cpu"))  # Any: it narrows the attributes of loop.Task
    train(task, [task.data.train.batch(np.arange(2))])  # loads what is compiled
    with TemporaryDirectory() as checkpoints:
        pack = Pack(str(setting), 0, [0], 1, Path(checkpoints) / "checkpoint.pt")
        _started[0].wait()
        (cost,) = fit(task, pack, on_epoch=lambda rows, cost: None).costs
    peak = memory_bytes()["peak"] / MEGABYTE
    return {"seconds": cost["train_seconds"], "tokens": task.train_tokens, "megabytes": peak}


def held(folder: Path, updates: int) -> dict[str, Any]:
    """Memory held after some updates on the data in `folder`, and then after all batches of an epoch were drawn."""
    task = Task(Data(folder), review_settings(CELL), 0, [0], prepare("cpu"))
    random = np.random.default_rng(0)
    anonymous = []
    for batch in islice(task.batches([random]), updates):
        train(task, [batch])
        anonymous.append(memory_bytes()["anonymous"])
    after_updates = memory_bytes() | {"anonymous": max(anonymous)}
    for _ in task.batches([random]):
        pass
    return {
        "corpus_megabytes": round(task.data.train.tokens.nbytes / MEGABYTE, 1),
        **{
            name: {kind: round(value / MEGABYTE, 1) for kind, value in memory.items()}
            for name, memory in (("after_updates", after_updates), ("after_drawing_all", memory_bytes()))
        },
    }


def in_fresh_processes(call: Callable[[], dict[str, Any]], jobs: int) -> list[dict[str, Any]]:
    """What a call returns in each of `jobs` new processes at the same time."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_initialise, initargs=(context.Barrier(jobs),)) as pool:
        return [future.result() for future in [pool.submit(call) for _ in range(jobs)]]


def measure(folders: dict[int, Path], setting: Setting) -> dict[str, Any]:
    """Cost of an epoch for a setting: the slowest job's seconds, all jobs' memory."""
    jobs = in_fresh_processes(partial(epoch, folders[setting.eighths], setting), setting.jobs)
    return asdict(setting) | {
        "tokens": int(jobs[0]["tokens"]),
        "seconds": round(max(job["seconds"] for job in jobs), 3),
        "megabytes": round(sum(job["megabytes"] for job in jobs), 1),
    }


def points(rows: Sequence[dict[str, Any]], sweep: str) -> list[tuple[float, dict[str, Any]]]:
    """The rows of a sweep, each with the value of what is swept; a corpus is counted in millions of tokens."""
    others = {name: value for name, value in asdict(Setting()).items() if name != sweep}
    chosen = [row for row in rows if others.items() <= row.items()]
    return [(row["tokens"] / 1e6 if sweep == "eighths" else row[sweep], row) for row in chosen]


def fits_of(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Fit]]:
    """A fit of each quantity to each sweep of TERMS."""
    found: dict[str, dict[str, Fit]] = {}
    for sweep, quantities in TERMS.items():
        swept = points(rows, sweep)
        x = [value for value, _ in swept]
        found[sweep] = {
            quantity: fitted(terms, x, [row[quantity] for _, row in swept]) for quantity, terms in quantities.items()
        }
    return found


def draw(rows: Sequence[dict[str, Any]], fits: dict[str, dict[str, Fit]], caption: str, path: Path) -> None:
    """PATH.png and PATH.svg: a row a quantity, a column a sweep; what was measured, and the fit."""
    from matplotlib.figure import Figure  # not for the processes that train: it would count as their memory

    from stages.results.drawing import cell_colours, save

    names = dict(zip(SWEEPS, ("corpus, million tokens", "batch size", "hidden size", "jobs at once"), strict=True))
    labels = {"seconds": "seconds an epoch", "megabytes": "peak memory, MB"}
    colour = cell_colours([CELL])[CELL]
    figure = Figure(figsize=(12, 6), layout="constrained")
    axes = figure.subplots(len(labels), len(SWEEPS), squeeze=False)
    for line, (quantity, label) in zip(axes, labels.items(), strict=True):
        for axis, sweep in zip(line, SWEEPS, strict=True):
            swept = points(rows, sweep)
            x = [value for value, _ in swept]
            axis.plot(x, [row[quantity] for _, row in swept], "o", color=colour, label="measured")
            if sweep in fits:
                where = np.linspace(min(x), max(x), 100)
                fit_line = fits[sweep][quantity]
                axis.plot(where, fit_line.at(where), "--", color="grey", label=formula(fit_line))
                axis.legend(fontsize="small", loc="upper left")
            else:
                axis.set_xticks(x)
            axis.set_ylim(0, 1.35 * max(row[quantity] for _, row in swept))  # room for the legend
            axis.set_xlabel(names[sweep])
            axis.set_ylabel(label)
    figure.suptitle(caption, fontsize="medium")
    save(figure, path)


def formula(fit_of_terms: Fit) -> str:
    """Such as `0.21 + 12.3 x`."""
    terms = {"1": "", "x": " x", "1/x": " / x", "x^2": " x²"}
    shown = {
        term: f"{factor:.3g}" if factor < 1000 else f"{factor:,.0f}"
        for term, factor in fit_of_terms.coefficients.items()
        if factor > 0
    }
    return " + ".join(f"{factor}{terms[term]}" for term, factor in shown.items())


def main(*words: str) -> None:
    """Measure, print the tables, write benchmarks/results/cost_model.json and its figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the corpus, for a quick run (default: 1)")
    scale = parser.parse_args(words).scale
    if not 0 < scale <= 1:
        raise InputError(f"--scale {scale}: allowed is more than 0, at most 1")
    if not has_memory_accounts():
        raise StageError("cost_model reads memory from Linux's /proc/self/smaps_rollup, which is not here")
    head = about(prepare("cpu")) | {"kernel": kernel_name(CELLS[CELL], "padded", "cpu"), "scale": scale}
    print("  ".join(f"{name}: {value}" for name, value in head.items()))
    batch = max(SWEEPS["batch_size"])
    an_eighth = batch * max(1, round(scale * TRAIN_REVIEWS / EIGHTHS / batch))
    with TemporaryDirectory() as name:
        rows = epochs(Path(name), review_lengths(an_eighth))
        memory = {}
        for times in (1, 8):
            folder = Path(name, f"even-{times}")
            folder.mkdir()
            write_reviews(folder, np.full(an_eighth, TOKENS_A_REVIEW), times * EIGHTHS)
            memory[f"{times}x"] = in_fresh_processes(partial(held, folder, HELD_UPDATES), 1)[0]
    fits = fits_of(rows)
    for sweep, quantities in fits.items():
        for quantity, fit_of_terms in quantities.items():
            print(f"{sweep}: {quantity} = {formula(fit_of_terms)}, largest error {fit_of_terms.largest_error:.1%}")
    (one, two) = (row["seconds"] for _, row in points(rows, "jobs"))
    print(f"two jobs at once: {2 * one / two:.2f} times the tokens a second of one")
    print("MB held by a process      corpus  anonymous  mapped files   peak")
    for corpora, held_row in memory.items():
        for when in ("after_updates", "after_drawing_all"):
            anonymous, files, peak = (held_row[when][kind] for kind in ("anonymous", "files", "peak"))
            size = held_row["corpus_megabytes"]
            print(f"{corpora} {when.replace('_', ' '):20} {size:8.1f} {anonymous:10.1f} {files:13.1f} {peak:6.0f}")
    write_json(
        RESULTS / "cost_model.json",
        {
            "about": head,
            "cell": CELL,
            "rows": rows,
            "fits": {sweep: {name: asdict(value) for name, value in found.items()} for sweep, found in fits.items()},
            "two_jobs_to_one": round(2 * one / two, 3),
            "held_memory_megabytes": memory,
        },
    )
    caption = f"imdb, {CELL}: one training epoch, one thread a job; {head['processor']}"
    draw(rows, fits, caption, RESULTS / "cost_model")


def epochs(folder: Path, lengths: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The cost of an epoch at every point of every sweep; `lengths` are those of an eighth of the corpus."""
    folders = {eighths: folder / f"{eighths}" for eighths in SWEEPS["eighths"]}
    for eighths, place in folders.items():
        place.mkdir()
        write_reviews(place, lengths, eighths)
    settings = dict.fromkeys(replace(Setting(), **{sweep: value}) for sweep in SWEEPS for value in SWEEPS[sweep])
    in_fresh_processes(partial(held, folders[1], 1), 1)  # compiles, which would count as the first one's memory
    print("eighths batch hidden jobs     tokens  seconds  tokens/s  peak MB")
    rows = []
    for setting in settings:
        row = measure(folders, setting)
        rows.append(row)
        rate = row["jobs"] * row["tokens"] / row["seconds"]
        print(
            f"{row['eighths']:7} {row['batch_size']:5} {row['hidden_size']:6} {row['jobs']:4} {row['tokens']:10,} "
            f"{row['seconds']:8.2f} {rate:9,.0f} {row['megabytes']:8.0f}",
            flush=True,
        )
    return rows


if __name__ == "__main__":
    run_stage(main)
