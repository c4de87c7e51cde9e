"""series: what will a series of numbers be some steps from now? The numbers are a person's own, in time order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from stages.nn.sizes import RecurrentLayers
from stages.support.sections import (
    NO_HYPERPARAMETERS,
    OwnFile,
    Positive,
    PositiveReal,
    Section,
    Size,
    TrainingSection,
    ValidationFraction,
    check_parts,
)

if TYPE_CHECKING:
    from stages.text.corpora.download import Mirror


class Corpus(OwnFile):
    """A table in time order: the column to predict, and others to predict it from."""

    value: str
    inputs: tuple[str, ...] = ()


class Tokens(Section):
    """What a forecast looks at, how far it looks ahead, both in steps, and the shares of the parts, by time."""

    window: Positive
    horizon: Positive
    validation_fraction: ValidationFraction
    test_fraction: ValidationFraction


class Training(TrainingSection):
    """The net and its training."""

    repeats_at_once: Literal[1] = 1
    epochs: Positive
    batch_size: Positive
    learning_rate: PositiveReal
    hidden_size: Size
    layers: Annotated[int, Field(ge=1, le=4)] = 1


GOVERNED = ()


@dataclass(frozen=True)
class Hyperparameters:
    """All that decides the training of one arm."""

    cell: str
    layers: int
    hidden_size: int
    batch_size: int
    learning_rate: float
    epochs: int


DOCUMENT: Mapping[str, Any] = {
    "epoch_chosen_by": "loss",
    "scores": {
        "mase": {"label": "test error (MASE)", "better": "lower", "logarithmic": True},
        "rmse": {"label": "test error (RMSE)", "better": "lower", "logarithmic": True},
        "mae": {"label": "test error (mean absolute)", "better": "lower", "logarithmic": True},
        "direction": {"label": "right direction", "better": "higher", "percent": True, "chance": 0.5},
    },
    "curve": {
        "train": {"column": "loss", "label": "mean squared error (scaled)", "logarithmic": True},
        "validation": {"column": "loss", "label": "mean squared error (scaled)", "logarithmic": True},
    },
}

SHARES_BATCHES = True


def layers_of(hyperparameters: Hyperparameters) -> RecurrentLayers:
    """The sizes that count its recurrent parameters."""
    return RecurrentLayers(1, hyperparameters.hidden_size, hyperparameters.layers)


def resized(hyperparameters: Hyperparameters, hidden_size: int) -> Hyperparameters:
    """The same net with other recurrent layers."""
    return replace(hyperparameters, hidden_size=hidden_size)


def check(corpus: Corpus, tokens: Tokens, training: Training) -> None:
    """Refuse parts that leave nothing to train on, and a column that is named twice."""
    if len({corpus.value, *corpus.inputs}) <= len(corpus.inputs):
        raise ValueError(f"corpus: inputs {', '.join(corpus.inputs)} name a column twice, or value {corpus.value}")
    check_parts(tokens.validation_fraction, tokens.test_fraction)


def settings(cell: str, training: Training) -> dict[str, Hyperparameters]:
    """One setting."""
    return {"": Hyperparameters(cell, **training.model_dump(exclude=NO_HYPERPARAMETERS))}


def fetch(corpus: Corpus, target: Path, mirror: "Mirror", downloads: Path) -> None:
    """Read the file: values.npy, (steps, 1 + inputs), the target first, and provenance.json."""
    from stages.tables.raw import write_series

    write_series(corpus, corpus.value, corpus.inputs, target)


def tokenize(tokens: Tokens, raw: Path, ready: Path) -> None:
    """Say where each part ends, and the scale of the training part."""
    from stages.tables.ready import tokenize_series

    tokenize_series(raw, ready, **tokens.model_dump())


def baselines(raw: Path, ready: Path) -> list[dict[str, Any]]:
    """The last value, that of a season ago, and a ridge regression on the same window."""
    import numpy as np

    from stages.baselines.series import series_rows
    from stages.support.files import read_json

    about = read_json(ready / "manifest.json")
    return series_rows(
        np.load(ready / "values.npy"), about["train_end"], about["validation_end"], about["window"], about["horizon"]
    )
