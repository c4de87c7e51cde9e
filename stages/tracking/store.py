"""One MLflow store: which runs it has, and how one of them becomes what it should be.

Nothing here notes what was sent. Each run in MLflow has tags with digests of the values and of the files that it was
made equal to, set after all else; where they are not those of the run as it should be, it is compared value by value
and gets what it lacks. A sender may therefore die between any two steps. Nobody can look up a run and create it in
one step: after creating some, senders look again, and of two runs with one key all of them keep the same one.
"""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from stages.support.files import root
from stages.tracking.address import is_server, knock, take_out_credentials
from stages.tracking.database import EXPERIMENT, create_database, database_of, follow_move
from stages.tracking.desired import OF_STUDY, Point, Run

RUN_KEY, VALUES, FILES = "run_key", "sent_values", "sent_files"
# MLflow's own settings, unless the user has chosen: its default of retries blocks for minutes when a server is down.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
NOTE = "mlflow.note.content"
VIEW = "answer"
# Which columns a page of runs has is the browser's own, but for a view that is kept in a tag, as MLflow's Share does.
COLUMNS = ["tags.`score`", "tags.`ahead`", "tags.`heading`", "metrics.`lstm`", "metrics.`gru`"]
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # else MLflow guesses, and may show an empty page for agents
    f"mlflow.sharedViewState.{VIEW}": json.dumps({"selectedColumns": COLUMNS}),
}
SAMPLE_NOTE = "Trained on sample text made by this project: no published figure compares with these scores."
# MLflow's limits on one request.
POINTS_A_REQUEST = 1000
PARAMETERS_A_REQUEST = 100


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

        database = database_of(address)
        if database:
            create_database(database)
            follow_move(database)
        self.client = MlflowClient(tracking_uri=address)
        self.experiment_id = self._experiment(address, database)

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
            if point.is_score and there_already and repr(point.value) not in there_already:
                lacking.append(point._replace(milliseconds=time.time_ns() // 1_000_000))
            elif not there_already:
                lacking.append(point._replace(milliseconds=point.milliseconds or there.info.start_time + point.step))
        return lacking

    def _note_on(self, study: Run) -> str:
        """What the study's page in MLflow says first, with a link to the charts of all its repeats.

        Sorted by a metric, the page lists repeats, which else are folded away below the study.
        """
        of_study = " and ".join(f"tags.{name} = '{study.tags[name]}'" for name in OF_STUDY if study.tags[name])
        query = {
            "workflowType": "machine_learning",
            "searchFilter": f"{of_study} and tags.`mlflow.parentRunId` != ''",
            "orderByKey": "metrics.`test_loss`",
            "orderByAsc": "true",
            "compareRunsMode": "CHART",
        }
        link = f"#/experiments/{self.experiment_id}/runs?{urlencode(query, quote_via=quote)}"
        name, text = study.tags["study"], SAMPLE_NOTE if study.tags["corpus"] == "sample" else ""
        return f"[Charts of every repeat of {name}]({link}). Tables and figures are among the artifacts. {text}"

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


def _data_of(run: Run) -> Any:  # noqa: ANN401 - MLflow is imported late
    """The data that a run was trained on, as MLflow's pages list them; its digests have at most 36 characters."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    study, corpus, digest = (run.tags[name] for name in ("study", "corpus", "data_digest"))
    data = Dataset(f"{study} {corpus}", digest[:36], "local", json.dumps({"uri": f"data/ready/{study}"}))
    return DatasetInput(data, [InputTag("mlflow.data.context", "training")])


def _batches(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
