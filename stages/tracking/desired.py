"""What MLflow should show: every run that models/, metrics/, plots/ and the curve files of jobs tell of."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from filelock import Timeout

from stages.support.files import digest, file_digest, once_a_version, read_json, root
from stages.tracking import curves
from stages.tracking.curves import Row, mean_row

OF_STUDY = ("study", "profile", "corpus")
"""Tags that a study's own run shares with all of its runs."""
COSTS = ("seconds", "train_seconds", "tokens_per_second", "peak_memory_bytes")


class Point(NamedTuple):
    """One value of one metric; `milliseconds` is None where nobody noted its time. A score may change, a curve not."""

    metric: str
    step: int
    value: float
    milliseconds: int | None
    is_score: bool


@dataclass
class Run:
    """One run as it should be. `files` are by their paths among its artifacts; a study's own run has no `parent`.

    `started` and `ended` are in milliseconds of the epoch, where they are known.
    """

    key: str
    name: str
    parent: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: dict[tuple[str, int], Point] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    status: str = "FINISHED"
    started: int | None = None
    ended: int | None = None

    def values_digest(self, parent_id: str) -> str:
        """Changes with all of the run but its files; `parent_id` is the id that MLflow gave the parent run."""
        points = sorted((p.metric, p.step, repr(p.value)) for p in self.points.values())
        return digest([points, self.parameters, self.tags, self.status, parent_id])

    def files_digest(self) -> str:
        """Changes with the run's files."""
        return digest({name: _digest_of(path) for name, path in self.files.items()}) if self.files else ""

    def add(self, metric: str, step: int, value: float, milliseconds: int | None, is_score: bool = False) -> None:
        """Add a point; of a curve the first value stays."""
        # MLflow's pages show names that begin with `system/` in a section of their own.
        name = f"system/{metric}" if metric in COSTS else metric
        if is_score or (name, step) not in self.points:
            self.points[name, step] = Point(name, step, float(value), milliseconds, is_score)

    def add_means(self, points: Iterable[tuple[int, Mapping[str, float]]], is_score: bool = False) -> None:
        """Add the means over repeats of what they have at each step; nobody noted its time."""
        by_step: dict[int, list[Mapping[str, float]]] = {}
        for step, values in points:
            by_step.setdefault(step, []).append(values)
        for step, several in by_step.items():
            for metric, value in mean_row(several).items():
                self.add(metric, step, value, None, is_score)


class Desired:
    """All runs, studies first; `problems` has one line for each file that can't be read."""

    def __init__(self) -> None:
        """Read everything. Call it inside the sender's lock: looking for a live job takes its lock for a moment."""
        self.problems: list[str] = []
        self.kept = sorted(curves.folder().glob("kept/[!.]*"))
        self._runs: dict[str, Run] = {}
        self._studies: dict[str, Run] = {}
        for path in sorted(curves.folder().glob("*.jsonl")):
            with self._alone(path):
                self._add_curve_file(path)
        for kept in self.kept:
            self._add_workspace(kept, kept.name.rsplit("@", 2)[0])
        self._add_workspace(root(), "")
        for run in self._runs.values():
            self._parent_of(run)

    @property
    def runs(self) -> list[Run]:
        """All runs, studies first."""
        return [*self._studies.values(), *self._runs.values()]

    @contextmanager
    def _alone(self, *paths: Path) -> Iterator[None]:
        """Let no file, whatever is in it, stop more than itself."""
        try:
            yield
        except Exception as error:
            self.problems.append(f"{' or '.join(map(str, paths))} can't be read: {error!r}"[:500])

    def _add_curve_file(self, path: Path) -> None:
        run = _read_curve_file(path)
        if run and run.status == "RUNNING" and not _is_running(run.key):
            # Read once more: between the two looks the job may have ended in order.
            run = _read_curve_file(path)
            if run and run.status == "RUNNING":
                run.status = "KILLED"
        if run:
            self._runs[run.key] = run

    def _add_workspace(self, workspace: Path, experiment: str) -> None:
        for study in sorted(workspace.glob("models/*")):
            parents: set[str] = set()
            for models in sorted(path.parent for path in study.glob("*/runs.json")):
                scored = workspace / "metrics" / study.name / f"{models.name}.json"
                found = {""}
                with self._alone(models / "runs.json", scored):
                    found = self._add_cell(models, scored, experiment)
                parents |= found
            # Figures of mixed or older results, as amid a change of profile, belong to no one study's run.
            if len(parents) == 1 and (parent := self._studies.get(parents.pop())):
                plots = workspace / "plots" / study.name
                for path in sorted(plots.glob("[!.]*")):
                    if path.is_file():
                        parent.files[f"experiments/{experiment}/{path.name}" if experiment else path.name] = path
                with self._alone(plots / "answer.json"):
                    if not experiment and (plots / "answer.json").exists():
                        _add_answers(parent, _json(plots / "answer.json"))

    def _add_cell(self, models: Path, scored: Path, experiment: str) -> set[str]:
        """Add a cell's runs; return the keys of their studies, with "" among them where some are not scored."""
        entries = _json(models / "runs.json")
        scores = {_identity(row): row for row in _json(scored)} if scored.exists() else {}
        groups: dict[str, list[Row]] = {}
        for entry in entries:
            groups.setdefault(entry["key"], []).append(entry)
        parents = set()
        for key, rows in groups.items():
            run = _new_run(key, rows)
            if earlier := self._runs.get(key):
                run.tags, run.points = {**run.tags, **earlier.tags}, earlier.points
                run.started, run.ended = earlier.started, earlier.ended
            elif experiment:
                run.tags["DVC_EXP_NAME"] = experiment
            # The curve of a sweep goes over its settings, and takes the last epoch of each.
            curves_of = ((row, row["curve"][-1:] if row["sweep"] else row["curve"]) for row in rows)
            run.add_means((_step(row, point["epoch"]), point) for row, curve in curves_of for point in curve)
            tested = [scores.get(_identity(row)) for row in rows]
            is_trial = not rows[0]["weights"]  # which is never tested
            if all(tested):
                run.add_means(((_step(row, 0), _scores(row)) for row in tested if row), is_score=True)
            weights = {row["weights"] for row in rows if not is_trial}
            run.files = {f"weights/{Path(name).name}": models / name for name in sorted(weights)}
            self._runs[key] = run
            parents |= {self._parent_of(run).key} | (set() if all(tested) or is_trial else {""})
        return parents

    def _parent_of(self, run: Run) -> Run:
        """A study's own run, of one profile and corpus; it runs while any of its runs does."""
        tags = {name: run.tags[name] for name in OF_STUDY}
        name, *of_what = tags.values()
        of_what = list(dict.fromkeys(filter(None, of_what)))
        study = self._studies.setdefault(run.parent, Run(run.parent, f"{name} ({', '.join(of_what)})", tags=tags))
        if run.status == "RUNNING":
            study.status = "RUNNING"
        started = [t for t in (study.started, run.started) if t]
        ended = [t for t in (study.ended, run.ended) if t]
        study.started = min(started, default=None)
        study.ended = max(ended, default=None)
        return study


