"""A series of numbers: its order in time, gaps, a constant, a trend that leaves the training range."""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from stages.support.process import InputError
from stages.support.words import count, listed
from stages.tables.columns import Column, choose_inputs, choose_value, no_number, time_columns, time_forms
from stages.tables.common import finished, shortened
from stages.tables.dates import DAY_SECONDS, DateForm
from stages.tables.findings import Chosen, Findings
from stages.tables.layout import HEADER_AGAIN, Drops
from stages.tables.records import places_in_time, timed_rows

TRAINING_SHARE = 0.7  # of a series, when it is asked whether later values leave the range of the earlier ones
_FEW_STEPS = 200
_FEWEST_STEPS = 30
_LARGEST = 1e150  # whose square is a number
_CLEARLY = 10  # times more even
_HALF_A_YEAR_SECONDS = 180 * DAY_SECONDS
_UNEVEN = 1.5
_WORKING_DAYS = 5
_UNITS = (("day", DAY_SECONDS), ("hour", 3600), ("minute", 60), ("second", 1))
_LAST_SECOND = datetime.max.toordinal() * DAY_SECONDS - 1
_FIRST_YEAR, _LAST_YEAR = "1600", "2200"
_NO_VALUES = re.compile(r"-[19]|-?9[9.]+")
_FEWEST_DISTINCT = 5  # to say of one value that it lies apart
_MANY_DISTINCT = 30


@dataclass
class _Times:
    """The times of all rows under one form of their dates."""

    form: DateForm
    seconds: "array[float]" = field(default_factory=lambda: array("d"))

    @property
    def order(self) -> str:
        steps = np.diff(np.frombuffer(self.seconds))
        return "ascending" if (steps >= 0).all() else "descending" if (steps <= 0).all() else "unsorted"

    @property
    def goes_on_in_another_year(self) -> bool:
        """Whether days without a year are in order, but from December to January."""
        steps = np.diff(np.frombuffer(self.seconds))
        return self.form.order == "md" and bool((steps[steps < 0] < -_HALF_A_YEAR_SECONDS).all())

    @property
    def unevenness(self) -> float:
        """The longest step in time over the usual one."""
        steps = np.diff(np.sort(np.frombuffer(self.seconds)))
        return float(steps.max() / np.median(steps[steps > 0])) if steps.any() else 1.0


@dataclass
class _Read:
    """All rows of a series: numbers one after the other, times under each form, and how many were dropped within."""

    drops: Drops
    times: list[_Times]
    flat: "array[float]"
    dropped_within: int


def _read(path: Path, findings: Findings, forms: Sequence[DateForm]) -> _Read:
    found = _Read(Drops(), [_Times(form) for form in forms], array("d"), 0)
    before = 0
    for _, _, known, row in timed_rows(path, findings, forms, found.drops):
        left_out = found.drops.counts.total() - found.drops.counts[HEADER_AGAIN]
        if not found.flat:
            before = left_out
        found.dropped_within = left_out - before  # what is dropped after the last row is a footer
        found.flat.extend(row)
        for times, time in zip(found.times, known, strict=True):
            times.seconds.append(time)
    return found


