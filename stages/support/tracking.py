"""Send the outbox to MLflow, each value once. The only module that imports MLflow, and late: it takes seconds.

How far each run has been sent is noted for each store in `root()/outbox/sent/DIGEST OF THE ADDRESS/KEY.json`,
written after each step. A crash between a step and its note repeats the step, and every step can be repeated:
runs are looked up by their key before they are made, metrics carry their recorded times (MLflow's SQL stores
ignore an identical value; what a run already holds is looked up as well before its first values go out), all
else overwrites itself.
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlencode

from stages.support import outbox
from stages.support.files import digest, read_json, root, write_json
from stages.support.process import StageError
from stages.trained.package import copy_code

EXPERIMENT = "lstm-vs-gru"
RUN_KEY_TAG = "run_key"
# MLflow's own settings, unless the user has chosen: its default of retries blocks for minutes when a server
# is down.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
NOTE = "mlflow.note.content"
EXPERIMENT_TAGS = {
    NOTE: "A run a study: open one for the charts of its repeats, unfold it for each. Costs are system metrics.",
    "mlflow.experimentKind": "custom_model_development",  # else MLflow guesses, and may show an empty page for agents
}
SAMPLE_NOTE = "Trained on sample text made by this project: no published figure compares with these scores."
COSTS = ("seconds", "train_seconds", "tokens_per_second", "peak_memory_bytes")
# The registered model's alias, and the end of its name.
ON_SHOW = "on-show"
MODEL_DESCRIPTION = (
    "The trained model of study {study} that the pipeline shows: of the cell on show, the corrected arm's repeat with "
    "the lowest validation loss. A version a set of weights; the alias on-show is the one shown now."
)
MODEL_NEEDS = ("mlflow", "numba", "numpy", "pandas", "safetensors", "torch")
# MLflow's limits on one request.
POINTS_A_REQUEST = 1000
PARAMETERS_A_REQUEST = 100


class TrackingError(StageError):
    """MLflow's store can't be reached, or refused something; nothing is lost."""


@dataclass
class Sent:
    """How far one run has been sent to one store."""

    run_id: str = ""
    description: str = ""
    points: int = 0
    status: str = ""
    artifacts: int = 0
    on_show: str = ""


@dataclass
class Report:
    """What one turn of sending has done; `problems` are lines about refused runs, which stay unsent."""

    runs: int = 0
    points: int = 0
    artifacts: int = 0
    on_show: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{self.runs} runs, {self.points} values, {self.artifacts} files"
        return ", ".join([counts, *(f"on show {model}" for model in self.on_show)])


def store_address() -> str:
    """MLFLOW_TRACKING_URI, or a sqlite file beside the pipeline; a relative path is taken from `root()`."""
    address = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    database = _database(address)
    return f"sqlite:///{database}" if database else address


def without_password(text: str) -> str:
    """The text without the user names and passwords in its addresses."""
    return re.sub(r"://[^/@\s]+@", "://", text)


def unsent(address: str) -> list[outbox.Record]:
    """The records that the store lacks in whole or in part, as far as noted here; inside `tracker_turn`."""
    database = _database(address)
    known = database is None or database.exists()
    return [r for r in outbox.read_all() if not (known and _is_sent(r, _load(address, r.key)))]


def send(address: str) -> Report:
    """Send what the store lacks; inside `tracker_turn`.

    Raises:
        TrackingError: the store can't be reached; one line.
    """
    report = Report()
    lacking = unsent(address)
    if not lacking:
        return report
    for study, profile in {(record.study, record.profile) for record in lacking}:
        outbox.Outbox.for_study(study, profile)
    try:
        store = Store(address)
        for record in unsent(address):  # anew: a store that was replaced has forgotten what was sent
            try:
                store.send(record, report)
            except Exception as error:  # one run that MLflow refuses must not hold up the others
                store.check()  # but a store that has gone away ends it here
                report.problems.append(f"{record.name}: {_one_line(error)}")
    except Exception as error:
        raise TrackingError(f"MLflow's store {without_password(address)}: {_one_line(error)}") from error
    return report


class Store:
    """One MLflow store with the experiment in it."""

    def __init__(self, address: str) -> None:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        database = _database(address)
        if database:
            create_database(database)
        self.address = address
        self.client = MlflowClient(tracking_uri=address)
        self.experiment_id = self._experiment(database)

    def check(self) -> None:
        """Raise MLflow's error if the store doesn't answer."""
        self.client.get_experiment(self.experiment_id)

    def send(self, record: outbox.Record, report: Report) -> None:
        """Send what is new in one record, a step at a time."""
        sent = _load(self.address, record.key)
        state = self._state_of_run(sent.run_id)
        if state == "deleted":  # whoever deleted the run in MLflow doesn't want it back
            return self._save(record, _all_sent(record, sent.run_id))
        is_new = state == "absent"
        if is_new:
            run_id, is_new = self._find_or_create(record)
            sent = Sent(run_id)
            self._save(record, sent)
        report.runs += 1

        if sent.description != _description(record):
            self._describe(record, sent.run_id)
            sent.description = _description(record)
            self._save(record, sent)

        held = set() if is_new or sent.points else self._held(sent.run_id)
        points = iter(record.points[sent.points :])
        while batch := list(islice(points, POINTS_A_REQUEST)):
            new = [p for p in batch if not held & _marks(p)]
            self._log_points(sent.run_id, new)
            sent.points += len(batch)
            self._save(record, sent)
            report.points += len(new)

        if sent.status != record.status:
            if record.status == "RUNNING":
                self.client.update_run(sent.run_id, "RUNNING")
            else:
                self.client.set_terminated(sent.run_id, record.status, record.ended_milliseconds)
            sent.status = record.status
            self._save(record, sent)

        for artifact in record.artifacts[sent.artifacts :]:
            if artifact.path.exists():
                self.client.log_artifact(sent.run_id, str(artifact.path), artifact.place or None)
                report.artifacts += 1
            else:
                outbox.warn(f"{record.name}: {artifact.name} is no longer in {outbox.folder()}")
            sent.artifacts += 1
            self._save(record, sent)

        on_show = _on_show(record)
        if sent.on_show != on_show:  # noted as well where it no longer is, so that it can be once more
            if record.on_show:
                report.on_show.append(self._put_on_show(record, record.on_show, sent.run_id))
            sent.on_show = on_show
            self._save(record, sent)

    def _put_on_show(self, record: outbox.Record, model: outbox.ModelOnShow, run_id: str) -> str:
        """Give the study's registered model a version of these weights, once, and the alias; return its name."""
        from mlflow.exceptions import MlflowException

        name = f"{record.study}-{ON_SHOW}"
        try:
            self.client.create_registered_model(name, description=MODEL_DESCRIPTION.format(study=record.study))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        weights = model.settings["files"]["weights"]["sha256"]
        found = self.client.search_model_versions(f"name = '{name}' and tags.weights_digest = '{weights}'")
        version = found[0].version if found else self._register(name, record, model, run_id)
        self.client.set_registered_model_alias(name, ON_SHOW, version)
        return f"{name} {version}"

    def _register(self, name: str, record: outbox.Record, model: outbox.ModelOnShow, run_id: str) -> str:
        """Log the model to the run that trained it, and make it a version of the registered model."""
        with TemporaryDirectory() as temporary:
            _save_pyfunc(model, Path(temporary) / "model")
            self.client.log_artifacts(run_id, temporary)
        settings = model.settings
        version = self.client.create_model_version(
            name,
            source=f"{self.client.get_run(run_id).info.artifact_uri}/model",
            run_id=run_id,
            tags={
                "weights_digest": settings["files"]["weights"]["sha256"],
                "commit": record.tags.get("mlflow.source.git.commit", "unknown"),
                **{tag: str(settings[tag]) for tag in ("cell", "repeat", "corpus", "data_digest")},
            },
            description=f"{record.name}, the repeat with the lowest validation loss; corpus: {settings['corpus']}",
        )
        return str(version.version)

    def _experiment(self, database: Path | None) -> str:
        """The experiment's id; forgets what was sent if this is not the store that it was sent to."""
        if self.client.get_experiment_by_name(EXPERIMENT) is None:
            # MLflow's own choice for a local store is the working directory, which may soon be gone.
            remote = re.match(r"(https?|databricks)\b", self.address)
            place = None if remote else ((database.parent if database else root()) / "mlruns").as_uri()
            self.client.create_experiment(EXPERIMENT, artifact_location=place)
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        if experiment is None or experiment.lifecycle_stage == "deleted":
            raise RuntimeError(f"experiment {EXPERIMENT!r} was deleted there; restore it or delete it for good")
        for name in EXPERIMENT_TAGS.keys() - experiment.tags.keys():  # a description that somebody edited stays
            self.client.set_experiment_tag(experiment.experiment_id, name, EXPERIMENT_TAGS[name])
        identity = {"experiment": experiment.experiment_id, "created": experiment.creation_time}
        noted = _state(self.address) / "store.json"
        if _note(noted) != identity:
            for state in _state(self.address).glob("*.json"):
                state.unlink()
            write_json(noted, identity)
        return str(experiment.experiment_id)

    def _find_or_create(self, record: outbox.Record) -> tuple[str, bool]:
        """The run's id in MLflow, and whether it is new."""
        found = self.client.search_runs(
            [self.experiment_id],
            f"tags.{RUN_KEY_TAG} = '{record.key}'",
            max_results=1,
            order_by=["start_time ASC"],
        )
        if found:
            return str(found[0].info.run_id), False
        run = self.client.create_run(
            self.experiment_id,
            start_time=record.started_milliseconds,
            tags=self._tags(record),
            run_name=record.name,
        )
        return str(run.info.run_id), True

    def _tags(self, record: outbox.Record) -> dict[str, str]:
        tags = {**record.tags, RUN_KEY_TAG: record.key, "study": record.study, "profile": record.profile}
        if record.is_study:
            tags[NOTE] = self._note_on_study(record)
        else:
            parent = _load(self.address, outbox.study_key(record.study, record.profile)).run_id
            if not parent:
                raise RuntimeError("the study's own run is not there yet")
            tags["mlflow.parentRunId"] = parent
        return tags

    def _note_on_study(self, record: outbox.Record) -> str:
        """What the study's page in MLflow says first, with a link to the charts of all its repeats.

        Sorted by a metric, the page lists repeats, which else are folded away below the study.
        """
        of_study = f"tags.study = '{record.study}' and tags.profile = '{record.profile}'"
        query = {
            "workflowType": "machine_learning",
            "searchFilter": f"{of_study} and tags.`mlflow.parentRunId` != ''",
            "orderByKey": "metrics.`test_loss`",
            "orderByAsc": "true",
            "compareRunsMode": "CHART",
        }
        link = f"#/experiments/{self.experiment_id}/runs?{urlencode(query, quote_via=quote)}"
        text = SAMPLE_NOTE if record.profile == "sample" else ""
        return f"[Charts of every repeat of {record.study}]({link}). Tables and figures are among the artifacts. {text}"

    def _describe(self, record: outbox.Record, run_id: str) -> None:
        from mlflow.entities import Param, RunTag

        parameters = iter(_flat(record.parameters).items())
        while batch := list(islice(parameters, PARAMETERS_A_REQUEST)):
            self.client.log_batch(run_id, params=[Param(name, value) for name, value in batch])
        self.client.log_batch(run_id, tags=[RunTag(name, str(value)) for name, value in self._tags(record).items()])

    def _log_points(self, run_id: str, points: list[outbox.Point]) -> None:
        from mlflow.entities import Metric

        if points:
            metrics = [Metric(_name(p.metric), p.value, p.time_milliseconds, p.epoch or 0) for p in points]
            self.client.log_batch(run_id, metrics=metrics)

    def _held(self, run_id: str) -> set[tuple[object, ...]]:
        """The marks of all points that a run already has."""
        marks: set[tuple[object, ...]] = set()
        for metric in self.client.get_run(run_id).data.metrics:
            for point in self.client.get_metric_history(run_id, metric):
                marks |= {(metric, point.step), (metric, point.step, repr(point.value))}
        return marks

    def _state_of_run(self, run_id: str) -> str:
        """Return active, deleted or absent."""
        from mlflow.exceptions import MlflowException

        if not run_id:
            return "absent"
        try:
            return str(self.client.get_run(run_id).info.lifecycle_stage)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return "absent"
            raise

    def _save(self, record: outbox.Record, sent: Sent) -> None:
        write_json(_state(self.address) / f"{record.key}.json", asdict(sent))