def _new_run(key: str, rows: Sequence[Row]) -> Run:
    """A run of one job, or of a sweep's under one protocol, from the rows of its repeats."""
    row = rows[0]
    of_study = {name: row.get(name, "") for name in OF_STUDY}
    repeats = sorted({int(r["repeat"]) for r in rows})
    span = "-".join(str(repeat) for repeat in sorted({repeats[0], repeats[-1]}))
    parts = [row["setting"] * (not row["sweep"]), row["protocols"][0]]
    if row["protocols"] == ["tuning"] and not row["sweep"]:
        parts.append(f"{row['hyperparameters']['learning_rate']:g}")
    slug = "-".join(filter(None, parts))
    parameters = {**row["hyperparameters"], "seed": row["seed"], "repeat": span}
    return Run(
        key,
        f"{row['study']}/{row['cell']}/{slug}/{span}",
        digest(of_study),
        {k: v if isinstance(v, str) else json.dumps(v) for k, v in parameters.items() if k != row["sweep"]},
        of_study | {"data_digest": str(row["data_digest"]), "protocols": ", ".join(row["protocols"])},
    )


def _add_answers(study: Run, answers: Sequence[Mapping[str, Any]]) -> None:
    """What a study's own run says on MLflow's first page: both cells' scores, the difference, and who is ahead."""
    for found in answers:
        behind = f" {found['setting']}" if found["setting"] else ""
        for name, value in found.items():
            if isinstance(value, float):
                study.add(f"{name}{behind}", 0, value, None, is_score=True)
        study.tags |= {f"{name}{behind}": str(found[name]) for name in ("score", "heading", "ahead")}


def _read_curve_file(path: Path) -> Run | None:
    run = None
    for line in _lines(path):
        milliseconds = int(line["time"])
        if "rows" in line:
            run = run or _new_run(path.stem, line["rows"])
            run.tags |= {str(name): str(value) for name, value in line["tags"].items()}
            run.started = run.started or milliseconds
            run.status = "RUNNING"
        elif run and "epoch" in line:
            for metric, value in line["values"].items():
                run.add(metric, int(line["epoch"]), float(value), milliseconds)
        elif run and line.get("end") in ("FINISHED", "FAILED"):
            run.status = line["end"]
        if run:
            run.ended = milliseconds
    return run


def _step(row: Row, otherwise: int) -> int:
    """Where a row's values stand: a sweep's run has a point a setting."""
    return int(row["setting"]) if row["sweep"] else otherwise


def _scores(row: Row) -> dict[str, float]:
    tested = {f"test_{name}": value for name, value in row["test"].items() if isinstance(value, float)}
    return tested | {"best_epoch": row["best_epoch"], "parameter_count": row["parameters"]}


def _identity(row: Row) -> str:
    """What a trained repeat and its scores have in common; scores of other settings don't match."""
    names = ("setting", "protocols", "hyperparameters", "repeat", "seed", "best_epoch")
    return digest([row[name] for name in names])


def _is_running(key: str) -> bool:
    lock = curves.running_lock(key)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines; what a killed writer left of one, or is still writing, is none.

    Raises:
        ValueError: a line has half of a character, which no store takes.
    """
    lines, data = [], path.read_bytes()
    for text in data.split(b"\n"):
        with suppress(ValueError):
            lines.append(json.loads(text.decode()))
    if b"\\u" in data:
        json.dumps(lines, ensure_ascii=False).encode()
    return [line for line in lines if isinstance(line, dict) and "time" in line]


# A tracker looks every few seconds.
_lines = once_a_version(_read_lines)
_json = once_a_version(read_json)
_digest_of = once_a_version(file_digest)
