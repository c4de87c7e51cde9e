"""Jobs on the workers of a Dask cluster. This process is home: checkpoints, curves and times are kept here.

A worker trains a job as a process at home would, in a folder of its own. It asks home for the job's last checkpoint and
for data that it lacks, and sends each checkpoint home, all through the scheduler, which alone has to be in reach of
both. A job whose worker is lost goes on elsewhere from what home has. A worker whose home is lost gives its job up.
"""

import contextlib
import ctypes
import logging
import queue
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from distributed import Client, Future, KilledWorker, LocalCluster, Queue, Worker, get_worker
from distributed.client import ClosedClientError

from stages import kinds
from stages.studies import Arm
from stages.support.files import MANIFEST, read_json, verify, whole
from stages.support.process import InputError, StageError
from stages.tracking.curves import OnEpoch
from stages.training import checkpoint
from stages.training.loop import DivergedError, Fitted, in_words, say
from stages.training.parallel import run_parallel
from stages.training.repeats import Job, fit_job

_SECONDS_TO_CONNECT = 10
_SECONDS_BETWEEN_MESSAGES = 30.0
_SECONDS_BETWEEN_LOOKS = 5
_LOOKS_FOR_HOME = 24
_SECONDS_BETWEEN_CHECKPOINTS = 2.0
_SHARE_OF_SENDING = 20  # one of so many seconds: where workers are many and checkpoints large, less often
_SECONDS_BETWEEN_COUNTS = 2.0
_BYTES_AT_ONCE = 16 << 20
_MOST_JOBS_WAITING = 1000
_ERRORS = {error.__name__: error for error in (DivergedError, InputError, OSError, StageError)}


