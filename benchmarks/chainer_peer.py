"""Chainer's side of benchmarks.chainer_fibonacci; needs only Chainer and NumPy, nothing of this project.

Trains fibonacci's one-layer LSTM in both of the document's ways on the windows of a .npy file, and prints JSON:
versions, an epoch's updates, and the processor milliseconds of one in each timed epoch. Called by
benchmarks.chainer_fibonacci.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import chainer
import numpy as np
from chainer import functions, links

HIDDEN_SIZE, BATCH_SIZE = 200, 100


def fused_loss(recurrent: Any, output: Any, windows: Any) -> Any:  # noqa: ANN401 - Chainer is untyped
    """Mean squared error on windows (batch, 1 + time): one call of the link and of the output for all steps."""
    _, _, hidden = recurrent(None, None, [chainer.Variable(window[:-1, None]) for window in windows])
    return functions.mean_squared_error(output(functions.concat(hidden, 0)), windows[:, 1:].reshape(-1, 1))


def stepwise_loss(recurrent: Any, output: Any, windows: Any) -> Any:  # noqa: ANN401
    """Mean squared error on windows (batch, 1 + time): a call of the link, an output and a loss for every step."""
    recurrent.reset_state()
    steps = list(windows.T[..., None])
    losses = [
        functions.mean_squared_error(output(recurrent(steps[t])), steps[t + 1]) for t in range(windows.shape[1] - 1)
    ]
    return sum(losses) / len(losses)


WAYS: dict[str, tuple[Callable[[], Any], Callable[[Any, Any, Any], Any]]] = {
    "fused": (lambda: links.NStepLSTM(1, 1, HIDDEN_SIZE, 0.0), fused_loss),
    "step by step": (lambda: links.LSTM(1, HIDDEN_SIZE), stepwise_loss),
}


def main(way: str, windows_file: str, timings: str) -> None:
    """Time epochs of one of WAYS, after an untimed one; windows that fill no batch are left out, as published."""
    make_link, loss_of = WAYS[way]
    recurrent, output = make_link(), links.Linear(HIDDEN_SIZE, 1)
    model = chainer.ChainList(recurrent, output)
    optimizer = chainer.optimizers.Adam().setup(model)
    windows, random = np.load(windows_file), np.random.RandomState(0)
    updates = len(windows) // BATCH_SIZE
    milliseconds = []
    for _ in range(1 + int(timings)):
        start = time.process_time()
        shuffled = windows[random.permutation(len(windows))]
        for first in range(0, updates * BATCH_SIZE, BATCH_SIZE):
            loss = loss_of(recurrent, output, shuffled[first : first + BATCH_SIZE])
            model.cleargrads()
            loss.backward()
            optimizer.update()
        milliseconds.append(round(1000 * (time.process_time() - start) / updates, 3))
    versions = {"chainer": chainer.__version__, "chainer's numpy": np.__version__}
    found = {"link": type(recurrent).__name__, "updates": updates, "milliseconds": milliseconds[1:]}
    print(json.dumps({"versions": versions, **found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
