"""damped's training in Keras, which the document used: seconds an epoch of either cell, on one thread of a CPU.

Cells are timed in turn, as in `benchmarks.epoch_seconds`, and by processor time. `stages/results/claims.py` reads the
results: the document's claims about time are decided by its own library.

Run: python -m benchmarks.keras_damped [--keras-python PYTHON]
"""

from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.measure import RESULTS, about, peer_options, run_peer, synthetic_data
from stages.support.files import write_json
from stages.support.process import run_stage
from stages.training.device import prepare

PARAMETERS = {"lstm": 6761, "gru": 5201}
"""As published: the nets that are timed are the document's."""


def main(*words: str) -> None:
    """Measure, print the table, write benchmarks/results/keras_damped.json."""
    options = peer_options(__doc__, "Keras", "Keras and TensorFlow", timings=10).parse_args(words)
    with TemporaryDirectory() as folder:
        windows = Path(folder, "windows.npy")
        np.save(windows, synthetic_data("damped").train)
        peer = run_peer(options.keras_python, "keras_damped_peer.py", str(windows), str(options.timings))
    assert peer["parameters"] == PARAMETERS
    head = about(prepare("cpu")) | peer["versions"]
    print("  ".join(f"{name}: {value}" for name, value in head.items()))
    print("cell  s an epoch  (quickest-slowest)")
    rows = []
    for cell, seconds in peer["seconds"].items():
        print(f"{cell:4} {mean(seconds):11.4f} {f'({min(seconds):.4f}-{max(seconds):.4f})':>19}")
        rows.append(
            {
                "study": "damped",
                "cell": cell,
                "device": "cpu",
                "engine": "packed",
                "kernel": "a loop of TensorFlow's",
                "library": "keras",
                "seconds": seconds,
            }
        )
    write_json(RESULTS / "keras_damped.json", {"about": {"cpu": head}, "rows": rows})


if __name__ == "__main__":
    run_stage(main)