@contextlib.contextmanager
def connected(address: str, workers: int) -> Iterator["Cluster"]:
    """Connect to a scheduler, such as `tcp://host:8786`, or start a cluster of `workers` processes here (`local`).

    Raises:
        InputError: nobody answers at the address, or there is a worker that could give other results.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what fails is said in a line
    with contextlib.ExitStack() as opened:
        place: str | LocalCluster = address
        if address == "local":
            place = opened.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0"))
        try:
            client = opened.enter_context(Client(place, timeout=_SECONDS_TO_CONNECT, set_as_default=False))
        except (OSError, ValueError, ImportError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"cluster: {address!r}: no scheduler answers within {_SECONDS_TO_CONNECT} s ({reason})"
            ) from None
        if not client.nthreads():
            print(f"cluster {address}: no worker yet, waiting for the first", file=sys.stderr, flush=True)
            client.wait_for_workers(1)
        yield Cluster(client, address)


class Cluster:
    """A cluster that trains jobs for this process."""

    def __init__(self, client: Client, address: str) -> None:
        """Look at the workers that there are."""
        self._client, self._address, self._run = client, address, uuid.uuid4().hex
        self._inboxes: dict[str, queue.SimpleQueue[tuple[str, str, Any]]] = {}
        self._to_home = Queue(self._run, client=client)
        self._room = threading.Condition()
        self._training, self._workers = 0, 0
        self._counted = self._spoken = 0.0
        self._devices = self._look_at_workers()
        threading.Thread(target=self._distribute, daemon=True).start()
        count = len(client.nthreads())
        print(
            f"cluster {address}: {count} worker{'s' if count > 1 else ''}; its dashboard: {client.dashboard_link}",
            file=sys.stderr,
            flush=True,
        )

    def device(self, asked: str) -> str:
        """The device that workers train on, where `auto` was asked for.

        Raises:
            InputError: some have CUDA, and some have not.
        """
        if asked != "auto":
            return asked
        if len(self._devices) > 1:
            raise InputError(f"cluster {self._address}: workers with and without CUDA: device must be cpu or cuda")
        return next(iter(self._devices))

    def run(self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], doing: str = "") -> list[Any]:
        """`run_parallel` for `train_job` and what calls it: trained there, and all the rest here, a thread a call."""
        pool = ThreadPoolExecutor(max(1, min(len(calls), _MOST_JOBS_WAITING)))
        return run_parallel(partial(self._when_there_is_room, function), calls, len(calls), doing, pool)

    def _look_at_workers(self) -> set[str]:
        """The kinds of device of all workers.

        Raises:
            InputError: a worker has several threads, or lacks this project.
        """

        def look(dask_worker: Worker) -> tuple[int, str]:  # pickled by value, as `work` is
            from stages.training import repeats

            return dask_worker.state.nthreads, repeats.device_type("auto")

        try:
            found: dict[str, tuple[int, str]] = self._client.run(look)
        except ModuleNotFoundError as error:
            raise InputError(_lacks_project(self._address, error)) from None
        for worker, (threads, _) in found.items():
            if threads > 1:
                raise InputError(_has_threads(worker, threads))
        return {device for _, device in found.values()}

    def _distribute(self) -> None:
        """Hand the workers' messages to those who wait for them, until the client is closed."""
        try:
            while True:
                name, attempt, what, value = self._to_home.get()
                if inbox := self._inboxes.get(name):
                    inbox.put((attempt, what, value))
        except Exception:  # whatever way the scheduler went
            for inbox in list(self._inboxes.values()):
                inbox.put(("", "lost", None))

    def _when_there_is_room(self, function: Callable[..., Any], *call: Any) -> Any:  # noqa: ANN401
        """Call `function` once a worker is free: what waits for one is not shown as running."""
        with self._a_worker():
            return function(*call, self._train)

    @contextlib.contextmanager
    def _a_worker(self) -> Iterator[None]:
        with self._room:
            while self._training >= self._count_workers():
                self._room.wait(_SECONDS_BETWEEN_COUNTS)
            self._training += 1
        try:
            yield
        finally:
            with self._room:
                self._training -= 1
                self._room.notify()

    def _count_workers(self) -> int:
        if time.monotonic() > self._counted + _SECONDS_BETWEEN_COUNTS:
            # Without any, jobs still go to the scheduler, and wait there; without a scheduler they fail.
            with self._in_reach():
                self._workers = max(1, len(self._client.nthreads()) if self._client.status == "running" else 1)
            self._counted = time.monotonic()
        return self._workers

    def _train(self, job: Job, path: Path, on_epoch: OnEpoch) -> tuple[Fitted, dict[str, Any]]:
        """`fit_job` on a worker, with its checkpoints kept at `path`."""

        def work(*arguments: object) -> dict[str, Any]:  # pickled by value: the scheduler lacks this project
            from stages.training.cluster import on_worker

            return on_worker(*arguments)  # type: ignore[arg-type]

        name = f"{job.name}-{uuid.uuid4().hex}"
        inbox: queue.SimpleQueue[tuple[str, str, Any]] = queue.SimpleQueue()
        self._inboxes[name] = inbox
        try:
            with self._in_reach():
                future = self._client.submit(work, _plain(job), job.key, self._run, name, key=name, pure=False)
            future.add_done_callback(lambda _: inbox.put(("", "done", None)))
            self._answer(name, inbox, job, path, on_epoch)
            result = self._result(future, job)
        finally:
            del self._inboxes[name]
        if "error" in result:
            raise _ERRORS[result["kind"]](result["error"])
        state = checkpoint.load(path)
        assert state is not None, "its worker sent the last epoch's"
        return Fitted.of(state), result["timing"]

    def _answer(
        self,
        name: str,
        inbox: "queue.SimpleQueue[tuple[str, str, Any]]",
        job: Job,
        path: Path,
        on_epoch: OnEpoch,
    ) -> None:
        """Give and take what a job's worker asks for and sends, until the job has ended.

        Where a worker was lost, another attempt begins; what the one before may still send is refused.
        """
        current = ""
        while True:
            try:
                attempt, what, value = inbox.get(timeout=_SECONDS_BETWEEN_MESSAGES)
            except queue.Empty:
                self._say_if_nobody_works()
                continue
            answer: Any = True
            if what == "done":
                return
            if what == "lost":
                raise self._lost()
            if what == "begin":
                current = attempt
                answer = checkpoint.content(path)
            elif attempt != current:
                answer = False
            elif what == "read":
                answer = _part(job.data_folder, *value)
            else:
                checkpoint.store(path, value["checkpoint"])
                for rows, cost in value["epochs"]:
                    on_epoch(rows, cost)
                if self._address != "local":  # whose workers say it themselves
                    rows, cost = value["epochs"][-1]
                    say(job.name, rows[0]["epoch"], job.arm.hyperparameters.epochs, in_words(rows, cost))
            with self._in_reach():
                Queue(f"{name}/{attempt}", client=self._client).put(answer)

    def _say_if_nobody_works(self) -> None:
        with self._room, self._in_reach():  # one of those who wait says it
            now = time.monotonic()
            if now > self._spoken + _SECONDS_BETWEEN_MESSAGES and not self._client.nthreads():
                self._spoken = now
                print(f"cluster {self._address}: no worker is left, waiting for one", file=sys.stderr, flush=True)

    def _result(self, future: Future, job: Job) -> dict[str, Any]:
        try:
            result: dict[str, Any] = future.result()
        except KilledWorker as error:
            raise StageError(
                f"{job.name}: {error.allowed_failures + 1} workers ended while they trained it, for lack of memory "
                "perhaps: run again to go on from its checkpoint"
            ) from None
        except ModuleNotFoundError as error:
            raise InputError(_lacks_project(self._address, error)) from None
        except CancelledError:
            raise self._lost() from None
        return result

    @contextlib.contextmanager
    def _in_reach(self) -> Iterator[None]:
        """Around all that is said to the scheduler: connections break, new ones are refused, and the client closes."""
        try:
            yield
        except (OSError, ClosedClientError):
            raise self._lost() from None

    def _lost(self) -> StageError:
        return StageError(
            f"cluster {self._address}: its scheduler is gone, and the jobs with it: run again to go on from checkpoints"
        )


