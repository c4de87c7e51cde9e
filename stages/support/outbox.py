"""The outbox: an append-only local record of each run, which a tracker beside the training sends to MLflow.

Training only appends here, so a slow, broken or absent tracking server can't touch it. A run is known by its
key, a hexadecimal digest of all that decides its result, and its record is `root()/outbox/KEY.jsonl`: one
JSON object a line, each with its time in milliseconds. The same work done twice (a resumed run, a forced
rerun) appends again; `Record` keeps the first value of each curve's epoch.
"""

import fcntl
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Literal, get_args

from stages.support.files import digest, file_digest, read_json, root, whole, write_json

Ending = Literal["FINISHED", "FAILED", "KILLED"]

# The records of this process's runs that have started and not ended, open and locked.
_going: dict[Path, IO[bytes]] = {}


def folder() -> Path:
    """Where the records lie: shared by the repository and all its experiments in temporary folders."""
    return root() / "outbox"


def study_key(study: str, profile: str) -> str:
    """The key of the run that is the parent of all runs of one study and profile."""
    return digest({"study": study, "profile": profile})


def tracked_curve(entries: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, float]]:
    """What a run's curve is, from its entries in models/STUDY/CELL/runs.json: means over repeats by epoch.

    The curve of a sweep goes over its settings, and takes the last epoch of each.
    """
    rows: dict[int, list[dict[str, float]]] = {}
    for entry in entries:
        for row in entry["curve"][-1:] if entry["sweep"] else entry["curve"]:
            rows.setdefault(int(entry["setting"]) if entry["sweep"] else row["epoch"], []).append(row)
    return {step: _means(values) for step, values in rows.items()}


def tracked_scores(
    entries: Sequence[Mapping[str, Any]], arms: Sequence[Mapping[str, Any]], repeats: Sequence[Mapping[str, Any]]
) -> dict[int | None, dict[str, float]]:
    """What a run's scores are: means over its repeats, by setting for a sweep, else under None.

    `arms` and `repeats` hold, for each of the run's entries, its arm and itself as in metrics/STUDY/CELL.json.
    """
    rows: dict[int | None, list[dict[str, float]]] = {}
    for entry, arm, repeat in zip(entries, arms, repeats, strict=True):
        scores = {f"test_{name}": value for name, value in repeat["test"].items() if isinstance(value, float)}
        scores |= {"best_epoch": repeat["best_epoch"], "parameter_count": arm["parameters"]}
        rows.setdefault(int(entry["setting"]) if entry["sweep"] else None, []).append(scores)
    return {step: _means(values) for step, values in rows.items()}


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0] if name != "epoch"}


def warn(message: str) -> None:
    """Print one line on standard error."""
    print(f"tracking: {message}", file=sys.stderr, flush=True)


