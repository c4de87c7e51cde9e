"""Every parameter of params.yaml: its type, its range, and one clear line for what is not allowed.

A new study adds its section here: a class for each of corpus, tokens and training, and a line in `Params`.
"""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from stages.support.process import InputError


def parse_repeats(text: object) -> range:
    """Read `0-9`, `3` or `3-3` as the repeats from the first to the last, both included.

    Raises:
        ValueError: where it is no such range.
    """
    match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", str(text))
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
    if last < first:
        raise ValueError("repeats are a number or first-last, such as 0-9")
    return range(first, last + 1)


def _no_bool(value: object) -> object:
    """Refuse true and false where a number is meant (YAML reads `on` and `yes` as true)."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _check_repeats(text: object) -> str:
    parse_repeats(_no_bool(text))
    return str(text)


# PyYAML reads `1e-06`, which `-S` writes, as text; pydantic reads such text as the number it is.
Positive = Annotated[int, BeforeValidator(_no_bool), Field(ge=1)]
Count = Annotated[int, BeforeValidator(_no_bool), Field(ge=0)]
Fraction = Annotated[float, BeforeValidator(_no_bool), Field(ge=0, lt=1)]
PositiveReal = Annotated[float, BeforeValidator(_no_bool), Field(gt=0, allow_inf_nan=False)]
ValidationFraction = Annotated[float, BeforeValidator(_no_bool), Field(gt=0, lt=1)]
Repeats = Annotated[str, BeforeValidator(_check_repeats)]
Precision = Literal["float32", "bfloat16"]


class Section(BaseModel):
    """A mapping of params.yaml: every key required, no other key allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Section):
    """A section that has no parameter."""


class RealCorpus(Section):
    """The corpus that the documents used, fetched from its public home or a mirror."""

    source: Literal["real"]


class ImdbSampleCorpus(Section):
    """Reviews made by the project: how many."""

    source: Literal["sample"]
    train_reviews: Annotated[int, BeforeValidator(_no_bool), Field(ge=20)]
    test_reviews: Annotated[int, BeforeValidator(_no_bool), Field(ge=20)]


class ImdbTokens(Section):
    """How reviews become numbers."""

    vocabulary_size: Positive
    validation_fraction: ValidationFraction


class ImdbTraining(Section):
    """The imdb model and its training."""

    repeats: Repeats
    epochs: Positive
    batch_size: Positive
    learning_rate: PositiveReal
    embedding_size: Positive
    hidden_size: Positive
    published_gru_dropout_between_layers: Fraction
    precision: Precision


class ImdbProfile(Section):
    """Section imdb of one profile."""

    corpus: ImdbSampleCorpus | RealCorpus = Field(discriminator="source")
    tokens: ImdbTokens
    training: ImdbTraining


class PtbSampleCorpus(Section):
    """Text made by the project: about how many tokens."""

    source: Literal["sample"]
    train_tokens: Annotated[int, BeforeValidator(_no_bool), Field(ge=2000)]
    validation_tokens: Annotated[int, BeforeValidator(_no_bool), Field(ge=200)]
    test_tokens: Annotated[int, BeforeValidator(_no_bool), Field(ge=200)]


class PtbBasic(Section):
    """The basic language model."""

    embedding_size: Positive
    hidden_size: Positive
    epochs: Positive


class PtbBetter(Section):
    """The better language model: one size, since embedding and output share their weights."""

    size: Positive
    epochs: Positive
    rate_divisor: Annotated[float, BeforeValidator(_no_bool), Field(ge=1, allow_inf_nan=False)]


class PtbTraining(Section):
    """The two language models, those of them to train, and their training."""

    repeats: Repeats
    models: Annotated[list[Literal["basic", "better"]], Field(min_length=1)]
    streams: Positive
    window: Positive
    learning_rate: PositiveReal
    gradient_norm_limit: PositiveReal
    precision: Precision
    basic: PtbBasic
    better: PtbBetter


class PtbProfile(Section):
    """Section ptb of one profile."""

    corpus: PtbSampleCorpus | RealCorpus = Field(discriminator="source")
    tokens: Nothing
    training: PtbTraining


class DampedData(Section):
    """The damped oscillation: points of the curve, and windows of them."""

    points: Positive
    window: Positive
    validation_fraction: ValidationFraction


class DampedTraining(Section):
    """The damped net and its training."""

    repeats: Repeats
    repeats_at_once: Positive
    epochs: Positive
    batch_size: Positive
    learning_rate: PositiveReal
    hidden_size: Positive


class DampedProfile(Section):
    """Section damped of one profile."""

    data: DampedData
    training: DampedTraining


class BitsData(Section):
    """Sequences that begin with a bit (latch), or hold two (relay), in noise: how many, and the longest."""

    sequences: Annotated[int, BeforeValidator(_no_bool), Field(ge=20, multiple_of=4)]
    longest: Annotated[int, BeforeValidator(_no_bool), Field(ge=2)]
    noise: Annotated[float, BeforeValidator(_no_bool), Field(ge=0, allow_inf_nan=False)]
    validation_fraction: ValidationFraction


