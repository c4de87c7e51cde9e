"""params.yaml: what it may hold, one clear line for what it may not, and each study's settings resolved from it."""

import difflib
import os
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from stages import kinds
from stages.studies import Arm, arms, documented, no_setting
from stages.support.code import stage_code, training_code
from stages.support.files import read_json, without_defaults
from stages.support.process import InputError, short
from stages.support.sections import (
    NO_HYPERPARAMETERS,
    ClusterAddress,
    Count,
    Fraction,
    Heading,
    Positive,
    Section,
    Seed,
    Tuning,
    check_cluster,
    parse_repeats,
)

_AS_STORED = ("kind", "seed", "device", "threads", "processes", "repeats_at_once", "headings")
_MOST_CHARACTERS = 900  # of a message, which may repeat what a careless hand put there
_OF_A_PROFILE = ("corpus", "tokens", "training")
_OF_A_STUDY = ("kind", *_OF_A_PROFILE, "full")


class Params(Section):
    """What params.yaml has beside the sections of its studies."""

    cell: str
    cells: Annotated[list[str], Field(min_length=1)]
    studies: Annotated[list[str], Field(min_length=1)]
    layers: Positive
    dropout: Fraction
    device: Literal["auto", "cpu", "cuda"]
    seed: Seed
    profile: Literal["sample", "full"]
    mirror: str
    jobs: Count
    threads: Positive
    processes: Positive
    cluster: ClusterAddress

    @property
    def cluster_address(self) -> str:
        """Where jobs train: `cluster`, or what LSTM_VS_GRU_CLUSTER says in the environment; empty: here.

        Raises:
            InputError: the environment says what is not allowed.
        """
        address = os.environ.get("LSTM_VS_GRU_CLUSTER", self.cluster)
        try:
            return check_cluster(address)
        except ValueError as error:
            raise InputError(f"LSTM_VS_GRU_CLUSTER: {short(repr(address))} is not allowed: {error}") from None


_STUDY = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TAKEN = {*Params.model_fields, "record", "run", "figures", "headline", "cells"}
"""Keys of params.yaml, and what stands beside the studies' own in metrics/, plots/ and report/."""
_NO_TEXTS = {"true", "false", "yes", "no", "on", "off", "null"}
"""In YAML."""


def why_no_study(name: str) -> str:
    """Why a study can't have a name, which is one of files and stages too; empty where it can."""
    if not _STUDY.fullmatch(name):
        return "small letters, digits and _ are allowed, a letter first, 40 at the most"
    return "this name is the project's own; choose another" if name in _TAKEN | _NO_TEXTS else ""


@dataclass(frozen=True)
class Settings:
    """A study's settings in one profile: sections of its kind."""

    kind: str
    corpus: Any
    tokens: Any
    training: Any


@dataclass(frozen=True)
class Project:
    """All of params.yaml, checked."""

    params: Params
    studies: Mapping[str, Mapping[str, Settings]]
    """By study and profile."""

    def settings(self, study: str) -> Settings:
        """Those of a study in the profile that params.yaml names."""
        return self.studies[study][self.params.profile]


@dataclass(frozen=True)
class Training:
    """What decides the training of a cell in a study: data/settings/STUDY/train/CELL.json."""

    kind: str
    seed: int
    device: str
    threads: int
    processes: int
    repeats: Sequence[int]
    repeats_at_once: int
    arms: Sequence[Arm]
    """Those whose hyperparameters are settled."""
    tuned: Sequence[Arm]
    """Those whose learning rate is to be found by trials; then they stand under `headings`."""
    headings: Sequence[Heading]
    tuning: Tuning | None


@dataclass(frozen=True)
class Evaluation:
    """How the trained nets of a cell in a study are scored: data/settings/STUDY/evaluate/CELL.json."""

    kind: str
    device: str
    threads: int


class _SafeLoader(yaml.SafeLoader):
    """YAML in which a key stands once, and text is text."""

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:  # noqa: ANN401 - as PyYAML has it
        value = super().construct_scalar(node)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise yaml.constructor.ConstructorError(None, None, f"{value!a} is no text", node.start_mark) from None
        return value


def _mapping_once(loader: _SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(None, None, f"{key} cannot be a key", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"'{key}' stands twice", key_node.start_mark)
        seen.add(key)
    loader.flatten_mapping(node)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_SafeLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_once)


