"""What the benchmarks measured against other ways and libraries, as the table of benchmarks/README.md."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.results.table import Cell, Table
from stages.support.files import read_json

RESULTS = Path("benchmarks/results")
_Row = dict[str, Any]


def ratios_table() -> Table:
    """One row per study, cell and peer: how many times faster this project trained, and the bar where there is one.

    Of several ways to run a peer, each has its row, so that the quickest decides. `at most` is the ratio of which
    nothing but the matrix products would be left, where it was measured. Results that are not there are left out.
    """
    header = ["study", "cell", "against", "ratio", "bar", "at most", "processor"]
    rows = []
    for name, ratios in _BENCHMARKS.items():
        path = RESULTS / f"{name}.json"
        if path.exists():
            measured = read_json(path)
            rows += [
                [*words, _times(ratio), f"{bar:g}×" if bar else "–", _times(at_most) if at_most else "–",
                 measured["about"]["processor"]]
                for *words, ratio, bar, at_most in ratios(measured)
            ]  # fmt: skip
    return Table("Times as fast as others", header, (), [[Cell(text) for text in row] for row in rows])


def walls_table() -> Table:
    """One row per thing that a grid's scheduler takes; none where `benchmarks.cluster` has not measured."""
    header = [
        "of the scheduler",
        "bytes",
        "processor seconds each",
        "most a second",
        "seconds between, of 1,000 workers",
    ]
    path = RESULTS / "cluster.json"
    measured = read_json(path) if path.exists() else {"checkpoints": [], "jobs": {}}
    most = max((row["senders"] for row in measured["checkpoints"]), default=0)
    taken = [
        (f"a checkpoint of {row['study']}", f"{row['bytes']:,}", row["scheduler_seconds_each"])
        for row in measured["checkpoints"]
        if row["senders"] == most
    ]
    if jobs := measured["jobs"]:
        taken.append(("a job that does nothing", "–", jobs["scheduler_seconds_each"]))
    rows = [[what, size, f"{each:.2g}", f"{1 / each:,.0f}", f"{1000 * each:,.1f}"] for what, size, each in taken]
    return Table("What saturates first", header, (), [[Cell(text) for text in row] for row in rows])


def _times(ratio: float) -> str:
    return f"{ratio:.1f}×" if ratio < 10 else f"{ratio:.0f}×"


def _imdb_engines(measured: _Row) -> Iterator[tuple[Any, ...]]:
    for row in measured["rows"]:
        if row["subnormals_flushed"]:
            yield "imdb", row["cell"], "torch's layer on packed sequences", row["ratio"], row["bar"], None


def _keras_imdb(measured: _Row) -> Iterator[tuple[Any, ...]]:
    for row in measured["rows"]:
        yield "imdb", row["cell"], f"Keras on TensorFlow, {row['keras']}", row["ratio"], row["bar"], None


def _jax_imdb(measured: _Row) -> Iterator[tuple[Any, ...]]:
    for row in measured["rows"]:
        yield "imdb", row["cell"], f"JAX, {row['jax']}", row["ratio"], row["bar"], None


def _numpy_ptb(measured: _Row) -> Iterator[tuple[Any, ...]]:
    against = {"book": "the book's arithmetic in NumPy", "numpy": "the same, the embedding's gradient at once"}
    limits = {(row["model"], row["cell"]): row["ratios"] for row in measured["rows"] if row["way"] == "products"}
    for row in measured["rows"]:
        if row["study"]:
            for name, words in against.items():
                bar = row["bar"] if name == "book" else None
                at_most = limits[row["model"], row["cell"]][name]
                yield f"ptb {row['model']}", row["cell"], words, row["ratios"][name], bar, at_most


def _keras_latch(measured: _Row) -> Iterator[tuple[Any, ...]]:
    for row in measured["rows"]:
        yield f"latch {row['length']}", row["cell"], f"Keras on TensorFlow, {row['keras']}", row["ratio"], None, None


def _chainer_fibonacci(measured: _Row) -> Iterator[tuple[Any, ...]]:
    for row in measured["rows"]:
        for link, ratio in row["ratios"].items():
            yield "fibonacci", f"lstm, {row['engine']}", f"Chainer, {link}", ratio, measured["bar"], None


_BENCHMARKS = {
    "imdb_engines": _imdb_engines,
    "keras_imdb": _keras_imdb,
    "jax_imdb": _jax_imdb,
    "numpy_ptb": _numpy_ptb,
    "keras_latch": _keras_latch,
    "chainer_fibonacci": _chainer_fibonacci,
}
