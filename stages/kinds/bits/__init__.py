"""bits: what does a small net remember of the one or two bits in a long noisy sequence? Arms by sequence length.

Source: document 002_89a61afb7de75c8a and its answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from stages.nn.sizes import RecurrentLayers
from stages.support.files import whole
from stages.support.sections import (
    NO_HYPERPARAMETERS,
    Positive,
    PositiveReal,
    Section,
    Seed,
    Size,
    TrainingSection,
    ValidationFraction,
    no_bool,
)

if TYPE_CHECKING:
    from stages.text.corpora.download import Mirror


class Corpus(Section):
    """Sequences that begin with a bit (latch), or hold two (relay), in noise: how many, and the longest."""

    source: Literal["latch", "relay"]
    seed: Seed
    sequences: Annotated[int, BeforeValidator(no_bool), Field(ge=20, multiple_of=4)]
    longest: Annotated[int, BeforeValidator(no_bool), Field(ge=2)]
    noise: Annotated[float, BeforeValidator(no_bool), Field(ge=0, allow_inf_nan=False)]


class Tokens(Section):
    """Which sequences validate."""

    validation_fraction: ValidationFraction


class Training(TrainingSection):
    """The nets and their training."""

    lengths: Annotated[list[Annotated[int, BeforeValidator(no_bool), Field(ge=2)]], Field(min_length=1)]
    epochs: Positive
    batch_size: Positive
    learning_rate: PositiveReal
    hidden_size: Size

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        if len(set(self.lengths)) != len(self.lengths):
            raise ValueError(f"lengths: {self.lengths} names one twice")
        return self


GOVERNED = ()
Split = Literal["published", "corrected"]


@dataclass(frozen=True)
class Hyperparameters:
    """All that decides the training of one arm. `split` names the protocol whose validation sequences are kept out.

    `keras2`: with Keras 2.1's cells (hard sigmoids, the GRU's reset before the product) and its Adam's epsilon.
    """

    cell: str
    length: int
    split: str
    hidden_size: int
    batch_size: int
    learning_rate: float
    epochs: int
    keras2: bool = False


DOCUMENT: Mapping[str, Any] = {
    "epoch_chosen_by": None,
    "scores": {
        "validation_accuracy": {
            "label": "validation accuracy",
            "better": "higher",
            "percent": True,
            "from": "validation.accuracy",
            "bounded": True,
            "chance": 0.5,
            "margin": 5,
        },
        "test_accuracy": {
            "label": "test accuracy",
            "better": "higher",
            "percent": True,
            "from": "test.accuracy",
            "bounded": True,
            "chance": 0.5,
            "margin": 5,
        },
        "converged": {
            "label": "share converged",
            "better": "higher",
            "percent": True,
            "from": "validation.accuracy",
            "at_least": 0.9,
            "bounded": True,
        },
    },
    "curve": {
        "train": {"column": "loss", "label": "cross-entropy (nats)"},
        "validation": {"column": "accuracy", "label": "accuracy"},
    },
    "sweep": {"hyperparameter": "length", "label": "sequence length (steps)"},
}


def check(corpus: Corpus, tokens: Tokens, training: Training) -> None:
    """Refuse lengths beyond the longest sequence, and a validation part without any sequence."""
    if max(training.lengths) > corpus.longest:
        raise ValueError(f"training.lengths: {max(training.lengths)} is beyond corpus.longest, {corpus.longest}")
    if round(corpus.sequences * (1 - tokens.validation_fraction)) == corpus.sequences:
        raise ValueError(
            f"tokens.validation_fraction: {tokens.validation_fraction} of {corpus.sequences} sequences is less than one"
        )


def settings(cell: str, training: Training) -> dict[str, Hyperparameters]:
    """A setting a length, on the shuffled split."""
    common = training.model_dump(exclude={*NO_HYPERPARAMETERS, "lengths"})
    return {str(length): Hyperparameters(cell, length, "corrected", **common) for length in training.lengths}


SHARES_BATCHES = False


def layers_of(hyperparameters: Hyperparameters) -> RecurrentLayers:
    """The sizes that count its recurrent parameters."""
    return RecurrentLayers(1, hyperparameters.hidden_size, 1)


def resized(hyperparameters: Hyperparameters, hidden_size: int) -> Hyperparameters:
    """The same net with another recurrent layer."""
    return replace(hyperparameters, hidden_size=hidden_size)


def fetch(corpus: Corpus, target: Path, mirror: "Mirror", downloads: Path) -> None:
    """Make the sequences of the training and the test part, and provenance.json."""
    from stages.synthetic.bits import write_sequences

    with whole(target) as folder:
        folder.mkdir()
        write_sequences(folder, **corpus.model_dump())


def tokenize(tokens: Tokens, raw: Path, ready: Path) -> None:
    """Say which sequences of the training part validate under each protocol."""
    from stages.synthetic.bits import write_splits

    write_splits(raw, ready, tokens.validation_fraction)


def baselines(raw: Path, ready: Path) -> list[dict[str, Any]]:
    """None: `chance` stands in the figures."""
    return []
