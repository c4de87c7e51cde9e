"""Dates as people write them, read for their order in time; a column decides together what one date leaves open."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from stages.tables.date_words import MONTHS, WORDS_BESIDE, plain

_TIME = re.compile(
    r"(?:(?<=[\sT])|^)(\d{1,2})[:h](\d{2})(?::(\d{2})(?:[.,](\d+))?)?\s*([ap]\.?m\.?)?\s*(Z|[-+]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_DOTTED_TIME = re.compile(r"(\d{1,2})\.(\d{2})\.(\d{2})")
_TOKENS = re.compile(r"\d+|[^\W\d_]+")
_PERIOD = re.compile(r"(\d{4})\W?(q|m|k?w)\W?(\d{1,2})|(q|m|k?w)\W?(\d{1,2})\W?(\d{4})", re.IGNORECASE)  # KW: German
DAY_SECONDS = 86_400
ORDERS = ("ymd", "dmy", "mdy", "md")
_NO_YEAR = 2000  # has a 29th of February
_LONGEST_DATE = 40
_MOST_WORDS_OF_A_DATE = 4  # a weekday, a month, and of both sides of it
_MOST_WORDS_OF_DATES = 40  # twelve months, some of them in two forms, and seven weekdays


@dataclass(frozen=True)
class DateForm:
    """How a column writes dates.

    Attributes:
        order: "ymd", "dmy" or "mdy", where three numbers stand for a date; "md" where none has a year; "number",
            "calendar", "quarter" or "week", of other ways to say when.
        first_year: Of the column's two-digit years, with its century: each is the next one from there on.
        offset_seconds: Of its local time from UTC; where that changes, the last one's.
    """

    order: str
    first_year: int = 1969
    offset_seconds: float = 0.0


def read_date(cell: str, form: DateForm) -> float | None:
    """Seconds since the year 1 of the date that a cell holds, in the column's local time, or None where it holds none.

    A month counts as its first day.
    """
    text = cell.strip()
    seconds = 0.0
    if ":" in text or "h" in text:
        time = _TIME.search(text)
        if time:
            read = _seconds(time)
            if read is None:
                return None
            seconds = read - _offset_seconds(time) + (form.offset_seconds if time[6] else 0)
            text = f"{text[: time.start()]} {text[time.end() :]}"
            if not any(c.isdigit() for c in text):
                return None
    elif dotted := re.search(r"\s(\d{1,2})\.(\d{2})\.(\d{2})$", text):
        seconds = int(dotted[1]) * 3600.0 + int(dotted[2]) * 60 + int(dotted[3])
        text = text[: dotted.start()]
    day = _day(text, form)
    return None if day is None else day * DAY_SECONDS + seconds


def is_month(cell: str) -> bool:
    """Whether a cell names a month and nothing else."""
    return plain(cell.strip(" .")) in MONTHS


def seem_dates(cells: Sequence[str]) -> bool:
    """Whether cells look like dates of whatever language or calendar: all but a year and a day are a few words."""
    words: set[str] = set()
    fitting = 0
    for cell in cells:
        if len(cell) > _LONGEST_DATE:
            continue
        tokens = _TOKENS.findall(cell)
        numbers = [token for token in tokens if token.isdecimal()]
        others = {plain(token) for token in tokens if not token.isdecimal()}
        years = [number for number in numbers if len(number) == 4 and 1300 <= int(number) < 2700]
        has_year = len(years) == 1 or "年" in cell
        are_short = all(len(number) < 4 for number in numbers if number not in years)
        if has_year and are_short and len(others) <= _MOST_WORDS_OF_A_DATE and len(tokens) > 1:
            words |= others
            fitting += 1
    return fitting >= max(3, 0.9 * len(cells)) and len(words) <= min(_MOST_WORDS_OF_DATES, fitting / 2)


def read_time_of_day(cell: str) -> float | None:
    """Seconds since midnight of a cell that holds a time alone (18:00, 18:00:00, 18.00.00), or None."""
    match = _TIME.fullmatch(cell.strip())
    if match:
        read = _seconds(match)
        return None if read is None else read - _offset_seconds(match)
    dotted = _DOTTED_TIME.fullmatch(cell.strip())
    if dotted is None or int(dotted[1]) > 24:
        return None
    return int(dotted[1]) * 3600.0 + int(dotted[2]) * 60 + int(dotted[3])


def date_forms(cells: Sequence[str]) -> list[DateForm]:
    """The forms under which at least nine of ten of the cells are dates, at equal success all of them, best first.

    Several are left only where day and month, or day and a year of two digits, can be swapped in every cell.
    """
    found: list[tuple[int, DateForm]] = []
    zoned = _TIME.search(cells[-1]) if cells else None
    for order in ORDERS:
        if order == "md" and not found:  # a month and a number, which the others read with a year
            break
        form = DateForm(order, _first_year(cells, order), _offset_seconds(zoned) if zoned else 0.0)
        read = sum(read_date(cell, form) is not None for cell in cells)
        if cells and read >= 0.9 * len(cells):
            found.append((read, form))
    best = max((read for read, _ in found), default=0)
    forms = [form for read, form in found if read == best]
    values = [[read_date(cell, form) for cell in cells] for form in forms]
    return [form for place, form in enumerate(forms) if values[place] not in values[:place]]


def _seconds(time: re.Match[str]) -> float | None:
    hour, minute, second = int(time[1]), int(time[2]), int(time[3] or 0)
    if time[5]:
        hour = hour % 12 + 12 * (time[5][0] in "pP")
    if hour > 24 or minute > 59 or second > 60:
        return None
    return hour * 3600.0 + minute * 60 + second + float(f"0.{time[4] or 0}")


def _offset_seconds(time: re.Match[str]) -> float:
    """Of local time from UTC; 0 where none is written."""
    if not time[6] or time[6] in "zZ":
        return 0.0
    return (-1 if time[6][0] == "-" else 1) * (int(time[6][1:3]) * 3600.0 + int(time[6][-2:]) * 60)


def _day(text: str, form: DateForm) -> int | None:
    period = _PERIOD.fullmatch(text.strip())
    if period:
        year, unit, number = period.group(1, 2, 3) if period[1] else (period[6], period[4], period[5])
        return _period_day(int(year), unit[-1].lower(), int(number))
    numbers: list[str] = []
    month, named = 0, ""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)  # else an accent may be a character of its own
    for token in map(re.Match.group, _TOKENS.finditer(text)):
        if token.isdigit():
            numbers.append(token)
        elif (word := plain(token)) in MONTHS and named in ("", "mar"):  # which is a Tuesday as well
            month, named = MONTHS[word], word
        elif word not in WORDS_BESIDE or (named, word) == ("out", "of"):  # 4 out of 5: no October in Portuguese
            return None
    if month:
        return _with_month_name(numbers, month, form)
    return _with_numbers(numbers, form)


def _with_month_name(numbers: list[str], month: int, form: DateForm) -> int | None:
    if len(numbers) == 1 and form.order == "md":
        return _ordinal(_NO_YEAR, month, int(numbers[0]))
    if len(numbers) == 1:
        return _ordinal(_year(numbers[0], form), month, 1)
    if len(numbers) != 2 or form.order == "md":
        return None
    year, day = reversed(numbers) if len(numbers[0]) <= 2 else numbers
    return _ordinal(_year(year, form), month, int(day))


def _with_numbers(numbers: list[str], form: DateForm) -> int | None:
    if form.order == "md":
        return None
    match [len(number) for number in numbers]:
        case [8]:
            return _ordinal(int(numbers[0][:4]), int(numbers[0][4:6]), int(numbers[0][6:]))
        case [6]:
            return _ordinal(int(numbers[0][:4]), int(numbers[0][4:]), 1)
        case [4]:
            return _ordinal(int(numbers[0]), 1, 1)
        case [4, 1 | 2]:
            first, second = map(int, numbers)
            is_season = second == (first + 1) % 100 and not 1 <= second <= 12  # 2018/19
            return _ordinal(first, 1 if is_season else second, 1)
        case [1 | 2, 4]:
            return _ordinal(int(numbers[1]), int(numbers[0]), 1)
        case [4, 1 | 2, 1 | 2]:
            return _ordinal(int(numbers[0]), int(numbers[1]), int(numbers[2])) if form.order == "ymd" else None
        case [8, 6]:
            return _with_numbers(numbers[:1], form)
        case [2, 1 | 2, 1 | 2] if form.order == "ymd":
            return _ordinal(_year(numbers[0], form), int(numbers[1]), int(numbers[2]))
        case [1 | 2, 1 | 2, 2 | 4] if form.order in ("dmy", "mdy"):
            day, month = numbers[:2] if form.order == "dmy" else (numbers[1], numbers[0])
            return _ordinal(_year(numbers[2], form), int(month), int(day))
    return None


def _period_day(year: int, unit: str, number: int) -> int | None:
    if unit == "w":
        within_first = _ordinal(year, 1, 4)
        if within_first is None or not 1 <= number <= 53:
            return None
        return within_first - (within_first - 1) % 7 + 7 * (number - 1)  # its Monday
    return _ordinal(year, 3 * number - 2 if unit == "q" else number, 1)


def _year(text: str, form: DateForm) -> int:
    year = int(text)
    return year if len(text) > 2 else form.first_year + (year - form.first_year) % 100


def _ordinal(year: int, month: int, day: int) -> int | None:
    try:
        return date(year, month, day).toordinal()
    except (ValueError, OverflowError):
        return None


def _first_year(cells: Sequence[str], order: str) -> int:
    """Where a column's two-digit years begin: after the widest gap on the circle of a century.

    The century is the one that ends them by 2068, as POSIX has it for a single year, but none that is yet to begin:
    what was measured does not begin in the future.
    """
    found = filter(None, (_TWO_DIGIT_YEAR[order].search(cell.strip()) for cell in cells))
    years = sorted({int(one[one.lastindex or 1]) for one in found})
    if not years:
        return DateForm(order).first_year
    gaps = [(later - earlier, later) for earlier, later in pairwise(years)]
    gaps.append((years[0] + 100 - years[-1], years[0]))
    widest, first = max(gaps)
    return first + (2000 if first + 100 - widest <= 68 and 2000 + first <= date.today().year else 1900)


_LAST = r"(?<=[\W_])(\d{2})(?:[ ,T]+\d{1,2}:.*)?$"
_TWO_DIGIT_YEAR = dict.fromkeys(ORDERS, re.compile(_LAST)) | {
    "ymd": re.compile(rf"^(\d{{2}})(?=[-/. 年년]+\d{{1,2}}[-/. 月월]+\d{{1,2}}(?!\d))|{_LAST}")
}
