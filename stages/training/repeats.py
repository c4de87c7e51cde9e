"""All repeats of a study's arms for one cell: jobs trained side by side, each resumable, and how they are tracked."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from stages.studies import Arm
from stages.support.files import digest, file_digest, root, write_json
from stages.support.outbox import Outbox
from stages.training import checkpoint
from stages.training.device import machine, prepare
from stages.training.loop import Fitted, Pack, fit, mean_row

_CODE = Path(__file__).parent.parent  # stages/


@dataclass(frozen=True)
class Job:
    """Repeats of one arm that are trained together: all that a process needs to train them."""

    study: str
    data_folder: Path
    arm: Arm
    repeats: tuple[int, ...]
    seed: int
    device: str
    threads: int
    data_digest: str
    corpus: str

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
                "code": _code_digest(self.study),
                "torch": torch.__version__,
                "device": _device_type(self.device),
                "threads": self.threads,
            }
        )


def study_module(study: str) -> ModuleType:
    """The module of a study, found by its name."""
    return import_module(f"stages.studies.{study}")


def jobs_at_once(jobs: int, device: str) -> int:
    """How many repeats to train at a time: `jobs`, or for 0 one a core (one in all on CUDA)."""
    if jobs:
        return jobs
    if _device_type(device) == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def split_into_jobs(arms: Sequence[Arm], repeats: Sequence[int], at_once: int, **common: Any) -> list[Job]:  # noqa: ANN401
    """Jobs for all repeats of all arms, `at_once` repeats in each; `common` are the other fields of `Job`."""
    packs = [tuple(repeats[start : start + at_once]) for start in range(0, len(repeats), at_once)]
    return [Job(arm=arm, repeats=pack, **common) for arm in arms for pack in packs]


def train_job(job: Job) -> Fitted:
    """Train the repeats of a job, or go on with them; their record goes to the outbox, their times to timings/."""
    device = prepare(job.device, job.threads)
    study = study_module(job.study)
    box = None if job.arm.sweep else Outbox(job.key)  # a sweep is one run, which has a point an arm
    path = checkpoint.checkpoint_path(job.key)
    with checkpoint.only_here(path):
        task = study.Task(study.Data(job.data_folder), job.arm.hyperparameters, job.seed, job.repeats, device)
        if box:
            box.start(**identity([job]))

        def track(rows: list[dict[str, float]], cost: dict[str, float]) -> None:
            if box:
                box.epoch(int(rows[0]["epoch"]), mean_row(rows) | cost)

        try:
            fitted = fit(
                task, Pack(job.name, job.seed, job.repeats, job.arm.hyperparameters.epochs, path), on_epoch=track
            )
        except Exception:
            if box:
                box.end("FAILED")
            raise
    write_json(
        root() / "timings" / f"{job.key}.json",
        {
            "name": job.name,
            "repeats": len(job.repeats),
            **machine(device),
            "engine": task.engine,
            "threads": job.threads,
            "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
            "epochs": fitted.costs,
        },
    )
    return fitted


def tracked_runs(jobs: Sequence[Job]) -> dict[str, list[Job]]:
    """The jobs by the key of the run that tracks them: a run a job, but one for all arms of a sweep and protocol."""
    runs: dict[Any, list[Job]] = {}
    for job in jobs:
        runs.setdefault(job.arm.protocols if job.arm.sweep else job.key, []).append(job)
    return {digest([job.key for job in run]) if run[0].arm.sweep else run[0].key: run for run in runs.values()}


def describe(job: Job, fitted: Fitted, run_key: str, run: Sequence[Job]) -> list[dict[str, Any]]:
    """A job's entries of models/STUDY/CELL/runs.json, one a repeat: what was trained, its curve, and its weights.

    The weights of a job with several repeats are stacked in the order of its entries.
    """
    return [
        {
            "key": run_key,
            "job": job.key,
            **identity(run),
            "cell": job.arm.hyperparameters.cell,
            "corpus": job.corpus,
            "data_digest": job.data_digest,
            "setting": job.arm.setting,
            "sweep": job.arm.sweep,
            "protocols": list(job.arm.protocols),
            "repeat": repeat,
            "seed": job.seed,
            "hyperparameters": asdict(job.arm.hyperparameters),
            "best_epoch": fitted.best_epoch,
            "curve": curve,
            "weights": weights_path(job),
        }
        for repeat, curve in zip(job.repeats, fitted.curves, strict=True)
    ]


def weights_path(job: Job) -> str:
    """Where a job's weights lie in models/STUDY/CELL."""
    return f"weights/{job.arm.slug}-{job.span}.safetensors"


def identity(run: Sequence[Job]) -> dict[str, Any]:
    """What the tracker calls the run of some jobs: one job, or those of a sweep."""
    job = run[0]
    arm = job.arm
    repeats = sorted({repeat for member in run for repeat in member.repeats})
    span = "-".join(str(repeat) for repeat in sorted({repeats[0], repeats[-1]}))
    slug = replace(arm, setting="").slug if arm.sweep else arm.slug
    parameters = {name: value for name, value in asdict(arm.hyperparameters).items() if name != arm.sweep}
    return {
        "name": f"{job.study}/{arm.hyperparameters.cell}/{slug}/{span}",
        "study": job.study,
        "profile": job.corpus,
        "parameters": parameters | {"seed": job.seed, "repeat": span},
        "tags": {"data_digest": job.data_digest, "corpus": job.corpus, "protocols": ", ".join(arm.protocols)},
    }


def _device_type(device: str) -> str:
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def _code_digest(study: str) -> str:
    """What the code that trains is: the files that the train stage depends on."""
    folders = [path for name in ("nn", "training", "studies/common") for path in _CODE.glob(f"{name}/*.py")]
    files = sorted([*folders, _CODE / "studies" / f"{study}.py"])
    return digest({str(path.relative_to(_CODE)): file_digest(path) for path in files})