def create_database(path: Path) -> None:
    """Make MLflow's sqlite file where there is none, whole or not at all, whoever else is trying.

    MLflow creates its tables in many steps without a lock: two processes at once, or a kill, leave a file
    that no MLflow can open again (mlflow/mlflow#23721).
    """
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return
        for left in path.parent.glob(f"{path.name}.new*"):  # of a process that was killed here
            left.unlink()
        new = path.with_name(f"{path.name}.new")
        MlflowClient(tracking_uri=f"sqlite:///{new}").search_experiments()
        new.replace(path)


def _save_pyfunc(model: outbox.ModelOnShow, folder: Path) -> None:
    """Write the model as MLflow's pyfunc, which needs no more than its folder: no pickled code, `stages` beside it."""
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array

    outputs = {"probability_positive": DataType.double, "label": DataType.string}
    unknown = ColSpec(Array(DataType.string), "unknown_words")
    with TemporaryDirectory() as temporary:
        data = Path(temporary, "files")
        data.mkdir()
        for file in model.files.values():
            shutil.copyfile(file, data / file.name)
        write_json(data / "settings.json", model.settings)
        package = copy_code(Path(temporary, "code"))
        save_model(
            folder,
            loader_module=f"{package}.trained.served",
            data_path=data,
            code_paths=[str(Path(temporary, "code", package))],
            signature=ModelSignature(
                Schema([ColSpec(DataType.string, "text")]),
                Schema([*(ColSpec(kind, name) for name, kind in outputs.items()), unknown]),
            ),
            input_example=pd.DataFrame({"text": ["I loved the movie, every part of it", "This film is horrible"]}),
            # Named, since MLflow would load the model to find them out.
            pip_requirements=[f"{name}=={metadata.version(name).partition('+')[0]}" for name in MODEL_NEEDS],
        )


