"""Send MLflow what it lacks of this pipeline's runs.

`python -m stages.track` sends all of it and says what it did; with `--ui` it goes on to show MLflow's pages.
`python -m stages.track --follow` is started beside a training: it sends what is new every few seconds until the DVC
runs that started trainings have ended, then the rest; whatever goes wrong, its exit code is 0.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stages.support.files import root
from stages.support.params import load_project
from stages.support.process import InputError, StageError, run_stage
from stages.tracking.address import is_server, printable
from stages.tracking.curves import folder, warn
from stages.tracking.database import store_address
from stages.tracking.desired import Desired
from stages.tracking.sender import Sender
from stages.tracking.store import VIEW, Report
from stages.trained.find import SERVED_KINDS, Trained, find_trained

SECONDS_BETWEEN_TURNS = 3.0
MOST_SECONDS_BETWEEN_TURNS = 60.0
SECONDS_FOR_ANOTHER = 120.0


def main(*words: str) -> None:
    """Send all that MLflow lacks and say what was done; with --ui, show its pages, whatever was sent."""
    if words not in ((), ("--ui",)):
        raise InputError(f"unknown words {' '.join(words)!r}: allowed are none, --ui or --follow")
    address = store_address()
    try:
        _send_all(address)
    except StageError as error:
        if not words:
            raise
        warn(str(error))
    if words:
        _open_ui(address)


def _send_all(address: str) -> None:
    place = printable(address)
    try:
        report, unreadable = send(Sender(address), is_last=True)
    except StageError as error:
        raise StageError(f"{error}; nothing is lost: python -m stages.track sends what is left") from error
    for problem in [*unreadable, *report.problems]:
        warn(problem)
    print(f"sent {report} to {place}" if report.runs or report.on_show else f"nothing new for {place}")
    if report.problems:
        raise StageError(f"{len(report.problems)} runs were refused by {place}")


def _open_ui(address: str) -> None:
    """Say where the server's pages are, or become a server of this store."""
    if is_server(address):
        print(f"open {printable(address)}", flush=True)
        return
    print(f"open http://127.0.0.1:5000/#/experiments/1/runs?viewStateShareKey={VIEW}", flush=True)
    os.environ["MLFLOW_BACKEND_STORE_URI"] = address  # and not on the command line, which anybody may read
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui"])


def send(sender: Sender, is_last: bool) -> tuple[Report, list[str]]:
    """One turn, the models on show included if it is the last; also a line for each file that can't be read."""
    with _one_sender():
        desired = Desired()
        report = sender.send(desired.runs, list(_on_show()) if is_last else ())
        if not report.problems and not desired.problems:
            for kept in desired.kept:
                shutil.rmtree(kept, ignore_errors=True)
    return report, desired.problems


@contextmanager
def _one_sender() -> Iterator[None]:
    try:
        with FileLock(folder() / "sender.lock", timeout=SECONDS_FOR_ANOTHER):
            yield
    except Timeout:
        raise StageError("another process has been sending for minutes") from None
    except OSError as error:
        raise StageError(f"{folder()}: {error}") from error


def _on_show() -> Iterator[Trained]:
    """The models that the workspace shows; one that is not there costs a warning."""
    if Path.cwd().resolve() != root():
        return
    try:
        project = load_project()
    except InputError as error:  # settings being edited must not hold back what has trained
        warn(f"no model is put on show: {error}")
        return
    for study in project.params.studies:
        if project.settings(study).kind in SERVED_KINDS and Path("models", study).is_dir():
            try:
                yield find_trained(study, project.params.cell)
            except Exception as error:
                text = str(error) if isinstance(error, StageError) else repr(error)
                warn(f"no model of {study} is put on show: {text}")


def follow() -> None:
    """Send what is new until all DVC runs that ask for it have ended, then the rest. One follower is at work."""
    os.nice(10)  # training goes first
    os.chdir(root())
    lock = FileLock(folder() / "follower.lock")
    try:
        lock.acquire(timeout=5)  # the other one sees, before it ends, whom this one was to follow
    except Timeout:
        return
    import psutil

    sender, said, seconds = Sender(store_address()), "", SECONDS_BETWEEN_TURNS
    is_last = failed = False
    while not is_last:
        psutil.wait_procs(followed(), timeout=seconds)
        is_last = not followed()
        if is_last and failed:  # a store that was away seconds ago must not keep this process
            break
        try:
            report, unreadable = send(sender, is_last)
            message, failed = "; ".join([*report.problems, *unreadable]), False
        except Exception as error:  # a tracker must end in order, whatever happens to it
            message, failed = str(error), True
        if message not in ("", said):
            warn(message)
        said = message
        seconds = min(2 * seconds, MOST_SECONDS_BETWEEN_TURNS) if message else SECONDS_BETWEEN_TURNS
        is_last = is_last and not followed()
    print("all that started trainings has ended", flush=True)


def followed() -> list[Any]:
    """The processes to follow that are still there; what names others is removed."""
    import psutil

    found = []
    for marker in (folder() / "followed").glob("*"):
        with suppress(psutil.Error, ValueError, OverflowError):
            process_id, started = map(int, marker.name.split("-"))
            process = psutil.Process(process_id)
            if abs(process.create_time() - started) < 2 and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
                continue
        marker.unlink(missing_ok=True)
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["--follow"]:
        # Not as a stage: it outlives its parent on purpose, and nobody looks at how it ends.
        try:
            follow()
        except OSError as error:
            warn(str(error))
    else:
        run_stage(main)
