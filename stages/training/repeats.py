"""All repeats of a study's arms for one cell, trained side by side, each tracked and resumable."""

import os
import platform
import sys
from dataclasses import asdict, dataclass
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
from stages.training.loop import Fitted, Repeat, fit

_CODE = Path(__file__).parent.parent  # stages/


@dataclass(frozen=True)
class Job:
    """One repeat of one arm: all that a process needs to train it."""

    study: str
    data_folder: Path
    arm: Arm
    repeat: int
    seed: int
    device: str
    threads: int
    data_digest: str
    corpus: str

    @property
    def name(self) -> str:
        """What messages and the tracker call it, such as `imdb/gru/published/0`."""
        return f"{self.study}/{self.arm.hyperparameters.cell}/{self.arm.slug}/{self.repeat}"

    @property
    def key(self) -> str:
        """Decides the result: two runs with the same key give the same bytes on the same machine."""
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


def train_repeat(job: Job) -> Fitted:
    """Train one repeat, or go on with it; its record goes to the outbox, its times to timings/."""
    device = prepare(job.device, job.threads)
    study = study_module(job.study)
    box = Outbox(job.key)
    path = checkpoint.checkpoint_path(job.key)
    with checkpoint.only_here(path):
        task = study.Task(study.Data(job.data_folder), job.arm.hyperparameters, job.seed, job.repeat, device)
        box.start(**_identity(job))
        epochs = job.arm.hyperparameters.epochs
        try:
            fitted = fit(
                task,
                Repeat(job.name, job.seed, job.repeat, epochs, path),
                lambda row: box.epoch(int(row["epoch"]), {k: v for k, v in row.items() if k != "epoch"}),
            )
        except Exception:
            box.end("FAILED")
            raise
    write_json(
        root() / "timings" / f"{job.key}.json",
        {
            "name": job.name,
            **machine(device),
            "engine": task.engine,
            "threads": job.threads,
            "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
            "epochs": fitted.costs,
        },
    )
    return fitted


def describe(job: Job, fitted: Fitted) -> dict[str, Any]:
    """An entry of models/STUDY/CELL/runs.json: what was trained, its curve, and where its weights are."""
    return {
        "key": job.key,
        **_identity(job),
        "corpus": job.corpus,
        "setting": job.arm.setting,
        "protocols": list(job.arm.protocols),
        "repeat": job.repeat,
        "seed": job.seed,
        "hyperparameters": asdict(job.arm.hyperparameters),
        "best_epoch": fitted.best_epoch,
        "curve": fitted.curve,
        "weights": f"weights/{job.arm.slug}-{job.repeat}.safetensors",
    }


def _identity(job: Job) -> dict[str, Any]:
    """What the tracker calls a run."""
    return {
        "name": job.name,
        "study": job.study,
        "profile": job.corpus,
        "parameters": asdict(job.arm.hyperparameters) | {"seed": job.seed, "repeat": job.repeat},
        "tags": {"data_digest": job.data_digest, "corpus": job.corpus, "protocols": ", ".join(job.arm.protocols)},
    }


def _device_type(device: str) -> str:
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def _code_digest(study: str) -> str:
    """What the code that trains is: the files that the train stage depends on."""
    files = sorted([*_CODE.glob("nn/*.py"), *_CODE.glob("training/*.py"), _CODE / "studies" / f"{study}.py"])
    return digest({str(path.relative_to(_CODE)): file_digest(path) for path in files})
