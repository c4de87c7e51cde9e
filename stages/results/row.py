"""A result as one row per repeat: the same in models/STUDY/CELL/runs.json, metrics/STUDY/CELL.json and metrics/record.

Training writes what was trained and its learning curve, evaluation adds the scores, the record where they come from. A
file of rows is a JSON list. Fields that a row does not have are left out of it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from stages.support.files import digest, once_a_version, read_json, read_text, without_defaults, write_text
from stages.support.process import InputError, short
from stages.support.sections import Heading

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RECORDED = ("validation", "test", "parameters", "parameters_in_torch", "provenance")
RECORDED_TRIAL = ("validation", "provenance")
"""What a recorded row must have: a trial, which chose a learning rate, was never tested."""

_LEAST_STEP = 1e-4
"""The part by which a loss must fall to be a better one, as PyTorch's ReduceLROnPlateau has it by default."""

_STRICT = ConfigDict(extra="forbid", strict=True)


_MOST = 1e150
_LARGEST_WHOLE = 2**53


def _number(value: object) -> object:
    """A finite number whose square is one too. As it is: a whole one stays whole, unless it is too large for that."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST:
        raise ValueError(f"{short(repr(value))} is no finite number of a usual size")
    return value if abs(value) < _LARGEST_WHOLE else float(value)


def _score(value: object) -> object:
    """A finite number, or a list or an object of such."""
    if isinstance(value, list):
        return [_number(one) for one in value]
    if isinstance(value, dict):
        return {name: _number(one) for name, one in value.items()}
    return _number(value)


def _can_be_written(values: dict[str, Any]) -> dict[str, Any]:
    json.dumps(values, allow_nan=False)
    return values


Whole = Annotated[int, Field(ge=0)]
Number = Annotated[float, PlainValidator(_number)]
Scores = dict[str, Annotated[float | list[float] | dict[str, float], PlainValidator(_score)]]
Hex = Annotated[str, Field(pattern="^[0-9a-f]*$")]


@dataclass(frozen=True, config=_STRICT)
class Versions:
    """Of what computed a row."""

    python: str
    torch: str
    numpy: str


@dataclass(frozen=True, config=_STRICT)
class Machine:
    """Where a row was computed; a machine that had the weights from a cache knows the processor's name alone."""

    processor: str
    machine: str = ""
    device: str = ""
    engine: str = ""
    threads: Whole = 0


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Provenance:
    """Where a recorded row comes from; times are those of its job, of all the job's repeats together."""

    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}(-dirty)?$")]
    versions: Versions | None = None
    machine: Machine
    repeats_at_once: Whole = 0
    seconds: Number = 0
    seconds_per_epoch: Number = 0
    tokens_per_second: Whole = 0
    peak_memory_bytes: Whole = 0


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Row:
    """One repeat of one arm: a study's setting under one heading or several, trained with one cell.

    The fields of evaluation are empty in runs.json, those of training in metrics, those of the record in both.
    """

    key: Hex = ""
    """The tracked run that the repeat belongs to."""
    job: Hex = ""
    """The repeats that were trained together share it."""
    study: str
    cell: str
    profile: str = ""
    """sample or full, where it was trained."""
    corpus: str
    data_digest: Annotated[Hex, Field(min_length=64, max_length=64)]
    protocol_digest: Annotated[Hex, Field(max_length=16)] = ""
    """Of a recorded row: `protocol_digest` of what was trained."""
    setting: str
    """A grid point's name; empty where a study has one setting alone."""
    sweep: str
    """The hyperparameter whose values the settings are; empty where they are none."""
    protocols: Annotated[tuple[Heading, ...], Field(min_length=1)]
    hyperparameters: Annotated[dict[str, Any], AfterValidator(_can_be_written)]
    """Without those that have their default: see `without_defaults`."""
    parameters: Whole = 0
    parameters_in_torch: Whole = 0
    """What torch's own layers would count: of some cells a second bias per gate."""
    closed_loop_truth: tuple[Number, ...] = ()
    """What the predictions that feed on themselves should be, of a study that makes any."""
    repeat: Whole
    seed: Whole
    best_epoch: Annotated[int, Field(ge=1)]
    """The epoch that validation chose, counted from 1."""
    validation: Scores = field(default_factory=dict)
    test: Scores = field(default_factory=dict)
    curve: tuple[dict[str, Number], ...] = ()
    """One point per epoch: `epoch`, train_NAME and validation_NAME; losses are in nats."""
    weights: str = ""
    """The file of the weights, below models/STUDY/CELL."""
    provenance: Provenance | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.hyperparameters.get("cell") != self.cell:
            raise ValueError(f"hyperparameters have another cell than {self.cell}")
        epochs = self.hyperparameters.get("epochs")
        if epochs and (self.best_epoch > epochs or (self.curve and self.curve[-1]["epoch"] != epochs)):
            raise ValueError(f"best epoch {self.best_epoch} or the curve's last one goes beyond epochs, {epochs}")
        return self

    @property
    def name(self) -> str:
        """What sets the row apart from the others of its study and cell, such as `basic published 3`."""
        return " ".join([*filter(None, [self.setting]), *self.protocols, str(self.repeat)])

    @property
    def is_improving(self) -> bool:
        """Whether it still validated better in its last epoch than ever before, so that longer training may do better.

        What is less than `_LEAST_STEP` is none: a rate that shrinks may make each epoch the best by a hair.
        """
        if self.best_epoch < self.hyperparameters["epochs"]:
            return False
        losses = [epoch["validation_loss"] for epoch in self.curve]
        return len(losses) < 2 or losses[-1] < (1 - _LEAST_STEP) * min(losses[:-1])

    @property
    def is_trial(self) -> bool:
        """Whether it only helped to choose a learning rate: it has no test."""
        return self.protocols == ("tuning",)

    @property
    def validated(self) -> Scores:
        """The validation scores of the epoch that was chosen."""
        if not self.curve:
            return self.validation
        part = "validation_"
        chosen = self.curve[self.best_epoch - 1]
        return {name.removeprefix(part): value for name, value in chosen.items() if name.startswith(part)}

    @property
    def arm(self) -> str:
        """The protocols that the row stands under, separated by spaces."""
        return " ".join(self.protocols)