class Outbox:
    """The writer's end of one run's record; any process may append, at any time, also after the end.

    From `start` on the process holds a lock on the record, until it calls `end` or dies, when the kernel drops it:
    that is how a killed run is told from one that is still going. An append that fails (a full disk) costs a
    warning, no more.

    Raises:
        ValueError: if `key` is not lowercase hexadecimal.
    """

    def __init__(self, key: str) -> None:
        if not re.fullmatch(r"[0-9a-f]{8,64}", key):
            raise ValueError(f"run key {key!r} is not 8 to 64 lowercase hexadecimal digits")
        self.key = key
        self.path = folder() / f"{key}.jsonl"

    @classmethod
    def for_study(cls, study: str, profile: str) -> "Outbox":
        """The record of a study's parent run, made where there is none: the place for tables and figures."""
        box = cls(study_key(study, profile))
        if not box.path.exists():
            box._append("start", name=f"{study} ({profile})", study=study, profile=profile, parameters={}, tags={})
        return box

    def start(
        self,
        *,
        name: str,
        study: str,
        profile: str,
        parameters: Mapping[str, object],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Say that the run starts, or goes on after a kill.

        The Git commit and DVC's stage and experiment names are added to `tags`.
        """
        try:
            if self.path not in _going:
                folder().mkdir(parents=True, exist_ok=True)
                _going[self.path] = self.path.open("ab")
                fcntl.flock(_going[self.path], fcntl.LOCK_SH)
        except OSError as error:
            warn(f"{self.path}: {error}")
        self._append(
            "start",
            name=name,
            study=study,
            profile=profile,
            parameters=dict(parameters),
            tags={**_surroundings(), **(tags or {})},
        )

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Record one point of each curve; a point that is already recorded for that epoch stays as it was."""
        self._append("epoch", epoch=epoch, values=_numbers(values))

    def scores(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Record final scores, or a sweep's at one step; measured again, one is a new value where it differs."""
        self._append("scores", step=step, values=_numbers(values))

    def artifact(self, path: Path, place: str = "") -> None:
        """Record a file under `place` in the run's artifacts, and keep a link to it, or a copy.

        The original may be deleted or replaced afterwards, as DVC does, but not be changed in place.
        """
        try:
            sha256 = _keep(path)
        except OSError as error:
            warn(f"{path} is not recorded: {error}")
            return
        self._append("artifact", name=path.name, place=place, sha256=sha256)

    def end(self, status: Ending) -> None:
        """Say how the run ended."""
        if status not in get_args(Ending):
            raise ValueError(f"status {status!r} is none of {', '.join(get_args(Ending))}")
        self._append("end", status=status)
        if self.path in _going:
            _going.pop(self.path).close()

    def _append(self, kind: str, **fields: object) -> None:
        """Append one line by one write, after a newline where a killed writer left half a line.

        Where another writer is in the middle of its line, the newline is one too many: an empty line, skipped.
        """
        line = json.dumps({"kind": kind, "time": time.time_ns() // 1_000_000, **fields}, allow_nan=False, default=str)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b", buffering=0) as file:
                size = file.seek(0, os.SEEK_END)
                torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
                data = b"\n" * torn + line.encode() + b"\n"
                if file.write(data) != len(data):
                    raise OSError("the disk took only a part of a line")
        except OSError as error:
            warn(f"{self.path}: {error}")


@dataclass(frozen=True)
class Point:
    """One value of one metric; `epoch` is a sweep's step in its run, and None for a final score."""

    metric: str
    epoch: int | None
    value: float
    time_milliseconds: int


@dataclass(frozen=True)
class Artifact:
    """A file kept in the outbox; `place` is its folder among the run's artifacts."""

    name: str
    place: str
    sha256: str

    @property
    def path(self) -> Path:
        """The kept file."""
        return _kept_artifact(self.sha256, self.name)


@dataclass(frozen=True)
class ModelOnShow:
    """The model that a study shows, for MLflow's registry.

    `settings` name its study, cell, repeat, corpus, data_digest, the `key` of the run that trained it, and under
    `files` each file's name and SHA-256; `files` are those files, as kept.
    """

    settings: dict[str, Any]

    @property
    def files(self) -> dict[str, Path]:
        """The kept files: `weights`, `vocabulary`."""
        return {part: _kept_artifact(file["sha256"], file["name"]) for part, file in self.settings["files"].items()}

    @property
    def digest(self) -> str:
        """Tells one model on show from another."""
        return digest(self.settings)


@dataclass
class Record:
    """What one run's lines add up to. `points` and `artifacts` only ever grow at their ends.

    `status` is the last end's, or RUNNING, or KILLED if the run's process is gone without one; it is empty
    where only scores are recorded. `ended_milliseconds` is the time of the end, or of the last line of a run
    without one. `on_show`, which `read_all` adds, is the run's model if that is the one that its study shows.
    """

    key: str
    name: str = ""
    study: str = ""
    profile: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    status: str = ""
    started_milliseconds: int = 0
    ended_milliseconds: int = 0
    on_show: ModelOnShow | None = None

    @property
    def is_study(self) -> bool:
        """Whether this is the parent run of a study."""
        return self.key == study_key(self.study, self.profile)

    def artifact(self, name: str, place: str) -> Artifact | None:
        """The last version of an artifact."""
        return next((a for a in reversed(self.artifacts) if (a.name, a.place) == (name, place)), None)

    def score(self, metric: str, step: int | None = None) -> float | None:
        """The last value of a final score, or of a sweep's at one step."""
        return next((p.value for p in reversed(self.points) if (p.metric, p.epoch) == (metric, step)), None)


def put_on_show(settings: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Say which model the study `settings["study"]` shows from now on; see `ModelOnShow`.

    A state, not an event: what was on show while no server could be reached, and is no longer, is never registered.
    From an experiment in a temporary folder nothing is put on show, since the workspace goes on showing its own.
    """
    if Path.cwd().resolve() != root():
        return
    try:
        kept = {part: {"name": path.name, "sha256": _keep(path)} for part, path in files.items()}
        write_json(folder() / "on-show" / f"{settings['study']}.json", {**settings, "files": kept})
    except OSError as error:
        warn(f"the model on show is not recorded: {error}")


def _models_on_show() -> dict[str, ModelOnShow]:
    """The models on show by the key of the run that trained them."""
    found = {}
    for path in sorted(folder().glob("on-show/*.json")):
        try:
            settings = read_json(path)
            found[str(settings["key"])] = ModelOnShow(settings)
        except (OSError, ValueError, KeyError, TypeError) as error:
            warn(f"{path} can't be read: {error!r}")
    return found


def read(key: str) -> Record | None:
    """The record of one run, or None where nothing is recorded; call it inside `tracker_turn`."""
    path = folder() / f"{key}.jsonl"
    try:
        record = _read_lines(path, path.stat().st_size)
    except FileNotFoundError:
        return None
    if record.status == "RUNNING" and not _has_live_writer(path):
        # Read once more: between the two looks the run may have ended in order.
        record = _read_lines(path, path.stat().st_size)
        if record.status == "RUNNING":
            record = replace(record, status="KILLED")
    return record


def read_all() -> list[Record]:
    """All records that have a start, studies first; a study is RUNNING while any of its runs is.

    Call it inside `tracker_turn`.
    """
    found = [record for path in sorted(folder().glob("*.jsonl")) if (record := read(path.stem)) and record.name]
    shown = _models_on_show()
    runs = [replace(record, on_show=shown.get(record.key)) for record in found if not record.is_study]
    return [_with_status(record, runs) for record in found if record.is_study] + runs


def _with_status(study: Record, runs: list[Record]) -> Record:
    own = [run for run in runs if (run.study, run.profile) == (study.study, study.profile)]
    return replace(
        study,
        status="RUNNING" if any(run.status == "RUNNING" for run in own) else "FINISHED",
        started_milliseconds=min(record.started_milliseconds for record in [study, *own]),
        ended_milliseconds=max(record.ended_milliseconds for record in [study, *own]),
    )


@contextmanager
def tracker_turn() -> Iterator[None]:
    """Hold the one lock under which records are read and sent.

    One reader at a time, because looking for a live writer takes the record's lock for a moment.
    """
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / "tracker.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def lock_at_once(file: IO[bytes]) -> bool:
    """Lock an open file for this process alone, until it is closed; False if another has a lock on it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def start_tracker() -> None:
    """Start a process that sends this outbox to MLflow until this work has ended, and then the rest.

    The work is the whole run of DVC where that started this process, so that scores and figures are sent as well.
    It has its own session and holds none of this process's files, so that DVC doesn't wait for it. What it
    says is in `root()/outbox/tracker.log`. LSTM_VS_GRU_TRACKING=off in the environment starts none.
    """
    if os.environ.get("LSTM_VS_GRU_TRACKING") == "off":
        return
    parent = os.getppid()  # the first process's number where DVC was killed before this line: that one never ends
    followed = parent if "DVC_STAGE" in os.environ and parent > 1 else os.getpid()
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with (folder() / "tracker.log").open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-m", "stages.track", "--follow", str(followed)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        warn(f"no tracker started: {error}")


def _keep(path: Path) -> str:
    """Keep a link to a file, or a copy, and return its SHA-256."""
    sha256 = file_digest(path)
    kept = _kept_artifact(sha256, path.name)
    if not kept.exists():
        with whole(kept) as temporary:
            try:
                os.link(path.resolve(), temporary)
            except OSError:
                shutil.copyfile(path, temporary)
    return sha256


def _kept_artifact(sha256: str, name: str) -> Path:
    return folder() / "artifacts" / sha256 / name


def _numbers(values: Mapping[str, float]) -> dict[str, float | str]:
    """Values as JSON can hold them: "nan", "inf" and "-inf" in words."""
    return {name: float(v) if math.isfinite(v) else str(float(v)) for name, v in values.items()}


def _surroundings() -> dict[str, str]:
    """Tags for the Git commit (under MLflow's own name for it) and DVC's stage and experiment."""
    tags = {name: os.environ[name] for name in ("DVC_STAGE", "DVC_EXP_NAME") if os.environ.get(name)}
    commit = _git_commit(Path.cwd())
    return {**tags, "mlflow.source.git.commit": commit} if commit else tags


@lru_cache
def _git_commit(workspace: Path) -> str:
    command = ["git", "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        return subprocess.run(command, cwd=workspace, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def _has_live_writer(path: Path) -> bool:
    with path.open("rb") as file:
        return not lock_at_once(file)


@lru_cache(maxsize=4096)
def _read_lines(path: Path, size: int) -> Record:
    """Add up the whole lines in the first `size` bytes; lines that are not whole are skipped."""
    record = Record(path.stem)
    known: dict[tuple[str, int | None], float] = {}
    with path.open("rb") as file:
        lines = file.read(size).split(b"\n")[:-1]  # what follows the last newline is still being written
    for text in lines:
        try:
            line = json.loads(text)
            _add_line(record, line, known)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return record


def _add_line(record: Record, line: dict[str, Any], known: dict[tuple[str, int | None], float]) -> None:
    kind, milliseconds = line["kind"], int(line["time"])
    if kind == "start":
        record.name, record.study, record.profile = line["name"], line["study"], line["profile"]
        record.parameters = line["parameters"]
        record.tags = {**record.tags, **line["tags"]}
        record.started_milliseconds = record.started_milliseconds or milliseconds
        record.status = "RUNNING"
    elif kind in ("epoch", "scores"):
        epoch = line["epoch"] if kind == "epoch" else line.get("step")
        for metric, value in line["values"].items():
            before, now = known.get((metric, epoch)), float(value)
            if before is None or (kind == "scores" and repr(before) != repr(now)):
                known[metric, epoch] = now
                record.points.append(Point(metric, epoch, now, milliseconds))
    elif kind == "artifact":
        artifact = Artifact(line["name"], line["place"], line["sha256"])
        if record.artifact(artifact.name, artifact.place) != artifact:
            record.artifacts.append(artifact)
    elif kind == "end":
        record.status = line["status"]
    if kind == "end" or record.status == "RUNNING":
        record.ended_milliseconds = milliseconds
