"""Looking at a file that a person brings: what it is, what would be read, what is wrong with it."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from stages.support.process import InputError
from stages.support.words import count, listed
from stages.tables.classification import look_at_classification
from stages.tables.columns import (
    MOST_DISTINCT,
    MOST_LABELS,
    Column,
    choose_label,
    choose_text,
    label_candidates,
    named,
    number_columns,
    profile,
    refuse_nearly_numbers,
    refuse_unread_dates,
    time_columns,
)
from stages.tables.encoding import lines
from stages.tables.findings import CLASSIFICATION, KINDS, LANGUAGE_MODEL, SERIES, Findings
from stages.tables.language_model import look_at_language
from stages.tables.layout import TABLE_SUFFIXES, UNPAIRED, Drops, Layout, find_layout, is_quoted
from stages.tables.records import label_folders, text_files
from stages.tables.series import look_at_series

_LINES_LOOKED_AT = 500
_MOST_MARKS = 10
_MARK = re.compile(r"[-+]?\d{1,2}")


def inspect(
    path: Path,
    *,
    kind: str | None = None,
    text: str | None = None,
    label: str | None = None,
    value: str | None = None,
    inputs: str | Sequence[str] | None = None,
    to_train: bool = True,
) -> Findings:
    """Read a file or folder a few times and say what it holds, how `records` reads it, and what is wrong with it.

    Args:
        path: A table (CSV, TSV, JSON, Parquet), a plain text, a folder of texts or of folders named by labels.
        kind: "classification", "language_model" or "series"; guessed where None.
        text: The column of texts, by name or position from 1; guessed where None.
        label: The column of labels.
        value: The column of numbers to predict.
        inputs: Further columns of numbers to predict it from: names, or one string with commas between them.
        to_train: Whether the rows of a series must be enough, and vary enough, to train on.

    Raises:
        InputError: Where the file can't be read, naming the row, and where a guess would be unsure: the message asks
            for KIND=, TEXT=, LABEL=, VALUE= or INPUTS= and names what could be meant.
    """
    if kind is not None and kind not in KINDS:
        raise InputError(f"KIND={kind}: must be one of {', '.join(KINDS)}")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    names = [name.strip() for name in inputs.split(",")] if isinstance(inputs, str) else list(inputs or ())
    names = [name for name in names if name]
    given = {"TEXT": text, "LABEL": label, "VALUE": value, "INPUTS": ", ".join(names) or None}
    if path.is_dir():
        return _folder(path, kind, given)
    layout = find_layout(path, is_text=kind == LANGUAGE_MODEL and text is None)
    if layout.format == "plain text" and kind in (None, LANGUAGE_MODEL):
        _refuse_options(path, given, "a plain text has no columns")
        if kind is None:
            _refuse_marked_lines(path, layout)
        return look_at_language(Findings(path, LANGUAGE_MODEL, "a plain text", "plain text", layout))
    if layout.format == "plain text":
        raise InputError(f"{path}: KIND={kind}: needs a table, and this is a plain text")
    layout, columns, total = _profile(path, layout)
    if not total:
        raise InputError(f"{path}: holds no row below its header ({', '.join(layout.columns[:10])})")
    return _table(path, layout, columns, total, kind, given, names, to_train)


def _profile(path: Path, layout: Layout) -> tuple[Layout, list[Column], int]:
    """Columns and rows; where quotes do not pair, of the file without quoting if that reads more of it."""
    drops = Drops()
    columns, total = profile(path, layout, drops)
    if drops.counts[UNPAIRED]:
        plain = replace(layout, quoting="none")
        plain_columns, plain_total = profile(path, plain, Drops())
        cells = [cell for column in plain_columns for cell in column.cells if cell[:1] == '"']
        if plain_total > total and sum(map(is_quoted, cells)) <= 0.5 * len(cells):
            return plain, plain_columns, plain_total
    return layout, columns, total


def _refuse_marked_lines(path: Path, layout: Layout) -> None:
    """Raise InputError where each of the first lines of a text begins with one of a few numbers, as with a label."""
    head = [line.split() for line in islice(lines(path, layout.encoding), _LINES_LOOKED_AT) if line.strip()]
    marks = sorted({words[0] for words in head})
    if len(head) >= 2 * len(marks) > 2 and all(map(_MARK.fullmatch, marks)) and len(marks) <= _MOST_MARKS:
        raise InputError(
            f"{path}: each line begins with one of {', '.join(marks)}: are these labels? Write a table with a column "
            "of labels and one of texts, or set KIND=language_model"
        )


def _refuse_options(path: Path, given: dict[str, str | None], why: str) -> None:
    for option, said in given.items():
        if said is not None:
            raise InputError(f"{path}: {option}={said}: {why}")


def _table(
    path: Path,
    layout: Layout,
    columns: list[Column],
    total: int,
    kind: str | None,
    given: dict[str, str | None],
    inputs: Sequence[str],
    to_train: bool,
) -> Findings:
    kind, reason = (kind, "as KIND= says") if kind else _guess_kind(path, columns, total, given)
    unused = {
        CLASSIFICATION: ("VALUE", "INPUTS"),
        LANGUAGE_MODEL: ("LABEL", "VALUE", "INPUTS"),
        SERIES: ("TEXT", "LABEL"),
    }
    _refuse_options(path, {option: given[option] for option in unused[kind]}, f"the kind {kind} reads no such column")
    findings = Findings(path, kind, reason, layout.format, layout)
    findings = replace(findings, warnings=tuple(_parts_named(columns)))
    if kind == SERIES:
        return look_at_series(findings, columns, given["VALUE"], inputs, to_train)
    label_column = named(path, columns, "LABEL", given["LABEL"]) if given["LABEL"] is not None else None
    text_column, chosen = choose_text(path, columns, given["TEXT"], label_column)
    if kind == LANGUAGE_MODEL:
        return look_at_language(replace(findings, chosen=(chosen,)))
    label_column, chosen_label = choose_label(path, columns, given["LABEL"], text_column, total)
    if label_column.distinct is None:
        raise InputError(
            f"{path}: the label column {label_column.name} has more than {MOST_DISTINCT} values; "
            f"2 to {MOST_LABELS} are allowed"
        )
    return look_at_classification(replace(findings, chosen=(chosen, chosen_label)), columns)


def _parts_named(columns: Sequence[Column]) -> list[str]:
    """A warning where a column says which part each row belongs to."""
    found = {column.name: {cell.casefold() for cell in column.cells} for column in columns if column.names_parts}
    return [
        f"column {name} divides the rows ({', '.join(sorted(parts))}) and is not read: the parts are drawn here. For a "
        "test part of your own leave its rows out, and give them to `predict` or `forecast` afterwards"
        for name, parts in found.items()
    ]


def _guess_kind(path: Path, columns: list[Column], total: int, given: dict[str, str | None]) -> tuple[str, str]:
    if given["VALUE"] is not None or given["INPUTS"] is not None:
        return SERIES, "VALUE= or INPUTS= is set"
    if given["LABEL"] is not None:
        return CLASSIFICATION, "LABEL= is set"
    texts = [column for column in columns if column.is_text]
    times = time_columns(columns)
    numbers = number_columns(columns, times)
    if texts or given["TEXT"] is not None:
        if len(columns) == 1:
            return LANGUAGE_MODEL, "one column of texts and no label"
        return CLASSIFICATION, f"has a column of texts ({given['TEXT'] or texts[0].name})"
    refuse_unread_dates(path, columns)
    refuse_nearly_numbers(path, [] if numbers else columns)
    labels = label_candidates(columns, None, total)
    others = [c for c in columns if not (c.is_number or c.forms or c.is_time_of_day or c.constant or not c.cells)]
    words = [column for column in others if not column.named_as_time]
    if len(columns) == 2 and words and [column for column in labels if column is not words[0]]:
        return CLASSIFICATION, "has a column of words and a column of recurring values"
    unique = [column for column in others if len(set(column.cells)) == len(column.cells)]
    if numbers and len(unique) == len(others):
        return SERIES, "has columns of numbers and no texts"
    if numbers and times:
        return SERIES, "has a date and columns of numbers"
    listed = ", ".join(column.name for column in columns[:20])
    raise InputError(
        f"{path}: texts with labels, or a series of numbers? Set KIND= to classification (with TEXT= and LABEL=), "
        f"language_model (TEXT=) or series (VALUE=); columns: {listed}"
    )


def _folder(path: Path, kind: str | None, given: dict[str, str | None]) -> Findings:
    _refuse_options(path, given, "a folder of texts has no columns")
    folders, files = label_folders(path), text_files(path)
    if not folders and not files:
        raise InputError(f"{path}: the folder is empty")
    deeper = [folder for folder in folders if label_folders(folder)]
    if deeper:
        raise InputError(
            f"{path}: {deeper[0].name} holds folders itself; name the folder whose folders are labels: "
            + ", ".join(str(folder) for folder in folders[:10])
        )
    if len(folders) >= 2 and kind in (None, CLASSIFICATION):
        findings = Findings(
            path, CLASSIFICATION, "a folder with a folder for each label", "folder of texts a label", None
        )
        beside = (
            [f"{count(len(files), 'file')} beside the folders not read: {listed([f.name for f in files[:3]])}"]
            if files
            else []
        )
        found = look_at_classification(findings, ())
        return replace(found, warnings=(*beside, *found.warnings))
    if folders or kind not in (None, LANGUAGE_MODEL):
        raise InputError(
            f"{path}: a folder holds texts, or two or more folders of texts named by labels; it holds "
            f"{count(len(folders), 'folder')} and {count(len(files), 'file')}"
        )
    if all(file.suffix.lower() in TABLE_SUFFIXES for file in files):
        raise InputError(f"{path}: a folder of tables; name one: {listed([file.name for file in files[:10]])}")
    found = look_at_language(Findings(path, LANGUAGE_MODEL, "a folder of texts", "folder of texts", None))
    if kind is None and 1 < len(files) <= MOST_LABELS:
        one = (
            f"{len(files)} files are read as one text: for texts with labels each label needs a folder, or use a table"
        )
        found = replace(found, warnings=(one, *found.warnings))
    return found