def load_project(path: Path = Path("params.yaml")) -> Project:
    """Read and check all of params.yaml, both profiles.

    Raises:
        InputError: in one line, the first thing that is not allowed.
    """
    values = _read(path)
    try:
        if odd := [name for name in values if not isinstance(name, str)]:
            raise InputError(f"{odd[0]!r}: a key must be text")
        sections = {name for name, value in values.items() if isinstance(value, dict)} - set(Params.model_fields)
        names = values.get("studies")
        for name in names if isinstance(names, list) else ():
            if isinstance(name, str) and name not in sections:
                raise InputError(f"studies: '{name}' has no section '{name}:' of its own")
        for name in sorted(sections):
            if why := why_no_study(name):
                raise InputError(f"'{name}' is no name of a study: {why}")
        params = _validated(Params, {k: v for k, v in values.items() if k not in sections}, "")
        _check_combinations(params)
        return Project(params, {name: _of_study(name, values[name], params) for name in sorted(sections)})
    except InputError as error:
        raise InputError(f"{path}: {short(error, _MOST_CHARACTERS)}") from None


def load_params(path: Path = Path("params.yaml")) -> Params:
    """What params.yaml has beside the sections of its studies.

    Raises:
        InputError: in one line, the first thing that is not allowed.
    """
    return load_project(path).params


def read_training(study: str, cell: str) -> Training:
    """What `check` resolved of the training of a cell in a study."""
    stored = _stored(study, f"train/{cell}")
    hyperparameters = kinds.kind(stored["kind"]).Hyperparameters
    found: dict[str, Any] = {
        name: [
            Arm(arm["setting"], tuple(arm["protocols"]), hyperparameters(**arm["hyperparameters"]), arm["sweep"])
            for arm in stored[name]
        ]
        for name in ("arms", "tuned")
    }
    as_stored = {name: stored[name] for name in _AS_STORED}
    tuning = TypeAdapter(Tuning | None).validate_python(stored["tuning"])
    return Training(**as_stored, **found, repeats=parse_repeats(stored["repeats"]), tuning=tuning)


def read_evaluation(study: str, cell: str) -> Evaluation:
    """What `check` resolved of the evaluation of a cell in a study."""
    stored = _stored(study, f"evaluate/{cell}")
    return Evaluation(stored["kind"], stored["device"], stored["threads"])


def read_corpus(study: str) -> tuple[kinds.Kind, Any]:
    """A study's kind and its section `corpus`, as `check` resolved it."""
    stored = _stored(study, "fetch")
    kind = kinds.kind(stored["kind"])
    return kind, TypeAdapter(kind.Corpus).validate_python(stored["corpus"])


def read_tokens(study: str) -> tuple[kinds.Kind, Any]:
    """A study's kind and its section `tokens`, as `check` resolved it."""
    stored = _stored(study, "tokenize")
    kind = kinds.kind(stored["kind"])
    return kind, kind.Tokens.model_validate(stored["tokens"])


def read_kind(study: str) -> kinds.Kind:
    """A study's kind, as `check` resolved it."""
    return kinds.kind(_stored(study, "baseline")["kind"])


def read_compared_cells(study: str) -> list[str]:
    """The cells that a study's tables set side by side, as `check` resolved them."""
    return list(_stored(study, "compare")["cells"])


def read_report() -> dict[str, Any]:
    """What `check` resolved of the report: cells, studies and profile, and the repeats of a document's full profile."""
    return dict(_stored("", "report"))


