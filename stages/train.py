"""Train every arm and repeat of a study with one cell: `python -m stages.train STUDY CELL`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stages.kinds import kind, task_module
from stages.studies import Arm
from stages.support.code import code_digest
from stages.support.files import seal, whole, write_json
from stages.support.params import Params, Training, load_params, read_training
from stages.support.process import InputError, StageError, run_stage, started_by_torchrun
from stages.support.sections import parse_repeats
from stages.support.tensors import write_tensors
from stages.tracking.curves import start_tracker
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

Run = Callable[[Callable[..., Fitted | None], Sequence[tuple[Job]], str], list[Fitted | None]]
"""`run_parallel`, here or on a cluster: a function, its calls, and what messages call them."""


def main(study: str, cell: str) -> None:
    """Train, then write models/STUDY/CELL: weights, and runs.json, which says what each one is."""
    training, params = read_training(study, cell), load_params()
    if started_by_torchrun() and not kind(training.kind).SHARES_BATCHES:
        raise InputError(f"train: processes share no batches of {study}; start it without torchrun")
    if not started_by_torchrun():
        start_tracker()
        if training.processes > 1:
            shares.launch(training.processes, "stages.train", study, cell)
            return
    code_digest(training.kind, cell)  # it is kept, so that no process of a repeat looks through the code again
    with _workers(params, training.device) as (run, device):
        fitted = _train(study, training, params.profile, device, run)
    if not shares.is_first():
        return
    jobs = list(fitted)
    output = Path("models", study, cell)
    runs = tracked_runs(jobs)
    entries = [entry for key, run_jobs in runs.items() for job in run_jobs for entry in describe(job, fitted[job], key)]
    with whole(output) as temporary:
        (temporary / "weights").mkdir(parents=True)
        for job in jobs:
            if weights := weights_path(job):
                write_tensors(temporary / weights, fitted[job].weights)
        write_json(temporary / "runs.json", entries)
        seal(temporary, {})
    for job in jobs:
        checkpoint.remove(checkpoint.checkpoint_path(job.key))


@contextmanager
def _workers(params: Params, device: str) -> Iterator[tuple[Run, str]]:
    """What trains jobs, processes here or a cluster's workers, and the device that they train on."""
    at_once = 1 if started_by_torchrun() else jobs_at_once(params.jobs, device)
    if not params.cluster_address:
        yield lambda function, calls, doing: run_parallel(function, calls, at_once, doing), device
        return
    try:
        from stages.training.cluster import connected
    except ModuleNotFoundError as error:
        raise InputError(f"cluster: {error.name} is not installed: pip install 'distributed'") from None
    with connected(params.cluster_address, at_once) as cluster:
        yield cluster.run, cluster.device(device)


def _train(study: str, training: Training, profile: str, device: str, run: Run) -> dict[Job, Fitted]:
    """Train all repeats of all arms, and those of tuned arms at the rates that trials choose; what became of each."""
    found = kind(training.kind)
    folder = Path("data/ready", study)
    data = task_module(training.kind).Data(folder)
    fitted: dict[Job, Fitted] = {}

    def train(
        arms: Sequence[Arm], repeats: Sequence[int], train_one: Callable[..., Fitted | None] = train_job
    ) -> list[list[Fitted | None]]:
        """Train arms side by side, and return of each arm its jobs' results."""
        if not arms:  # where all arms are tuned, or none is
            return []
        jobs = split_into_jobs(
            arms,
            repeats,
            training.repeats_at_once,
            study=study,
            kind=training.kind,
            data_folder=folder,
            seed=training.seed,
            device=device,
            threads=training.threads,
            processes=shares.processes(),
            data_digest=data.digest,
            corpus=data.corpus,
            profile=profile,
        )
        doing = f"{study}/{arms[0].hyperparameters.cell}"
        results = dict(zip(jobs, run(train_one, [(job,) for job in jobs], doing), strict=True))
        fitted.update({job: result for job, result in results.items() if result is not None})
        return [[result for job, result in results.items() if job.arm is arm] for arm in arms]

    def losses(job: Fitted | None) -> list[float | None]:
        return [None] if job is None else [curve[job.best_epoch - 1]["validation_loss"] for curve in job.curves]

    train(training.arms, training.repeats)
    if tuning := training.tuning:

        def trials(arms: Sequence[Arm]) -> list[list[float | None]]:
            tried = train(arms, parse_repeats(tuning.repeats), try_job)
            return [[loss for job in jobs for loss in losses(job)] for jobs in tried]

        arms = tuned_arms(found, training.tuned, tuning, training.headings, trials)
        for arm, jobs in zip(arms, train(arms, parse_repeats(tuning.final_repeats), try_job), strict=True):
            if not any(jobs):
                raise StageError(
                    f"{study}/{arm.hyperparameters.cell}/{arm.slug}: every repeat diverged at "
                    "the rate that its trials chose; tuning.learning_rates must be lower"
                )
    return fitted


if __name__ == "__main__":
    run_stage(main)