def _database(address: str) -> Path | None:
    """The file of a sqlite address, or None for another kind of store."""
    found = re.fullmatch(r"sqlite:///([^?]+)", address)
    return root() / found[1] if found else None


def _state(address: str) -> Path:
    return outbox.folder() / "sent" / digest(address)


def _load(address: str, key: str) -> Sent:
    return Sent(**_note(_state(address) / f"{key}.json"))


def _note(path: Path) -> dict[str, Any]:
    """A note, or nothing: one that a power cut has emptied is as good as none, since every step can be repeated."""
    try:
        return dict(read_json(path))
    except (FileNotFoundError, ValueError):
        return {}


def _description(record: outbox.Record) -> str:
    return digest({"parameters": _flat(record.parameters), "tags": record.tags})


def _on_show(record: outbox.Record) -> str:
    return record.on_show.digest if record.on_show else ""


def _all_sent(record: outbox.Record, run_id: str) -> Sent:
    return Sent(
        run_id, _description(record), len(record.points), record.status, len(record.artifacts), _on_show(record)
    )


def _is_sent(record: outbox.Record, sent: Sent) -> bool:
    return bool(sent.run_id) and sent == _all_sent(record, sent.run_id)


def _marks(point: outbox.Point) -> set[tuple[object, ...]]:
    """What shows, among a run's marks, that it has this point: a score may change, a curve not."""
    name = _name(point.metric)
    return {(name, 0, repr(point.value))} if point.epoch is None else {(name, point.epoch)}


def _name(metric: str) -> str:
    """A metric's name in MLflow, whose pages show those that begin with `system/` in a section of their own."""
    return f"system/{metric}" if metric in COSTS else metric


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters under dotted names, as text."""
    flat: dict[str, str] = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _one_line(error: Exception) -> str:
    """The start of an error's text in one line, without passwords; the system's own words where it lies at that."""
    chain: list[BaseException] = [error]
    while inner := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(inner)
    # Such as "Connection refused", deep below what HTTP libraries make of it.
    cause = next((e for e in reversed(chain) if isinstance(e, OSError)), error)
    text = " ".join(str(cause).split())
    return without_password(text[:300] or type(error).__name__)
