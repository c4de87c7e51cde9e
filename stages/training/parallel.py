"""Repeats side by side: a process each, a thread each."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch

from stages.support.process import StageError, die_with_parent


def run_parallel(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], jobs: int) -> list[Any]:
    """Call `function` with each of `calls`, `jobs` at a time, and return the results in the order of `calls`.

    A call that fails, also for lack of room on the disk, lets the others end, so that what they did is kept.

    Raises:
        StageError: the first one that a call raised, or a process that was killed (out of memory, say).
        OSError: the same, of the operating system's.
    """
    if jobs == 1 or len(calls) == 1:
        results = [_guarded(function, call) for call in calls]
    else:
        # A fork has torch imported already; CUDA does not survive one.
        context = multiprocessing.get_context("spawn" if torch.cuda.is_available() else "fork")
        with ProcessPoolExecutor(min(jobs, len(calls)), context, die_with_parent, (os.getpid(),)) as pool:
            futures = [pool.submit(_guarded, function, call) for call in calls]
            try:
                results = [future.result() for future in futures]
            except BrokenProcessPool:
                raise StageError(
                    "a training process was killed, by lack of memory perhaps: run again to go on from its checkpoint"
                ) from None
    for result in results:
        if isinstance(result, StageError | OSError):
            raise result
    return results


def _guarded(function: Callable[..., Any], call: tuple[Any, ...]) -> Any:  # noqa: ANN401
    try:
        return function(*call)
    except (StageError, OSError) as error:
        return error
