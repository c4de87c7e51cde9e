"""What each column of a table is, and which of them a comparison of models reads."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice, pairwise
from pathlib import Path

from stages.support.process import InputError
from stages.tables.common import Sample
from stages.tables.dates import DateForm, date_forms, is_month, read_date, read_time_of_day, seem_dates
from stages.tables.findings import Chosen
from stages.tables.layout import COUNTERS, IDENTIFIERS, Drops, Layout, place_of, rows
from stages.tables.numerals import decimal_mark, is_missing, read_number
from stages.tables.texts import script

MOST_LABELS = 50
MOST_DISTINCT = 1000
_SAMPLE_ROWS = 2000
_CHUNK_ROWS = 5000
_TEXT_NAMES = frozenset([
    "text", "texts", "review", "reviews", "tweet", "tweets", "content", "comment", "comments", "message", "messages",
    "body", "sentence", "sms", "title", "headline", "description", "post", "utterance", "question", "document",
    "article", "abstract", "summary", "statement", "email", "phrase", "v2", "reviewtext"
])  # fmt: skip
_LABEL_NAMES = frozenset([
    "label", "labels", "sentiment", "target", "class", "category", "polarity", "rating", "ratings", "stars", "star",
    "score", "overall", "feedback", "spam", "emotion", "topic", "intent", "toxic", "v1", "y", "airline_sentiment"
])  # fmt: skip
_TIME_NAMES = frozenset(
    "date time year month day week quarter period timestamp datetime hour minute unix epoch ds ts jahr datum "  # noqa: SIM905
    "monat".split()
)
_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation"}
_FEWEST_OF_A_BLOCK = 5
_HOUR = "2000-1-1 {}:00"
_CALENDAR = {  # how a value of each looks in a date
    "year": "{}-1-1",
    "month": "2000-{}-1",
    "day": "2000-1-{}",
    "hour": _HOUR,
    "minute": "2000-1-1 0:{:0>2}",
    "second": "2000-1-1 0:00:{:0>2}",
}
_GROUPED_BY_POINT = re.compile(r"[-+]?[1-9]\d{0,2}(\.\d{3})+")
_NEARLY_A_NUMBER = re.compile(r"\W{0,3}\d[\d.,'’\s]*[^\d\s]{0,6}")  # <0.5, 10*, 5.5 kWh, 1,10,100
_START = ["", "1", "1", "0", "0", "0"]
_PARTS_OF_A_YEAR = {"quarter": "2000-Q{}", "week": "2000-W{}"}


@dataclass
class Column:
    """A column, from a sample of cells spread over the file.

    Attributes:
        name: In the header, or its number.
        place: From 0.
        cells: The sample's cells that are not missing, stripped.
        rows: The rows where they stand, by number.
        missing: Share of the sample's cells without a value.
        distinct: All values in the file, or None where there are more than 1,000.
        mark: The decimal mark, if the cells are numbers.
        doubtful: Whether it may as well be a thousands separator.
    """

    name: str
    place: int
    cells: list[str]
    rows: list[int]
    missing: float
    distinct: set[str] | None
    mark: str = "."
    doubtful: bool = False

    @cached_property
    def words(self) -> frozenset[str]:
        """The name's words, in lower case."""
        parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.name)
        return frozenset(re.findall(r"[^\W_]+", parted.lower()))

    @property
    def looks_like_numbers(self) -> bool:
        """Whether nine of ten cells are numbers with either decimal mark."""
        return self._share(lambda cell: any(read_number(cell, mark) is not None for mark in ".,")) >= 0.9

    @cached_property
    def is_number(self) -> bool:
        """Whether nine of ten cells are numbers."""
        return self._share(self.reads) >= 0.9

    @cached_property
    def is_time_of_day(self) -> bool:
        """Whether the cells are times without a day."""
        return not self.forms and self._share(lambda cell: read_time_of_day(cell) is not None) >= 0.9

    @cached_property
    def forms(self) -> list[DateForm]:
        """How its cells can be read as dates; none where they are no dates.

        Plain numbers are dates where the name says so: years, 20180731; seconds since 1970 and years with a fraction
        are only ordered.
        """
        if not self.is_number:
            return date_forms(self.cells)
        if not self.named_as_time or self.words & {"hour", "minute", "month", "day"} == self.words:
            return []
        numbers = [read_number(cell) or 0.0 for cell in self.cells]
        are_years = all(1500 <= number < 2200 for number in numbers)
        if (are_years and not all(map(str.isdecimal, self.cells))) or min(numbers, default=0) >= 1e8:
            return [DateForm("number")]
        return date_forms(self.cells)

    @cached_property
    def has_unread_dates(self) -> bool:
        """Whether the cells look like dates, and none of the known ways to write them fits."""
        return not (self.is_number or self.forms or self.is_time_of_day) and seem_dates(self.cells)

    @property
    def holds_nearly_numbers(self) -> bool:
        """Whether nine of ten cells are numbers but for a sign or a unit that is not known."""
        if self.is_number or self.forms or self.is_time_of_day or self.is_text:
            return False
        return self._share(lambda cell: bool(self.reads(cell) or _NEARLY_A_NUMBER.fullmatch(cell))) >= 0.9

    @cached_property
    def is_index(self) -> bool:
        """Whether the cells only count the rows, or tell them apart."""
        if not (self.cells and self.is_number and all(map(str.isdecimal, self.cells))):
            return False
        if self.words & IDENTIFIERS or self.name == "column 1":
            return len(set(self.cells)) == len(self.cells)
        if not self.words & COUNTERS:
            return False
        steps = [
            (int(cell) - int(before)) / (row - above)
            for (above, before), (row, cell) in pairwise(zip(self.rows, self.cells, strict=True))
        ]
        return all(step > 0 for step in steps) if self.words <= COUNTERS else len(set(steps)) < 2

    @cached_property
    def stands_in_blocks(self) -> bool:
        """Whether a few names or whole numbers stand in the file, each in one stretch of rows, as stations might."""
        if self.named_as_time or self.forms or self.is_time_of_day or self.has_unread_dates or self.names_parts:
            return False
        blocks = [cell for cell, _ in groupby(self.cells)]
        if not 1 < len(blocks) == len(set(blocks)) <= len(self.cells) / _FEWEST_OF_A_BLOCK:
            return False
        if not self.is_number:
            return True
        counted = [int(cell) for cell in blocks if cell.isdecimal()]
        is_rising = counted in (sorted(counted), sorted(counted, reverse=True))  # as a total that goes on does
        return len(counted) == len(blocks) and (bool(self.words & IDENTIFIERS) or not is_rising)

    @property
    def names_parts(self) -> bool:
        """Whether the cells say of which part of a split a row is."""
        found = {cell.casefold() for cell in self.cells}
        return len(found) > 1 and found <= _PARTS

    @cached_property
    def is_text(self) -> bool:
        """Whether the cells are mostly different texts of several words, or of several characters without spaces."""
        if not self.cells or self.is_number or self.forms or self.is_time_of_day or self.has_unread_dates:
            return False
        if len(set(self.cells)) < 0.3 * len(self.cells) and not self.words & _TEXT_NAMES:
            return False
        if self._share(lambda cell: cell.startswith(("http://", "https://"))) > 0.9:
            return False
        if self.mean_words >= 3:
            return True
        return self.mean_characters >= 6 and not script(self.cells)[1]

    @cached_property
    def mean_words(self) -> float:
        """Words a cell, parted at spaces."""
        return sum(len(cell.split()) for cell in self.cells) / max(len(self.cells), 1)

    @cached_property
    def mean_characters(self) -> float:
        """Characters a cell."""
        return sum(map(len, self.cells)) / max(len(self.cells), 1)

    def reads(self, cell: str) -> bool:
        """Whether a cell is a number with the column's decimal mark."""
        return read_number(cell, self.mark) is not None

    def fits_calendar(self, as_date: str) -> bool:
        """Whether nine of ten cells make a date when they are put into `as_date`."""
        return self._share(lambda cell: read_date(as_date.format(_part(cell)), DateForm("ymd")) is not None) >= 0.9

    @property
    def named_as_time(self) -> bool:
        """Whether the name has a word for a time."""
        return bool(self.words & _TIME_NAMES)

    @property
    def constant(self) -> bool:
        """Whether all cells are alike."""
        return self.distinct is not None and len(self.distinct - {""}) < 2

    def _share(self, holds: Callable[[str], bool]) -> float:
        return sum(map(holds, self.cells)) / len(self.cells) if self.cells else 0.0


