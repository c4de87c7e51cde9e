"""What an entry of metrics/record may hold: its schema, and what its values owe each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from stages.results.record import protocol_digest
from stages.studies import Protocol
from stages.support.process import InputError

Number = Annotated[float, Field(allow_inf_nan=False)]
Scores = dict[str, Number | list[Number] | dict[str, Number]]
Whole = Annotated[int, Field(ge=0)]
Hex = Annotated[str, Field(pattern="^[0-9a-f]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Epoch(_Part):
    """One point of a learning curve: losses in nats, and what else the study has of it."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number]

    epoch: Annotated[int, Field(ge=1)]
    train_loss: Number
    validation_loss: Number


class Versions(_Part):
    """Of what computed it."""

    python: str
    torch: str
    numpy: str


class Machine(_Part):
    """Where it was computed; a machine that had the weights from a cache knows the processor's name alone."""

    processor: str
    machine: str = ""
    device: str = ""
    engine: str = ""
    threads: Whole = 0


class Provenance(_Part):
    """Where an entry comes from; times are those of its job, all of the job's repeats together."""

    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}(-dirty)?$")]
    machine: Machine
    versions: Versions | None = None
    repeats_at_once: Whole = 0
    seconds: Number = 0.0
    seconds_per_epoch: Number = 0.0
    tokens_per_second: Whole = 0
    peak_memory_bytes: Whole = 0


class RecordEntry(_Part):
    """One repeat of one arm."""

    study: str
    cell: str
    corpus: str
    data_digest: Annotated[Hex, Field(min_length=64, max_length=64)]
    protocol_digest: Annotated[Hex, Field(min_length=16, max_length=16)]
    setting: str
    sweep: str
    protocols: Annotated[list[Protocol], Field(min_length=1)]
    hyperparameters: dict[str, Any]
    parameters: Whole
    parameters_in_torch: Whole
    closed_loop_truth: list[Number] | None = None
    repeat: Whole
    seed: Whole
    best_epoch: Annotated[int, Field(ge=1)]
    validation: Scores
    test: Scores
    curve: Annotated[list[Epoch], Field(min_length=1)] | None = None
    provenance: Provenance

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.protocol_digest != protocol_digest(self.study, self.setting, self.hyperparameters, self.seed):
            raise ValueError("protocol_digest is not that of study, setting, hyperparameters and seed")
        if self.hyperparameters.get("cell") != self.cell:
            raise ValueError(f"hyperparameters have another cell than {self.cell}")
        epochs = self.hyperparameters["epochs"]
        if self.best_epoch > epochs or (self.curve and self.curve[-1].epoch != epochs):
            raise ValueError(f"best epoch {self.best_epoch} or the curve's last one goes beyond epochs, {epochs}")
        return self


def check_entries(path: Path, entries: object) -> Sequence[dict[str, Any]]:
    """The entries of metrics/record/STUDY/CELL.json, where they are such.

    Raises:
        InputError: the first thing that is not as it should be, in one line.
    """
    try:
        parsed = TypeAdapter(list[RecordEntry]).validate_python(entries)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"record: {path}: entry {place}: {first['msg'].removeprefix('Value error, ')}") from None
    for number, entry in enumerate(parsed):
        if (entry.study, entry.cell) != (path.parent.name, path.stem):
            raise InputError(f"record: {path}: entry {number}: it is of {entry.study}/{entry.cell}")
    assert isinstance(entries, list)
    return entries
