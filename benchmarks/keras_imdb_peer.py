"""Keras's side of benchmarks.keras_imdb; needs only Keras, TensorFlow and NumPy, nothing of this project.

Trains imdb's model with `model.fit` on reviews of one length from .npy files, without masks, in each way a Keras user
has, and prints JSON: versions, the model's parameters, and for each way the processor milliseconds of an update in each
timed epoch. Called by benchmarks.keras_imdb.
"""

import json
import sys
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

LAYERS = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
WAYS: dict[str, dict[str, Any]] = {"default": {}, "XLA": {"jit_compile": True}}


def classifier(cell: str, vocabulary: int, steps: int, embedding: int, hidden: int, dropout: float) -> Any:  # noqa: ANN401
    """Embedding, dropout, two bidirectional layers with dropout between them, their last states, one logit."""
    layers, recurrent = keras.layers, getattr(keras.layers, LAYERS[cell])
    return keras.Sequential(
        [
            keras.Input((steps,), dtype="int32"),
            layers.Embedding(vocabulary, embedding),
            layers.Dropout(dropout),
            layers.Bidirectional(recurrent(hidden, return_sequences=True)),
            layers.Dropout(dropout),
            layers.Bidirectional(recurrent(hidden)),
            layers.Dense(1),
        ]
    )


def main(
    cell: str,
    tokens_file: str,
    labels_file: str,
    timings: str,
    batch_size: str,
    learning_rate: str,
    vocabulary: str,
    embedding: str,
    hidden: str,
    dropout: str,
) -> None:
    """Time epochs over the reviews (reviews, steps), after one untimed epoch of each way."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tokens, labels = np.load(tokens_file).astype(np.int32), np.load(labels_file).astype(np.float32)
    updates = len(tokens) // int(batch_size)
    milliseconds: dict[str, list[float]] = {}
    parameters = 0
    for way, options in WAYS.items():
        keras.utils.set_random_seed(0)
        model = classifier(cell, int(vocabulary), tokens.shape[1], int(embedding), int(hidden), float(dropout))
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(float(learning_rate)), loss, **options)
        parameters = model.count_params()
        model.fit(tokens, labels[:, None], batch_size=int(batch_size), verbose=0)
        milliseconds[way] = []
        for _ in range(int(timings)):
            start = time.process_time()
            model.fit(tokens, labels[:, None], batch_size=int(batch_size), verbose=0)
            milliseconds[way].append(1000 * (time.process_time() - start) / updates)
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    print(json.dumps({"versions": versions, "parameters": parameters, "ways": milliseconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
