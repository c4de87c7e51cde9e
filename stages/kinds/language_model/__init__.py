"""language_model: what is the next token of a text? A basic net of one layer and a better one, by truncated BPTT."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from stages.nn.sizes import RecurrentLayers
from stages.support.files import read_json, whole
from stages.support.sections import (
    Fraction,
    OwnFile,
    Positive,
    PositiveReal,
    Precision,
    Section,
    Size,
    TrainingSection,
    ValidationFraction,
    check_parts,
    no_bool,
    refuse_all_but,
)

if TYPE_CHECKING:
    from stages.text.corpora.download import Mirror


class Ptb(Section):
    """The Penn Treebank as Mikolov prepared it, fetched from its public homes or a mirror."""

    source: Literal["ptb"]


class Sample(Section):
    """Text made by the project: about how many tokens."""

    source: Literal["sample"]
    train_tokens: Annotated[int, BeforeValidator(no_bool), Field(ge=2000)]
    validation_tokens: Annotated[int, BeforeValidator(no_bool), Field(ge=200)]
    test_tokens: Annotated[int, BeforeValidator(no_bool), Field(ge=200)]


class Own(OwnFile):
    """A text, a folder of texts, or the texts of a table's column, that a person brings."""

    text: str = ""


Corpus = Annotated[Ptb | Sample | Own, Field(discriminator="source")]


class Tokens(Section):
    """How a person's own text becomes tokens, and the shares of its parts; the Penn Treebank comes divided."""

    vocabulary_size: Positive = 10_000
    validation_fraction: ValidationFraction = 0.1
    test_fraction: ValidationFraction = 0.1


class Basic(Section):
    """The basic net: one layer."""

    embedding_size: Size
    hidden_size: Size
    epochs: Positive


class Better(Section):
    """The better net: one size, since embedding and output share their weights."""

    size: Size
    epochs: Positive
    rate_divisor: Annotated[float, BeforeValidator(no_bool), Field(ge=1, allow_inf_nan=False)]


class Training(TrainingSection):
    """The two nets, those of them to train, and their training. `layers` and `dropout` are the better one's."""

    repeats_at_once: Literal[1] = 1
    layers: Positive
    dropout: Fraction
    models: Annotated[list[Literal["basic", "better"]], Field(min_length=1)]
    streams: Positive
    window: Positive
    learning_rate: PositiveReal
    gradient_norm_limit: PositiveReal
    precision: Precision
    basic: Basic
    better: Better


GOVERNED = ("layers", "dropout")


@dataclass(frozen=True)
class Hyperparameters:
    """All that decides the training of one arm. `rate_divisor` 1 keeps the learning rate."""

    cell: str
    layers: int
    dropout: float
    tied: bool
    embedding_size: int
    hidden_size: int
    streams: int
    window: int
    learning_rate: float
    rate_divisor: float
    gradient_norm_limit: float
    epochs: int
    precision: str


DOCUMENT: Mapping[str, Any] = {
    "epoch_chosen_by": "perplexity",
    "scores": {"perplexity": {"label": "test perplexity (a token)", "better": "lower", "logarithmic": True}},
    "curve": {
        "train": {"column": "loss", "label": "cross-entropy (nats)"},
        "validation": {"column": "perplexity", "label": "perplexity (a token)", "logarithmic": True},
    },
}


def check(corpus: Ptb | Sample | Own, tokens: Tokens, training: Training) -> None:
    """Refuse parts of a person's file that leave little to train on, and of other corpora what has no effect."""
    if isinstance(corpus, Own):
        check_parts(tokens.validation_fraction, tokens.test_fraction)
    else:
        refuse_all_but((), tokens)


def settings(cell: str, training: Training) -> dict[str, Hyperparameters]:
    """Those of `basic` and `better` that are to be trained."""
    common = training.model_dump(include={"streams", "window", "learning_rate", "gradient_norm_limit", "precision"})
    basic, better = training.basic, training.better
    models = {
        "basic": Hyperparameters(
            cell, layers=1, dropout=0.0, tied=False, rate_divisor=1.0, **basic.model_dump(), **common
        ),
        "better": Hyperparameters(
            cell,
            layers=training.layers,
            dropout=training.dropout,
            tied=True,
            embedding_size=better.size,
            hidden_size=better.size,
            rate_divisor=better.rate_divisor,
            epochs=better.epochs,
            **common,
        ),
    }
    return {name: models[name] for name in dict.fromkeys(training.models)}


SHARES_BATCHES = True


def layers_of(hyperparameters: Hyperparameters) -> RecurrentLayers:
    """The sizes that count its recurrent parameters."""
    return RecurrentLayers(hyperparameters.embedding_size, hyperparameters.hidden_size, hyperparameters.layers)


def resized(hyperparameters: Hyperparameters, hidden_size: int) -> Hyperparameters:
    """The same net with other recurrent layers; tied weights make the embedding as wide."""
    embedding_size = hidden_size if hyperparameters.tied else hyperparameters.embedding_size
    return replace(hyperparameters, hidden_size=hidden_size, embedding_size=embedding_size)


def fetch(corpus: Ptb | Sample | Own, target: Path, mirror: "Mirror", downloads: Path) -> None:
    """Write the three texts and the licence, or a person's own text; and provenance.json."""
    if isinstance(corpus, Own):
        from stages.tables.raw import write_text

        write_text(corpus, corpus.text, target)
        return
    from stages.text.corpora import ptb, sample_ptb

    if isinstance(corpus, Ptb):
        ptb.fetch_ptb(target, mirror=mirror, downloads=downloads)
        return
    with whole(target) as folder:
        folder.mkdir()
        sample_ptb.write_sample(folder, seed=sample_ptb.SEED, **corpus.model_dump(exclude={"source"}))


def tokenize(tokens: Tokens, raw: Path, ready: Path) -> None:
    """Write token arrays and the vocabulary of the training part."""
    if (raw / "text.txt").exists():
        from stages.tables.ready import tokenize_text

        tokenize_text(raw, ready, **tokens.model_dump())
        return
    from stages.text.tokens.ptb import tokenize_ptb

    tokenize_ptb(raw, ready)


def baselines(raw: Path, ready: Path) -> list[dict[str, Any]]:
    """The unigram and Kneser-Ney's trigram; of text that the project made also the lowest possible."""
    from stages.baselines.language_model import LOWEST_POSSIBLE, language_model_rows

    parts = {name: np.load(ready / f"{name}.tokens.npy") for name in ("train", "validation", "test")}
    size = read_json(ready / "manifest.json")["vocabulary_size"]
    rows = language_model_rows(parts.pop("train"), parts, size)
    floor = read_json(raw / "provenance.json").get("floor_perplexity")
    if floor:
        rows.append({"name": LOWEST_POSSIBLE, **{part: {"perplexity": value} for part, value in floor.items()}})
    return rows