class BitsTraining(Section):
    """The nets of latch or relay and their training."""

    repeats: Repeats
    repeats_at_once: Positive
    lengths: Annotated[list[Annotated[int, BeforeValidator(_no_bool), Field(ge=2)]], Field(min_length=1)]
    epochs: Positive
    batch_size: Positive
    learning_rate: PositiveReal
    hidden_size: Positive


class BitsProfile(Section):
    """Section latch or relay of one profile."""

    data: BitsData
    training: BitsTraining

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        if max(self.training.lengths) > self.data.longest:
            raise ValueError(f"lengths: {max(self.training.lengths)} is beyond data.longest, {self.data.longest}")
        if len(set(self.training.lengths)) != len(self.training.lengths):
            raise ValueError(f"lengths: {self.training.lengths} names one twice")
        return self


class FibonacciData(Section):
    """Fibonacci numbers modulo a number: how many, and windows of them."""

    values: Positive
    modulus: Annotated[int, BeforeValidator(_no_bool), Field(ge=2)]
    validation_fraction: ValidationFraction
    window: Positive


class FibonacciTraining(Section):
    """The fibonacci nets and their training."""

    repeats: Repeats
    epochs: Positive
    batch_size: Positive
    learning_rate: PositiveReal
    hidden_size: Positive
    dropout: Fraction
    layer_counts: Annotated[list[Positive], Field(min_length=1)]


class FibonacciProfile(Section):
    """Section fibonacci of one profile."""

    data: FibonacciData
    training: FibonacciTraining


class Imdb(Section):
    """Section imdb."""

    sample: ImdbProfile
    full: ImdbProfile


class Ptb(Section):
    """Section ptb."""

    sample: PtbProfile
    full: PtbProfile


class Damped(Section):
    """Section damped."""

    sample: DampedProfile
    full: DampedProfile


class Bits(Section):
    """Section latch or relay."""

    sample: BitsProfile
    full: BitsProfile


class Fibonacci(Section):
    """Section fibonacci."""

    sample: FibonacciProfile
    full: FibonacciProfile


class Params(Section):
    """All of params.yaml."""

    cell: str
    cells: Annotated[list[str], Field(min_length=1)]
    studies: Annotated[list[Literal["imdb", "ptb", "damped", "latch", "relay", "fibonacci"]], Field(min_length=1)]
    texts: list[Literal["imdb", "ptb"]]
    synthetic: list[Literal["damped", "latch", "relay", "fibonacci"]]
    layers: Positive
    dropout: Fraction
    device: Literal["auto", "cpu", "cuda"]
    seed: Annotated[int, BeforeValidator(_no_bool), Field(ge=0, lt=2**63)]
    profile: Literal["sample", "full"]
    mirror: str
    jobs: Count
    threads: Positive
    imdb: Imdb
    ptb: Ptb
    damped: Damped
    latch: Bits
    relay: Bits
    fibonacci: Fibonacci

    @model_validator(mode="after")
    def _combinations(self) -> Self:
        for name in ("cells", "studies"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name}: {values} names one twice")
        if sorted(self.studies) != sorted([*self.texts, *self.synthetic]):
            raise ValueError(f"studies: {self.studies} are not those of texts and synthetic together")
        if self.cell not in self.cells:
            raise ValueError(f"cell: '{self.cell}' is not one of cells ({', '.join(self.cells)})")
        return self

    def section(self, study: str) -> Any:  # noqa: ANN401 - each study has a class of its own
        """The chosen profile's section of a study, with its parts: `training`, and `corpus` and `tokens`, or `data`."""
        return getattr(getattr(self, study), self.profile)


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check all of params.yaml.

    Raises:
        InputError: in one line, the first thing that is not allowed.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; stages run in the project's top folder") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: a mapping of parameters is needed, found {type(values).__name__}")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_line(error)}") from None


def _first_line(error: ValidationError) -> str:
    """The first of pydantic's complaints in one line, with the nearest known key for an unknown one."""
    # A misspelt key is also a missing one: the unknown key says more.
    first, *others = sorted(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
    more = f" (and {len(others)} more)" if others else ""
    # pydantic puts the chosen kind of corpus into the location, where params.yaml has no such key.
    parts = [str(part) for part in first["loc"]]
    location = [part for i, part in enumerate(parts) if i == 0 or parts[i - 1] != "corpus"]
    name = ".".join(location)
    reason = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
        return f"{name}: unknown key; {hint}{more}"
    if first["type"] == "missing":
        return f"{name}: missing{more}"
    if not location:
        return f"{reason}{more}"
    return f"{name}: {first['input']!r} is not allowed: {reason}{more}"


def _known_keys(location: Sequence[str]) -> list[str]:
    """The keys that params.yaml may have at a place."""
    models: tuple[Any, ...] = (Params,)
    for part in location:
        annotation = next(m.model_fields[part].annotation for m in models if part in m.model_fields)
        models = getattr(annotation, "__args__", (annotation,))
    return [key for model in models for key in model.model_fields]
