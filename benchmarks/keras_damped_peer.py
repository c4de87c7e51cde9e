"""Keras's side of benchmarks.keras_damped; needs only Keras, TensorFlow and NumPy, nothing of this project.

Trains damped's net with `model.fit` as the document does, cells in turn, and prints JSON: versions, and for each cell
the processor seconds of an epoch in each timing. Called by benchmarks.keras_damped.
"""

import json
import sys
import time

import keras
import numpy as np
import tensorflow as tf

CELLS = {"lstm": "LSTM", "gru": "GRU"}
HIDDEN_SIZE, BATCH_SIZE, LEARNING_RATE = 40, 10, 0.01
EPOCHS = 50  # a timing: to start a fit takes as long as several


def model_of(cell: str, window: int) -> keras.Model:
    """One layer and a number for every step, to fit windows (batch, time, 1)."""
    recurrent = getattr(keras.layers, CELLS[cell])(HIDDEN_SIZE, return_sequences=True)
    model = keras.Sequential([keras.Input((window, 1)), recurrent, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(LEARNING_RATE), "mean_squared_error")
    return model


def main(path: str, timings: str) -> None:
    """Time epochs on the windows (batch, 1 + time) of a .npy file, after untimed ones."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    windows = np.load(path).astype(np.float32)[..., None]
    inputs, targets = windows[:, :-1], windows[:, 1:]
    keras.utils.set_random_seed(0)
    models = {cell: model_of(cell, inputs.shape[1]) for cell in CELLS}
    seconds: dict[str, list[float]] = {cell: [] for cell in CELLS}
    for timing in range(1 + int(timings)):
        for cell, model in models.items():
            start = time.process_time()
            model.fit(inputs, targets, batch_size=BATCH_SIZE, epochs=EPOCHS if timing else 1, verbose=0)
            if timing:
                seconds[cell].append((time.process_time() - start) / EPOCHS)
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    parameters = {cell: model.count_params() for cell, model in models.items()}
    print(json.dumps({"versions": versions, "parameters": parameters, "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
