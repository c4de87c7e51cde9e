"""Train every arm and repeat of a study with one cell: `python -m stages.train STUDY CELL`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch._dynamo  # noqa: F401 - every optimizer imports it: once, before repeats get processes of their own

from stages.kinds import kind, task_module
from stages.studies import Arm
from stages.support.curves import start_tracker
from stages.support.files import seal, whole, write_json
from stages.support.params import load_params, read_training
from stages.support.process import run_stage, started_by_torchrun
from stages.support.sections import parse_repeats
from stages.support.tensors import write_tensors
from stages.training import checkpoint, shares
from stages.training.loop import Fitted
from stages.training.parallel import run_parallel
from stages.training.repeats import (
    Job,
    describe,
    jobs_at_once,
    split_into_jobs,
    tracked_runs,
    train_job,
    try_job,
    weights_path,
)
from stages.training.tuning import tuned_arms


def main(study: str, cell: str) -> None:
    """Train, then write models/STUDY/CELL: weights, and runs.json, which says what each one is."""
    training = read_training(study, cell)
    if not started_by_torchrun():
        start_tracker()
        if training.processes > 1:
            shares.launch(training.processes, "stages.train", study, cell)
            return
    folder = Path("data/ready", study)
    data = task_module(training.kind).Data(folder)
    params = load_params()
    at_once = 1 if started_by_torchrun() else jobs_at_once(params.jobs, training.device)
    fitted: dict[Job, Fitted] = {}

    def train(
        arms: Sequence[Arm], repeats: Sequence[int], train_one: Callable[[Job], Fitted | None] = train_job
    ) -> list[list[Fitted | None]]:
        """Train arms side by side, and return of each arm its jobs' results."""
        jobs = split_into_jobs(
            arms,
            repeats,
            training.repeats_at_once,
            study=study,
            kind=training.kind,
            data_folder=folder,
            seed=training.seed,
            device=training.device,
            threads=training.threads,
            processes=training.processes,
            data_digest=data.digest,
            corpus=data.corpus,
            profile=params.profile,
        )
        results = dict(
            zip(jobs, run_parallel(train_one, [(job,) for job in jobs], at_once, f"{study}/{cell}"), strict=True)
        )
        fitted.update({job: result for job, result in results.items() if result is not None})
        return [[result for job, result in results.items() if job.arm is arm] for arm in arms]

    if training.arms:
        train(training.arms, training.repeats)
    if training.tuning:
        tuning = training.tuning

        found = kind(training.kind)

        def scores(job: Fitted | None) -> list[float | None]:
            if job is None:
                return [None]
            return [curve[job.best_epoch - 1][f"validation_{found.TUNED_BY}"] for curve in job.curves]

        def trials(arms: Sequence[Arm]) -> list[list[float | None]]:
            tried = train(arms, parse_repeats(tuning.repeats), try_job)
            return [[score for job in jobs for score in scores(job)] for jobs in tried]

        arms = tuned_arms(found, training.tuned, tuning, training.headings, trials)
        train(arms, parse_repeats(tuning.final_repeats))
    if not shares.is_first():
        return
    jobs = list(fitted)

    output = Path("models", study, cell)
    runs = tracked_runs(jobs)
    entries = [entry for key, run in runs.items() for job in run for entry in describe(job, fitted[job], key)]
    with whole(output) as temporary:
        (temporary / "weights").mkdir(parents=True)
        for job in jobs:
            if weights := weights_path(job):
                write_tensors(temporary / weights, fitted[job].weights)
        write_json(temporary / "runs.json", entries)
        seal(temporary, {})
    for job in jobs:
        checkpoint.remove(checkpoint.checkpoint_path(job.key))


if __name__ == "__main__":
    run_stage(main)
