"""A repeat's checkpoint: outside DVC's outputs, which a rerun deletes; one a key, and one process a key."""

import fcntl
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from stages.support.files import root, whole


def checkpoint_path(key: str) -> Path:
    """Where the checkpoint of a repeat lies."""
    return root() / "checkpoints" / f"{key}.pt"


@contextmanager
def only_here(path: Path) -> Iterator[None]:
    """Wait until no other process trains the repeat of this checkpoint, then keep others out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{path.name} is in use by another process: waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    with whole(path) as temporary:
        torch.save(state, temporary)


def load(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint; none where there is none, or where it is damaged (said on standard error)."""
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        print(f"{path} is damaged, so that its repeat starts over: {error}", file=sys.stderr, flush=True)
        return None
    return state


def remove(path: Path) -> None:
    """Remove a checkpoint whose results are safe elsewhere. Its lock stays: another process may wait for it."""
    path.unlink(missing_ok=True)
