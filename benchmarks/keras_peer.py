"""Keras's side of benchmarks.keras_latch; needs only Keras, TensorFlow and NumPy, nothing of this project.

Trains latch's net, one repeat of it, with `model.fit` in each way a Keras user has, and prints JSON: versions, and for
each way the processor milliseconds of an update in each timed epoch. Called by benchmarks.keras_latch.
"""

import json
import sys
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

LAYERS = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
WAYS: dict[str, dict[str, Any]] = {
    "default": {},
    "XLA": {"jit_compile": True},
    "XLA, 50 updates a call": {"jit_compile": True, "steps_per_execution": 50},
}
BATCH_SIZE = 16


def main(cell: str, length: str, updates: str, timings: str) -> None:
    """Time epochs of `updates` updates on sequences of `length` values, after one untimed epoch."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, BATCH_SIZE * int(updates))
    sequences = random.normal(0, 0.1, (len(labels), int(length), 1)).astype(np.float32)
    sequences[:, 0, 0] += 2 * labels - 1
    milliseconds: dict[str, list[float]] = {}
    for way, options in WAYS.items():
        keras.utils.set_random_seed(0)
        recurrent, output = getattr(keras.layers, LAYERS[cell])(1), keras.layers.Dense(2, activation="softmax")
        model = keras.Sequential([keras.Input((int(length), 1)), recurrent, output])
        model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy", **options)
        model.fit(sequences, labels, batch_size=BATCH_SIZE, verbose=0)
        milliseconds[way] = []
        for _ in range(int(timings)):
            start = time.process_time()
            model.fit(sequences, labels, batch_size=BATCH_SIZE, verbose=0)
            milliseconds[way].append(1000 * (time.process_time() - start) / int(updates))
    print(json.dumps({"versions": {"keras": keras.__version__, "tensorflow": tf.__version__}, "ways": milliseconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
