"""Tables of the report: scores in a row a cell, and where they come from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stages.results.scores import documents
from stages.results.tables import interval_text

PROTOCOLS = {"published": "as published", "corrected": "corrected"}
_HEADERS = {
    "document": "in the document",
    **{name: f"measured {label}" for name, label in PROTOCOLS.items()},
    "both": "measured, as published = corrected",
}
_DIGEST = 12  # characters of a digest or commit that a reader compares


@dataclass(frozen=True)
class Cell:
    """A table's cell: what is read first, and what stands small beneath it."""

    text: str
    small: str = ""


@dataclass(frozen=True)
class Table:
    """Headers of the leading columns, then groups of columns, (label, labels of its columns); rows of all of them.

    A row's first cell is its header.
    """

    caption: str
    leading: Sequence[str]
    groups: Sequence[tuple[str, Sequence[str]]]
    rows: Sequence[Sequence[Cell]]


def scores_table(study: str, summary: pd.DataFrame, baselines: Sequence[Mapping[str, Any]]) -> Table:
    """A row a (setting, cell): for each score what the document says, measured as published, and corrected.

    `summary` is one of `scores.summary_table`, such as plots/STUDY/table.csv.
    """
    document = documents()[study]
    scores = document["scores"]
    summary = _both_once(summary)
    # Every cell has a corrected arm: their order is the table's.
    ordered = summary.sort_values("protocol", key=lambda column: column == "published", kind="stable")
    arms = [*ordered.groupby(["setting", "cell", "custom"], sort=False)]
    with_setting = summary["setting"].astype(bool).any()
    shown = {name: _columns(summary, name) for name in scores}
    setting = f"mean over {document['sweep']['hyperparameter']}s" if "sweep" in document else "model"
    rows = []
    for (name, cell, custom), arm in arms:
        by_protocol = {row["protocol"]: row for row in arm.to_dict("records")}
        first = next(iter(by_protocol.values()))
        rows.append(
            [
                Cell(str(cell), str(custom)),
                *([Cell(str(name))] if with_setting else []),
                _parameters(first, document),
                Cell(" / ".join(dict.fromkeys(str(row["repeats"]) for row in by_protocol.values()))),
                *(
                    _score(by_protocol, column, score, about)
                    for score, about in scores.items()
                    for column in shown[score]
                ),
            ]
        )
    for baseline in baselines:
        nothing = [Cell("")] * (2 + with_setting)
        values = [
            _baseline(baseline, score, about) if column in ("corrected", "both") else Cell("")
            for score, about in scores.items()
            for column in shown[score]
        ]
        rows.append([Cell(baseline["name"], "no recurrent cell"), *nothing, *values])
    groups = [(about["label"], [_HEADERS[column] for column in shown[name]]) for name, about in scores.items()]
    leading = ["cell", *([setting] if with_setting else []), "parameters", "repeats"]
    return Table("Published beside measured, with 95 % intervals", leading, groups, rows)


def run_provenance(scored: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """Where the run's scores come from: what is the same on every machine."""
    rows = []
    for study, cells in scored.items():
        repeats = [repeat for cell in cells for arm in cell["arms"] for repeat in arm["repeats"]]
        rows.append(
            [
                Cell(study),
                Cell(cells[0]["corpus"]),
                Cell(", ".join(sorted({cell["data_digest"][:_DIGEST] for cell in cells}))),
                Cell(", ".join(sorted({str(repeat["seed"]) for repeat in repeats}))),
                Cell(", ".join(str(cell["cell"]) for cell in cells)),
                Cell(f"{len(repeats):,}"),
            ]
        )
    return Table(
        "Data and seeds of this run", ["study", "data", "SHA-256 of the data", "seed", "cells", "trainings"], (), rows
    )


def record_provenance(entries: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]) -> Table:
    """Where the record's entries come from, a row a (study, cell): code, versions, machine and time."""
    rows = []
    for (study, cell), recorded in entries.items():
        origins = [entry["provenance"] for entry in recorded]
        # A job trains several repeats at once, and each has the time of all.
        seconds = sum(origin["seconds"] / origin.get("repeats_at_once", 1) for origin in origins if "seconds" in origin)
        rows.append(
            [
                Cell(f"{study} {cell}"),
                Cell(f"{len(recorded):,}"),
                Cell(
                    _each(
                        origin["commit"][:_DIGEST] + "-dirty" * origin["commit"].endswith("dirty") for origin in origins
                    )
                ),
                Cell(_each(entry["data_digest"][:_DIGEST] for entry in recorded)),
                Cell(_each(_versions(origin) for origin in origins)),
                Cell(_each(_machine(origin["machine"]) for origin in origins)),
                Cell(_duration(seconds) if seconds else "not measured"),
            ]
        )
    header = ["study and cell", "trainings", "commit", "SHA-256 of the data", "versions", "machine", "time of training"]
    return Table("Code, versions, machine and time of every recorded cell", header, (), rows)