def profile(path: Path, layout: Layout, drops: Drops) -> tuple[list[Column], int]:
    """Read a whole table once; its columns, and the number of its rows."""
    stream = rows(path, layout, drops)
    distinct: list[set[str] | None] = [set() for _ in layout.columns]
    sample: Sample[tuple[int, list[str]]] = Sample(_SAMPLE_ROWS)
    total = 0
    while chunk := list(islice(stream, _CHUNK_ROWS)):
        total += len(chunk)
        sample.add(chunk)
        for place, values in enumerate(zip(*(row for _, row in chunk), strict=True)):
            known = distinct[place]
            if known is not None:
                known.update(values)
                if len(known) > MOST_DISTINCT:
                    distinct[place] = None
    columns = []
    for place, name in enumerate(layout.columns):
        cells = [(number, row[place].strip()[:5000]) for number, row in sample.items]
        filled = [(number, cell) for number, cell in cells if not is_missing(cell)]
        known = distinct[place]
        different = None if known is None else {cell.strip() for cell in known}
        missing = 1 - len(filled) / max(len(cells), 1)
        columns.append(Column(name, place, [c for _, c in filled], [n for n, _ in filled], missing, different))
    _settle_marks(columns, layout)
    return columns, total


def _settle_marks(columns: Sequence[Column], layout: Layout) -> None:
    """A column that leaves its decimal mark open has the other columns'; else a point, doubtful between semicolons."""
    shown = [decimal_mark(column.cells if column.looks_like_numbers else ()) for column in columns]
    known = Counter(mark for mark, _ in shown if mark)
    for column, (mark, doubt) in zip(columns, shown, strict=True):
        column.mark = mark or (known.most_common(1)[0][0] if known and doubt else ".")
        is_open = not known and layout.delimiter == ";"
        column.doubtful = doubt is not None and (is_open or (column.mark == "." and _may_be_grouped(column.cells)))