def read_rows(path: Path) -> list[Row]:
    """The rows of a file such as metrics/STUDY/CELL.json.

    Raises:
        InputError: the file is not there, or the first thing in it that is not as it should be, in one line.
    """
    try:
        return list(_read_once(path))
    except FileNotFoundError:
        raise InputError(f"{path} is not there: a JSON list with one row per repeat is needed") from None


@once_a_version
def _read_once(path: Path) -> list[Row]:
    return parse_rows(path, read_text(path))


def parse_rows(path: Path, text: str) -> list[Row]:
    """The rows of a file's text; `path` is what messages call it.

    Raises:
        InputError: the first thing that is not as it should be, in one line.
    """
    try:
        return _list_of_rows().validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(short(part) for part in first["loc"])
        reason = short(first["msg"].removeprefix("Value error, "), 200)
        raise InputError(f"{path}: {f'row {place}: ' if place else ''}{reason}") from None
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise InputError(f"{path} is no JSON list with one row per repeat: {short(error, 200)}") from None


Baselines = Sequence[Mapping[str, Any]]
"""The rows of a study's baseline.json."""


def read_baselines(path: Path) -> list[dict[str, Any]]:
    """The rows of metrics/STUDY/baseline.json: name, scores by part, for some the sentences' probabilities.

    Empty where the file is not there.

    Raises:
        InputError: it has no such rows.
    """
    if not path.exists():
        return []
    content = read_json(path)
    rows = content.get("rows") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(map(_is_baseline, rows)):
        raise InputError(f"{path}: `rows` must be a list of objects, each with a name, and a score by its name in test")
    return rows


def _is_baseline(row: object) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        return False
    scores = [row.get("test"), *(row[part] for part in ("validation", "sentences") if part in row)]
    return all(
        isinstance(part, dict) and all(type(value) in (int, float) and abs(value) < _MOST for value in part.values())
        for part in scores
    )


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as a JSON list, one per line, whole or not at all: Git shows and merges whole rows."""
    lines = ",\n".join(json.dumps(without_defaults(row), ensure_ascii=False, allow_nan=False) for row in rows)
    write_text(path, f"[\n{lines}\n]\n")


def protocol_digest(
    study: str, setting: str, hyperparameters: "DataclassInstance | Mapping[str, Any]", seed: int
) -> str:
    """What was trained, as a short digest: rows that share it differ in nothing but the repeat.

    `hyperparameters` is the study's dataclass, or what `without_defaults` makes of it, as a row has it.
    """
    values = dict(hyperparameters) if isinstance(hyperparameters, Mapping) else without_defaults(hyperparameters)
    return digest({"study": study, "setting": setting, "hyperparameters": values, "seed": seed})[:16]


def check_recorded(path: Path, rows: Sequence[Row], needed: Sequence[str] = RECORDED) -> Sequence[Row]:
    """The rows of metrics/record/STUDY/CELL.json, where they are of that study and cell and have the fields `needed`.

    Raises:
        InputError: the first thing that is not as it should be, in one line.
    """
    for number, row in enumerate(rows):
        if (row.study, row.cell) != (path.parent.name, path.stem):
            raise InputError(f"{path}: row {number}: it is of {row.study}/{row.cell}")
        if missing := [name for name in needed if not getattr(row, name)]:
            raise InputError(f"{path}: row {number}: {missing[0]}: a recorded row needs it")
        if row.protocol_digest != protocol_digest(row.study, row.setting, row.hyperparameters, row.seed):
            raise InputError(
                f"{path}: row {number}: protocol_digest is not that of study, setting, hyperparameters and seed"
            )
    return rows


@cache
def _list_of_rows() -> TypeAdapter[list[Row]]:
    return TypeAdapter(list[Row])