def _both_once(summary: pd.DataFrame) -> pd.DataFrame:
    """One protocol, `both`, where the two are the same in every row."""
    apart = {name: rows.drop(columns="protocol") for name, rows in summary.groupby("protocol")}
    corrected = apart["corrected"].reset_index(drop=True)
    if "published" not in apart or not apart["published"].reset_index(drop=True).equals(corrected):
        return summary
    return corrected.assign(protocol="both")


def _columns(summary: pd.DataFrame, score: str) -> list[str]:
    """The columns of a score that hold anything."""
    document = ["document"] if summary[f"{score}_published"].notna().any() else []
    return document + [name for name in _HEADERS if (summary["protocol"] == name).any()]


def _score(by_protocol: Mapping[str, Mapping[Any, Any]], column: str, score: str, about: Mapping[str, Any]) -> Cell:
    if column == "document":
        values = [row[f"{score}_published"] for row in by_protocol.values()]
        known = [value for value in values if value == value]
        return number_cell(known[0], score, about) if known else Cell("–")
    if column not in by_protocol:
        return Cell("–")
    mean, _, interval = interval_text(by_protocol[column], score, about).partition(" ")
    return Cell(mean, interval)


def number_cell(value: float, score: str, about: Mapping[str, Any]) -> Cell:
    """A score without an interval."""
    row = {score: value, f"{score}_low": float("nan"), f"{score}_high": float("nan")}
    return Cell(interval_text(row, score, about).partition(" ")[0])


def _baseline(baseline: Mapping[str, Any], score: str, about: Mapping[str, Any]) -> Cell:
    value = baseline["test"].get(score)
    return Cell("–") if value is None else number_cell(value, score, about)


def _parameters(row: Mapping[Any, Any], document: Mapping[str, Any]) -> Cell:
    """Parameters that are trained; beneath them the document's count, and torch's where that is another."""
    published = {(about["setting"], about["cell"]): about.get("parameters") for about in document["published"]}
    others = {"document": published.get((row["setting"], row["cell"])), "torch": row.get("parameters_in_torch")}
    if others["torch"] == row["parameters"]:
        others["torch"] = None
    small = ", ".join(f"{name} {count:,.0f}" for name, count in others.items() if count is not None)
    return Cell(f"{row['parameters']:,}", small)


def sweep_table(study: str, table: pd.DataFrame) -> Table:
    """The first score at each setting of a sweep, and the share of repeats that converged."""
    document = documents()[study]
    score, about = next(iter(document["scores"].items()))
    shares = [name for name, other in document["scores"].items() if "at_least" in other]
    rows = {(row["setting"], row["protocol"], row["cell"]): row for row in table.to_dict("records")}
    cells = list(dict.fromkeys(table["cell"]))
    protocols = [protocol for protocol in PROTOCOLS if (table["protocol"] == protocol).any()]

    def cell(setting: str, protocol: str, name: str) -> Cell:
        row = rows.get((setting, protocol, name))
        if row is None:
            return Cell("–")
        mean, _, interval = interval_text(row, score, about).partition(" ")
        converged = "".join(f"\n{row[share]:.0%} converged" for share in shares)
        return Cell(mean, interval + converged)

    return Table(
        f"{about['label']} by {document['sweep']['label']}",
        [document["sweep"]["hyperparameter"]],
        [(f"measured {PROTOCOLS[protocol]}", cells) for protocol in protocols],
        [
            [Cell(setting), *(cell(setting, protocol, name) for protocol in protocols for name in cells)]
            for setting in dict.fromkeys(table["setting"])
        ],
    )


def sentences_table(path: Path) -> Table:
    """The document's sentences as plots/imdb/sentences.csv has them: a row a sentence, a column an arm."""
    table = pd.read_csv(path)
    return Table(
        "Probability of “positive” for the document's sentences, mean over repeats",
        ["sentence", *table.columns[1:]],
        (),
        [[Cell(str(row[0])), *(Cell(f"{value:.3f}") for value in row[1:])] for row in table.itertuples(index=False)],
    )


def _each(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))


def _versions(origin: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in origin.get("versions", {}).items()) or "not recorded"


def _machine(machine: Mapping[str, Any]) -> str:
    parts = [str(machine[key]) for key in ("processor", "device", "engine") if key in machine]
    return "; ".join([*parts, *([f"{machine['threads']} thread(s) a job"] if "threads" in machine else [])])


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
