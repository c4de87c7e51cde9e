"""A repeat's checkpoint: outside DVC's outputs, which a rerun deletes; one a key, and one process a key."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import torch
from torch import Tensor

from stages.support.files import DamagedFileError, alone, root, whole
from stages.support.tensors import read_tensors, write_tensors


def checkpoint_path(key: str) -> Path:
    """Where the checkpoint of a repeat lies."""
    return root() / "checkpoints" / f"{key}.safetensors"


@contextmanager
def only_here(path: Path) -> Iterator[None]:
    """Wait until no other process trains the repeat of this checkpoint, then keep others out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone(path.with_suffix(".lock"), f"{path.name} is in use by another process: waiting for it"):
        yield


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all; the one before it is kept in case that this one is damaged.

    Args:
        path: where it goes.
        state: tensors, in dictionaries of any depth; and what JSON can say, to which lists are limited.
    """
    tensors: list[Tensor] = []

    def plain(value: object) -> object:
        """What JSON can say of a value: a tensor's place, or a dictionary's pairs where its keys are no text."""
        if isinstance(value, Tensor):
            tensors.append(value.detach().cpu().contiguous())
            return {"tensor": len(tensors) - 1}
        if isinstance(value, dict):
            return {"pairs": [[key, plain(item)] for key, item in value.items()]}
        return value

    about = {"state": orjson.dumps(plain(state)).decode()}
    with _in_its_place(path) as temporary:
        write_tensors(temporary, {str(number): tensor.numpy() for number, tensor in enumerate(tensors)}, about)


def store(path: Path, content: bytes) -> None:
    """Write a checkpoint that another machine made: the content of its file."""
    with _in_its_place(path) as temporary:
        temporary.write_bytes(content)


def content(path: Path) -> bytes:
    """What to send to another machine, so that it can `load` what is here; nothing where there is none."""
    found = _newest(path)
    return found[0].read_bytes() if found else b""


def load(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint; where it is damaged, which is said on standard error, the one before it; none without any."""
    if found := _newest(path):
        _, arrays, about = found
        state: dict[str, Any] = _restored(orjson.loads(about["state"]), arrays)
        return state
    return None


@contextmanager
def _in_its_place(path: Path) -> Iterator[Path]:
    with whole(path) as temporary:
        yield temporary
        if path.exists():
            path.replace(_before(path))


def _newest(path: Path) -> tuple[Path, dict[str, Any], dict[str, str]] | None:
    """The newest undamaged file of a checkpoint, its arrays and the text about them."""
    for candidate in (path, _before(path)):
        try:
            return candidate, *read_tensors(candidate, "its repeat goes on from the one before, or starts over")
        except FileNotFoundError:
            continue
        except DamagedFileError as error:
            print(error, file=sys.stderr, flush=True)
    return None


def _restored(value: Any, arrays: dict[str, Any]) -> Any:  # noqa: ANN401
    """The inverse of what `save` makes of a value."""
    match value:
        case {"tensor": number}:
            return torch.from_numpy(arrays[str(number)])
        case {"pairs": pairs}:
            return {key: _restored(item, arrays) for key, item in pairs}
    return value


def remove(path: Path) -> None:
    """Remove a checkpoint whose results are safe elsewhere. Its lock stays: another process may wait for it."""
    for each in (path, _before(path)):
        each.unlink(missing_ok=True)


def _before(path: Path) -> Path:
    return path.with_name(f"{path.stem}.before{path.suffix}")
