"""What benchmarks share: a study's data and updates without the pipeline around them, and peers in their own Python.

A peer is a script that imports nothing of this project, run by an interpreter that has what it compares with.
"""

import json
import os
import subprocess
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from stages import kinds
from stages.nn.cells import Cell
from stages.nn.loops.padded import can_pad
from stages.studies import arms
from stages.support.params import Project, load_project
from stages.support.process import StageError
from stages.text.corpora.download import Mirror
from stages.training.device import machine
from stages.training.loop import update

RESULTS = Path(__file__).parent / "results"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_KERAS = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}


def positive(word: str) -> int:
    """For argparse: a whole number from 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not word.isdecimal() or int(word) < 1:
        raise ArgumentTypeError(f"{word}: allowed is a whole number from 1")
    return int(word)


def peer_options(description: str | None, peer: str, packages: str, timings: int) -> ArgumentParser:
    """The options of a benchmark against a peer: the interpreter that has it, and how many epochs are timed."""
    parser = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    variable = f"{peer.upper()}_PYTHON"
    parser.add_argument(
        f"--{peer.lower()}-python",
        default=os.environ.get(variable, sys.executable),
        help=f"interpreter that has {packages} (default: ${variable}, else this one)",
    )
    words = f"timed epochs of each way (default: {timings})"
    parser.add_argument("--timings", type=positive, default=timings, help=words)
    return parser


def kernel_name(cell: Cell, engine: str, device_type: str) -> str:
    """What runs the recurrence, for tables of timings."""
    if engine == "padded" and can_pad(cell):
        return "compiled scan, gradients by hand"
    if engine == "packed" and cell.layer is not None:
        return "cuDNN" if device_type == "cuda" else "torch's layer"
    return "step by step, autograd"


def about(device: torch.device) -> dict[str, Any]:
    """The machine, torch's version and its threads, for the head of every table."""
    return {**machine(device), "torch": torch.__version__, "threads": torch.get_num_threads()}


@cache
def project() -> Project:
    """params.yaml of this project, wherever a benchmark is started."""
    return load_project(Path(__file__).parent.parent / "params.yaml")


def protocol(study: str, cell: str, setting: str = "") -> Any:  # noqa: ANN401 - of the study's kind
    """The hyperparameters of a study's setting in the full profile, as corrected."""
    settings = project().studies[study]["full"]
    found = arms(study, kinds.kind(settings.kind), cell, settings.training)
    (arm,) = [arm for arm in found if arm.setting == setting and "corrected" in arm.protocols]
    return arm.hyperparameters


def synthetic_data(study: str) -> Any:  # noqa: ANN401 - of the study's kind
    """The data that a study of the full profile makes, in a folder that is gone when this returns."""
    settings = project().studies[study]["full"]
    kind = kinds.kind(settings.kind)
    with TemporaryDirectory() as name:
        raw, ready = Path(name, "raw"), Path(name, "ready")
        kind.fetch(settings.corpus, raw, Mirror(), Path(name))
        kind.tokenize(settings.tokens, raw, ready)
        return kinds.task_module(settings.kind).Data(ready)


def train(task: Any, batches: Iterable[Any]) -> int:  # noqa: ANN401
    """Train on `batches` as the training loop does, but say and keep nothing; returns how many there were."""
    task.model.train()
    updates = 0
    for batch in batches:
        update(task, batch)
        updates += 1
    return updates


def train_epoch(task: Any, orders: Sequence[np.random.Generator]) -> int:  # noqa: ANN401
    """Train an epoch of a study of replicas as the training loop does; returns how many updates it took."""
    task.model.train()
    at_once = task.train_epoch(orders)
    return train(task, task.batches(orders)) if at_once is None else len(at_once.loss)


def processor_milliseconds(updates: Callable[[], int], timings: int) -> list[float]:
    """Processor time an update, `timings` times over; a first, untimed call lets caches and compilers settle.

    Processor time, because a machine may be shared: on one thread of a quiet one it is the time on the clock.
    """
    updates()
    milliseconds = []
    for _ in range(timings):
        start = time.process_time()
        count = updates()
        milliseconds.append(1000 * (time.process_time() - start) / count)
    return milliseconds


def run_peer(python: str, script: str, *arguments: str) -> Any:  # noqa: ANN401 - each peer prints its own JSON
    """The JSON that a script of this folder prints when the interpreter `python` runs it on one thread of the CPU.

    Raises:
        StageError: there is no such interpreter, or the script failed in it.
    """
    command = [python, "-W", "ignore", str(Path(__file__).parent / script), *arguments]
    try:
        environment = os.environ | _ONE_THREAD | _KERAS
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise StageError(f"{python} could not run {script}: benchmarks/README.md says what it needs") from error
    return json.loads(done.stdout)
