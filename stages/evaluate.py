"""Score every trained repeat on the test part, once: `python -m stages.evaluate STUDY CELL`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages.results.row import Row, Scores, read_rows, without_defaults, write_rows
from stages.support.outbox import Outbox, tracked_scores
from stages.support.params import load_params
from stages.support.process import run_stage


def main(study: str, cell: str) -> None:
    """Write metrics/STUDY/CELL.json: one row per repeat, with its scores. No seconds and no device in it."""
    from stages.training.parallel import run_parallel  # torch takes seconds to import
    from stages.training.repeats import jobs_at_once

    params = load_params()
    models = Path("models", study, cell)
    jobs: dict[str, list[Row]] = {}
    for row in read_rows(models / "runs.json"):
        jobs.setdefault(row.job, []).append(row)
    calls = [(study, models, job, params.device, params.threads) for job in jobs.values()]
    tested = [row for rows in run_parallel(test_job, calls, jobs_at_once(params.jobs, params.device)) for row in rows]
    runs: dict[str, list[dict[str, Any]]] = {}
    for row in tested:
        runs.setdefault(row.key, []).append(without_defaults(row))
    for key, members in runs.items():
        for step, values in tracked_scores(members, members, members).items():
            Outbox(key).scores(values, step)
    write_rows(Path("metrics", study, f"{cell}.json"), [replace(row, key="", job="") for row in tested])


def test_job(study: str, models: Path, rows: Sequence[Row], device: str, threads: int) -> list[Row]:
    """The rows of one job with their scores in the place of their curves and weights."""
    from safetensors.torch import load_file

    from stages.nn.models import parameter_count
    from stages.training.device import prepare
    from stages.training.repeats import study_module

    module = study_module(study)
    data = module.Data(Path("data/ready", study))
    task = module.Task(
        data,
        module.Hyperparameters(**rows[0].hyperparameters),
        rows[0].seed,
        [row.repeat for row in rows],
        prepare(device, threads),
    )
    task.model.load_state_dict(load_file(models / rows[0].weights))
    shared: dict[str, Any] = {
        "parameters": parameter_count(task.model) // len(rows),
        "parameters_in_torch": parameter_count(task.model, frozen=True) // len(rows),
        "closed_loop_truth": tuple(getattr(data, "closed_loop_truth", None) or ()),
        "curve": (),
        "weights": "",
    }
    return [
        replace(row, validation=_validation(row), test=scores, **shared)
        for row, scores in zip(rows, task.test(), strict=True)
    ]


def _validation(row: Row) -> Scores:
    """The validation scores of the epoch that was chosen."""
    part = "validation_"
    chosen = row.curve[row.best_epoch - 1]
    return {name.removeprefix(part): value for name, value in chosen.items() if name.startswith(part)}


if __name__ == "__main__":
    run_stage(main)
