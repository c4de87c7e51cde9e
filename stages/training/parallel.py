"""Repeats side by side: a process each, a thread each."""

import gc
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch

from stages.support.process import StageError, die_with_parent

_SECONDS_BETWEEN_MESSAGES = 30.0


def run_parallel(
    function: Callable[..., Any],
    calls: Sequence[tuple[Any, ...]],
    jobs: int,
    doing: str = "",
    executor: Executor | None = None,
) -> list[Any]:
    """Call `function` with each of `calls`, `jobs` at a time, and return the results in the order of `calls`.

    In a process each, unless there is an `executor`.

    A call that fails, also for lack of room on the disk, lets the others end, so that what they did is kept. Where
    `doing` says what is done, so does a line now and then, with how much is done and about how long the rest takes.

    Raises:
        StageError: the first one that a call raised, or a process that was killed (out of memory, say).
        OSError: the same, of the operating system's.
    """
    if jobs == 1 or len(calls) <= 1:
        progress = _Progress(doing, len(calls))
        results = [progress.after(_guarded(function, call)) for call in calls]
    else:
        with executor or _processes(min(jobs, len(calls))) as pool:
            progress = _Progress(doing, len(calls))
            futures = [pool.submit(_guarded, function, call) for call in calls]
            for future in futures:
                future.add_done_callback(progress.after)
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


def _processes(count: int) -> Executor:
    gc.freeze()  # what a collection looks through, a fork copies
    context = multiprocessing.get_context("spawn" if torch.cuda.is_available() else "fork")  # CUDA survives none
    return ProcessPoolExecutor(count, context, die_with_parent, (os.getpid(),))


class _Progress:
    """Says at most every half minute how many of some calls are done, and about how long the others take."""

    def __init__(self, doing: str, calls: int) -> None:
        self._doing, self._calls, self._done = doing, calls, 0
        self._start = self._spoken = time.monotonic()
        self._lock = threading.Lock()

    def after(self, result: Any) -> Any:  # noqa: ANN401
        """Count one more; returns what it is given."""
        with self._lock:
            self._done += 1
            now = time.monotonic()
            if self._doing and self._done < self._calls and now - self._spoken > _SECONDS_BETWEEN_MESSAGES:
                self._spoken = now
                minutes = (now - self._start) / self._done * (self._calls - self._done) / 60
                left = f"about {minutes:.0f} min left" if minutes >= 1 else "less than a minute left"
                print(f"{self._doing}: {self._done} of {self._calls} done, {left}", file=sys.stderr, flush=True)
        return result


def _guarded(function: Callable[..., Any], call: tuple[Any, ...]) -> Any:  # noqa: ANN401
    try:
        return function(*call)
    except (StageError, OSError) as error:
        return error
