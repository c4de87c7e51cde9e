"""latch's training speed: 30 repeats trained as one net here against one repeat in Keras on TensorFlow, on one thread.

Both sides train epochs as the protocol has them (500 updates of 16 sequences, one unit, Adam), drawing of batches
included; the quickest of `--timings`. Keras is timed in three ways of compiling its model: the default, with XLA, and
with XLA and 50 updates a call, its quickest. A ratio is what one update of one repeat takes in Keras over what it
takes here. Both sides count processor time, in one run, in turn for each cell and length.

Run: python -m benchmarks.keras_latch [--keras-python PYTHON]
"""

import numpy as np

from benchmarks.measure import (
    RESULTS,
    about,
    peer_options,
    processor_milliseconds,
    protocol,
    run_peer,
    synthetic_data,
    train_epoch,
)
from stages.kinds.bits.task import Data, Task
from stages.nn.cells import CELLS
from stages.support.files import write_json
from stages.support.process import run_stage
from stages.training.device import prepare

LENGTHS, REPEATS = (50, 200), 30
UPDATES = 500  # of an epoch


def replicas_milliseconds(data: Data, cell: str, length: int, timings: int) -> tuple[list[float], str]:
    """Processor milliseconds of one update of all repeats, in each timed epoch; and the engine."""
    task = Task(data, protocol("latch", cell, str(length)), 0, range(REPEATS), prepare("cpu"))
    orders = [np.random.default_rng(repeat) for repeat in range(REPEATS)]
    return processor_milliseconds(lambda: train_epoch(task, orders), timings), task.engine


def main(*words: str) -> None:
    """Measure, print the table, write benchmarks/results/keras_latch.json."""
    options = peer_options(__doc__, "Keras", "Keras and TensorFlow", timings=3).parse_args(words)
    data = synthetic_data("latch")
    head = about(prepare("cpu"))
    print("  ".join(f"{name}: {value}" for name, value in head.items()))
    print(f"Milliseconds of processor time an update: one repeat in Keras, {REPEATS} here. `ratio` is a repeat's.")
    print("cell length  Keras                     ms (slowest)  here ms (slowest)   ratio")
    rows = []
    for cell in CELLS:
        for length in LENGTHS:
            peer = run_peer(
                options.keras_python, "keras_peer.py", cell, str(length), str(UPDATES), str(options.timings)
            )
            head |= peer["versions"]
            here, engine = replicas_milliseconds(data, cell, length, options.timings)
            for way, milliseconds in peer["ways"].items():
                ratio = min(milliseconds) * REPEATS / min(here)
                rows.append(
                    {
                        "cell": cell,
                        "length": length,
                        "keras": way,
                        "keras_milliseconds": [round(value, 3) for value in milliseconds],
                        "engine": engine,
                        "milliseconds": [round(value, 3) for value in here],
                        "repeats": REPEATS,
                        "ratio": round(ratio, 1),
                    }
                )
                print(
                    f"{cell:4} {length:6}  {way:22} {min(milliseconds):6.2f} ({max(milliseconds):7.2f})  "
                    f"{min(here):7.2f} ({max(here):7.2f}) {ratio:6.0f}x",
                    flush=True,
                )
    write_json(RESULTS / "keras_latch.json", {"about": head, "rows": rows})


if __name__ == "__main__":
    run_stage(main)
