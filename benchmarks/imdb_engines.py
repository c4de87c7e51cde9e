"""imdb's training speed: the `padded` engine against the document's way, on one core, in one run.

The document's way is torch's packed sequences, torch's dropout and Adam with its defaults. Token ids are random and
review lengths drawn from a log-normal with IMDB's mean and median, so that no corpus is needed. Each timed batch
stands for an equal share of an epoch's tokens, because packing costs more a token the longer the reviews are. Rates
count real tokens, not padding, a second of processor time; the quicker of `REPEATS` updates on each batch. `losses
apart` is the largest difference between the engines' losses over some updates without dropout.

Run: python -m benchmarks.imdb_engines
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.measure import kernel_name
from stages.kinds.classification.model import PADDING, ReviewClassifier
from stages.nn.cells import CELLS
from stages.support.files import write_json
from stages.training.device import machine, prepare

RESULTS = Path(__file__).parent / "results" / "imdb_engines.json"
BARS = {"lstm": 15, "gru": 7, "rnn": 8}
MEAN_LENGTH_TOKENS, MEDIAN_LENGTH_TOKENS, LONGEST_TOKENS = 271, 202, 2752
VOCABULARY, BATCH_SIZE, POOL_BATCHES = 25_002, 64, 100
TIMED_BATCHES, REPEATS = 3, 2
COMPARED_UPDATES = 20

Batch = tuple[Tensor, Tensor, Tensor]


def filled(lengths: NDArray[np.int64], random: np.random.Generator) -> Batch:
    """Random tokens (time, batch), padded, the lengths (batch,) and random labels (batch,)."""
    inside = np.arange(lengths.max())[:, None] < lengths
    tokens = np.where(inside, random.integers(2, VOCABULARY, inside.shape), PADDING)
    labels = random.integers(0, 2, len(lengths)).astype(np.float32)
    return torch.from_numpy(tokens), torch.from_numpy(lengths), torch.from_numpy(labels)


def timed_batches() -> list[Batch]:
    """Batches of reviews of like length, cut from a sorted pool as the study does; each stands for as many tokens."""
    random = np.random.default_rng(0)
    sigma = math.sqrt(2 * math.log(MEAN_LENGTH_TOKENS / MEDIAN_LENGTH_TOKENS))
    lengths = random.lognormal(math.log(MEDIAN_LENGTH_TOKENS), sigma, POOL_BATCHES * BATCH_SIZE)
    pool = np.sort(lengths.astype(np.int64).clip(1, LONGEST_TOKENS)).reshape(POOL_BATCHES, BATCH_SIZE)
    share_of_tokens = pool.sum(1).cumsum() / pool.sum()
    chosen = np.searchsorted(share_of_tokens, (np.arange(TIMED_BATCHES) + 0.5) / TIMED_BATCHES)
    return [filled(pool[index], random) for index in chosen]


class Training:
    """A model and its optimizer; both sides start from the same weights."""

    def __init__(self, cell: str, engine: str, dropout: float) -> None:
        torch.manual_seed(0)
        self.model = ReviewClassifier(cell, VOCABULARY, 100, 32, 2, dropout, dropout, engine=engine)
        self.model.start(torch.Generator().manual_seed(0))
        documents_way = engine == "packed"
        if documents_way:
            self.model.dropout = nn.Dropout(dropout)  # type: ignore[assignment]
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.001, fused=not documents_way)

    def update(self, batch: Batch) -> float:
        """One training step; returns the loss in nats a review."""
        tokens, lengths, labels = batch
        loss = binary_cross_entropy_with_logits(self.model(tokens, lengths), labels)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.item()


def best_seconds(training: Training, batch: Batch, repeats: int) -> float:
    """Processor seconds of the quickest of `repeats` updates."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        training.update(batch)
        seconds.append(time.process_time() - start)
    return min(seconds)


def losses_apart(cell: str) -> float:
    """Largest difference between the engines' losses on reviews of 1 to 150 tokens, each following its own updates."""
    padded, packed = (Training(cell, engine, dropout=0.0) for engine in ("padded", "packed"))
    random = np.random.default_rng(1)
    compared = [filled(random.integers(1, 151, BATCH_SIZE), random) for _ in range(COMPARED_UPDATES)]
    return max(abs(padded.update(batch) - packed.update(batch)) for batch in compared)


def measure(cell: str, timed: list[Batch], flush: bool) -> dict[str, float]:
    """Tokens a second of both engines, alternating batch by batch, so that both meet the same machine."""
    torch.set_flush_denormal(flush)
    trainings = {engine: Training(cell, engine, dropout=0.5) for engine in ("padded", "packed")}
    seconds_per_token = dict.fromkeys(trainings, 0.0)
    for training in trainings.values():
        training.update(timed[0])
    for batch in timed:
        for engine, training in trainings.items():
            seconds = best_seconds(training, batch, REPEATS if flush else 1)
            seconds_per_token[engine] += seconds / int(batch[1].sum()) / len(timed)
    return {engine: 1 / spent for engine, spent in seconds_per_token.items()}


def main() -> None:
    """Measure, print the table, write benchmarks/results/imdb_engines.json."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    device = prepare("cpu")
    timed = timed_batches()
    about = {**machine(device), "torch": torch.__version__, "threads": torch.get_num_threads()}
    print("  ".join(f"{name}: {value}" for name, value in about.items()))
    print("Training, tokens a second of one core. `ratio` is padded to packed.")
    print("cell  subnormals   padded  packed  ratio   bar  losses apart  kernels (padded | packed)")
    rows = []
    for name, cell in CELLS.items():
        apart = losses_apart(name)
        kernels = {engine: kernel_name(cell, engine, "cpu") for engine in ("padded", "packed")}
        for flush in (True, False):
            rates = measure(name, timed, flush)
            ratio = rates["padded"] / rates["packed"]
            rows.append(
                {
                    "cell": name,
                    "subnormals_flushed": flush,
                    "tokens_per_second": {engine: round(rate) for engine, rate in rates.items()},
                    "ratio": round(ratio, 2),
                    "bar": BARS.get(name),
                    "losses_apart_nats": apart,
                    "kernels": kernels,
                }
            )
            print(
                f"{name:5} {'flushed' if flush else 'kept':10} {rates['padded']:8,.0f} {rates['packed']:7,.0f} "
                f"{ratio:5.1f}x {BARS.get(name, 0):4}x {apart:13.1e}  {kernels['padded']} | {kernels['packed']}",
                flush=True,
            )
    write_json(RESULTS, {"about": about, "rows": rows})


if __name__ == "__main__":
    main()