def _may_be_grouped(cells: Sequence[str]) -> bool:
    """Whether numbers with a point before three digits stand beside whole ones of three digits: 999, 1.000."""
    return any(map(_GROUPED_BY_POINT.fullmatch, cells)) and (
        max((len(cell.lstrip("-+")) for cell in cells if cell.lstrip("-+").isdecimal()), default=0) == 3
    )


def named(path: Path, columns: Sequence[Column], option: str, name: str) -> Column:
    """The column that an option names, by its name or its position from 1; raises InputError where there is none."""
    place = place_of(name, [column.name for column in columns])
    if place is not None:
        return columns[place]
    raise InputError(f"{path}: {option}={name}: no such column; there are: {_list(columns)}")


def choose_text(path: Path, columns: Sequence[Column], text: str | None, label: Column | None) -> tuple[Column, Chosen]:
    """The column of texts; raises InputError where several could be it."""
    if text is not None:
        column = named(path, columns, "TEXT", text)
        return column, Chosen("text", column.name, "as TEXT= says")
    others = [column for column in columns if column is not label and column.cells]
    found = [column for column in others if column.is_text]
    if not found:
        found = [column for column in others if column.words & _TEXT_NAMES and not column.is_number]
        if not found:
            others = [c for c in others if not (c.is_number or c.forms or c.is_time_of_day or c.has_unread_dates)]
            if not others:
                raise InputError(f"{path}: no column holds texts; there are: {_list(columns)}")
            found = [c for c in others if not (c.constant or c.is_index)]
            found = [c for c in found if c.distinct is None or len(c.distinct) > max(2, 0.5 * len(c.cells))]
    if len(found) == 1:
        return found[0], Chosen("text", found[0].name, "the only column of texts")
    exact = [column for column in found if column.name.lower() in _TEXT_NAMES]
    longest = max(found, key=lambda column: column.mean_characters, default=None)
    if longest and all(longest.mean_characters >= 3 * c.mean_characters for c in found if c is not longest):
        return longest, Chosen("text", longest.name, "the column of by far the longest texts")
    if len(exact) == 1 and exact[0] is longest:
        return exact[0], Chosen("text", exact[0].name, "by its name, and it has the longest texts")
    raise InputError(f"{path}: which column holds the texts? Set TEXT= to one of: {_list(found or others)}")


