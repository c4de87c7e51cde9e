"""Train every arm and repeat of a study with one cell: `python -m stages.train STUDY CELL`."""

from pathlib import Path

from safetensors.numpy import save_file

from stages.support.curves import start_tracker
from stages.support.files import whole, write_json
from stages.support.params import load_params, parse_repeats
from stages.support.process import run_stage
from stages.training import checkpoint
from stages.training.parallel import run_parallel
from stages.training.repeats import (
    describe,
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
        profile=params.profile,
    )
    start_tracker()
    trained = run_parallel(train_job, [(job,) for job in jobs], jobs_at_once(params.jobs, params.device))
    fitted = {job.key: result for job, result in zip(jobs, trained, strict=True)}

    output = Path("models", study, cell)
    runs = tracked_runs(jobs)
    entries = [entry for key, run in runs.items() for job in run for entry in describe(job, fitted[job.key], key)]
    with whole(output) as temporary:
        (temporary / "weights").mkdir(parents=True)
        for job in jobs:
            save_file(fitted[job.key].weights, temporary / weights_path(job))
        write_json(temporary / "runs.json", entries)
    for job in jobs:
        checkpoint.remove(checkpoint.checkpoint_path(job.key))


if __name__ == "__main__":
    run_stage(main)
