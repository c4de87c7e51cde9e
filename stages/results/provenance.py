"""Where scores come from: data and seeds of a run, code, machines and times of the record."""

from collections.abc import Iterable, Mapping, Sequence

from stages.results.row import Provenance, Row
from stages.results.table import Cell, Table

_DIGEST = 12  # characters of a digest or commit that a reader compares


def run_provenance(rows: Mapping[str, Sequence[Row]]) -> Table:
    """Where a run's scores come from, by study: what is the same on every machine."""
    return Table(
        "Data and seeds of this run",
        ["study", "data", "SHA-256 of the data", "seed", "cells", "trainings"],
        (),
        [
            [
                Cell(study),
                Cell(of_study[0].corpus),
                Cell(", ".join(sorted({row.data_digest[:_DIGEST] for row in of_study}))),
                Cell(", ".join(sorted({str(row.seed) for row in of_study}))),
                Cell(_each(row.cell for row in of_study)),
                Cell(f"{len(of_study):,}"),
            ]
            for study, of_study in rows.items()
        ],
    )


def record_provenance(cells: Mapping[tuple[str, str], Sequence[Row]]) -> Table:
    """Where recorded rows come from, by (study, cell): code, versions, machine and time."""
    rows = []
    for (study, cell), recorded in cells.items():
        origins = [row.provenance for row in recorded if row.provenance]
        # A job trains several repeats at once, and each has the time of all.
        seconds = sum(origin.seconds / max(origin.repeats_at_once, 1) for origin in origins)
        rows.append(
            [
                Cell(f"{study} {cell}"),
                Cell(f"{len(recorded):,}"),
                Cell(_each(o.commit[:_DIGEST] + "-dirty" * o.commit.endswith("dirty") for o in origins)),
                Cell(_each(row.data_digest[:_DIGEST] for row in recorded)),
                Cell(_each(map(_versions, origins))),
                Cell(_each(map(_machine, origins))),
                Cell(_duration(seconds) if seconds else "not measured"),
            ]
        )
    header = ["study and cell", "trainings", "commit", "SHA-256 of the data", "versions", "machine", "time of training"]
    return Table("Code, versions, machine and time of every recorded cell", header, (), rows)


def _each(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))


def _versions(origin: Provenance) -> str:
    known = origin.versions
    return f"python {known.python}, torch {known.torch}, numpy {known.numpy}" if known else "not recorded"


def _machine(origin: Provenance) -> str:
    machine = origin.machine
    threads = f"threads of a job: {machine.threads}" if machine.threads else ""
    return "; ".join(filter(None, [machine.processor, machine.device, machine.engine, threads]))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
