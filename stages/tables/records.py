"""What a file holds as a stream: texts with labels, pieces of text, or rows of numbers in time order."""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.support.process import InputError
from stages.tables.columns import read_time
from stages.tables.dates import DateForm
from stages.tables.encoding import decode, lines
from stages.tables.findings import CLASSIFICATION, LANGUAGE_MODEL, Findings
from stages.tables.layout import Drops, rows
from stages.tables.numerals import is_missing, read_number, unit

FEWEST_OF_A_LABEL = 3  # one for each part of a split
_TOTALS = frozenset(["total", "totals", "sum", "mean", "average", "summe", "gesamt", "insgesamt", "mittelwert"])
_NO_LABEL = frozenset({"", "nan", "na", "n/a", "#n/a", "null", "<na>", r"\n"})
UNLABELLED = "no label"


def records(path: Path, findings: Findings) -> Iterator[tuple[str, str] | str | list[float]]:
    r"""What `inspect` found in a file, in constant memory but for JSON arrays and series in another order than time.

    Yields:
        For classification (text, label); for language_model pieces of text that end in \n and together are the text;
        for a series a row of numbers in time order, the target first, then the inputs as they were named.
    """
    drops = Drops()
    if findings.kind == CLASSIFICATION:
        known = {label for label, _ in findings.labels}
        for row in labelled_rows(path, findings, drops):
            if row.label in known:
                yield row.text, row.label
    elif findings.kind == LANGUAGE_MODEL:
        yield from pieces(path, findings, drops)
    else:
        yield from (values for _, values in series_rows(path, findings, drops))


class LabelledRow(NamedTuple):
    """A text with its label, its row's number or its file's name, and all cells of the row."""

    place: int | str
    cells: list[str]
    text: str
    label: str


def labelled_rows(path: Path, findings: Findings, drops: Drops) -> Iterator[LabelledRow]:
    """The rows of a table, or files of a folder of folders, that have a text and a label, rare labels included."""
    layout = findings.layout
    if layout is None:
        for file in (file for folder in label_folders(path) for file in text_files(folder)):
            if (text := _file_text(path, file, drops)) is not None:
                yield LabelledRow(str(file.relative_to(path)), [], text, file.parent.name)
        return
    text_place = layout.columns.index(findings.columns("text")[0])
    label_place = layout.columns.index(findings.columns("label")[0])
    for number, row in rows(path, layout, drops):
        text, label = row[text_place], row[label_place].strip()
        if not text or text.isspace():
            drops.add("empty text", number)
        elif label.lower() in _NO_LABEL:
            drops.add(f"{UNLABELLED} ({label})" if label else UNLABELLED, number)
        else:
            yield LabelledRow(number, row, text, label)


def pieces(path: Path, findings: Findings, drops: Drops) -> Iterator[str]:
    """The lines of a text, the texts of a table's column or the files of a folder, each ending in a line end."""
    layout = findings.layout
    if layout is None:
        for file in text_files(path):
            if (text := _file_text(path, file, drops)) is not None:
                yield _with_line_end(text)
    elif layout.format == "plain text":
        for line in lines(path, layout.encoding):
            if text := line.replace("\0", "") if layout.encoding.nul else line:
                yield _with_line_end(text)
    else:
        place = layout.columns.index(findings.columns("text")[0])
        for number, row in rows(path, layout, drops):
            if not row[place].strip():
                drops.add("empty text", number)
            else:
                yield _with_line_end(row[place])


def timed_rows(
    path: Path, findings: Findings, forms: Sequence[DateForm], drops: Drops
) -> Iterator[tuple[int, list[str], list[float], list[float]]]:
    """The rows of a series: number, cells of its date, times under each form (none without dates), and numbers.

    Raises:
        InputError: a column's numbers have several units.
    """
    layout = findings.layout
    assert layout is not None, "a folder holds no series"
    index = layout.columns.index
    times = [index(name) for name in findings.columns("date")]
    numbers = [index(name) for name in (*findings.columns("value"), *findings.columns("input"))]
    marks = findings.decimal_marks
    units: dict[int, tuple[str, int, str]] = {}  # of each column the first, its row and cell
    follows = False
    for number, row in rows(path, layout, drops):
        begins = next(filter(None, map(str.strip, row)), "").casefold().rstrip(":.")
        if begins in _TOTALS and follows:
            drops.add(f"{begins} of the rows above", number)
            continue
        follows = begins not in _TOTALS  # where a first row begins so, it names a part of what is measured
        values: list[float] = []
        for place, mark in zip(numbers, marks, strict=True):
            cell = row[place]
            value = read_number(cell, mark)
            if value is None:
                missing = "no value" if is_missing(cell) else "no number"
                drops.add(f"{missing} in {layout.columns[place]}", number)
                break
            if value:  # 0 is as much in every unit
                mine = unit(cell)
                first, where, known = units.setdefault(place, (mine, number, cell))
                if mine != first:
                    raise InputError(
                        f"{path}: {layout.columns[place]} holds numbers of several units: row {where} has "
                        f"{known.strip()!r}, row {number} has {cell.strip()!r}; write all of them in one"
                    )
            values.append(value)
        else:
            cells = [row[place] for place in times]
            read = [read_time(cells, form) for form in forms]
            known_times = [time for time in read if time is not None]
            if len(known_times) < len(read):
                drops.add(f"no date in {' and '.join(findings.columns('date'))}", number)
            else:
                yield number, cells, known_times, values


def series_rows(
    path: Path, findings: Findings, drops: Drops | None = None
) -> Iterator[tuple[float | None, list[float]]]:
    """The rows of a series in time order: the time (see `read_time`; None without dates) and the numbers."""
    forms = [findings.date_form] if findings.date_form else []
    stream = timed_rows(path, findings, forms, drops or Drops())
    if findings.order in ("ascending", "as in the file"):
        for _, _, known, values in stream:
            yield (known[0] if known else None), values
        return
    times, table = array("d"), array("d")
    for _, _, known, values in stream:
        times.append(known[0])
        table.extend(values)
    width = len(findings.decimal_marks)
    flat = np.frombuffer(table, dtype=np.float64).reshape(-1, width)
    for place in places_in_time(np.frombuffer(times), findings.order):
        yield times[place], flat[place].tolist()


def places_in_time(seconds: NDArray[np.float64], order: str) -> NDArray[np.intp]:
    """The places of times (rows,), the first one first; equal ones as they stand, in a descending file from below."""
    if order == "descending":
        return len(seconds) - 1 - np.argsort(seconds[::-1], kind="stable")
    return np.argsort(seconds, kind="stable")


def label_folders(path: Path) -> list[Path]:
    """The folders in a folder, by name, hidden ones aside."""
    return sorted(inner for inner in path.iterdir() if inner.is_dir() and not inner.name.startswith("."))


def text_files(path: Path) -> list[Path]:
    """The files in a folder, by name, hidden ones aside."""
    return sorted(inner for inner in path.iterdir() if inner.is_file() and not inner.name.startswith("."))


def _file_text(root: Path, file: Path, drops: Drops) -> str | None:
    name = str(file.relative_to(root))
    try:
        content = file.read_bytes()
        text = decode(content, file).replace("\0", "") if content.strip() else ""
    except InputError:
        drops.add("no text file", name)
        return None
    if not text.strip():
        drops.add("empty text", name)
        return None
    return text


def _with_line_end(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") else text + "\n"
