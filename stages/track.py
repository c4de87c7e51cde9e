"""Send what the outbox holds to MLflow.

`python -m stages.track` sends all that is left, results that DVC restored from its cache included, and says
what it did. `python -m stages.track --follow PID` is started beside a training: it sends what is new every
few seconds until process PID has ended, then the rest; whatever goes wrong, its exit code is 0.
"""

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.support import outbox, tracking
from stages.support.backfill import import_results
from stages.support.files import digest, root
from stages.support.params import load_params
from stages.support.process import InputError, StageError, is_alive, run_stage
from stages.trained.find import SERVED, put_on_show

SECONDS_BETWEEN_TURNS = 3.0
MOST_SECONDS_BETWEEN_TURNS = 60.0


def main(*words: str) -> None:
    """Send all that is left and say what was done."""
    if words:
        raise InputError(f"unknown words {' '.join(words)!r}: allowed are none, or --follow PID")
    address = tracking.store_address()
    place = tracking.without_password(address)
    with outbox.tracker_turn():
        import_results(Path.cwd())
        for study in SERVED:
            if Path("models", study).is_dir():
                put_on_show(study, load_params().cell)
        try:
            report = tracking.send(address)
        except StageError as error:
            left = len(tracking.unsent(address))
            raise StageError(
                f"{error}; {left} runs wait in {outbox.folder()}: run python -m stages.track again"
            ) from error
    print(f"sent {report} to {place}" if report.runs else f"nothing new for {place}")
    if report.problems:
        for problem in report.problems:
            outbox.warn(problem)
        raise StageError(f"{len(report.problems)} runs were refused by {place} and still wait in {outbox.folder()}")


def follow(pid: int) -> None:
    """Send what is new until process `pid` has ended, then the rest.

    One tracker a store is at work; others wait, at no cost, until it ends or until nothing is left for them.
    """
    os.nice(10)  # training goes first
    os.chdir(root())  # DVC may delete the folder of an experiment at any time
    address = tracking.store_address()
    total, trouble, seconds = tracking.Report(), "", SECONDS_BETWEEN_TURNS
    with _end_of(pid) as has_ended, _leadership(address, has_ended) as leads:
        last = not leads
        while not last:
            last = has_ended(seconds)
            try:
                with outbox.tracker_turn():
                    report = tracking.send(address)
                seconds = SECONDS_BETWEEN_TURNS
                total.points += report.points
                total.artifacts += report.artifacts
                message = "; ".join(report.problems)
            except Exception as error:  # a tracker must end in order, whatever happens to it
                message, seconds = str(error), min(2 * seconds, MOST_SECONDS_BETWEEN_TURNS)
            if message and message != trouble:
                outbox.warn(message)
            trouble = message
    print(f"beside process {pid}: sent {total.points} values, {total.artifacts} files", flush=True)


@contextmanager
def _end_of(pid: int) -> Iterator[Callable[[float], bool]]:
    """Yield a function that waits some seconds, less if the process ends, and says whether it has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        yield lambda seconds: True
    except (AttributeError, OSError):  # not Linux, or too old a one
        yield lambda seconds: _sleep_and_look(pid, seconds)
    else:
        try:
            yield lambda seconds: bool(select.select([descriptor], [], [], seconds)[0])
        finally:
            os.close(descriptor)


def _sleep_and_look(pid: int, seconds: float) -> bool:
    time.sleep(seconds)
    return not is_alive(pid)


@contextmanager
def _leadership(address: str, has_ended: Callable[[float], bool]) -> Iterator[bool]:
    """Wait to be the only follower of this store; yield False if meanwhile there is nothing left to do."""
    path = outbox.folder() / f"follower-{digest(address)}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as lock:
        while not outbox.lock_at_once(lock):
            if has_ended(SECONDS_BETWEEN_TURNS):
                with outbox.tracker_turn():
                    nothing_left = not tracking.unsent(address)
                if nothing_left:
                    yield False
                    return
                time.sleep(SECONDS_BETWEEN_TURNS)
        yield True


if __name__ == "__main__":
    if sys.argv[1:2] == ["--follow"] and "".join(sys.argv[2:]).isdecimal():
        # Not as a stage: it outlives its parent on purpose, and nobody looks at how it ends.
        try:
            follow(int(sys.argv[2]))
        except OSError as error:
            outbox.warn(str(error))
    else:
        run_stage(main)
