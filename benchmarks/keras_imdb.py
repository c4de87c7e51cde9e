"""imdb's training speed: the study as it trains on a CPU (engine `padded`) against Keras on TensorFlow, on one thread.

Both sides train the same model (embedding 100, dropout, two bidirectional layers of 32 with dropout between them, last
states, one logit; Adam) on the same reviews: batches of 64, each review 272 tokens, IMDB's mean, so that Keras needs no
mask and pads nothing. Whole epochs, drawing of batches included; the quickest of `--timings`. Keras is timed as it
compiles by default and with XLA. Both sides count processor time, in one run, in turn for each cell. That the models
are the same is held to their numbers of parameters, torch's second bias of rnn and lstm apart.

Run: python -m benchmarks.keras_imdb [--keras-python PYTHON]
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.measure import (
    RESULTS,
    about,
    kernel_name,
    peer_options,
    positive,
    processor_milliseconds,
    run_peer,
    train,
)
from benchmarks.texts import review_settings, write_reviews
from stages.kinds.classification.task import Data, Task
from stages.nn.cells import CELLS
from stages.nn.parameters import parameter_count
from stages.support.files import write_json
from stages.support.process import StageError, run_stage
from stages.training.device import prepare

TOKENS_A_REVIEW = 272
BARS = {"lstm": 2.0, "gru": 2.5}


def parameters(task: Task) -> int:
    """Numbers that are trained, without the second bias of a cell in which it only adds to the first."""
    recurrent = task.model.recurrent
    second = [value for name, value in recurrent.named_parameters() if name.startswith("bias_hh")]
    return parameter_count(task.model) - (0 if recurrent.cell.recurrent_bias else sum(bias.numel() for bias in second))


def run(script: str, python: str, folder: Path, data: Data, cell: str, timings: int) -> Any:  # noqa: ANN401 - the peer's JSON
    """What the peer prints for a cell on the training part of `data`, whose reviews have one length."""
    np.save(folder / "tokens.npy", data.train.tokens.reshape(len(data.train), -1))
    np.save(folder / "labels.npy", data.train.labels)
    settings = review_settings(cell)
    words = (
        cell,
        folder / "tokens.npy",
        folder / "labels.npy",
        timings,
        settings.batch_size,
        settings.learning_rate,
        data.vocabulary_size,
        settings.embedding_size,
        settings.hidden_size,
        settings.dropout,
    )
    return run_peer(python, script, *map(str, words))


def compare(peer: str, bars: dict[str, float], python: str, updates: int, timings: int) -> None:
    """Measure against a peer (`keras`, `jax`), print the table, write benchmarks/results/PEER_imdb.json."""
    device = prepare("cpu")
    head = about(device)
    print("  ".join(f"{name}: {value}" for name, value in head.items()))
    rows = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        reviews = updates * review_settings("lstm").batch_size
        data = write_reviews(folder, np.full(reviews, TOKENS_A_REVIEW))
        tokens = len(data.train.tokens) / updates
        print("Milliseconds of processor time an update, and tokens a second. `ratio` is the peer's time to ours.")
        print(f"cell  {peer:15}  ms (slowest) tokens/s  here ms (slowest) tokens/s   ratio   bar  kernel")
        for cell in CELLS:
            theirs = run(f"{peer}_imdb_peer.py", python, folder, data, cell, timings)
            head |= theirs["versions"]
            task = Task(data, review_settings(cell), 0, [0], device)
            if theirs["parameters"] != parameters(task):
                raise StageError(
                    f"{cell}: {peer}'s model has {theirs['parameters']} parameters, ours {parameters(task)}"
                )
            here = processor_milliseconds(
                lambda task=task: train(task, task.batches([np.random.default_rng(0)])),  # type: ignore[misc]
                timings,
            )
            kernel = kernel_name(CELLS[cell], task.engine, device.type)
            for way, milliseconds in theirs["ways"].items():
                rates = {peer: 1000 * tokens / min(milliseconds), "here": 1000 * tokens / min(here)}
                ratio = min(milliseconds) / min(here)
                rows.append(
                    {
                        "cell": cell,
                        peer: way,
                        f"{peer}_milliseconds": [round(value, 2) for value in milliseconds],
                        "engine": task.engine,
                        "kernel": kernel,
                        "milliseconds": [round(value, 2) for value in here],
                        "tokens_per_second": {side: round(rate) for side, rate in rates.items()},
                        "parameters": theirs["parameters"],
                        "ratio": round(ratio, 2),
                        "bar": bars.get(cell),
                    }
                )
                bar = f"{bars[cell]:.1f}x" if cell in bars else "none"
                print(
                    f"{cell:4}  {way:15} {min(milliseconds):7.0f} ({max(milliseconds):6.0f}) {rates[peer]:8,.0f} "
                    f"{min(here):8.0f} ({max(here):6.0f}) {rates['here']:8,.0f} {ratio:6.1f}x {bar:>5}  {kernel}",
                    flush=True,
                )
    write_json(
        RESULTS / f"{peer}_imdb.json",
        {"about": head, "batch_size": review_settings("lstm").batch_size, "length": TOKENS_A_REVIEW, "rows": rows},
    )


def main(*words: str) -> None:
    """Measure against Keras."""
    parser = peer_options(__doc__, "Keras", "Keras and TensorFlow", timings=3)
    parser.add_argument("--updates", type=positive, default=6, help="updates an epoch (default: 6)")
    options = parser.parse_args(words)
    compare("keras", BARS, options.keras_python, options.updates, options.timings)


if __name__ == "__main__":
    run_stage(main)