def look_at_series(
    findings: Findings, columns: Sequence[Column], value: str | None, inputs: Sequence[str], to_train: bool = True
) -> Findings:
    """Choose the columns and read all rows; raises InputError where a choice is unsure or no row has numbers.

    Not `to_train`, it does not matter how many rows there are and how they vary.
    """
    path = findings.path
    said_when = time_columns(columns)
    target, chosen = choose_value(path, columns, value, said_when)
    beside = choose_inputs(path, columns, inputs, target)
    read = [target, *beside]
    times = [column for column in said_when if column not in read]
    why = "holds dates" if len(times) == 1 else "says when, together with the other"
    findings = replace(
        findings,
        chosen=(
            chosen,
            *(Chosen("input", column.name, "as INPUTS= says") for column in beside),
            *(Chosen("date", column.name, why) for column in times),
        ),
        decimal_marks=tuple(column.mark for column in read),
    )
    for column in read:
        if column.doubtful:
            raise InputError(
                f"{path}: {column.name}: {column.cells[0]} may have a decimal mark or a thousands separator; "
                "write the numbers without thousands separators, or one with more or fewer than three decimals"
            )
    found = _read(path, findings, time_forms(times))
    dated = _choose_times(path, found.times, times)
    kept = [dated.form] if dated else []
    if kept != [one.form for one in found.times]:  # rows that another form alone could not read are rows
        found = _read(path, findings, kept)
        dated = _choose_times(path, found.times, times)
    flat, drops = found.flat, found.drops
    if not flat:
        raise InputError(f"{path}: no row has a number in {listed([column.name for column in read])}")
    values = np.frombuffer(flat).reshape(-1, len(read))
    varying = np.ptp(values, axis=0) > 0
    series = values[:, 0]
    warnings: list[str] = []
    refusals: list[str] = []
    for column, numbers in zip(read, values.T, strict=True):
        warnings += _stand_ins(column.name, numbers)
        if abs(largest := numbers[np.abs(numbers).argmax()]) > _LARGEST:
            refusals.append(f"{column.name} has {largest:g}: numbers beyond {_LARGEST:g} can't be squared")
    blocks = [column for column in columns if column not in (*read, *times) and column.stands_in_blocks]
    if dated is not None:
        seconds = np.frombuffer(dated.seconds)
        series = series[places_in_time(seconds, dated.order)]
        _judge_times(np.sort(seconds), dated.form, columns, blocks, target, times, warnings, refusals)
    else:
        unread = [
            f"{column.name} ({shortened(column.cells[0])} in row {column.rows[0]})"
            for column in columns
            if (column.named_as_time or column.has_unread_dates) and column.cells and column not in read
        ]
        what = f"{listed(unread)} can't be read as a date with its year" if unread else "no dates were found"
        warnings.append(f"{what}; the rows are taken to be in time order")
    if blocks and not refusals:
        column = blocks[0]
        said = f"{column.name} divides the rows into {len(set(column.cells))} blocks ({column.cells[0]}, ...)"
        if dated and dated.order == "unsorted":
            refusals.append(f"{said}, and the dates start anew: several series in one file; keep one")
        else:
            warnings.append(f"{said}: if they are several series, keep one")
    if value is None:
        warnings += [
            f"{column.name} is nearly numbers, but {no_number(column)}: it is not read"
            for column in columns
            if column not in times and column.holds_nearly_numbers
        ]
    if not varying[0] and to_train:
        refusals.append(f"{target.name} is constant ({series[0]:g}); there is nothing to predict")
    outside = _outside_training(series)
    if outside > 0.05 and to_train:
        warnings.append(
            f"{outside:.0%} of the last {1 - TRAINING_SHARE:.0%} of {target.name} lie outside the range of what comes "
            "before: a trend that leaves the training range"
        )
    warnings += [
        f"{column.name} is constant and says nothing"
        for column, varies in zip(beside, varying[1:], strict=True)
        if not varies
    ]
    if inner := found.dropped_within:
        warnings.append(f"{count(inner, 'row')} within the series not read (see above): the steps there are longer")
    if len(series) < _FEWEST_STEPS and to_train:
        refusals.append(f"{count(len(series), 'row')}; a series needs at least {_FEWEST_STEPS}")
    elif len(series) < _FEW_STEPS and to_train:
        warnings.append(f"{len(series)} rows are few: differences between models will be uncertain")
    findings = replace(
        findings,
        date_form=dated.form if dated else None,
        rows=len(series),
        first_date=_as_date(min(dated.seconds), dated.form) if dated else "",
        last_date=_as_date(max(dated.seconds), dated.form) if dated else "",
        order=dated.order if dated else "as in the file",
        lowest=float(series.min()),
        highest=float(series.max()),
    )
    return finished(findings, drops, warnings, refusals)


def _outside_training(series: np.ndarray) -> float:
    """Share of the later values that lie outside the range of the earlier ones."""
    cut = int(TRAINING_SHARE * len(series))
    earlier, later = series[:cut], series[cut:]
    if not len(earlier):
        return 0.0
    return float(((later < earlier.min()) | (later > earlier.max())).mean())


def _choose_times(path: Path, readings: Sequence[_Times], times: Sequence[Column]) -> _Times | None:
    """The form under which the dates are in order, and of several the one with the most even steps.

    None where there is no date, or where the rows go on from one year to another and none says which.

    Raises:
        InputError: several would order the rows differently, and none has clearly more even steps.
    """
    if not readings:
        return None
    in_order = [reading for reading in readings if reading.order != "unsorted"]
    if not in_order and any(reading.goes_on_in_another_year for reading in readings):
        return None
    kinds = sorted({"".join(re.findall(r"[./-]", cell)) for cell in times[0].cells} - {""})
    if not in_order and len(kinds) > 1 and {reading.form.order for reading in readings} & {"dmy", "mdy"}:
        raise InputError(
            f"{path}: {times[0].name} holds dates of several kinds ({listed(kinds)}), by which the rows are in no "
            "order: write all of them as 2018-07-31"
        )
    best, *others = sorted(in_order or readings, key=lambda reading: reading.unevenness)
    order = np.argsort(np.frombuffer(best.seconds), kind="stable")
    for other in others:
        is_same = np.array_equal(order, np.argsort(np.frombuffer(other.seconds), kind="stable"))
        if not is_same and other.unevenness < _CLEARLY * best.unevenness:
            raise InputError(
                f"{path}: {times[0].name}: which number of {times[0].cells[0]} is the day, which the month, which the "
                "year? Write dates as 2018-07-31"
            )
    return best


