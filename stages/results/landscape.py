"""The error surface of one recurrent unit after many steps, whose cliffs stop gradient descent.

Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013, equation 8 and
figure 6, which the document of latch redraws: x_t = w s(x_{t-1}) + b from x_0 = 0.5, with error (s(x_T) - 0.7)^2, where
s is the logistic function.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from stages.results.comparison import Drawn

_STEPS = (2, 10, 50)
_WEIGHTS = np.linspace(4.0, 6.0, 401)
_BIASES = np.linspace(-3.0, -2.0, 401)
_CUT = 200  # index of the bias whose line is drawn


def error_surface(weight: ArrayLike, bias: ArrayLike, steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Error after `steps` steps and the length of its gradient over (weight, bias), elementwise with broadcasting."""
    weight, bias = np.broadcast_arrays(np.asarray(weight, dtype=np.float64), np.asarray(bias, dtype=np.float64))
    state = np.full(weight.shape, 0.5)
    by_weight, by_bias = np.zeros_like(state), np.zeros_like(state)
    for _ in range(steps):
        output = expit(state)
        slope = weight * output * (1 - output)
        state, by_weight, by_bias = weight * output + bias, output + slope * by_weight, 1 + slope * by_bias
    output = expit(state)
    slope = 2 * (output - 0.7) * output * (1 - output)
    return (output - 0.7) ** 2, np.abs(slope) * np.hypot(by_weight, by_bias)


@cache
def steepest_slope(steps: int) -> float:
    """The steepest slope after `steps` steps on the grid that is drawn; a finer one may find a cliff steeper still."""
    return float(error_surface(_WEIGHTS, _BIASES[:, None], steps)[1].max())


def draw_landscape(folder: Path) -> Drawn:
    """The surface after a few, more and many steps, and a cut through each."""
    from matplotlib.figure import Figure  # slow, and of no use to `steepest_slope`

    from stages.results.drawing import save

    figure = Figure(figsize=(15.5, 4.2), layout="constrained")
    *panels, cut = figure.subplots(1, len(_STEPS) + 1)
    for axis, steps in zip(panels, _STEPS, strict=True):
        error, slope = error_surface(_WEIGHTS, _BIASES[:, None], steps)
        image = axis.imshow(
            error,
            origin="lower",
            aspect="auto",
            extent=(_WEIGHTS[0], _WEIGHTS[-1], _BIASES[0], _BIASES[-1]),
            vmin=0,
            vmax=0.4,
            cmap="viridis",
        )
        axis.axhline(_BIASES[_CUT], color="white", linestyle=":", linewidth=1)
        axis.set_title(f"{steps} steps; steepest slope {float(f'{slope.max():.2g}'):,g}", fontsize=10)
        axis.set_xlabel("recurrent weight w")
        cut.plot(_WEIGHTS, error[_CUT], label=f"{steps} steps")
    panels[0].set_ylabel("bias b")
    figure.colorbar(image, ax=panels, label="squared error", pad=0.01)
    cut.set_title(f"along the dotted line, b = {_BIASES[_CUT]:.1f}", fontsize=10)
    cut.set_xlabel("recurrent weight w")
    cut.set_ylabel("squared error")
    cut.grid(alpha=0.3)
    cut.legend(fontsize=8)
    figure.suptitle(
        "Error of one recurrent unit without input, x ← w σ(x) + b from x = 0.5, target σ(x) = 0.7 "
        "(after Pascanu et al. 2013, figure 6): steps form the cliff",
        fontsize=11,
    )
    save(figure, folder / "landscape")
    counts = ", ".join(map(str, _STEPS[:-1]))
    return Drawn(
        "landscape",
        "The error of one recurrent unit over its weight and bias: after many steps a cliff.",
        f"Heat maps of the squared error over recurrent weight and bias, after {counts} and {_STEPS[-1]} steps, and a "
        f"cut through each: a smooth valley at {_STEPS[0]} steps, a vertical cliff at {_STEPS[-1]}.",
    )
