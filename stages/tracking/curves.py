"""What a running job leaves for the tracker: a curve file, `root()/tracking/KEY.jsonl`, one JSON object a line.

Training only appends here and starts the tracker, so that a slow, broken or absent MLflow can't touch it. All else
the tracker finds in models/, metrics/ and plots/. `tracking` may be deleted: what it adds to those are the curves of
runs without a result (running, failed, killed), the times, and the results of experiments in temporary folders.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stages.support.files import root, whole
from stages.support.git import git

Row = Mapping[str, Any]
OnEpoch = Callable[[Sequence[Mapping[str, float]], Mapping[str, float]], None]
SECONDS_FOR_LOCK = 5.0


def folder() -> Path:
    """The tracker's own folder, shared by the repository and its experiments in temporary folders."""
    return root() / "tracking"


def running_lock(key: str) -> FileLock:
    """The lock that a job holds while it trains; the kernel drops it where the job is killed."""
    return FileLock(folder() / f"{key}.lock")


def mean_row(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean over repeats, without `epoch`."""
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0] if name != "epoch"}


def warn(message: str) -> None:
    """Print one line on standard error."""
    print(f"tracking: {message}", file=sys.stderr, flush=True)


@contextmanager
def live_curve(key: str, rows: Sequence[Row]) -> Iterator[OnEpoch]:
    """Record a job while it trains; yields what takes each epoch's rows, one per repeat, and its costs.

    `rows` describe the job's repeats as models/STUDY/CELL/runs.json does, before there is a curve. A file that can't
    be written costs a warning. An arm of a sweep records nothing: its run has one point an arm, which runs.json holds.
    """
    if rows[0]["sweep"]:
        yield lambda rows, cost: None
        return
    path, lock = folder() / f"{key}.jsonl", running_lock(key)
    try:
        lock.acquire(timeout=SECONDS_FOR_LOCK)
    except (OSError, Timeout) as error:
        warn(f"{path}: {error}")

    def record(rows: Sequence[Mapping[str, float]], cost: Mapping[str, float]) -> None:
        # JSON has no NaN and no infinity.
        values = {k: float(v) if math.isfinite(v) else str(float(v)) for k, v in {**mean_row(rows), **cost}.items()}
        _append(path, epoch=int(rows[0]["epoch"]), values=values)

    _append(path, rows=[dict(row) for row in rows], tags=_surroundings())
    try:
        yield record
        _append(path, end="FINISHED")
    except Exception:
        _append(path, end="FAILED")
        raise
    finally:
        lock.release()


def _append(path: Path, **fields: object) -> None:
    """Append one line by one write, behind a newline: what a killed writer left of a line stays apart."""
    try:
        line = "\n" + json.dumps({"time": time.time_ns() // 1_000_000, **fields}, allow_nan=False, default=str)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            file.write(line.encode())
    except (OSError, ValueError) as error:
        warn(f"{path}: {error}")


def keep(study: str) -> None:
    """Keep a study's results for the tracker where they lie in an experiment's temporary folder, which DVC deletes.

    Links or copies, in a folder of their own until they are sent; a failure costs a warning.
    """
    if Path.cwd().resolve() == root():
        return
    try:
        with whole(folder() / "kept" / f"{os.environ.get('DVC_EXP_NAME', '')}@{study}@{os.getpid()}") as kept:
            for path in [Path(part, study) for part in ("models", "metrics", "plots")]:
                if path.is_dir():
                    shutil.copytree(path, kept / path, copy_function=_link)
    except OSError as error:
        warn(f"results of {study} are not kept for MLflow: {error}")


def _link(source: str, target: str) -> None:
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)


def start_tracker() -> None:
    """Start the process that sends all this to MLflow, until the DVC run that started this process has ended.

    It has its own session and holds none of this process's files, so that DVC doesn't wait for it. What it says is
    in `root()/tracking/tracker.log`. LSTM_VS_GRU_TRACKING=off in the environment starts none.
    """
    if os.environ.get("LSTM_VS_GRU_TRACKING") == "off":
        return
    import psutil

    parent = os.getppid()  # the first process's number where DVC was killed before this line: that one never ends
    followed = parent if "DVC_STAGE" in os.environ and parent > 1 else os.getpid()
    code = root() if (root() / "stages/track.py").exists() else Path(__file__).parents[2]
    try:
        with suppress(psutil.Error):
            marker = folder() / "followed" / f"{followed}-{int(psutil.Process(followed).create_time())}"
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
        with (folder() / "tracker.log").open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-m", "stages.track", "--follow"],
                cwd=code,
                env={**os.environ, "DVC_ROOT": str(root())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        warn(f"no tracker started: {error}")


def _surroundings() -> dict[str, str]:
    """Tags for the Git commit (under MLflow's own name for it) and DVC's stage and experiment."""
    tags = {name: os.environ[name] for name in ("DVC_STAGE", "DVC_EXP_NAME") if os.environ.get(name)}
    with suppress(OSError, subprocess.CalledProcessError):
        tags["mlflow.source.git.commit"] = git("rev-parse", "--verify", "HEAD").strip()
    return tags
