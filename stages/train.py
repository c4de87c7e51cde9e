"""Train every arm and repeat of a study with one cell: `python -m stages.train STUDY CELL`."""

from pathlib import Path

from safetensors.numpy import save_file

from stages.support.files import whole, write_json
from stages.support.outbox import Outbox, start_tracker
from stages.support.params import load_params, parse_repeats
from stages.support.process import run_stage
from stages.training import checkpoint
from stages.training.parallel import run_parallel
from stages.training.repeats import Job, describe, jobs_at_once, study_module, train_repeat


def main(study: str, cell: str) -> None:
    """Train, then write models/STUDY/CELL: weights, and runs.json, which says what each one is."""
    params = load_params()
    module = study_module(study)
    training = params.section(study).training
    folder = Path("data/ready", study)
    data = module.Data(folder)
    jobs = [
        Job(study, folder, arm, repeat, params.seed, params.device, params.threads, data.digest, data.corpus)
        for arm in module.arms(cell, training, params.layers, params.dropout)
        for repeat in parse_repeats(training.repeats)
    ]
    start_tracker()
    at_once = jobs_at_once(params.jobs, params.device)
    fitted = run_parallel(train_repeat, [(job,) for job in jobs], at_once)

    output = Path("models", study, cell)
    runs = [describe(job, result) for job, result in zip(jobs, fitted, strict=True)]
    with whole(output) as temporary:
        (temporary / "weights").mkdir(parents=True)
        for run, result in zip(runs, fitted, strict=True):
            save_file(result.weights, temporary / run["weights"])
        write_json(temporary / "runs.json", runs)
    for job, run in zip(jobs, runs, strict=True):
        box = Outbox(job.key)
        box.artifact(output / run["weights"], "weights")
        box.end("FINISHED")
        checkpoint.remove(checkpoint.checkpoint_path(job.key))


if __name__ == "__main__":
    run_stage(main)
