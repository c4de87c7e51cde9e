"""All repeats of a study's arms for one cell: jobs trained side by side, each resumable, and how they are tracked."""

import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stages.kinds import task_module
from stages.studies import Arm
from stages.support.code import code_digest
from stages.support.files import digest, root, without_defaults, write_if_possible
from stages.tracking.curves import OnEpoch, live_curve
from stages.training import checkpoint, shares
from stages.training.device import machine, prepare
from stages.training.loop import DivergedError, Fitted, Pack, fit


@dataclass(frozen=True)
class Job:
    """Repeats of one arm that are trained together: all that a process needs to train them."""

    study: str
    kind: str
    data_folder: Path
    arm: Arm
    repeats: tuple[int, ...]
    seed: int
    device: str
    threads: int
    data_digest: str
    corpus: str
    profile: str
    processes: int = 1

    @property
    def name(self) -> str:
        """What messages call it, such as `imdb/gru/published/0` or `latch/gru/50-published/0-29`."""
        return f"{self.study}/{self.arm.hyperparameters.cell}/{self.arm.slug}/{self.span}"

    @property
    def span(self) -> str:
        """The repeats, such as `0` or `0-29`."""
        return "-".join(str(repeat) for repeat in sorted({self.repeats[0], self.repeats[-1]}))

    @cached_property
    def key(self) -> str:
        """Decides the result: two jobs with the same key give the same bytes on the same machine."""
        return digest(
            {
                "name": self.name,
                "hyperparameters": asdict(self.arm.hyperparameters),
                "seed": self.seed,
                "data": self.data_digest,
                "code": code_digest(self.kind, self.arm.hyperparameters.cell),
                "torch": torch.__version__,
                "device": device_type(self.device),
                "threads": self.threads,
                "processes": self.processes,
            }
        )


def jobs_at_once(jobs: int, device: str) -> int:
    """How many repeats to train at a time: `jobs`, or for 0 one a core (one in all on CUDA)."""
    if jobs:
        return jobs
    if device_type(device) == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def split_into_jobs(arms: Sequence[Arm], repeats: Sequence[int], at_once: int, **common: Any) -> list[Job]:  # noqa: ANN401
    """Jobs for all repeats of all arms, `at_once` repeats in each; `common` are the other fields of `Job`."""
    packs = [tuple(repeats[start : start + at_once]) for start in range(0, len(repeats), at_once)]
    return [Job(arm=arm, repeats=pack, **common) for arm in arms for pack in packs]


def train_job(job: Job, fit_elsewhere: "FitJob | None" = None) -> Fitted:
    """Train the repeats of a job, or go on with them; their curve is tracked meanwhile, their times go to timings/."""
    path = checkpoint.checkpoint_path(job.key)
    with _for_itself(job, path) as on_epoch:
        fitted, timing = (fit_elsewhere or fit_job)(job, path, on_epoch)
    if shares.is_first():
        write_if_possible(root() / "timings" / f"{job.key}.json", timing)
    return fitted


def fit_job(job: Job, path: Path, on_epoch: OnEpoch) -> tuple[Fitted, dict[str, Any]]:
    """Train a job in this process, with its checkpoint at `path`. Returns what became of it, and where and how long."""
    device = shares.join(prepare(job.device, job.threads))
    kind = task_module(job.kind)
    task = kind.Task(kind.Data(job.data_folder), job.arm.hyperparameters, job.seed, job.repeats, device)
    fitted = fit(task, Pack(job.name, job.seed, job.repeats, job.arm.hyperparameters.epochs, path), on_epoch=on_epoch)
    return fitted, {
        "name": job.name,
        "repeats": len(job.repeats),
        **machine(device),
        "engine": task.engine,
        "threads": job.threads,
        "processes": job.processes,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "epochs": fitted.costs,
    }


FitJob = Callable[[Job, Path, OnEpoch], tuple[Fitted, dict[str, Any]]]
"""`fit_job`, here or on another machine."""


@contextmanager
def _for_itself(job: Job, path: Path) -> Iterator[OnEpoch]:
    """Within it, the first process of a training has its checkpoint for itself, and its curve is tracked."""
    if not shares.is_first():
        yield lambda rows, cost: None
        return
    with checkpoint.only_here(path), live_curve(job.key, _rows(job)) as on_epoch:
        yield on_epoch


def try_job(job: Job, fit_elsewhere: FitJob | None = None) -> Fitted | None:
    """`train_job` where divergence is a result: None."""
    try:
        return train_job(job, fit_elsewhere)
    except DivergedError as error:
        if shares.is_first():
            print(f"diverged: {error}", file=sys.stderr, flush=True)
        return None


def tracked_runs(jobs: Sequence[Job]) -> dict[str, list[Job]]:
    """The jobs by the key of the run that tracks them: a run a job, but one for all arms of a sweep and protocol."""
    runs: dict[Any, list[Job]] = {}
    for job in jobs:
        runs.setdefault(job.arm.protocols if job.arm.sweep else job.key, []).append(job)
    return {digest([job.key for job in run]) if run[0].arm.sweep else run[0].key: run for run in runs.values()}


def describe(job: Job, fitted: Fitted, run_key: str) -> list[dict[str, Any]]:
    """A job's entries of models/STUDY/CELL/runs.json, one a repeat: what was trained, its curve, and its weights.

    `run_key` is the key of the run that tracks the job. The weights of a job with several repeats are stacked in the
    order of its entries.
    """
    found = {"key": run_key, "job": job.key, "best_epoch": fitted.best_epoch, "weights": weights_path(job)}
    return [row | found | {"curve": curve} for row, curve in zip(_rows(job), fitted.curves, strict=True)]


def _rows(job: Job) -> list[dict[str, Any]]:
    """What is known of a job's repeats before it has trained."""
    return [
        {
            "study": job.study,
            "cell": job.arm.hyperparameters.cell,
            "profile": job.profile,
            "corpus": job.corpus,
            "data_digest": job.data_digest,
            "setting": job.arm.setting,
            "sweep": job.arm.sweep,
            "protocols": list(job.arm.protocols),
            "hyperparameters": without_defaults(job.arm.hyperparameters),
            "repeat": repeat,
            "seed": job.seed,
        }
        for repeat in job.repeats
    ]


def weights_path(job: Job) -> str:
    """Where a job's weights lie in models/STUDY/CELL; nowhere, '', for a trial, which is never tested."""
    return "" if job.arm.protocols == ("tuning",) else f"weights/{job.arm.slug}-{job.span}.safetensors"


def device_type(device: str) -> str:
    """What `auto`, `cpu` or `cuda` means: `cpu` or `cuda`."""
    return "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"
