"""sequence: what is the next value, at every step? And where do a net's own predictions lead, fed back to it?"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from stages.nn.sizes import RecurrentLayers
from stages.support.files import whole
from stages.support.sections import (
    NO_HYPERPARAMETERS,
    Fraction,
    Positive,
    PositiveReal,
    Section,
    Size,
    TrainingSection,
    ValidationFraction,
    no_bool,
)

if TYPE_CHECKING:
    from stages.text.corpora.download import Mirror


class DampedOscillation(Section):
    """exp(-x/5) cos(x) at so many points."""

    source: Literal["damped_oscillation"]
    points: Annotated[int, Field(ge=2, le=10_000_000)]


class Fibonacci(Section):
    """Fibonacci numbers modulo a number: how many to train and validate on, and how many that follow to test on."""

    source: Literal["fibonacci"]
    values: Positive
    test_values: Positive
    modulus: Annotated[int, BeforeValidator(no_bool), Field(ge=2)]


Corpus = Annotated[DampedOscillation | Fibonacci, Field(discriminator="source")]


class Tokens(Section):
    """How a sequence is cut into windows, and which of them validate."""

    window: Positive
    validation_fraction: ValidationFraction


class Training(TrainingSection):
    """The nets and their training."""

    epochs: Positive
    batch_size: Positive
    learning_rate: PositiveReal
    hidden_size: Size
    layer_counts: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1,)
    dropout: Fraction = 0.0
    optimizer: Literal["sgd", "adam"]
    library: Literal["keras", "chainer"]

    @model_validator(mode="after")
    def _packs(self) -> Self:
        if self.library == "keras" and (self.layer_counts != (1,) or self.dropout):
            raise ValueError("library: keras has nets of one layer here: layer_counts [1], dropout 0")
        if len(set(self.layer_counts)) < len(self.layer_counts):
            raise ValueError(f"layer_counts: {list(self.layer_counts)} names one twice")
        if self.library != "keras" and self.repeats_at_once > 1:
            raise ValueError(f"repeats_at_once: {self.repeats_at_once} needs library keras")
        return self


GOVERNED = ()


@dataclass(frozen=True)
class Hyperparameters:
    """All that decides the training of one arm, and how it is scored.

    `library` is the one whose layers these are: `keras`, one bias a gate, Glorot uniform and orthogonal initial
    weights; `chainer`, normal ones. `state_carried`: from batch to batch, and from step to step of the closed loop;
    otherwise every window starts from zeros. `dropout_in_closed_loop`: between layers. `full_batches_only`: windows
    that fill no batch do not train, the curve's training loss is the last batch's, and scores are those of the first
    batch.
    """

    cell: str
    hidden_size: int
    batch_size: int
    learning_rate: float
    epochs: int
    layers: int = 1
    dropout: float = 0.0
    optimizer: str = "sgd"
    library: str = "keras"
    state_carried: bool = False
    dropout_in_validation: bool = False
    dropout_in_closed_loop: float = 0.0
    full_batches_only: bool = False


DOCUMENT: Mapping[str, Any] = {
    "epoch_chosen_by": None,
    "scores": {
        "closed_loop_rmse": {"label": "closed-loop error (RMSE)", "better": "lower", "logarithmic": True},
        "validation_loss": {
            "label": "validation loss (MSE)",
            "better": "lower",
            "logarithmic": True,
            "from": "validation.loss",
        },
    },
    "curve": {
        "train": {"column": "loss", "label": "mean squared error", "logarithmic": True},
        "validation": {"column": "loss", "label": "mean squared error", "logarithmic": True},
    },
}


def check(corpus: DampedOscillation | Fibonacci, tokens: Tokens, training: Training) -> None:
    """Nothing here hangs on two sections alone: what a window leaves of a series `tokenize` finds out."""


def settings(cell: str, training: Training) -> dict[str, Hyperparameters]:
    """A setting a number of layers, which has no name where there is one number."""
    common = training.model_dump(exclude={*NO_HYPERPARAMETERS, "layer_counts"})
    counts = training.layer_counts
    names = ["" if training.library == "keras" else f"{n} layer{'s' if n > 1 else ''}" for n in counts]
    return {name: Hyperparameters(cell, layers=n, **common) for name, n in zip(names, counts, strict=True)}


SHARES_BATCHES = False


def layers_of(hyperparameters: Hyperparameters) -> RecurrentLayers:
    """The sizes that count its recurrent parameters."""
    return RecurrentLayers(1, hyperparameters.hidden_size, hyperparameters.layers)


def resized(hyperparameters: Hyperparameters, hidden_size: int) -> Hyperparameters:
    """The same net with other recurrent layers."""
    return replace(hyperparameters, hidden_size=hidden_size)


def fetch(corpus: DampedOscillation | Fibonacci, target: Path, mirror: "Mirror", downloads: Path) -> None:
    """Make the sequence: series.npy and test.npy, and provenance.json."""
    from stages.synthetic import damped, fibonacci

    with whole(target) as folder:
        folder.mkdir()
        if isinstance(corpus, DampedOscillation):
            damped.write_series(folder, corpus.points)
        else:
            fibonacci.write_series(folder, corpus.values, corpus.test_values, corpus.modulus)


def tokenize(tokens: Tokens, raw: Path, ready: Path) -> None:
    """Cut the sequence into windows of training, validation and test."""
    from stages.synthetic.windows import write_windows

    write_windows(raw, ready, tokens.window, tokens.validation_fraction)


def baselines(raw: Path, ready: Path) -> list[dict[str, Any]]:
    """What predicting zero for ever scores in the closed loop."""
    from stages.synthetic.windows import zero_row

    return [zero_row(ready)]
