"""Score every trained repeat on the test part, once: `python -m stages.evaluate STUDY CELL`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages import kinds
from stages.results.row import Row, read_rows, write_rows
from stages.support.files import verify
from stages.support.params import Evaluation, load_params, read_evaluation
from stages.support.process import run_stage
from stages.tracking.curves import keep


def main(study: str, cell: str) -> None:
    """Write metrics/STUDY/CELL.json: one row per repeat, with its scores. No seconds and no device in it.

    Trials, which chose a learning rate, have no scores and no row: they stay in runs.json.
    """
    from stages.training.parallel import run_parallel  # torch takes seconds to import
    from stages.training.repeats import jobs_at_once

    settings = read_evaluation(study, cell)
    kinds.task_module(settings.kind)  # once, before jobs get processes of their own
    models = Path("models", study, cell)
    verify(models)
    jobs: dict[str, list[Row]] = {}
    for row in read_rows(models / "runs.json"):
        if row.weights:
            jobs.setdefault(row.job, []).append(row)
    calls = [(study, settings, models, job) for job in jobs.values()]
    tested = run_parallel(test_job, calls, jobs_at_once(load_params().jobs, settings.device))
    write_rows(
        Path("metrics", study, f"{cell}.json"), [replace(row, key="", job="") for rows in tested for row in rows]
    )
    keep(study)


def test_job(study: str, settings: Evaluation, models: Path, rows: Sequence[Row]) -> list[Row]:
    """The rows of one job with their scores in the place of their curves and weights."""
    from stages.nn.parameters import parameter_count
    from stages.trained.weights import load_weights
    from stages.training.device import prepare

    kind, module = kinds.kind(settings.kind), kinds.task_module(settings.kind)
    data = module.Data(Path("data/ready", study))
    task = module.Task(
        data,
        kind.Hyperparameters(**rows[0].hyperparameters),
        rows[0].seed,
        [row.repeat for row in rows],
        prepare(settings.device, settings.threads),
    )
    load_weights(task.model, models / rows[0].weights)
    shared: dict[str, Any] = {
        "parameters": parameter_count(task.model) // len(rows),
        "parameters_in_torch": parameter_count(task.model, frozen=True) // len(rows),
        "closed_loop_truth": tuple(getattr(data, "closed_loop_truth", None) or ()),
        "curve": (),
        "weights": "",
    }
    return [
        replace(row, validation=row.validated, test=scores, **shared)
        for row, scores in zip(rows, task.test(), strict=True)
    ]


if __name__ == "__main__":
    run_stage(main)