def resolved(project: Project, study: str) -> dict[str, dict[str, Any]]:
    """The contents of data/settings/STUDY by the name of the file: a stage, or train/CELL and evaluate/CELL.

    All of params.yaml and of the code on which a stage depends stands in its file, and nothing else does.
    """
    settings, params = project.settings(study), project.params
    kind = {"kind": settings.kind}
    of_stages: dict[str, dict[str, Any]] = {
        "fetch": kind | {"corpus": settings.corpus.model_dump(mode="json")},
        "tokenize": kind | {"tokens": settings.tokens.model_dump(mode="json")},
        "baseline": kind,
        "headline": {},
        "compare": {"cells": params.cells},
    }
    run = params.model_dump(include={"seed", "device", "threads"})
    run["processes"] = params.processes if kinds.kind(settings.kind).SHARES_BATCHES else 1
    of_arms = {"variants", "settings"}  # which the arms below follow from
    run |= settings.training.model_dump(mode="json", include=NO_HYPERPARAMETERS - of_arms)
    of_cells: dict[str, dict[str, Any]] = {
        f"train/{cell}": kind
        | run
        | {name: [_written(arm) for arm in found] for name, found in study_arms(project, study, cell).items()}
        | {"code": training_code(settings.kind, cell)}
        for cell in params.cells
    }
    of_cells |= {
        f"evaluate/{cell}": kind
        | params.model_dump(include={"device", "threads"})
        | {"code": stage_code("evaluate", settings.kind) | training_code(settings.kind, cell)}
        for cell in params.cells
    }
    return of_cells | {
        stage: values | {"code": stage_code(stage, settings.kind)} for stage, values in of_stages.items()
    }


def resolved_report(project: Project) -> dict[str, Any]:
    """The contents of data/settings/report.json, as `resolved` has those of a study."""
    params = project.params
    documents = [study for study in documented() if study in project.studies]
    return params.model_dump(include={"cells", "profile", "studies"}) | {
        "full_repeats": {study: project.studies[study]["full"].training.repeats for study in documents},
        "code": stage_code("report", *sorted({project.settings(study).kind for study in params.studies})),
    }


def _written(arm: Arm) -> dict[str, Any]:
    return {
        "setting": arm.setting,
        "protocols": arm.protocols,
        "sweep": arm.sweep,
        "hyperparameters": without_defaults(arm.hyperparameters),
    }


def study_arms(project: Project, study: str, cell: str) -> dict[str, list[Arm]]:
    """The `arms` of a cell in a study whose hyperparameters params.yaml settles, and those to be `tuned`."""
    settings = project.settings(study)
    training = settings.training

    def under(*headings: Heading) -> list[Arm]:
        return arms(study, kinds.kind(settings.kind), cell, training, headings) if headings else []

    settled: tuple[Heading, ...] = ("published", "corrected", "what_if")
    tuned: list[Arm] = []
    if training.tuning and set(training.headings) - set(settled):
        longer = {"epochs": training.tuning.epochs} if training.tuning.epochs else {}
        tuned = [replace(arm, hyperparameters=replace(arm.hyperparameters, **longer)) for arm in under("corrected")]
        known = [arm.setting for arm in tuned]
        wanted = training.tuning.settings or [setting for setting in known if setting not in training.variants]
        if unknown := sorted(set(wanted).difference(known)):
            raise no_setting(f"{study}.training.tuning.settings", unknown[0], known)
        tuned = [arm for arm in tuned if arm.setting in wanted]
        if (rates := training.tuning.chosen_rates) and (len(rates), len(project.params.cells)) != (len(tuned), 1):
            raise InputError(
                f"{study}: tuning.chosen_rates: {list(rates)} is not allowed: "
                f"{len(tuned)} settings are tuned, and `cells` must be the one whose trials chose them"
            )
    of_document = under(*(heading for heading in settled if heading in training.headings))
    if not of_document + tuned and cell == project.params.cell:
        raise InputError(
            f"{study}: training.headings: {', '.join(training.headings)} leaves nothing to train of '{cell}', the cell "
            "on show: `published` needs a cell of the document, `tuned` and `equal_size` a section `tuning`"
        )
    return {"arms": of_document, "tuned": tuned}


def _stored(study: str, name: str) -> Any:  # noqa: ANN401
    path = Path("data/settings", study, f"{name}.json")
    if not path.is_file():
        raise InputError(f"{path}: no such file; `check` writes it for the studies and cells of params.yaml")
    return read_json(path)


