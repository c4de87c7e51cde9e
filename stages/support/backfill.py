"""Make up for records that were never written here: results from DVC's cache or from Git."""

from pathlib import Path
from typing import Any

from stages.support.files import digest, file_digest, read_json
from stages.support.outbox import Outbox, Record, read, study_key, tracked_curve, tracked_scores, warn


def import_results(workspace: Path) -> int:
    """Add to the outbox what it lacks of a workspace's runs, scores and figures; return how many runs it touched.

    Reads `models/STUDY/CELL/`, `metrics/STUDY/CELL.json` and `plots/STUDY/`. What is recorded stays as it is; a run
    that is still going, or is not scored, is left alone. Call it inside `tracker_turn`. A file that can't be read
    costs a warning.
    """
    touched = 0
    for study in sorted(workspace.glob("models/*")):
        corpora: set[str | None] = set()
        for models in sorted(path.parent for path in study.glob("*/runs.json")):
            scored = workspace / "metrics" / study.name / f"{models.name}.json"
            try:
                count, corpus = _import_cell(models, read_json(scored)) if scored.exists() else (0, None)
            except (OSError, KeyError, TypeError, ValueError) as error:
                warn(f"{models} or {scored} can't be read: {error!r}")
                count, corpus = 0, None
            touched += count
            corpora.add(corpus)
        # Figures of mixed or older results, as amid a change of profile, belong to no one study's run.
        if len(corpora) == 1 and (corpus := corpora.pop()):
            _import_plots(workspace / "plots" / study.name, study.name, corpus)
    return touched


def _import_cell(models: Path, scored: dict[str, Any]) -> tuple[int, str | None]:
    """Return how many runs were touched, and the corpus that they were trained on if all of them are scored."""
    found = {_identity(arm | repeat): (arm, repeat) for arm in scored["arms"] for repeat in arm["repeats"]}
    entries = read_json(models / "runs.json")
    runs: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        runs.setdefault(entry["key"], []).append(entry)
    touched = 0
    for run in runs.values():
        if all(_identity(entry) in found for entry in run):
            arms, repeats = zip(*(found[_identity(entry)] for entry in run), strict=True)
            touched += _import_run(run, tracked_scores(run, arms, repeats), models)
    return touched, scored["corpus"] if all(_identity(entry) in found for entry in entries) else None


def _identity(run: dict[str, Any]) -> str:
    """What a trained repeat and its scores have in common; scores of other settings don't match."""
    names = ("setting", "protocols", "hyperparameters", "repeat", "seed", "best_epoch")
    return digest([run[name] for name in names])


def _import_run(entries: list[dict[str, Any]], scores: dict[int | None, dict[str, float]], models: Path) -> bool:
    run = entries[0]
    key = run["key"]
    record = read(key) or Record(key)
    if record.status == "RUNNING":
        return False
    box = Outbox(key)
    if record.status != "FINISHED":
        box.start(**{name: run[name] for name in ("name", "study", "profile", "parameters", "tags")})
    have = {(point.metric, point.epoch) for point in record.points}
    lacking = {
        epoch: new
        for epoch, values in tracked_curve(entries).items()
        if (new := {name: value for name, value in values.items() if (name, epoch) not in have})
    }
    for epoch, values in lacking.items():
        box.epoch(epoch, values)
    weights = sorted({entry["weights"] for entry in entries})
    new_weights = [path for path in weights if _import_artifact(box, record, models / path, "weights")]
    if record.status != "FINISHED":
        box.end("FINISHED")
    new_scores = {
        step: new
        for step, values in scores.items()
        if (new := {name: value for name, value in values.items() if record.score(name, step) != value})
    }
    for step, values in new_scores.items():
        box.scores(values, step)
    return record.status != "FINISHED" or bool(lacking or new_weights or new_scores)


def _import_plots(plots: Path, study: str, corpus: str) -> None:
    files = sorted(path for path in plots.glob("*") if path.is_file() and not path.name.startswith("."))
    if files:
        box = Outbox.for_study(study, corpus)
        record = read(study_key(study, corpus)) or Record(box.key)
        for path in files:
            _import_artifact(box, record, path, "")


def _import_artifact(box: Outbox, record: Record, path: Path, place: str) -> bool:
    kept = record.artifact(path.name, place)
    if kept and kept.sha256 == file_digest(path):
        return False
    box.artifact(path, place)
    return True
