"""Send MLflow what it lacks. The only module that imports MLflow, and late: it takes seconds.

Nothing here notes what was sent. Each run in MLflow has tags with digests of the values and of the files that it was
made equal to, set after all else; where they are not those of the run as it should be, it is compared value by value
and gets what it lacks. A sender may therefore die between any two steps. Nobody can look up a run and create it in
one step: after creating some, senders look again, and of two runs with one key all of them keep the same one.
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote, urlencode, urlsplit

from filelock import FileLock

from stages.support.address import GaveUpError, is_server, knock, one_line, printable, take_out_credentials
from stages.support.desired import Point, Run
from stages.support.files import file_digest, root, write_json
from stages.support.process import StageError
from stages.trained.package import copy_code

if TYPE_CHECKING:
    from stages.trained.find import Trained

EXPERIMENT = "lstm-vs-gru"
RUN_KEY, VALUES, FILES = "run_key", "sent_values", "sent_files"
# MLflow's own settings, unless the user has chosen: its default of retries blocks for minutes when a server is down.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
# What a server may take in all to open, or for a run without its files, where MLFLOW_HTTP_REQUEST_TIMEOUT is for
# each byte.
SECONDS_A_RUN = 30.0
LEAST_BYTES_A_SECOND = 50_000
NOTE = "mlflow.note.content"
VIEW = "answer"
# Which columns a page of runs has is the browser's own, but for a view that is kept in a tag, as MLflow's Share does.
COLUMNS = ["tags.`score`", "tags.`ahead`", "tags.`heading`", "metrics.`lstm`", "metrics.`gru`"]
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # else MLflow guesses, and may show an empty page for agents
    f"mlflow.sharedViewState.{VIEW}": json.dumps({"selectedColumns": COLUMNS}),
}
SAMPLE_NOTE = "Trained on sample text made by this project: no published figure compares with these scores."
# The registered model's alias, and the end of its name.
ON_SHOW = "on-show"
MODEL_DESCRIPTION = (
    "The trained model of study {study} that the pipeline shows: of the cell on show, of its arm in use the repeat "
    "with the lowest validation loss. A version a set of weights; the alias on-show is the one shown now."
)
MODEL_NEEDS = ("mlflow", "numba", "numpy", "pandas", "safetensors", "torch")
# MLflow's limits on one request.
POINTS_A_REQUEST = 1000
PARAMETERS_A_REQUEST = 100


class TrackingError(StageError):
    """MLflow's store can't be reached, or refused something; what it lacks is sent another time."""


@dataclass
class Report:
    """What was sent; `problems` are lines about refused runs."""

    runs: set[str] = field(default_factory=set)
    points: int = 0
    files: int = 0
    on_show: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{len(self.runs)} runs, {self.points} values, {self.files} files"
        return ", ".join([counts, *(f"on show {model}" for model in self.on_show)])


class Known(NamedTuple):
    """A run in MLflow. `is_active` is false where its user deleted it, and wants it to stay so."""

    run_id: str
    is_active: bool
    values: str = ""
    files: str = ""


def store_address() -> str:
    """MLFLOW_TRACKING_URI, or a sqlite file beside the pipeline; a relative path is taken from `root()`."""
    address = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    database = _database(address)
    return f"sqlite:///{database}" if database else address


class Sender:
    """Sends to one store. What the store has is remembered between calls, unless something went wrong."""

    def __init__(self, address: str) -> None:
        """Nothing is imported and no store is opened before there is something to send."""
        self.address = address
        self._store: Store | None = None
        self._known: dict[str, Known] | None = None

    def send(self, runs: Sequence[Run], on_show: Sequence["Trained"] = ()) -> Report:
        """Make the store equal to `runs`, studies first, and to the models on show; inside the sender's lock.

        Raises:
            TrackingError: the store can't be reached; one line.
        """
        report = Report()
        try:
            for turn in range(4):
                # What was refused may be a run that another sender has deleted, since it was there twice.
                if not self._send_once(runs, report) and (turn or not report.problems):
                    break
                self._known = None
            for trained in on_show:
                known = (self._known or {}).get(trained.settings["key"])
                if known and known.is_active:
                    with self._in_time([trained.weights]):
                        report.on_show += self._open().put_on_show(trained, known.run_id)
        except Exception as error:
            self._known = None
            raise TrackingError(f"MLflow's store {printable(self.address)}: {one_line(error, self.address)}") from error
        return report

    def _send_once(self, runs: Sequence[Run], report: Report) -> bool:
        """Whether some run was created, so that another sender may have created it as well."""
        if self._known is not None and not any(self._lacks(run) for run in runs):
            return False
        with self._in_time():
            store = self._open()
            known = self._known = store.find_runs() if self._known is None else self._known
        created, report.problems = False, []
        for run in [run for run in runs if self._lacks(run)]:
            created |= run.key not in known
            try:
                if run.parent and run.parent not in known:
                    raise RuntimeError("the study's own run is not there")
                parent_id = known[run.parent].run_id if run.parent else ""
                with self._in_time(run.files.values()):
                    known[run.key] = store.send(run, known.get(run.key), parent_id, report)
            except Exception as error:  # one run that MLflow refuses must not hold up the others
                with self._in_time():
                    store.check()  # but a store that has gone away ends it here
                report.problems.append(f"{run.name}: {one_line(error, self.address)}")
        return created

    def _lacks(self, run: Run) -> bool:
        known, parent = ((self._known or {}).get(key) for key in (run.key, run.parent))
        if known is None:
            return True
        values, files = run.values_digest(parent.run_id if parent else ""), run.files_digest()
        return known.is_active and (known.values != values or files not in ("", known.files))

    def _in_time(self, files: Iterable[Path] = ()) -> AbstractContextManager[None]:
        size = sum(path.stat().st_size for path in files)
        return _within(SECONDS_A_RUN + size / LEAST_BYTES_A_SECOND if is_server(self.address) else 0)

    def _open(self) -> "Store":
        for is_last in [True] if is_server(self.address) else [False, True]:
            try:
                self._store = self._store or Store(self.address)
            except Exception:
                if is_last:
                    raise
                time.sleep(2)  # another sender may be in the middle of making the tables
        assert self._store
        return self._store


class Store:
    """One MLflow store with the experiment in it."""

    def __init__(self, address: str) -> None:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        if is_server(address):
            address, credentials = take_out_credentials(address)
            os.environ.update(credentials, MLFLOW_TRACKING_URI=address)
            knock(address)
        from mlflow import MlflowClient

        database = _database(address)
        if database:
            create_database(database)
            follow_move(database)
        self.client = MlflowClient(tracking_uri=address)
        self.experiment_id = self._experiment(address, database)

    def check(self) -> None:
        """Raise MLflow's error if the store doesn't answer."""
        self.client.get_experiment(self.experiment_id)

    def find_runs(self, key: str = "") -> dict[str, Known]:
        """All runs by their keys, or the one of a key. Of several with one key the first stays."""
        from mlflow.entities import ViewType

        found: dict[str, list[Any]] = {}
        query, page = f"tags.{RUN_KEY} = '{key}'" if key else f"tags.{RUN_KEY} != ''", None
        while page is None or page.token:
            token = page.token if page else None
            page = self.client.search_runs([self.experiment_id], query, ViewType.ALL, 1000, page_token=token)
            for run in page:
                found.setdefault(run.data.tags[RUN_KEY], []).append(run)
        return {key: self._only_one(runs) for key, runs in found.items()}

    def _only_one(self, runs: list[Any]) -> Known:
        active = [run for run in runs if run.info.lifecycle_stage == "active"]
        first, *others = sorted(active or runs, key=lambda run: (run.info.start_time, run.info.run_id))
        for other in others if active else []:
            self.client.delete_run(other.info.run_id)
        tags = first.data.tags
        return Known(first.info.run_id, bool(active), tags.get(VALUES, ""), tags.get(FILES, ""))

    def send(self, run: Run, known: Known | None, parent_id: str, report: Report) -> Known:
        """Make one run what it should be."""
        from mlflow.entities import RunTag

        known = known or self.find_runs(run.key).get(run.key)  # another sender's, in the meantime
        if known is None:
            now = time.time_ns() // 1_000_000
            tags = {**run.tags, RUN_KEY: run.key}
            created = self.client.create_run(self.experiment_id, run.started or now, tags=tags, run_name=run.name)
            known = Known(created.info.run_id, True)
            report.runs.add(run.key)
        if not known.is_active:
            return known
        values = run.values_digest(parent_id)
        if known.values != values:
            if self._send_values(run, known.run_id, parent_id, report):
                report.runs.add(run.key)
            self.client.log_batch(known.run_id, tags=[RunTag(VALUES, values)])
        files = run.files_digest()
        if files not in ("", known.files):
            for name, path in run.files.items():
                self.client.log_artifact(known.run_id, str(path), str(Path(name).parent) if "/" in name else None)
                report.files += 1
            self.client.log_batch(known.run_id, tags=[RunTag(FILES, files)])
            report.runs.add(run.key)
        return known._replace(values=values, files=files or known.files)

    def _send_values(self, run: Run, run_id: str, parent_id: str, report: Report) -> bool:
        """Log what the run lacks of points, parameters and tags, and its status; whether there was any."""
        from mlflow.entities import Metric, Param, RunTag

        there = self.client.get_run(run_id)
        points = self._lacking_points(run, there)
        for batch in _batches(points, POINTS_A_REQUEST):
            self.client.log_batch(run_id, metrics=[Metric(p.metric, p.value, p.milliseconds, p.step) for p in batch])
        report.points += len(points)
        parameters = [Param(k, v) for k, v in run.parameters.items() if there.data.params.get(k) != v]
        for batch in _batches(parameters, PARAMETERS_A_REQUEST):
            self.client.log_batch(run_id, params=batch)
        wanted = {**run.tags, **({"mlflow.parentRunId": parent_id} if parent_id else {NOTE: self._note_on(run)})}
        tags = [RunTag(name, value) for name, value in wanted.items() if there.data.tags.get(name) != value]
        if tags:
            self.client.log_batch(run_id, tags=tags)
        if "data_digest" in run.tags and not there.inputs.dataset_inputs:
            self.client.log_inputs(run_id, [_data_of(run)])
        # A curve file may tell of less than once was there: of a kill, before a rerun elsewhere ended well.
        status = there.info.status
        ends = run.status != status and not (status == "FINISHED" and run.status in ("KILLED", "FAILED"))
        if ends and run.status == "RUNNING":
            self.client.update_run(run_id, "RUNNING")
        elif ends:
            self.client.set_terminated(run_id, run.status, run.ended or there.info.start_time)
        return bool(points or parameters or tags or ends)

    def _lacking_points(self, run: Run, there: Any) -> list[Point]:  # noqa: ANN401 - MLflow is imported late
        """The points that a run in MLflow lacks.

        A point that has no time of its own gets one that any sender would give it: MLflow's SQL stores ignore a value
        that they have.
        """
        held: dict[tuple[str, int], set[str]] = {}
        for metric in {p.metric for p in run.points.values()} & there.data.metrics.keys():
            for point in self.client.get_metric_history(there.info.run_id, metric):
                held.setdefault((metric, point.step), set()).add(repr(float(point.value)))
        lacking = []
        for place, point in run.points.items():
            there_already = held.get(place, set())
            if point.is_score and there_already and repr(_as_stored(point.value)) not in there_already:
                lacking.append(point._replace(milliseconds=time.time_ns() // 1_000_000))
            elif not there_already:
                lacking.append(point._replace(milliseconds=point.milliseconds or there.info.start_time + point.step))
        return lacking

    def _note_on(self, study: Run) -> str:
        """What the study's page in MLflow says first, with a link to the charts of all its repeats.

        Sorted by a metric, the page lists repeats, which else are folded away below the study.
        """
        names = ("study", "profile", "corpus")
        of_study = " and ".join(f"tags.{name} = '{getattr(study, name)}'" for name in names if getattr(study, name))
        query = {
            "workflowType": "machine_learning",
            "searchFilter": f"{of_study} and tags.`mlflow.parentRunId` != ''",
            "orderByKey": "metrics.`test_loss`",
            "orderByAsc": "true",
            "compareRunsMode": "CHART",
        }
        link = f"#/experiments/{self.experiment_id}/runs?{urlencode(query, quote_via=quote)}"
        text = SAMPLE_NOTE if study.corpus == "sample" else ""
        return f"[Charts of every repeat of {study.study}]({link}). Tables and figures are among the artifacts. {text}"

    def _experiment(self, address: str, database: Path | None) -> str:
        from mlflow.exceptions import MlflowException

        if self.client.get_experiment_by_name(EXPERIMENT) is None:
            # MLflow's own choice for a local store is the working directory, which may soon be gone.
            remote = is_server(address) or address.startswith("databricks")
            place = None if remote else ((database.parent if database else root()) / "mlruns").as_uri()
            try:
                self.client.create_experiment(EXPERIMENT, artifact_location=place)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another sender's, in the meantime
                    raise
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        if experiment is None or experiment.lifecycle_stage == "deleted":
            raise RuntimeError(f"experiment {EXPERIMENT!r} was deleted there; restore it or delete it for good")
        link = f"#/experiments/{experiment.experiment_id}/runs?viewStateShareKey={VIEW}"
        note = f"[LSTM or GRU, a study a row]({link}). Open a study for the charts of its repeats, unfold it for each."
        for name, value in (EXPERIMENT_TAGS | {NOTE: f"{note} Costs are system metrics."}).items():
            if name in experiment.tags:  # its user's own, perhaps
                continue
            try:
                self.client.set_experiment_tag(experiment.experiment_id, name, value)
            except MlflowException:
                if name not in self.client.get_experiment(experiment.experiment_id).tags:
                    raise  # else another sender's, in the meantime
        return str(experiment.experiment_id)

    def put_on_show(self, trained: "Trained", run_id: str) -> list[str]:
        """Give the study's registered model a version of these weights, once, and the alias; what was done."""
        from mlflow.exceptions import MlflowException

        name, weights = f"{trained.study}-{ON_SHOW}", file_digest(trained.weights)
        with suppress(MlflowException):
            self.client.create_registered_model(name, description=MODEL_DESCRIPTION.format(study=trained.study))
        versions = self._versions(name, weights)
        if not versions:
            self._register(name, weights, trained, run_id)
            versions = self._versions(name, weights)
        for version in versions[1:]:  # two senders at once
            self.client.delete_model_version(name, str(version))
        aliases = self.client.get_registered_model(name).aliases
        if str(aliases.get(ON_SHOW)) == str(versions[0]):
            return []
        self.client.set_registered_model_alias(name, ON_SHOW, str(versions[0]))
        return [f"{name} {versions[0]}"]

    def _versions(self, name: str, weights: str) -> list[int]:
        found = self.client.search_model_versions(f"name = '{name}' and tags.weights_digest = '{weights}'")
        return sorted(int(version.version) for version in found)

    def _register(self, name: str, weights: str, trained: "Trained", run_id: str) -> None:
        """Log the model to the run that trained it, and make it a version of the registered model."""
        with TemporaryDirectory() as temporary:
            _save_pyfunc(trained, Path(temporary) / "model")
            self.client.log_artifacts(run_id, temporary)
        run, settings = self.client.get_run(run_id), trained.settings
        about = f"{run.info.run_name}, the repeat with the lowest validation loss; corpus: {settings['corpus']}"
        self.client.create_model_version(
            name,
            source=f"{run.info.artifact_uri}/model",
            run_id=run_id,
            tags={
                "weights_digest": weights,
                "commit": run.data.tags.get("mlflow.source.git.commit", "unknown"),
                "cell": trained.cell,
                **{tag: str(settings[tag]) for tag in ("repeat", "corpus", "data_digest")},
            },
            description=about,
        )


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise GaveUpError in the block after some seconds, where the system has such alarms; 0 is no limit."""

    def give_up(*_: object) -> None:
        raise GaveUpError(f"no whole answer in {seconds:.0f} seconds")

    if not seconds or not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # again each second, as a library may catch it and try once more
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def create_database(path: Path) -> None:
    """Make MLflow's sqlite file where there is none, whole or not at all, whoever else is trying.

    MLflow creates its tables in many steps without a lock: two processes at once, or a kill, leave a file
    that no MLflow can open again (mlflow/mlflow#23721).
    """
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{path.name}.lock")):
        if path.exists():
            return
        for left in path.parent.glob(f"{path.name}.new*"):  # of a process that was killed here
            left.unlink()
        new = path.with_name(f"{path.name}.new")
        MlflowClient(tracking_uri=f"sqlite:///{new}").search_experiments()
        new.replace(path)


def follow_move(database: Path) -> None:
    """Where the folder of a database was moved or copied, let it find its files beside it.

    MLflow keeps the absolute place of each run's files, and has no command to change it.
    """
    place = database.parent / "mlruns"
    with sqlite3.connect(database, timeout=20) as connection:
        found = connection.execute("SELECT artifact_location FROM experiments WHERE name = ?", [EXPERIMENT]).fetchone()
        noted, now = str(found[0]) if found else "", place.as_uri()
        old = Path(unquote(urlsplit(noted).path))
        if (
            noted == now
            or not noted.startswith("file:")
            or old.name != "mlruns"
            or (old.exists() and not place.exists())
        ):
            return
        for table, column in [
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("model_versions", "source"),
            ("model_versions", "storage_location"),
            ("logged_models", "artifact_location"),
        ]:
            with suppress(sqlite3.OperationalError):  # a table that this MLflow doesn't have
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) IN (?, ?)",
                    [now, len(noted) + 1, len(noted) + 1, noted, f"{noted}/"],
                )
    connection.close()


def _save_pyfunc(trained: "Trained", folder: Path) -> None:
    """Write the model as MLflow's pyfunc, which needs no more than its folder: no pickled code, `stages` beside it."""
    from mlflow.pyfunc import save_model

    found = {"weights": trained.weights, "vocabulary": trained.vocabulary}
    files = {part: path for part, path in found.items() if path}
    kept = ("key", "repeat", "seed", "corpus", "data_digest", "hyperparameters")
    settings = {
        "study": trained.study,
        "kind": trained.kind,
        "cell": trained.cell,
        **{name: trained.settings[name] for name in kept},
        "ready": {name: value for name, value in trained.ready.items() if name not in ("files", "sha256")},
        "files": {part: {"name": path.name, "sha256": file_digest(path)} for part, path in files.items()},
    }
    signature, example = _signature(trained)
    with TemporaryDirectory() as temporary:
        data = Path(temporary, "files")
        data.mkdir()
        for path in files.values():
            shutil.copyfile(path, data / path.name)
        write_json(data / "settings.json", settings)
        package = copy_code(Path(temporary, "code"))
        save_model(
            folder,
            loader_module=f"{package}.trained.served",
            data_path=data,
            code_paths=[str(Path(temporary, "code", package))],
            signature=signature,
            input_example=example,
            # Named, since MLflow would load the model to find them out.
            pip_requirements=[f"{name}=={metadata.version(name).partition('+')[0]}" for name in MODEL_NEEDS],
        )


def _signature(trained: "Trained") -> tuple[Any, Any]:
    """What a model takes and gives, and an example of what it is asked."""
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array

    text, number, whole = DataType.string, DataType.double, DataType.long
    match trained.kind:
        case "classification":
            labels = trained.ready.get("labels", ("negative", "positive"))
            given = [ColSpec(number, f"probability_{label}") for label in labels]
            given += [ColSpec(text, "label"), ColSpec(Array(text), "unknown_words")]
            example = pd.DataFrame({"text": ["I loved the movie, every part of it", "This film is horrible"]})
            return ModelSignature(Schema([ColSpec(text, "text")]), Schema(given)), example
        case "language_model":
            drawing = [
                ParamSpec("tokens", whole, 40),
                ParamSpec("temperature", number, 1.0),
                ParamSpec("seed", whole, 0),
            ]
            schemas = Schema([ColSpec(text, "prompt")]), Schema([ColSpec(text, "text")])
            return ModelSignature(*schemas, ParamSchema(drawing)), pd.DataFrame({"prompt": ["the"]})
        case _:
            columns, mean = trained.ready["columns"], trained.ready["mean"]
            schemas = (
                Schema([ColSpec(number, name) for name in columns]),
                Schema([ColSpec(whole, "step"), ColSpec(number, "forecast")]),
            )
            example = pd.DataFrame([mean] * trained.ready["window"], columns=columns)
            return ModelSignature(*schemas, ParamSchema([ParamSpec("steps", whole, 0)])), example


def _data_of(run: Run) -> Any:  # noqa: ANN401 - MLflow is imported late
    """The data that a run was trained on, as MLflow's pages list them; its digests have at most 36 characters."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = json.dumps({"uri": f"data/ready/{run.study}"})
    data = Dataset(f"{run.study} {run.corpus}", run.tags["data_digest"][:36], "local", source)
    return DatasetInput(data, [InputTag("mlflow.data.context", "training")])


def open_ui(address: str) -> None:
    """Say where the server's pages are, or become a server of this store."""
    if is_server(address):
        print(f"open {printable(address)}", flush=True)
        return
    print(f"open http://127.0.0.1:5000/#/experiments/1/runs?viewStateShareKey={VIEW}", flush=True)
    os.environ["MLFLOW_BACKEND_STORE_URI"] = address  # and not on the command line, which anybody may read
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui"])


def _database(address: str) -> Path | None:
    """The file of a sqlite address, or None for another kind of store."""
    found = re.fullmatch(r"sqlite:///([^?]+)", address)
    return root() / found[1] if found else None


def _batches(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _as_stored(value: float) -> float:
    """MLflow's SQL stores hold no infinity."""
    return max(-sys.float_info.max, min(value, sys.float_info.max))
