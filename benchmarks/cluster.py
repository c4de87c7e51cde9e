"""What a grid on Dask costs beside its training: processor seconds and rates of the scheduler and of home.

A scheduler of its own process, as `dask scheduler` starts it. Senders, threads of one process that stand for workers,
send checkpoints of some size as `stages.training.cluster` does: put, and wait for home's answer. Each count of senders
sends as fast as it is answered for a few seconds, so that the rate is the most that this machine's scheduler and home
can take. Jobs that do nothing are then submitted to one worker.

Run: python -m benchmarks.cluster
"""

import argparse
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch
from distributed import Client, Queue

from benchmarks.measure import RESULTS, about, positive
from stages.support.files import write_json
from stages.support.process import run_stage

SIZES = {"latch": 20_000, "imdb": 8_000_000, "ptb better": 54_000_000}
"""Bytes of a checkpoint, about those of the studies."""
SENDERS = (1, 16)
JOBS = 1_000


def main(*words: str) -> None:
    """Measure, print and write benchmarks/results/cluster.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=positive, default=10, help="of each rate (default: 10)")
    options = parser.parse_args(words)
    with TemporaryDirectory() as folder:
        file = Path(folder, "scheduler.json")
        scheduler = _start("scheduler", "--port", "0", "--dashboard-address", ":0", "--scheduler-file", str(file))
        worker = _start("worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard")
        try:
            while not (file.exists() and file.stat().st_size):
                time.sleep(0.1)
            with Client(scheduler_file=str(file), set_as_default=False) as client:
                client.wait_for_workers(1)
                rows = [
                    {"study": study, "bytes": size, "senders": senders}
                    | _rate(client, scheduler, size, senders, options.seconds)
                    for study, size in SIZES.items()
                    for senders in SENDERS
                ]
                jobs = _jobs(client, scheduler)
        finally:
            for process in (worker, scheduler):
                process.terminate()
                process.wait()
    for row in rows:
        print(_line(row))
    print(_line(jobs))
    write_json(RESULTS / "cluster.json", {**about(torch.device("cpu")), "checkpoints": rows, "jobs": jobs})


def _line(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {f'{value:.3g}' if isinstance(value, float) else value}" for name, value in row.items())


def _start(kind: str, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", f"distributed.cli.dask_{kind}", *words], stderr=subprocess.DEVNULL)


def _rate(client: Client, scheduler: subprocess.Popen[bytes], size: int, senders: int, seconds: int) -> dict[str, Any]:
    """Checkpoints a second, and the scheduler's processor seconds for each."""
    name, content = uuid.uuid4().hex, bytes(size)
    to_home = Queue(name, client=client)
    answers = [Queue(f"{name}/{number}", client=client) for number in range(senders)]
    sent = [0] * senders
    end = time.monotonic() + seconds

    def send(number: int) -> None:
        while time.monotonic() < end:
            to_home.put((number, content))
            answers[number].get()
            sent[number] += 1
        to_home.put((number, b""))

    before, start = _processor_seconds(scheduler), time.monotonic()
    threads = [threading.Thread(target=send, args=[number]) for number in range(senders)]
    for thread in threads:
        thread.start()
    left = senders
    while left:
        number, received = to_home.get()
        if received:
            answers[number].put(True)
        else:
            left -= 1
    for thread in threads:
        thread.join()
    took, used = time.monotonic() - start, _processor_seconds(scheduler) - before
    return {"a_second": sum(sent) / took, "scheduler_seconds_each": used / max(1, sum(sent))}


def _jobs(client: Client, scheduler: subprocess.Popen[bytes]) -> dict[str, float]:
    """What a job costs that does nothing."""
    before, start = _processor_seconds(scheduler), time.monotonic()
    client.gather(client.map(abs, range(JOBS), pure=False))
    took = time.monotonic() - start
    return {"jobs_a_second": JOBS / took, "scheduler_seconds_each": (_processor_seconds(scheduler) - before) / JOBS}


def _processor_seconds(process: subprocess.Popen[bytes]) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    run_stage(main)
