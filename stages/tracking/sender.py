"""Send MLflow what it lacks of the runs that it should show, in a time that it may take."""

import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from stages.support.process import StageError
from stages.tracking.address import GaveUpError, is_server, one_line, printable
from stages.tracking.desired import Run
from stages.tracking.models import put_on_show
from stages.tracking.store import Known, Report, Store

if TYPE_CHECKING:
    from stages.trained.find import Trained

# What a server may take in all to open, or for a run without its files, where MLFLOW_HTTP_REQUEST_TIMEOUT is for
# each byte.
SECONDS_A_RUN = 30.0
LEAST_BYTES_A_SECOND = 50_000


class TrackingError(StageError):
    """MLflow's store can't be reached, or refused something; what it lacks is sent another time."""


class Sender:
    """Sends to one store. What the store has is remembered between calls, unless something went wrong."""

    def __init__(self, address: str) -> None:
        """Nothing is imported and no store is opened before there is something to send."""
        self.address = address
        self._known: dict[str, Known] | None = None

    @cached_property
    def _store(self) -> Store:
        return Store(self.address)

    def send(self, runs: Sequence[Run], on_show: Sequence["Trained"] = ()) -> Report:
        """Make the store equal to `runs`, studies first, and to the models on show; inside the sender's lock.

        Raises:
            TrackingError: the store can't be reached; one line.
        """
        report = Report()
        try:
            for turn in range(4):
                # What was refused may be a run that another sender has deleted, since it was there twice.
                if not self._send_once(runs, report) and (turn or not report.problems):
                    break
                self._known = None
            for trained in on_show:
                known = (self._known or {}).get(trained.settings["key"])
                if known and known.is_active:
                    with self._in_time([trained.weights]):
                        report.on_show += put_on_show(self._store.client, trained, known.run_id)
        except Exception as error:
            self._known = None
            raise TrackingError(f"MLflow's store {printable(self.address)}: {one_line(error, self.address)}") from error
        return report

    def _send_once(self, runs: Sequence[Run], report: Report) -> bool:
        """Whether some run was created, so that another sender may have created it as well."""
        with self._in_time():
            store = self._store
            known = self._known = store.find_runs() if self._known is None else self._known
        created, report.problems = False, []
        for run in runs:
            created |= run.key not in known
            try:
                if run.parent and run.parent not in known:
                    raise RuntimeError("the study's own run is not there")
                parent_id = known[run.parent].run_id if run.parent else ""
                with self._in_time(run.files.values()):
                    known[run.key] = store.send(run, known.get(run.key), parent_id, report)
            except Exception as error:  # one run that MLflow refuses must not hold up the others
                with self._in_time():
                    store.client.get_experiment(store.experiment_id)  # but a store that has gone away ends it here
                report.problems.append(f"{run.name}: {one_line(error, self.address)}")
        return created

    def _in_time(self, files: Iterable[Path] = ()) -> AbstractContextManager[None]:
        size = sum(path.stat().st_size for path in files)
        return _within(SECONDS_A_RUN + size / LEAST_BYTES_A_SECOND if is_server(self.address) else 0)


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise GaveUpError in the block after some seconds, where the system has such alarms; 0 is no limit."""

    def give_up(*_: object) -> None:
        raise GaveUpError(f"no whole answer in {seconds:.0f} seconds")

    if not seconds or not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # again each second, as a library may catch it and try once more
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
