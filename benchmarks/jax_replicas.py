"""Replicas' training speed: here against JAX, on one thread.

Both sides train the same nets (30 of one unit, or 10 of eight; batches of 16; classes at the last step, Adam), drawing
of batches included. JAX has what its users would write: `vmap` over the nets, `lax.scan` over time, 50 updates of one
compiled call. Milliseconds of processor time an update of all nets, the quickest of `--timings` epochs of 100 updates;
both sides in one run, in turn for each cell and shape. A ratio is JAX's time over the time here.

Run: python -m benchmarks.jax_replicas [--jax-python PYTHON]
"""

import numpy as np
import torch

from benchmarks.measure import RESULTS, about, peer_options, processor_milliseconds, run_peer
from benchmarks.replicas import Shape
from stages.nn.cells import CELLS
from stages.nn.keras import start_as_keras
from stages.nn.replicas import Replicas, train_epoch
from stages.support.files import write_json
from stages.support.process import run_stage
from stages.training.device import prepare

UPDATES = 100
PEERS_CELLS = ("rnn", "lstm", "gru")
SHAPES = {
    f"{study} {time}": Shape(replicas, hidden, 16, time, every_step=False)
    for study, replicas, hidden in (("latch", 30, 1), ("relay", 10, 8))
    for time in (5, 50, 200)
} | {"damped": Shape(replicas=10, hidden=40, batch=10, time=20, every_step=True)}


def milliseconds_here(cell: str, shape: Shape, timings: int) -> list[float]:
    """Processor milliseconds of one update of all replicas, in each timed epoch."""
    random = np.random.default_rng(0)
    generator = torch.Generator().manual_seed(0)
    items = UPDATES * shape.batch
    inputs = torch.randn(items, shape.time, 1, generator=generator)
    targets = inputs if shape.every_step else torch.randint(2, (items,), generator=generator)
    model = Replicas(cell, shape.replicas, 1, shape.hidden, 1 if shape.every_step else 2)
    start_as_keras(model, [generator] * shape.replicas)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, fused=True)

    def epoch() -> int:
        orders = np.stack([random.permutation(items) for _ in range(shape.replicas)])
        train_epoch(model, optimizer, inputs, targets, orders, shape.batch)
        return UPDATES

    return processor_milliseconds(epoch, timings)


def main(*words: str) -> None:
    """Measure, print the table, write benchmarks/results/jax_replicas.json."""
    parser = peer_options(__doc__, "JAX", "JAX and Optax", timings=5)
    options = parser.parse_args(words)
    head = about(prepare("cpu"))
    print("  ".join(f"{name}: {value}" for name, value in head.items()))
    print("cell shape      JAX ms (slowest)  here ms (slowest)  ratio")
    rows = []
    for cell in (name for name in PEERS_CELLS if name in CELLS):
        for name, shape in SHAPES.items():
            sizes = (shape.replicas, shape.hidden, shape.batch, shape.time, 1 if shape.every_step else 2)
            words = (cell, *map(str, sizes), str(options.timings))
            peer = run_peer(options.jax_python, "jax_replicas_peer.py", *words)
            head |= peer["versions"]
            theirs, here = peer["milliseconds"], milliseconds_here(cell, shape, options.timings)
            ratio = min(theirs) / min(here)
            rows.append(
                {
                    "cell": cell,
                    "shape": name,
                    "jax_milliseconds": [round(value, 3) for value in theirs],
                    "milliseconds": [round(value, 3) for value in here],
                    "ratio": round(ratio, 2),
                }
            )
            print(
                f"{cell:4} {name:9} {min(theirs):7.3f} ({max(theirs):7.3f}) {min(here):8.3f} ({max(here):7.3f}) "
                f"{ratio:5.1f}x",
                flush=True,
            )
    write_json(RESULTS / "jax_replicas.json", {"about": head, "rows": rows})


if __name__ == "__main__":
    run_stage(main)
