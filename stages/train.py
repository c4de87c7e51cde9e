"""Train every arm and repeat of a study with one cell: `python -m stages.train STUDY CELL`."""

from pathlib import Path

from stages.support.files import seal, whole, write_json
from stages.support.outbox import Outbox, start_tracker, tracked_curve
from stages.support.params import load_params, parse_repeats
from stages.support.process import run_stage
from stages.support.tensors import write_tensors
from stages.training import checkpoint
from stages.training.parallel import run_parallel
from stages.training.repeats import (
    describe,
    identity,
    jobs_at_once,
    split_into_jobs,
    study_module,
    tracked_runs,
    train_job,
    weights_path,
)


def main(study: str, cell: str) -> None:
    """Train, then write models/STUDY/CELL: weights, and runs.json, which says what each one is."""
    params = load_params()
    module = study_module(study)
    training = params.section(study).training
    folder = Path("data/ready", study)
    data = module.Data(folder)
    jobs = split_into_jobs(
        module.arms(cell, training, params.layers, params.dropout),
        parse_repeats(training.repeats),
        getattr(training, "repeats_at_once", 1),
        study=study,
        data_folder=folder,
        seed=params.seed,
        device=params.device,
        threads=params.threads,
        data_digest=data.digest,
        corpus=data.corpus,
    )
    start_tracker()
    trained = run_parallel(train_job, [(job,) for job in jobs], jobs_at_once(params.jobs, params.device))
    fitted = {job.key: result for job, result in zip(jobs, trained, strict=True)}

    output = Path("models", study, cell)
    runs = tracked_runs(jobs)
    entries = {key: [e for job in run for e in describe(job, fitted[job.key], key, run)] for key, run in runs.items()}
    with whole(output) as temporary:
        (temporary / "weights").mkdir(parents=True)
        for job in jobs:
            write_tensors(temporary / weights_path(job), fitted[job.key].weights)
        write_json(temporary / "runs.json", [entry for group in entries.values() for entry in group])
        seal(temporary, {})
    for key, run in runs.items():
        box = Outbox(key)
        if run[0].arm.sweep:  # others have told their curve while they trained
            box.start(**identity(run))
            for step, values in tracked_curve(entries[key]).items():
                box.epoch(step, values)
        for job in run:
            box.artifact(output / weights_path(job), "weights")
        box.end("FINISHED")
    for job in jobs:
        checkpoint.remove(checkpoint.checkpoint_path(job.key))


if __name__ == "__main__":
    run_stage(main)
