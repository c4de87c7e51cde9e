"""Every kind of fault that is injected by the thousand: its name, how, how often by hand, and what is known of it."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults import inputs, kills, long
from tests.faults.judge import SURVIVED, Seen, judge


@dataclass(frozen=True)
class Fault:
    """A kind of fault. `prepare` makes what it needs in a folder, and returns a trial: it injects one, by chance."""

    about: str
    prepare: Callable[[Path], Callable[[random.Random], Seen]]
    cases: int
    """How many by hand."""
    quick: int = 200
    """How many in the tests; 0: none, for what takes minutes."""
    known: str = ""
    """What is not survived, is not this project's to mend, and is said in the table."""


FAULTS = {
    "checkpoint": Fault("a checkpoint mutated, at times the one before it too", inputs.checkpoint, 12_000),
    "weights": Fault("a file of weights mutated", inputs.weights, 15_000),
    "sealed": Fault("a file of a sealed folder mutated or gone: arrays, vocabulary, manifest", inputs.sealed, 15_000),
    "runs": Fault("runs.json and what lies beside it mutated, for `predict`", inputs.runs, 10_000),
    "records": Fault("rows of a record mutated, merged and shown", inputs.records, 10_000),
    "baselines": Fault("baseline.json mutated", inputs.baselines, 10_000),
    "params": Fault("params.yaml mutated: values, keys, bytes", inputs.params, 8_000, 60),
    "tables": Fault("a person's CSV, TSV, JSON, Parquet or text mutated", inputs.tables, 10_000),
    "texts": Fault("text for `predict` in 12 encodings, whole and mutated", inputs.texts, 20_000),
    "requests": Fault("requests to a served model mutated", inputs.requests, 8_000, known=inputs.BY_MLFLOW),
    "curve_files": Fault("what a job leaves for the tracker, mutated", inputs.curve_files, 8_000),
    "locks": Fault("dvc.lock cut off anywhere", inputs.locks, 2_000, 50),
    "kills": Fault(
        "`dvc repro` killed at a random moment in one of 17 stages: KILL, TERM or INT, to dvc alone or to its group, "
        "then run again",
        kills.Kills,
        120,
        0,
    ),
    "epochs": Fault("10,000 epochs of a tiny net: memory and open files stay flat", long.epochs, 1, 0),
    "corpus": Fault(
        "a table of 20 × IMDB's words, from its file through one epoch: no stage holds 4 GB", long.corpus, 1, 0
    ),
    "properties": Fault("properties that Hypothesis tries to break, 2,000 examples each", long.properties, 10, 0),
}


def chances(name: str, numbers: Iterable[int]) -> Iterator[tuple[int, random.Random]]:
    """Each case's number and its source of chance: the same case anywhere."""
    return ((number, random.Random(f"{name} {number}")) for number in numbers)


@contextmanager
def trials(name: str) -> Iterator[Callable[[random.Random], Seen]]:
    """The trial of a kind of fault, in a folder of its own."""
    with TemporaryDirectory() as folder, chdir(folder):
        yield FAULTS[name].prepare(Path(folder).resolve())


def tried(name: str, cases: int) -> Counter[str]:
    """How often each outcome was seen in the first cases of a kind."""
    with trials(name) as trial:
        return Counter(judge(trial(chance)) for _, chance in chances(name, range(cases)))


def failures(name: str, outcomes: Iterable[str]) -> list[str]:
    """The outcomes that are neither survived nor known."""
    return [outcome for outcome in outcomes if outcome not in (*SURVIVED, FAULTS[name].known)]
