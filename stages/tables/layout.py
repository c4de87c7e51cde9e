"""How a text file is a table: its delimiter, quotes, header and columns; and the stream of its rows."""

import csv
import json
import re
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice, pairwise
from pathlib import Path
from typing import Any

from stages.support.process import InputError
from stages.tables.encoding import MARK, Encoding, find_encoding, lines
from stages.tables.parquet import is_parquet, parquet_objects

_DELIMITERS = (";", "\t", "|", ",")  # of two that fit alike, the earlier: decimal commas part cells as well
_SAMPLE_LINES = 500
_SAMPLE_OBJECTS = 1000
_OF_OBJECTS = {
    "json lines": "begins with { but is no JSON object a line",
    "json array": "is JSON, but neither one array of objects nor one object of columns that are equally long",
    "parquet": "a Parquet file without rows or columns",
    "fastText": "holds no line with one __label__NAME and a text",
}
_FASTTEXT = re.compile(r"\s*__label__(\S+)\s+((?!__label__)\S.*)", re.DOTALL)
_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".psv", ".parquet", *_JSON_SUFFIXES)
_PLAIN_SUFFIXES = (".txt", ".text", ".md", "")
_MOST_PLACES = 5
_WORDS_OF_A_TEXT = 3
_MOST_LINES_OF_A_ROW = 10_000
HEADER_AGAIN = "the header again"  # of a file that was put together from several
UNPAIRED = "quotes do not pair, or the file is cut off within them"


@dataclass(frozen=True)
class Dropped:
    """Rows that are not read, and why: the first of them by number (the header is row 1) or by file name."""

    reason: str
    rows: int
    first: tuple[int | str, ...]


@dataclass
class Drops:
    """Collects what a reading drops."""

    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[int | str]] = field(default_factory=dict)

    def add(self, reason: str, place: int | str) -> None:
        """Note that the row or file at `place` is not read."""
        self.counts[reason] += 1
        known = self.places.setdefault(reason, [])
        if len(known) < _MOST_PLACES:
            known.append(place)

    def listed(self) -> tuple[Dropped, ...]:
        """What was dropped, the most frequent reason first."""
        return tuple(Dropped(reason, rows, tuple(self.places[reason])) for reason, rows in self.counts.most_common())


@dataclass(frozen=True)
class Layout:
    """How a file is read as a table.

    Attributes:
        format: "csv", "tsv", "json lines", "json array", "parquet", "fastText" or "plain text".
        encoding: How its bytes are text.
        delimiter: Between cells, " " for any number of spaces; "" where there is none, as in a table of one column.
        quoting: "doubled" (quotes in quoted cells are doubled), "escaped" (with a backslash) or "none".
        space_after_delimiter: Whether a space follows each delimiter.
        columns: Names, made different where they were not, or positions from 1 where there is no header.
        header: Whether a row of names stands above the table.
        rows_above: Rows above the header, or above the first row where there is none.
        repeated_names: Names that stood more than once in the header.
    """

    format: str
    encoding: Encoding
    delimiter: str = ""
    quoting: str = "doubled"
    space_after_delimiter: bool = False
    columns: tuple[str, ...] = ()
    header: bool = False
    rows_above: int = 0
    repeated_names: tuple[str, ...] = ()


def place_of(name: str, names: Sequence[str]) -> int | None:
    """The place among a table's columns of one that is named so, whatever the case, or by its position from 1."""
    name = name.strip()
    folded = [one.casefold() for one in names]
    if name in names:
        return names.index(name)
    if name.casefold() in folded:
        return folded.index(name.casefold())
    return int(name) - 1 if name.isdecimal() and 1 <= int(name) <= len(names) else None