def label_candidates(columns: Sequence[Column], text: Column | None, total: int) -> list[Column]:
    """Columns with 2 to 50 values that recur."""
    return [
        column
        for column in columns
        if column is not text
        and not column.names_parts
        and column.distinct is not None
        and 2 <= len(column.distinct - {""}) <= min(MOST_LABELS, total // 2)
        and column.missing < 0.5
        and not column.is_index
        and not (column.forms or column.is_time_of_day or column.has_unread_dates)
        and not (column.is_text and len(set(column.cells)) > 0.5 * len(column.cells))
        and not (column.is_number and any(c in ".," for cell in column.cells[:200] for c in cell.removesuffix(".0")))
    ]


def choose_label(
    path: Path, columns: Sequence[Column], label: str | None, text: Column, total: int
) -> tuple[Column, Chosen]:
    """The column of labels; raises InputError where several could be it, or none."""
    if label is not None:
        column = named(path, columns, "LABEL", label)
        if column is text:
            raise InputError(f"{path}: LABEL={label}: is the column of texts as well")
        return column, Chosen("label", column.name, "as LABEL= says")
    found = label_candidates(columns, text, total)
    if len(found) == 1:
        count = len((found[0].distinct or set()) - {""})
        return found[0], Chosen(
            "label", found[0].name, f"the only column of 2 to {MOST_LABELS} recurring values ({count})"
        )
    by_name = [column for column in found if column.words & _LABEL_NAMES]
    if len(by_name) == 1:
        return by_name[0], Chosen("label", by_name[0].name, f"by its name, among {_list(found)}")
    others = [column for column in columns if column is not text and not column.is_index and not column.constant]
    if len(columns) == 1:
        raise InputError(f"{path}: has one column, {text.name}: no labels; KIND=language_model reads it as a text")
    if not found:
        strong = [c for c in others if c.words & _LABEL_NAMES and not c.forms]
        if len(strong) == 1:
            return strong[0], Chosen("label", strong[0].name, "by its name")
        raise InputError(
            f"{path}: no column has 2 to {MOST_LABELS} recurring values; "
            + (f"set LABEL= to one of: {_list(others)}, or " if others else "set ")
            + "KIND=language_model to read the texts alone, or KIND=series to predict a column of numbers"
        )
    raise InputError(f"{path}: which column is the label? Set LABEL= to one of: {_list(found)}")


def number_columns(columns: Sequence[Column], times: Sequence[Column]) -> list[Column]:
    """Columns of numbers that may be a series: no dates, no row numbers."""
    return [c for c in columns if c.is_number and not c.forms and not c.is_index and c not in times]


def choose_value(
    path: Path, columns: Sequence[Column], value: str | None, times: Sequence[Column]
) -> tuple[Column, Chosen]:
    """The series to predict; raises InputError where several columns could be it, or none."""
    if value is not None:
        column = named(path, columns, "VALUE", value)
        if not column.is_number:
            raise InputError(f"{path}: VALUE={value}: the column holds no numbers: {no_number(column)}")
        return column, Chosen("value", column.name, "as VALUE= says")
    found = number_columns(columns, times)
    varying = [column for column in found if not column.constant] or found
    if len(varying) == 1:
        return varying[0], Chosen("value", varying[0].name, "the only column of numbers")
    by_name = [column for column in varying if column.words <= {"value", "values", "target", "y"}]
    if len(by_name) == 1:
        return by_name[0], Chosen("value", by_name[0].name, "by its name")
    if not varying:
        refuse_nearly_numbers(path, columns)
        raise InputError(f"{path}: no column of numbers; there are: {_list(columns)}")
    heads = [column.name for column in varying if is_month(column.name) or date_forms([column.name])]
    if len(heads) > max(5, 0.8 * len(varying)):
        raise InputError(
            f"{path}: dates stand in the header ({heads[0]} to {heads[-1]}): transpose the table, one row a date"
        )
    raise InputError(f"{path}: which column is to be predicted? Set VALUE= to one of: {_list(varying)}")


def choose_inputs(path: Path, columns: Sequence[Column], inputs: Sequence[str], value: Column) -> list[Column]:
    """The columns that INPUTS= names, without the target; raises InputError where one holds no numbers."""
    chosen: list[Column] = []
    for name in inputs:
        column = named(path, columns, "INPUTS", name)
        if not column.is_number:
            raise InputError(f"{path}: INPUTS={name}: the column holds no numbers: {no_number(column)}")
        if column is value:
            raise InputError(f"{path}: INPUTS={name}: it is the column to predict, which is looked at anyway")
        if column not in chosen:
            chosen.append(column)
    return chosen


def time_columns(columns: Sequence[Column]) -> list[Column]:
    """The columns that together say when; none, if none.

    A date, a date and a time or an hour, year, month, day and hour, or year and quarter or week.
    """
    dates = [column for column in columns if column.forms and column.missing < 0.5]

    def named_and_like(unit: str, as_date: str) -> list[Column]:
        return [c for c in columns if c.words == {unit} and c.missing < 0.5 and c.fits_calendar(as_date)][:1]

    parts: list[Column] = []
    for unit, as_date in _CALENDAR.items():
        found = named_and_like(unit, as_date)
        if not found:
            break
        parts += found
    if len(parts) == 1:
        parts += [c for unit, as_date in _PARTS_OF_A_YEAR.items() for c in named_and_like(unit, as_date)][:1]
    if len(parts) > 1 and not [date for date in dates if date not in parts]:
        return parts
    if not dates:
        return []
    best = max(dates, key=lambda column: (column.named_as_time, -column.place))
    times = [column for column in columns if column.is_time_of_day]
    if "year" not in best.words:
        times += [column for column in columns if "hour" in column.words and column.fits_calendar(_HOUR)]
    # Where each day stands once, a time of day is something else that is known of it: when the sun rose.
    needs_clock = len(set(best.cells)) < len(best.cells) and not any(":" in cell for cell in best.cells[:50])
    return [best, times[0]] if times and needs_clock else [best]


def time_forms(times: Sequence[Column]) -> list[DateForm]:
    """How the columns that `time_columns` names can be read together."""
    if len(times) < 2 or "year" not in times[0].words:
        return times[0].forms if times else []
    return [DateForm(next((unit for unit in _PARTS_OF_A_YEAR if unit in times[1].words), "calendar"))]


def _part(cell: str) -> str:
    """A part of a date as the text of a date has it: 3 of 3.0 and of Q3."""
    return cell.strip().removesuffix(".0").lstrip("QqWw ")


def read_time(cells: Sequence[str], form: DateForm) -> float | None:
    """Seconds of the cells of the columns that `time_columns` names; None where they are none.

    As `read_date` counts them; those of the form "number" can only be compared.
    """
    if form.order == "number":
        return read_number(cells[0])
    if len(cells) == 1:
        return read_date(cells[0], form)
    if form.order in _PARTS_OF_A_YEAR:
        year, part = map(_part, cells)
        return read_date(f"{year}-{form.order[0]}{part}", DateForm("ymd"))
    if form.order == "calendar":
        year, month, day, hour, minute, second = [_part(cell) for cell in cells] + _START[len(cells) :]
        return read_date(f"{year}-{month}-{day} {hour}:{minute:0>2}:{second:0>2}", DateForm("ymd"))
    date, clock = read_date(cells[0], form), read_time_of_day(cells[1])
    if clock is None:
        clock = read_time_of_day(f"{_part(cells[1])}:00")
    return None if date is None or clock is None else date + clock


def refuse_nearly_numbers(path: Path, columns: Sequence[Column]) -> None:
    """Raise InputError, with a cell, where a column would be numbers but for what stands beside them."""
    for column in columns:
        if column.holds_nearly_numbers:
            raise InputError(
                f"{path}: {column.name} is nearly numbers, but {no_number(column)}; leave the digits alone"
            )


def refuse_unread_dates(path: Path, columns: Sequence[Column]) -> None:
    """Raise InputError, with a cell, where a column seems to hold dates that cannot be read."""
    for column in columns:
        if column.has_unread_dates:
            raise InputError(
                f"{path}: {column.name} seems to hold dates, and {column.cells[0]!r} can't be read; write them as "
                f"2018-07-31, or set VALUE= to read the rows in the order of the file, or TEXT={column.name}"
            )


def no_number(column: Column) -> str:
    """The first cell of the sample that is no number, as the others are read."""
    odd = ((row, cell) for row, cell in zip(column.rows, column.cells, strict=True) if not column.reads(cell))
    return next((f"row {row} has {cell[:30]!r}" for row, cell in odd), "each cell is empty")


def _list(columns: Sequence[Column]) -> str:
    names = [f"'{column.name}'" if "," in column.name else column.name for column in columns]
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