def _of_study(study: str, section: Mapping[str, Any], params: Params) -> dict[str, Settings]:
    changes = _mapping(section.get("full"), f"{study}.full")
    for place, keys, known in ((study, section, _OF_A_STUDY), (f"{study}.full", changes, _OF_A_PROFILE)):
        unknown = [key for key in keys if key not in known]
        if unknown:
            raise InputError(f"{place}.{unknown[0]}: unknown key; {_near(str(unknown[0]), known)}")
    try:
        kind = kinds.kind(str(section.get("kind")))
    except InputError as error:
        raise InputError(f"{study}.{error}") from None
    governed = {name: getattr(params, name) for name in kind.GOVERNED}
    found = {}
    for profile, merged in {"sample": section, "full": _merged(section, changes)}.items():
        place = f"{study}.full" if profile == "full" else study
        parts = {
            "corpus": (kind.Corpus, merged.get("corpus")),
            "tokens": (kind.Tokens, _mapping(merged.get("tokens"), f"{place}.tokens")),
            "training": (kind.Training, governed | _mapping(merged.get("training"), f"{place}.training")),
        }
        checked = {
            name: _validated(section_type, value, f"{place}.{name}") for name, (section_type, value) in parts.items()
        }
        try:
            kind.check(**checked)
        except ValueError as error:
            raise InputError(f"{place}.{error}") from None
        found[profile] = Settings(str(section["kind"]), **checked)
    return found


def _mapping(value: object, place: str) -> dict[Any, Any]:
    if not isinstance(value, dict | None):
        raise InputError(f"{place}: {short(repr(value))} is not allowed: a mapping is needed")
    return value or {}


def _merged(base: Any, changes: Any) -> Any:  # noqa: ANN401
    """`base` with the values of `changes`, mapping by mapping; another `source` replaces its mapping whole."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    if changes.get("source", base.get("source")) != base.get("source"):
        return changes
    return base | {key: _merged(base.get(key), value) for key, value in changes.items()}


def _check_combinations(params: Params) -> None:
    for name in ("cells", "studies"):
        values = getattr(params, name)
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            raise InputError(f"{name}: '{twice[0]}' stands twice")
    if params.cluster_address and params.processes > 1:
        both = f"cluster: {params.cluster_address!r} with processes: {params.processes}"
        raise InputError(f"{both}: one of them, not both")
    if params.cell not in params.cells:
        raise InputError(f"cell: '{params.cell}' is not one of cells ({', '.join(params.cells)})")


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_SafeLoader)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; stages run in the project's top folder") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not YAML: {short(error, 200)}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: a mapping of parameters is needed, found {type(values).__name__}")
    return values


def _validated(section: Any, values: Any, place: str) -> Any:  # noqa: ANN401 - a section's class or a union of them
    try:
        return TypeAdapter(section).validate_python(values)
    except ValidationError as error:
        raise InputError(_first_line(error, section, place, values)) from None


def _first_line(error: ValidationError, section: Any, place: str, values: Any) -> str:  # noqa: ANN401
    """The first of pydantic's complaints in one line, with the nearest known key for an unknown one."""
    # A misspelt key is also a missing one: the unknown key says more.
    first, *others = sorted(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
    more = f" (and {len(others)} more)" if others else ""
    location = [str(part) for part in first["loc"]]
    # pydantic puts the chosen kind of corpus into the location, where params.yaml has no such key.
    if location and isinstance(values, dict) and location[0] == values.get("source"):
        location = location[1:]
    name = ".".join(filter(None, [place, *location]))
    if first["type"] == "extra_forbidden":
        known = _known_keys(section, location[:-1], values.get("source") if isinstance(values, dict) else None)
        return f"{name}: unknown key; {_near(location[-1], known)}{more}"
    if first["type"] == "missing":
        return f"{name}: missing{more}"
    reason = str(first["msg"]).removeprefix("Value error, ")
    if not location:
        return f"{name}: {short(reason, 200)}{more}"
    return f"{name}: {short(repr(first['input']))} is not allowed: {short(reason, 200)}{more}"


def _known_keys(section: Any, location: Sequence[str], source: object) -> list[str]:  # noqa: ANN401
    """The keys that a section may have at a place in it; of several kinds of corpus that of the `source` named."""
    models = _models(section)
    if len(models) > 1:
        models = [m for m in models if source in get_args(m.model_fields["source"].annotation)] or models
    for part in location:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [model for field in fields for model in _models(field.annotation)]
    return list(dict.fromkeys(key for model in models for key in model.model_fields))


def _models(annotation: Any) -> list[type[Section]]:  # noqa: ANN401 - a type, or a union of some
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _near(key: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known are {', '.join(names)}" if names else "none is known here"