def find_layout(path: Path, is_text: bool = False) -> Layout:
    """Look at a file's bytes and first lines; raises InputError where it is empty or no text.

    With `is_text` a file of a suffix that is no table's is a plain text, as prose of few commas is anyway.
    """
    if is_parquet(path):
        return _layout_of_objects(path, "parquet", Encoding("utf-8"))
    encoding = find_encoding(path)
    head = list(islice(lines(path, encoding), _SAMPLE_LINES))
    first = next((line for line in head if line.strip()), "").lstrip()
    suffix = _suffix(path)
    is_array = re.match(r"\s*\[\s*\{", "".join(head)) or (suffix in _JSON_SUFFIXES and first.startswith("["))
    if is_array or (suffix == ".json" and first.startswith("{") and sum(map(_is_object, head)) < 2):
        return _layout_of_objects(path, "json array", encoding)
    if first.startswith("{") and (suffix in _JSON_SUFFIXES or _is_object(first)):
        return _layout_of_objects(path, "json lines", encoding)
    if sum(line.startswith("__label__") for line in head) >= 0.9 * sum(map(bool, map(str.strip, head))):
        return _layout_of_objects(path, "fastText", encoding)
    if is_text and suffix not in TABLE_SUFFIXES:
        return Layout("plain text", encoding)
    cut = len(head) == _SAMPLE_LINES
    if head and head[0].lower().startswith("sep=") and len(head[0].strip()) == 5:
        delimiter = head[0].strip()[4]
        found = [_measured(head[1:], delimiter, quoting, cut) for quoting in _quotings(head)]
    else:
        found = [_measured(head, delimiter, quoting, cut) for delimiter in _DELIMITERS for quoting in _quotings(head)]
    agreement, width, delimiter, quoting = max(found, key=lambda one: (one[1] > 1, round(one[0], 2), one[3] != "none"))
    plain = suffix in _PLAIN_SUFFIXES
    if width < 2 or agreement < (0.95 if plain else 0.3) or (plain and len(head) < 3):
        if spaced_columns := _numbers_between_spaces(head):
            delimiter = " " if spaced_columns > 1 else ""
            layout = Layout("csv", encoding, delimiter)
            return _named(path, layout, [line.split() for line in head])
        if suffix not in TABLE_SUFFIXES:
            return Layout("plain text", encoding)
        delimiter = ""
    spaced = f'{delimiter} "' in "".join(head) and f'{delimiter}"' not in "".join(head) if delimiter else False
    layout = Layout("tsv" if delimiter == "\t" else "csv", encoding, delimiter, quoting, spaced)
    return _named(path, layout, _parsed(head, layout, cut))


def rows(path: Path, layout: Layout, drops: Drops) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table, each with its number in the file (from 1, header included) and one cell a column.

    What is no row of the table goes to `drops` with the reason, the header aside.
    """
    if layout.format in _OF_OBJECTS:
        yield from _rows_of_objects(path, layout, drops)
        return
    width = len(layout.columns)
    header: list[str] = []
    waiting: tuple[int, list[str]] | None = None
    for number, row in _numbered(path, layout):
        if row is None:
            drops.add(UNPAIRED, number)
            continue
        if layout.header and number == layout.rows_above + 1:
            header = _bare(row)
            continue
        if waiting is not None:
            yield waiting
        waiting = None
        if not any(map(str.strip, row)):
            drops.add("empty row", number)
        elif number <= layout.rows_above:
            drops.add("above the table", number)
        elif len(row) == len(header) and row[-1].strip() == header[-1] and _bare(row) == header:
            drops.add(HEADER_AGAIN, number)
        elif len(row) < width or any(map(str.strip, row[width:])):
            drops.add("fewer cells than columns" if len(row) < width else "more cells than columns", number)
        elif layout.encoding.cut_off:
            waiting = (number, row[:width])
        else:
            yield number, row[:width]
    if waiting is not None:
        drops.add("cut off within a character at the end of the file", waiting[0])


def _bare(row: list[str]) -> list[str]:
    """A header's cells without spaces, and without the byte-order mark of a file that was put behind another."""
    return [cell.lstrip(MARK).strip() for cell in row]


def _numbers_between_spaces(head: list[str]) -> int:
    """How many cells a line has, if most lines are numbers and dates with spaces between; 0 if they are not."""
    lines_of_cells = [cells for line in head if (cells := line.split())]
    widths = Counter(map(len, lines_of_cells))
    width, agreeing = max(widths.items(), key=lambda one: one[1], default=(0, 0))
    like_numbers = sum(any(c.isdigit() for c in cell) for cells in lines_of_cells for cell in cells)
    numbers = sum(map(_is_number, (cell for cells in lines_of_cells for cell in cells)))
    cells_in_all = sum(map(len, lines_of_cells))
    if agreeing < 0.9 * len(lines_of_cells) or len(lines_of_cells) < 3:
        return 0
    return width if like_numbers > 0.9 * cells_in_all and numbers > 0.4 * cells_in_all else 0


