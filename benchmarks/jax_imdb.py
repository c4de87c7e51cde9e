"""imdb's training speed: the study as it trains on a CPU (engine `padded`) against JAX, on one thread.

As `benchmarks.keras_imdb`: the same model on the same reviews, 64 a batch, each of 272 tokens, so that JAX needs no
mask and pads nothing; whole epochs, drawing of batches and dropout included, the quickest of `--timings`.

Run: python -m benchmarks.jax_imdb [--jax-python PYTHON]
"""

from benchmarks.keras_imdb import compare
from benchmarks.measure import peer_options, positive
from stages.support.process import run_stage

BARS = {"lstm": 3.0, "gru": 3.0}


def main(*words: str) -> None:
    """Measure against JAX."""
    parser = peer_options(__doc__, "JAX", "JAX and Optax", timings=3)
    parser.add_argument("--updates", type=positive, default=6, help="updates an epoch (default: 6)")
    options = parser.parse_args(words)
    compare("jax", BARS, options.jax_python, options.updates, options.timings)


if __name__ == "__main__":
    run_stage(main)
