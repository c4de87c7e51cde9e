"""The types that settings are made of: what is allowed, said once."""

import re
from collections.abc import Collection
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

MOST_REPEATS = 10_000


def parse_repeats(text: object) -> range:
    """Read `0-9`, `3` or `3-3` as the repeats from the first to the last, both included.

    Raises:
        ValueError: where it is no such range.
    """
    match = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", str(text))
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
    if last < first:
        raise ValueError("repeats are a number or first-last, such as 0-9")
    if last - first >= MOST_REPEATS:
        raise ValueError(f"at most {MOST_REPEATS} repeats at a time")
    return range(first, last + 1)


def no_bool(value: object) -> object:
    """Refuse true and false where a number is meant (YAML reads `on` and `yes` as true)."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _check_repeats(text: object) -> str:
    parse_repeats(no_bool(text))
    return str(text)


def check_cluster(address: object) -> str:
    """Refuse what is neither a Dask scheduler's address nor `local` nor empty.

    Raises:
        ValueError: it says what is allowed.
    """
    if not isinstance(address, str) or not re.fullmatch(r"|local|(tcp|tls|ws|wss)://[^\s/@]+:\d{1,5}", address):
        raise ValueError("a scheduler's address such as tcp://host:8786, or local, or '' for none")
    return address


# PyYAML reads `1e-06`, which `-S` writes, as text; pydantic reads such text as the number it is.
# The upper ends are those of sense: beyond them a finger slipped, and memory or days would say so later.
Positive = Annotated[int, BeforeValidator(no_bool), Field(ge=1, le=10_000_000)]
Size = Annotated[int, BeforeValidator(no_bool), Field(ge=1, le=20_000)]
Count = Annotated[int, BeforeValidator(no_bool), Field(ge=0)]
Fraction = Annotated[float, BeforeValidator(no_bool), Field(ge=0, lt=1)]
PositiveReal = Annotated[float, BeforeValidator(no_bool), Field(gt=0, allow_inf_nan=False)]
ValidationFraction = Annotated[float, BeforeValidator(no_bool), Field(ge=0.001, le=0.9)]
Seed = Annotated[int, BeforeValidator(no_bool), Field(ge=0, lt=2**63)]
ClusterAddress = Annotated[str, BeforeValidator(check_cluster)]
Repeats = Annotated[str, BeforeValidator(_check_repeats)]
AskedHeading = Literal["published", "corrected", "tuned", "equal_size", "what_if"]
Heading = Literal[AskedHeading, "tuning"]
HEADINGS: tuple[AskedHeading, ...] = ("published", "corrected", "tuned", "equal_size")
"""What arms stand under: the document's protocol; its flaws mended; each cell at its own learning rate; the same at the
size of the LSTM. (`what_if`: a protocol that nobody published, shown and decisive of nothing; `tuning`: the trials that
choose a rate, which are never tested.)"""
OWN_RATE: tuple[Heading, ...] = ("tuned", "equal_size")
"""The headings of arms whose learning rate trials choose."""
ON_SHOW: tuple[Heading, ...] = ("corrected", "tuned")
"""Which arm is on show and in use: of a document's study the first, of a person's own, which lacks it, the second."""
Precision = Literal["float32", "bfloat16"]


class Section(BaseModel):
    """A mapping of settings: no key beside its fields is allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OwnFile(Section):
    """A file or folder that a person brings; it stays where it is. `digest` is of its bytes, by `check`."""

    source: Literal["file"]
    path: str
    digest: str = ""


def check_parts(validation_fraction: float, test_fraction: float) -> None:
    """Raise ValueError where the two leave less than a tenth for training."""
    if validation_fraction + test_fraction >= 0.9:
        raise ValueError(
            f"tokens: validation_fraction {validation_fraction} and test_fraction {test_fraction} leave less than a "
            "tenth for training"
        )


def refuse_all_but(names: Collection[str], tokens: BaseModel) -> None:
    """Raise ValueError where `tokens` sets what has no effect but on a file of one's own."""
    if others := tokens.model_fields_set - set(names):
        raise ValueError(f"tokens.{min(others)} has no effect here: it is for a file of your own")


class Tuning(Section):
    """The budget of every cell: rates to try in some repeats, and fresh repeats at the one that validates best."""

    learning_rates: Annotated[tuple[PositiveReal, ...], Field(min_length=2)]
    repeats: Repeats
    final_repeats: Repeats
    epochs: Positive | None = None
    """Of trials and finals, where the protocol's own would end before a cell has converged."""
    settings: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Those of the study's settings that are tuned, where all would take too long, such as `5` of the lengths."""
    chosen_rates: tuple[PositiveReal, ...] | None = None
    """Of trials made before, one a setting and of the cell alone that is trained; None: trials choose."""

    @model_validator(mode="after")
    def _fresh(self) -> Self:
        if len(set(self.learning_rates)) < len(self.learning_rates):
            raise ValueError(f"learning_rates: {', '.join(map(str, self.learning_rates))} name one twice")
        if set(parse_repeats(self.repeats)) & set(parse_repeats(self.final_repeats)):
            raise ValueError(f"final_repeats: {self.final_repeats} must be other ones than repeats, {self.repeats}")
        return self


class TrainingSection(Section):
    """What every kind's section `training` has."""

    repeats: Repeats
    repeats_at_once: Positive = 1
    headings: Annotated[tuple[AskedHeading, ...], Field(min_length=1)] = HEADINGS
    tuning: Tuning | None = None
    variants: tuple[str, ...] = ()
    """Those of the study's file to train beside the document's own settings."""
    settings: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Those of the study's settings, variants among them, to train; None: all."""


NO_HYPERPARAMETERS = set(TrainingSection.model_fields)
"""Fields of a section `training` that are no net's."""