def _suffix(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _quotings(head: list[str]) -> tuple[str, ...]:
    text = "".join(head)
    if '"' not in text:
        return ("doubled",)
    if '\\"' not in text:
        return ("doubled", "none")
    return ("doubled", "escaped", "none") if re.search(r'(?<![\\,;|\t"\n])""', text) else ("escaped", "doubled", "none")


def _reader(source: Iterable[str], delimiter: str, quoting: str, spaced: bool = False, strict: bool = True) -> Any:  # noqa: ANN401
    csv.field_size_limit(sys.maxsize)
    return csv.reader(
        source,
        delimiter=delimiter or "\x1f",
        quoting=csv.QUOTE_NONE if quoting == "none" else csv.QUOTE_MINIMAL,
        doublequote=quoting != "escaped",
        escapechar="\\" if quoting == "escaped" else None,
        skipinitialspace=spaced,
        strict=strict,
    )


def _measured(head: list[str], delimiter: str, quoting: str, cut: bool) -> tuple[float, int, str, str]:
    """How many of the first rows agree on their number of cells, that number, and what was tried."""
    reader = _reader(head, delimiter, quoting)
    widths: Counter[int] = Counter()
    broken = whole = half = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error:
            if not (cut and reader.line_num == len(head)):
                broken += 1
            continue
        if any(map(str.strip, row)):
            widths[len(row)] += 1
            whole += sum(is_quoted(cell) for cell in row)
            half += sum(cell[:1] == '"' and not is_quoted(cell) for cell in row)
    total = widths.total() + broken
    if not widths or (quoting == "none" and whole > half):  # those quotes mean something
        return 0.0, 1, delimiter, quoting
    width, agreeing = max(widths.items(), key=lambda one: (one[1], one[0]))
    return agreeing / total, width, delimiter, quoting


def is_quoted(cell: str) -> bool:
    """Whether a cell that was read with quotes as plain characters stands in quotes."""
    return len(cell) > 1 and cell[0] == '"' == cell[-1]


def _parsed(head: list[str], layout: Layout, cut: bool) -> list[list[str]]:
    reader = _reader(head, layout.delimiter, layout.quoting, layout.space_after_delimiter, strict=False)
    parsed = list(reader)
    return parsed[:-1] if cut and len(parsed) > 1 else parsed


class _Lines:
    """Lines for a csv reader that can be read again from any line of the row that is being read."""

    def __init__(self, source: Iterator[str]) -> None:
        self.source = source
        self.row: list[str] = []
        self.again: deque[str] = deque()

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if len(self.row) == _MOST_LINES_OF_A_ROW:
            raise csv.Error("endless row")
        line = self.again.popleft() if self.again else next(self.source)
        self.row.append(line)
        return line


def _numbered(path: Path, layout: Layout) -> Iterator[tuple[int, list[str] | None]]:
    """The rows with their numbers; None for a line whose quotes do not pair: reading goes on with the next line."""
    if layout.delimiter == " ":
        for number, line in enumerate(lines(path, layout.encoding), 1):
            yield number, (line.replace("\0", "") if layout.encoding.nul else line).split()
        return
    source = _Lines(lines(path, layout.encoding))
    reader = _reader(source, layout.delimiter, layout.quoting, layout.space_after_delimiter)
    nul = layout.encoding.nul
    for number in count(1):
        source.row.clear()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            source.again.extendleft(reversed(source.row[1:]))
            yield number, None
            continue
        yield number, [cell.replace("\0", "") for cell in row] if nul else row


def _named(path: Path, layout: Layout, table: list[list[str]]) -> Layout:
    """The layout with the header and the columns that the first rows show."""
    above = int(bool(layout.delimiter and table and "".join(table[0][:1]).lower().startswith("sep=")))
    filled = {place: row for place, row in enumerate(table) if place >= above and any(map(str.strip, row))}
    widths = Counter(map(len, filled.values()))
    width = max(widths, key=lambda one: (widths[one], one), default=0)
    whole = [place for place, row in filled.items() if len(row) == width]
    if not whole:
        return layout
    # A title has only its first cell, whatever a spreadsheet puts behind it.
    top = next((place for place in whole if width == 1 or any(map(str.strip, filled[place][1:]))), whole[0])
    body = [row for row in table[top + 1 :] if len(row) == width]
    header = _is_header(table[top], body) or _recurs(table[top], body)
    names, first = table[top], min(filled)
    upper = filled[first]
    is_short = 1 < len(upper) < width or (len(upper), width) == (1, 2)
    if not header and first < top and is_short and all(map(_is_name, upper)):
        names, top, header = _names_of_all(upper, [names, *body], path, layout.delimiter), first, True
    if not header:
        return replace(layout, columns=tuple(str(place) for place in range(1, width + 1)), rows_above=top)
    columns: list[str] = []
    repeated: list[str] = []
    for place, cell in enumerate(names, 1):
        name = base = cell.strip() or f"column {place}"
        copy = 1
        while name in columns:
            copy += 1
            name = f"{base} ({copy})"
        if copy > 1:
            repeated.append(base)
        columns.append(name)
    return replace(
        layout, columns=tuple(columns), header=True, rows_above=top, repeated_names=tuple(dict.fromkeys(repeated))
    )


def _names_of_all(names: list[str], body: list[list[str]], path: Path, delimiter: str) -> list[str]:
    """The names of columns where the header has fewer than the rows have cells; raises InputError if in doubt."""
    missing = len(body[0]) - len(names)
    if not any(cell.strip() for row in body for cell in row[-missing:]):
        return [*names, *[""] * missing]  # delimiters end each row
    first = [row[0].strip() for row in body]
    numbers = [int(cell) for cell in first if cell.isdecimal()]
    counts = len(numbers) == len(first) and all(a < b for a, b in pairwise(numbers)) and numbers[0] < 1000
    are_names = len(set(first)) == len(first) and all(any(map(str.isalpha, cell)) for cell in first)
    are_short = len(" ".join(first).split()) < _WORDS_OF_A_TEXT * len(first)
    may_be_decimals = delimiter == "," and all(row[-1].strip().isdecimal() for row in body)
    names_rows = (counts and not may_be_decimals) or (are_names and are_short)
    if (
        missing == 1 and names_rows and names[0].strip().lower() not in IDENTIFIERS | COUNTERS
    ):  # else that column has its name
        return ["", *names]  # R leaves out the name of the first column, which numbers or names the rows
    raise InputError(
        f"{path}: the header names {len(names)} column{'s' * (len(names) > 1)} and the rows have {len(body[0])}: a "
        "text with a comma or a decimal comma without quotes, or a column without a name?"
    )


def _recurs(first: list[str], body: list[list[str]]) -> bool:
    """Whether the first row names the columns for standing below again, and its cells nowhere else in their columns."""
    head, *below = map(_bare, [first, *body])
    copies = below.count(head)
    return (
        len(head) > 1
        and copies > 0
        and all(map(_is_name, head))
        and all(column.count(cell) == copies for cell, column in zip(head, zip(*below, strict=True), strict=True))
    )


def _is_header(first: list[str], body: list[list[str]]) -> bool:
    """Whether the first row names the columns: its cells look unlike those below them."""
    votes = 0.0
    for cell, below in zip((cell.strip() for cell in first), zip(*body, strict=True), strict=bool(body)):
        values = [value.strip() for value in below if value.strip()]
        if not cell:
            continue
        if not values:
            votes += 0.5
            continue
        digits = sum(any(c.isdigit() for c in value) and len(value) < 30 for value in values) / len(values)
        numbers = sum(map(_is_number, values)) / len(values)
        if _is_number(cell):
            votes -= 3
        elif numbers > 0.9 or (digits > 0.9 and not any(c.isdigit() for c in cell)):
            votes += 1
        elif cell in values:
            votes -= 2 if len(set(values)) < len(values) else 1
        elif (
            len(set(values)) <= max(len(values) // 3, 1)
            or (_is_name(cell) and sum(len(value) for value in values) > 3 * len(cell) * len(values))
            or cell.lower() in _KNOWN_NAMES
        ):
            votes += 3 if cell.lower() in _KNOWN_NAMES else 1
    return votes > 0 or (not body and all(_is_name(cell.strip()) for cell in first))


IDENTIFIERS = frozenset("id index rownames rownum unnamed idx sno".split())  # noqa: SIM905
COUNTERS = frozenset("no nr row number n".split())  # noqa: SIM905
"""What columns are called that tell rows apart, or count them."""
_KNOWN_NAMES = frozenset(
    "id date time text label review sentiment class target rating comment message category value".split()  # noqa: SIM905
)


def _is_name(cell: str) -> bool:
    return 0 < len(cell) <= 40 and len(cell.split()) <= 4 and not _is_number(cell) and cell[-1] not in ".!?,;"


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+$€£]?[\d.,]*\d[\d.,]*(?:[eE][-+]?\d+)?%?", cell))


def _is_object(line: str) -> bool:
    return isinstance(_load(line), dict)


def _flat(value: dict[str, Any], prefix: str, cells: dict[str, str]) -> dict[str, str]:
    """Add the fields of an object to `cells` as text, those of objects within it under names with points."""
    for key, inner in value.items():
        name = prefix + key
        if isinstance(inner, dict):
            _flat(inner, f"{name}.", cells)
        elif inner is None or inner != inner:  # not a number: missing
            cells[name] = ""
        elif isinstance(inner, bool | int | float | list):
            cells[name] = json.dumps(inner, ensure_ascii=False, default=str)
        else:  # a text, or what only Parquet has: dates, decimal numbers
            cells[name] = str(inner)
    return cells


def _load(text: str) -> Any:  # noqa: ANN401
    """The value that JSON holds; None where it is none."""
    try:
        value = json.loads(text)
        if "\\ud" in text or "\\uD" in text:  # halves of characters, which no file can hold, become a question mark
            value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return value


def _layout_of_objects(path: Path, form: str, encoding: Encoding) -> Layout:
    """Columns are the fields of the first objects, those of objects within them under names with points."""
    names: dict[str, None] = {}
    for value in islice(filter(None, _objects(path, form, encoding)), _SAMPLE_OBJECTS):
        names.update(dict.fromkeys(_flat(value, "", {})))
    if not names:
        raise InputError(f"{path}: row 1: {_OF_OBJECTS[form]}")
    return Layout(form, encoding, columns=tuple(names), header=True)


def _rows_of_objects(path: Path, layout: Layout, drops: Drops) -> Iterator[tuple[int, list[str]]]:
    for number, value in enumerate(_objects(path, layout.format, layout.encoding), 1):
        if value:
            cells = _flat(value, "", {})
            row = [cells.get(name, "") for name in layout.columns]
            yield number, [cell.replace("\0", "") for cell in row] if layout.encoding.nul else row
        else:
            not_one = "not one label and a text" if layout.format == "fastText" else "no JSON object"
            drops.add(not_one if value is None else "empty row", number)


def _objects(path: Path, form: str, encoding: Encoding) -> Iterator[dict[str, Any] | None]:
    """The objects of a file in turn, an empty one for an empty line; None for what is no object."""
    if form == "parquet":
        yield from parquet_objects(path)
        return
    if form != "json array":
        read = _labelled if form == "fastText" else _load
        values: Iterable[Any] = (read(line) if line.strip() else {} for line in lines(path, encoding))
    else:
        values = _array_in(_load("".join(lines(path, encoding))))
    yield from (value if isinstance(value, dict) else None for value in values)


def _labelled(line: str) -> dict[str, str] | None:
    found = _FASTTEXT.fullmatch(line)
    return {"label": found[1], "text": found[2].strip()} if found else None


def _array_in(value: object) -> list[Any]:
    """The array that a JSON file is, or the only one of objects that its object holds, as `{"data": [...]}` does.

    Of an object of columns, lists or by row as pandas writes them, the rows.
    """
    if isinstance(value, dict) and len(value) > 1 and all(isinstance(inner, dict | list) for inner in value.values()):
        columns = [inner if isinstance(inner, dict) else dict(enumerate(inner)) for inner in value.values()]
        is_even = all(column.keys() == columns[0].keys() for column in columns)
        if is_even and not any(isinstance(cell, dict | list) for column in columns for cell in column.values()):
            return [dict(zip(value, row, strict=True)) for row in zip(*(c.values() for c in columns), strict=True)]
    if isinstance(value, dict):
        arrays = [
            inner for inner in value.values() if isinstance(inner, list) and any(isinstance(one, dict) for one in inner)
        ]
        value = arrays[0] if len(arrays) == 1 else []
    return value if isinstance(value, list) else []
