"""classification: which label does a text have? Bidirectional recurrent layers read it to the end."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from stages.nn.sizes import RecurrentLayers
from stages.support.files import read_json, whole
from stages.support.sections import (
    NO_HYPERPARAMETERS,
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


class Imdb(Section):
    """The film reviews of aclImdb, fetched from their public home or a mirror."""

    source: Literal["imdb"]


class Sample(Section):
    """Reviews made by the project: how many."""

    source: Literal["sample"]
    train_reviews: Annotated[int, BeforeValidator(no_bool), Field(ge=20)]
    test_reviews: Annotated[int, BeforeValidator(no_bool), Field(ge=20)]


class Own(OwnFile):
    """A table, or a folder of texts a label, that a person brings: the columns of the texts and of their labels."""

    text: str = ""
    label: str = ""


Corpus = Annotated[Imdb | Sample | Own, Field(discriminator="source")]


class Tokens(Section):
    """How texts become numbers. A person's own texts are also divided into a test part, and cut where they are long.

    `divisions`: into so many random divisions, which repeats take in turn, so that scores are not about one of them.
    """

    vocabulary_size: Positive
    validation_fraction: ValidationFraction
    test_fraction: ValidationFraction = 0.15
    longest: Positive = 1000
    divisions: Annotated[int, BeforeValidator(no_bool), Field(ge=1, le=100)] = 1


class Training(TrainingSection):
    """The net and its training."""

    repeats_at_once: Literal[1] = 1
    layers: Positive
    dropout: Fraction
    epochs: Positive
    batch_size: Positive
    learning_rate: PositiveReal
    embedding_size: Size
    hidden_size: Size
    precision: Precision


GOVERNED = ("layers", "dropout")


@dataclass(frozen=True)
class Hyperparameters:
    """All that decides the training of one arm. `hidden_size`: units a direction.

    `train_texts`: as many of the training part, drawn anew for each repeat; 0: all. `split`: one training and one
    validation part for all repeats, or drawn anew for each from both together (the vocabulary stays).
    """

    cell: str
    layers: int
    dropout: float
    dropout_between_layers: float
    embedding_size: int
    hidden_size: int
    batch_size: int
    learning_rate: float
    epochs: int
    precision: str
    train_texts: int = 0
    split: Literal["one", "a repeat"] = "one"


DOCUMENT: Mapping[str, Any] = {
    "epoch_chosen_by": "loss",
    "scores": {
        "accuracy": {"label": "test accuracy", "better": "higher", "percent": True},
        "macro_f1": {"label": "test macro-F1", "better": "higher", "percent": True},
        "loss": {"label": "test cross-entropy (nats a text)", "better": "lower"},
    },
    "curve": {
        "train": {"column": "loss", "label": "cross-entropy (nats)"},
        "validation": {"column": "loss", "label": "cross-entropy (nats a text)"},
    },
}


def check(corpus: Imdb | Sample | Own, tokens: Tokens, training: Training) -> None:
    """Refuse parts of a person's file that leave little to train on, and of other corpora what has no effect."""
    if isinstance(corpus, Own):
        check_parts(tokens.validation_fraction, tokens.test_fraction)
    else:
        refuse_all_but(("vocabulary_size", "validation_fraction"), tokens)


def settings(cell: str, training: Training) -> dict[str, Hyperparameters]:
    """One setting: the dropout between layers is the one on the embeddings."""
    values = training.model_dump(exclude=NO_HYPERPARAMETERS)
    return {"": Hyperparameters(cell, dropout_between_layers=training.dropout, **values)}


SHARES_BATCHES = True


def layers_of(hyperparameters: Hyperparameters) -> RecurrentLayers:
    """The sizes that count its recurrent parameters."""
    h = hyperparameters
    return RecurrentLayers(h.embedding_size, h.hidden_size, h.layers, directions=2)


def resized(hyperparameters: Hyperparameters, hidden_size: int) -> Hyperparameters:
    """The same net with other recurrent layers."""
    return replace(hyperparameters, hidden_size=hidden_size)


def fetch(corpus: Imdb | Sample | Own, target: Path, mirror: "Mirror", downloads: Path) -> None:
    """Write reviews.tar and the licence, or of a person's own texts texts.jsonl; and provenance.json."""
    if isinstance(corpus, Own):
        from stages.tables.raw import write_labelled

        write_labelled(corpus, corpus.text, corpus.label, target)
        return
    from stages.text.corpora import imdb, sample_imdb

    if isinstance(corpus, Imdb):
        imdb.fetch_imdb(target, mirror=mirror, downloads=downloads)
        return
    with whole(target) as folder:
        folder.mkdir()
        sample_imdb.write_sample(folder, seed=sample_imdb.SEED, **corpus.model_dump(exclude={"source"}))


def tokenize(tokens: Tokens, raw: Path, ready: Path) -> None:
    """Write token arrays, labels and the vocabulary of the training part."""
    if (raw / "texts.jsonl").exists():
        from stages.tables.ready import tokenize_labelled

        tokenize_labelled(raw, ready, **tokens.model_dump())
        return
    from stages.text.tokens.imdb import tokenize_imdb

    tokenize_imdb(raw, ready, vocabulary_size=tokens.vocabulary_size, validation_fraction=tokens.validation_fraction)


def baselines(raw: Path, ready: Path) -> list[dict[str, Any]]:
    """TF-IDF and logistic regression, what many would use instead; of a person's own texts the largest class too."""
    if (raw / "texts.jsonl").exists():
        from stages.baselines.classification import classification_rows, over_divisions
        from stages.tables.ready import labelled_parts

        about = read_json(ready / "manifest.json")
        classes, characters = len(about["labels"]), about["unit"] == "characters"
        return over_divisions(
            [
                classification_rows(train, validation, test, classes, characters)
                for train, validation, test in labelled_parts(raw, ready)
            ]
        )
    from stages.text.baselines import bag_of_words_row

    return [bag_of_words_row(raw, ready)]
