"""One training in several processes, as torchrun starts them: each has a share of every batch, gradients are summed.

What one process would compute is computed, but for the order in which sums are rounded: every process draws the
dropout of whole batches and uses its share's, and divides by the whole batch. What the first one reads, validates
and writes holds for all, so that they may be machines with no file in common and of other last digits.
"""

import logging
import os
import signal
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

from stages.nn.dropout import of_whole_batch
from stages.support.process import StageError, started_by_torchrun

Value = TypeVar("Value")


@dataclass(frozen=True)
class Share:
    """A process's columns of a batch, and what part of the batch they are: 0 where it only keeps others company."""

    columns: slice
    weight: float


def launch(processes: int, module: str, *words: str) -> None:
    """Run `python -m module *words` in so many processes on this machine, the first one's output shown.

    Raises:
        StageError: a process ended before its time; the others are stopped.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # what fails is said below, in a line
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(local_ranks_filter={0}),
    )
    try:
        elastic_launch(config, sys.executable)("-m", module, *words)
    except ChildFailedError as error:
        rank, failure = min(error.failures.items(), key=lambda found: (_consequence(found[1].exitcode), found[0]))
        if rank == 0 and failure.exitcode > 0:
            raise SystemExit(failure.exitcode) from None  # it said why
        raise StageError(
            f"{' '.join(words)}: process {rank + 1} of {processes} ended with {failure.exitcode}, and the others with "
            "it: run again to go on from the checkpoint"
        ) from None


def _consequence(exitcode: int) -> int:
    """How likely another process's death is behind an exit: who misses it ends with 1, who is left is stopped then."""
    return {1: 1, -signal.SIGTERM: 2}.get(exitcode, 0)


def join(device: torch.device) -> torch.device:
    """Meet the other processes, if there are any; on CUDA each has a device of its own. Returns `device`."""
    if started_by_torchrun() and not distributed.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def processes() -> int:
    """How many share what this process trains."""
    return int(os.environ["WORLD_SIZE"]) if started_by_torchrun() else 1


def is_first() -> bool:
    """Whether this process writes what all of them have."""
    return not started_by_torchrun() or os.environ["RANK"] == "0"


def several() -> bool:
    """Whether other processes have a share of what this one trains."""
    return distributed.is_initialized()


def wait() -> None:
    """Until all processes are here."""
    if several():
        distributed.barrier()


@contextmanager
def share_of(batch: int) -> Iterator[Share]:
    """This process's share of a batch of so many columns, of all of which dropout is drawn within.

    Shares are next to each other, and differ by a column at most. A process for which none is left takes the first
    column, for nothing.
    """
    if not several():
        yield Share(slice(0, batch), 1.0)
        return
    rank, processes = distributed.get_rank(), distributed.get_world_size()
    columns = slice(rank * batch // processes, (rank + 1) * batch // processes)
    weight = (columns.stop - columns.start) / batch
    share = Share(columns, weight) if weight else Share(slice(0, 1), 0.0)
    with of_whole_batch(share.columns, batch):
        yield share


def of_first(value: Value) -> Value:
    """What the first process has, in every process."""
    if not several():
        return value
    box = [value]
    distributed.broadcast_object_list(box)
    return box[0]


def add_up(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its sum over all processes, in one exchange.

    Raises:
        StageError: another process has ended.
    """
    flat = torch.cat([tensor.reshape(-1).to(tensors[0].dtype) for tensor in tensors])
    try:
        distributed.all_reduce(flat)
    except RuntimeError as error:
        raise StageError(f"another process of this training ended: {str(error).splitlines()[0]}") from None
    for tensor, total in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(total.view(tensor.shape))
