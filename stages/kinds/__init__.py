"""What a net can be asked to do: one package a kind, which a study's section of params.yaml names.

A kind's package has what `Kind` lists and imports no torch, so that settings can be checked in no time; its module
`task` has the rest, as `TaskModule` lists it: data in memory, batches, losses and scores.
"""

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from stages.nn.sizes import RecurrentLayers
from stages.support.process import InputError
from stages.support.sections import Section

if TYPE_CHECKING:
    from stages.text.corpora.download import Mirror


@runtime_checkable
class Kind(Protocol):
    """What a kind's package has."""

    Corpus: Any
    """Where the data come from: a `Section`, or a union of them that `source` tells apart."""
    Tokens: type[Section]
    """How they become arrays."""
    Training: type[Section]
    """The nets to train: a `TrainingSection`."""
    GOVERNED: Sequence[str]
    """Fields of `Training` that params.yaml has at its top, for all studies of the kind together."""
    Hyperparameters: type[Any]
    """A frozen dataclass: all that decides the training of one net, as JSON-like values; the first is `cell`."""
    DOCUMENT: Mapping[str, Any]
    """Scores, learning curves and axes, where a study's own file says nothing else (`stages.studies`)."""

    SHARES_BATCHES: bool
    """Whether several processes can share a training: a task's `step` then takes this process's part of a batch."""

    def layers_of(self, hyperparameters: Any) -> RecurrentLayers:  # noqa: ANN401
        """The sizes that count a net's recurrent parameters."""

    def resized(self, hyperparameters: Any, hidden_size: int) -> Any:  # noqa: ANN401
        """The same net with recurrent layers of another size."""

    def check(self, corpus: Any, tokens: Any, training: Any) -> None:  # noqa: ANN401
        """Raise ValueError where sections, each in order, do not fit together."""

    def settings(self, cell: str, training: Any) -> dict[str, Any]:  # noqa: ANN401
        """The `Hyperparameters` of each setting of a study's grid, by the setting's name ('' where there is one)."""

    def fetch(self, corpus: Any, target: Path, mirror: "Mirror", downloads: Path) -> None:  # noqa: ANN401
        """Write the folder data/raw/STUDY, whole: raw data and provenance.json, which names the `corpus`."""

    def tokenize(self, tokens: Any, raw: Path, ready: Path) -> None:  # noqa: ANN401
        """Write the new folder data/ready/STUDY: arrays, and manifest.json with `corpus` and a `digest` of them."""

    def baselines(self, raw: Path, ready: Path) -> list[dict[str, Any]]:
        """Scores of what needs no recurrent cell: a row each, with its `name`."""


_PARTS = (*Kind.__annotations__, *(name for name in vars(Kind) if not name.startswith("_")))
_OF_TASKS = ("batches", "step", "after_epoch", "validate", "test")


class TaskModule(Protocol):
    """What the module `task` of a kind has."""

    Data: Any
    """Data(folder): what data/ready/STUDY holds, memory-mapped, with `corpus` and `digest`."""
    Task: Any
    """Task(data, hyperparameters, seed, repeats, device): a `stages.training.loop.Task` with `test()`."""


def names() -> list[str]:
    """The kinds that there are."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/task.py"))


@cache
def kind(name: str) -> Kind:
    """A kind by its name.

    Raises:
        InputError: there is none of this name, or it lacks a part; before anything is trained.
    """
    if name not in names():
        raise InputError(f"kind: '{name}' is not one of {', '.join(names())}")
    module = import_module(f"{__name__}.{name}")
    lacking = [part for part in _PARTS if not hasattr(module, part)]
    lacking += _lacking_in_task(Path(__file__).parent / name / "task.py")
    if lacking:
        raise InputError(f"kind: stages/kinds/{name} lacks {', '.join(lacking)}")
    return cast(Kind, module)


def task_module(name: str) -> TaskModule:
    """The module `task` of a kind; it imports torch."""
    return cast(TaskModule, import_module(f"{__name__}.{name}.task"))


def _lacking_in_task(path: Path) -> list[str]:
    """The parts that a task module lacks, read and not imported."""
    classes = {node.name: node for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.ClassDef)}
    lacking = [f"task.{name}" for name in ("Data", "Task") if name not in classes]
    if "Task" in classes:
        methods = {node.name for node in classes["Task"].body if isinstance(node, ast.FunctionDef)}
        lacking += [f"task.Task.{name}" for name in _OF_TASKS if name not in methods]
    return lacking