def on_worker(fields: dict[str, Any], key: str, run: str, name: str) -> dict[str, Any]:
    """Train a job of a home's: what Dask calls on a worker. Returns its times, or why there is no result."""
    worker, attempt = get_worker(), uuid.uuid4().hex
    to_home, answers = Queue(run), Queue(f"{name}/{attempt}")

    def home(what: str, value: object = None) -> Any:  # noqa: ANN401
        to_home.put((name, attempt, what, value))
        for _ in range(_LOOKS_FOR_HOME):
            try:
                answer = answers.get(timeout=_SECONDS_BETWEEN_LOOKS)
            except TimeoutError:
                if worker.state.tasks[name].state == "cancelled":
                    break
            else:
                if answer is False:
                    raise StageError(f"{name}: another worker trains it")
                return answer
        raise StageError(f"{name}: who asked for it is gone")

    try:
        if worker.state.nthreads > 1:
            raise InputError(_has_threads(worker.address, worker.state.nthreads))
        job = _job(fields)
        if job.key != key:
            raise InputError(
                f"worker {worker.address}: its results could be others: it has another version of this project or of "
                "torch, or another device than home asked for"
            )
        _keep_memory()
        folder = Path(worker.local_directory)
        path = folder / f"{key}.safetensors"
        if begun := home("begin"):
            path.write_bytes(begun)
        job = replace(job, data_folder=_data(job, folder, home))
        epochs: list[tuple[Any, Any]] = []
        due = time.monotonic() + _SECONDS_BETWEEN_CHECKPOINTS

        def send(rows: Sequence[Any], cost: Any) -> None:  # noqa: ANN401
            nonlocal due
            epochs.append((list(rows), dict(cost)))
            now = time.monotonic()
            if rows[0]["epoch"] == job.arm.hyperparameters.epochs or now > due:
                home("epochs", {"checkpoint": path.read_bytes(), "epochs": epochs})
                epochs.clear()
                took = time.monotonic() - now
                due = now + max(_SECONDS_BETWEEN_CHECKPOINTS, _SHARE_OF_SENDING * took)

        try:
            _, timing = fit_job(job, path, send)
        finally:
            checkpoint.remove(path)
    except tuple(_ERRORS.values()) as error:
        kind = next(kind for kind in _ERRORS if isinstance(error, _ERRORS[kind]))
        return {"kind": kind, "error": str(error)}
    return {"timing": timing}


def _keep_memory() -> None:
    """Let this process keep what it frees, which Dask has go back to the system: each batch would fetch it anew."""
    m_trim_threshold, m_mmap_threshold = -1, -3
    with contextlib.suppress(AttributeError):  # of another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(m_trim_threshold, 1 << 30)
        libc.mallopt(m_mmap_threshold, 32 << 20)  # the most that glibc takes


def _plain(job: Job) -> dict[str, Any]:
    """A job as what any two versions of Python understand."""
    return asdict(job) | {"data_folder": str(job.data_folder)}


def _job(fields: dict[str, Any]) -> Job:
    """The inverse of `_plain`."""
    arm = fields["arm"]
    hyperparameters = kinds.kind(fields["kind"]).Hyperparameters(**arm["hyperparameters"])
    arm = Arm(**arm | {"hyperparameters": hyperparameters, "protocols": tuple(arm["protocols"])})
    return Job(**fields | {"arm": arm, "data_folder": Path(fields["data_folder"]), "repeats": tuple(fields["repeats"])})


def _data(job: Job, folder: Path, home: Callable[..., Any]) -> Path:
    """The folder of a job's data: where the worker was started, for whoever gave it them, or as home sends them."""
    here = folder / "data" / job.data_digest
    for candidate in (job.data_folder, here):
        if (candidate / MANIFEST).is_file() and read_json(candidate / MANIFEST).get("digest") == job.data_digest:
            return candidate
    with whole(here) as temporary:
        temporary.mkdir(parents=True)
        (temporary / MANIFEST).write_bytes(home("read", (MANIFEST, 0)))
        for name in read_json(temporary / MANIFEST)["files"]:
            target = temporary / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                while part := home("read", (name, file.tell())):
                    file.write(part)
        verify(temporary)
    return here


def _part(folder: Path, name: str, start: int) -> bytes:
    """Some bytes of a file of the data; none at its end."""
    with (folder / name).open("rb") as file:
        file.seek(start)
        return file.read(_BYTES_AT_ONCE)


def _has_threads(worker: str, threads: int) -> str:
    return f"worker {worker} has {threads} threads, which share what is random: start it with --nthreads 1"


def _lacks_project(address: str, error: ModuleNotFoundError) -> str:
    return f"cluster {address}: a worker lacks {error.name}: install this project's wheel where workers run"
