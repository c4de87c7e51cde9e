"""A person's file as raw data of a study: read once, by the columns that its section names, and written whole."""

import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.support.files import at_hand, whole, write_json
from stages.support.process import InputError
from stages.support.sections import OwnFile
from stages.tables.findings import CLASSIFICATION, LANGUAGE_MODEL, SERIES, Findings
from stages.tables.inspect import inspect
from stages.tables.records import records, series_rows


def write_labelled(corpus: OwnFile, text: str, label: str, target: Path) -> None:
    """Write texts.jsonl, a line [text, label's number] each, and provenance.json, which names the labels."""
    findings = _findings(corpus, kind=CLASSIFICATION, text=text or None, label=label or None)
    labels = sorted(name for name, _ in findings.labels)
    numbers = {name: number for number, name in enumerate(labels)}
    with whole(target) as folder:
        folder.mkdir()
        with (folder / "texts.jsonl").open("w", encoding="utf-8") as file:
            for item in records(findings.path, findings):
                file.write(json.dumps([item[0], numbers[str(item[1])]], ensure_ascii=False) + "\n")
        _write_provenance(folder, findings, labels=labels)


def write_text(corpus: OwnFile, text: str, target: Path) -> None:
    """Write text.txt, all texts one after the other, and provenance.json."""
    findings = _findings(corpus, kind=LANGUAGE_MODEL, text=text or None)
    with whole(target) as folder:
        folder.mkdir()
        with (folder / "text.txt").open("w", encoding="utf-8", errors="surrogatepass") as file:
            for piece in records(findings.path, findings):
                file.write(str(piece))
        _write_provenance(folder, findings)


def write_series(corpus: OwnFile, value: str, inputs: tuple[str, ...], target: Path) -> None:
    """Write values.npy, (steps, 1 + inputs) float64 in time order, the target first, and provenance.json.

    Where each row has a date with its year, also times.npy, (steps,) float64: seconds as `read_time` counts them.
    """
    findings = _findings(corpus, kind=SERIES, value=value, inputs=list(inputs))
    values, times = series_of(findings)
    with whole(target) as folder:
        folder.mkdir()
        np.save(folder / "values.npy", values)
        if times is not None:
            np.save(folder / "times.npy", times)
        _write_provenance(folder, findings, columns=findings.columns("value") + findings.columns("input"))


def series_of(findings: Findings) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """The numbers, (steps, 1 + inputs), in time order, and the times, (steps,); None without a date that has a year."""
    flat, times = array("d"), array("d")
    for time, row in series_rows(findings.path, findings):
        flat.extend(row)
        times.extend([time] if time is not None else [])
    values = np.frombuffer(flat, np.float64).reshape(findings.rows, -1)
    has_year = findings.date_form and findings.date_form.order not in ("number", "md")
    return values, np.frombuffer(times, np.float64) if has_year else None


def read_labelled(raw: Path) -> Iterator[tuple[str, int]]:
    """The texts and the numbers of their labels, in the order of the file."""
    with (raw / "texts.jsonl").open(encoding="utf-8") as file:
        for line in file:
            text, label = json.loads(line)
            yield text, label


def _findings(corpus: OwnFile, **options: Any) -> Findings:  # noqa: ANN401 - as `inspect` takes them
    findings = inspect(at_hand(Path(corpus.path)), **options)
    if findings.refusals:
        raise InputError(f"{corpus.path}: {findings.refusals[0]}")
    return findings


def _write_provenance(folder: Path, findings: Findings, **more: object) -> None:
    unit, name = findings.unit or "words", findings.path.resolve().name  # not the name of a link to it
    write_json(folder / "provenance.json", {"corpus": name, "unit": unit, "rows": findings.rows, **more})