def _as_date(time: float, form: DateForm) -> str:
    """A time as ISO 8601 has it; a number of the form "number", and no year where there is none."""
    if form.order == "number":
        return f"{time:.15g}"
    seconds = min(max(round(time) - DAY_SECONDS, 0), _LAST_SECOND)  # an offset or 24:00 may go beyond
    day, clock = (datetime.min + timedelta(seconds=seconds)).isoformat().split("T")
    day = day[5:] if form.order == "md" else day
    return day if clock == "00:00:00" else f"{day} {clock}"


def _stand_ins(name: str, values: np.ndarray) -> list[str]:
    """A warning for each value at an end that lies apart from all others, as -999 does that says "no value"."""
    warnings = []
    distinct, counts = np.unique(values, return_counts=True)
    while len(distinct) > _FEWEST_DISTINCT:
        gaps = np.diff(distinct)
        if _lies_apart(distinct[0], counts[0], distinct[1:], gaps[0], gaps[1:]):
            end, others = 0, slice(1, None)
        elif _lies_apart(distinct[-1], counts[-1], distinct[:-1], gaps[-1], gaps[:-1]):
            end, others = -1, slice(None, -1)
        else:
            break
        value, rows, distinct, counts = distinct[end], int(counts[end]), distinct[others], counts[others]
        warnings.append(
            f"{name}: {value:.10g} in {count(rows, 'row')} lies apart from all other values ({distinct[0]:g} to "
            f"{distinct[-1]:g}); if it says that there is none, leave those cells empty"
        )
    return warnings


def _lies_apart(value: float, rows: int, others: np.ndarray, gap: float, gaps: np.ndarray) -> bool:
    """Whether a lowest or highest value is none of what is measured; `gap` is to its neighbour, `gaps` theirs.

    It recurs exactly, or is a number that usually says "no value", and is farther from the others than they are apart,
    or ten times farther than any two neighbours of many; or it is such a number and the only one below 0.
    """
    is_usual = bool(_NO_VALUES.fullmatch(f"{value:.10g}"))
    if gap > others[-1] - others[0]:
        return rows > 1 or is_usual
    if value < 0 <= others[0] and is_usual:
        return rows > 1 or value < -9
    return rows > 1 and len(others) > _MANY_DISTINCT and bool(gap > _CLEARLY * gaps.max())


def _uneven_steps(time: np.ndarray, form: DateForm) -> list[str]:
    """A warning where steps in time are longer or shorter than the usual one; of working days, in working days."""
    days = time / DAY_SECONDS
    if form.order != "number" and not (days % 1).any() and ((days - 1) % 7 < _WORKING_DAYS).all():
        dates = np.datetime64("0001-01-01", "D") + (days.astype(np.int64) - 1)
        steps = np.busday_count(dates[:-1], dates[1:]) * float(DAY_SECONDS)
    else:
        steps = np.diff(time)
    steps = steps[steps > 0]
    if not len(steps):
        return []
    usual = float(np.median(steps))
    other = int(((steps > _UNEVEN * usual) | (steps < usual / _UNEVEN)).sum())
    if other > 0.1 * len(steps):
        low, middle, high = (
            f"{step:g}" if form.order == "number" else _as_duration(step) for step in (steps.min(), usual, steps.max())
        )
        return [f"steps in time are uneven: from {low} to {high}, half of them up to {middle}; they are read as equal"]
    longer = int((steps > _UNEVEN * usual).sum())
    return [
        f"{count(number, 'step')} in time {which} than the usual one"
        for number, which in ((longer, "longer"), (other - longer, "shorter"))
        if number
    ]


def _as_duration(seconds: float) -> str:
    unit, length = next((one for one in _UNITS if seconds >= one[1]), _UNITS[-1])
    number = f"{seconds / length:.3g}"
    return f"{number} {unit}{'s' * (number != '1')}"


def _judge_times(
    time: np.ndarray,
    form: DateForm,
    columns: Sequence[Column],
    blocks: Sequence[Column],
    target: Column,
    times: Sequence[Column],
    warnings: list[str],
    refusals: list[str],
) -> None:
    steps = np.diff(time)
    same = int((steps == 0).sum())
    name = " and ".join(column.name for column in times)
    if same > 0.05 * len(time):
        apart = [*blocks] or [
            c
            for c in columns
            if c is not target and c not in times and c.distinct and len(c.distinct) > 1 and not c.is_number
        ]
        tells = f" (does {apart[0].name} tell them apart?)" if apart else ""
        refusals.append(
            f"{count(same, 'row')} with the date of another ({name}): several series in one file{tells}; keep one"
        )
    elif same:
        warnings.append(f"{count(same, 'row')} with the date of another ({name})")
    warnings += _uneven_steps(time, form)
    years = [_as_date(one, form)[:4] for one in (time[0], time[-1])] if form.order not in ("number", "md") else []
    if years and not _FIRST_YEAR <= years[0] <= years[1] <= _LAST_YEAR:
        warnings.append(
            f"the years {years[0]} to {years[1]} ({name}) are read as of our calendar; are they of another?"
        )
