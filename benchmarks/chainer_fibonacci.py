"""fibonacci's training speed against Chainer, which the document used: one layer, lstm, both ways, on one CPU thread.

Chainer runs the sequence in one call (NStepLSTM) or a step a call (LSTM); here every engine runs it. Both sides train
epochs of 17 updates (batches of 100 windows of 30 values, 200 units, Adam, every window from a state of zeros), count
processor time, and take the quickest of `--timings` epochs, in one run. Start-up and validation are left out.

Run: python -m benchmarks.chainer_fibonacci --chainer-python PYTHON
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.fibonacci_speed import kernel, one_layer, train_epoch
from benchmarks.measure import RESULTS, about, peer_options, processor_milliseconds, run_peer, synthetic_data
from stages.nn.engines import ENGINES
from stages.support.files import write_json
from stages.support.process import run_stage
from stages.training.device import prepare

CELL = "lstm"  # the document's
WAYS = {"fused": "packed", "step by step": "stepwise"}
"""Chainer's ways, and the engines that are like them."""
BAR = 3


def main(*words: str) -> None:
    """Measure, print the table, write chainer_fibonacci.json and chainer_seconds.json of benchmarks/results."""
    options = peer_options(__doc__, "Chainer", "Chainer 7.8.1", timings=3).parse_args(words)
    data = synthetic_data("fibonacci")
    device = prepare("cpu")
    with TemporaryDirectory() as folder:
        windows = Path(folder, "windows.npy")
        np.save(windows, data.train)
        peers = {
            way: run_peer(options.chainer_python, "chainer_peer.py", way, str(windows), str(options.timings))
            for way in WAYS
        }
    head = about(device) | peers["fused"]["versions"]
    print("  ".join(f"{name}: {value}" for name, value in head.items()))
    print(f"Milliseconds of processor time an update, quickest (slowest); ratios of Chainer's to ours, bar {BAR}x")
    for way, peer in peers.items():
        print(f"Chainer, {way}, {peer['link']}: {min(peer['milliseconds']):.1f} ({max(peer['milliseconds']):.1f})")
    print("engine         ms (slowest)  to fused  to step by step  kernel")
    rows = []
    for engine in ENGINES:
        task = one_layer(data, CELL, engine, device)
        here = processor_milliseconds(lambda task=task: train_epoch(task), options.timings)  # type: ignore[misc]
        ratios = {way: round(min(peer["milliseconds"]) / min(here), 2) for way, peer in peers.items()}
        rows.append(
            {
                "engine": engine,
                "kernel": kernel(task),
                "milliseconds": [round(value, 3) for value in here],
                "ratios": ratios,
            }
        )
        print(
            f"{engine:9} {min(here):8.1f} ({max(here):6.1f}) {ratios['fused']:8.2f}x {ratios['step by step']:15.2f}x  "
            f"{kernel(task)}",
            flush=True,
        )
    write_json(RESULTS / "chainer_fibonacci.json", {"about": head, "bar": BAR, "rows": rows})
    timings = [
        {
            "study": "fibonacci",
            "cell": CELL,
            "device": "cpu",
            "engine": WAYS[way],
            "kernel": peer["link"],
            "library": "chainer",
            "seconds": [value * peer["updates"] / 1000 for value in peer["milliseconds"]],
        }
        for way, peer in peers.items()
    ]
    write_json(RESULTS / "chainer_seconds.json", {"about": {"cpu": head}, "rows": timings})


if __name__ == "__main__":
    run_stage(main)
