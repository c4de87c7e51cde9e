"""A series of numbers: its order in time, gaps, a constant, a trend that leaves the training range."""

import math
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from stages.support.process import InputError
from stages.tables.columns import Column, choose_inputs, choose_value, time_columns, time_forms
from stages.tables.common import count, finished, listed, shortened
from stages.tables.dates import DateForm
from stages.tables.findings import Chosen, Findings
from stages.tables.layout import Drops
from stages.tables.records import timed_rows

TRAINING_SHARE = 0.7  # of a series, when it is asked whether later values leave the range of the earlier ones
_FEW_STEPS = 200
_FEWEST_STEPS = 30
_CLEARLY = 10  # times more even
_HALF_A_YEAR_SECONDS = 180 * 86_400


@dataclass
class _Times:
    """The times of all rows under one form of their dates, and the first and the last date as written."""

    form: DateForm
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    lowest: float = math.inf
    highest: float = -math.inf
    first: str = ""
    last: str = ""

    def add(self, time: float, cells: list[str]) -> None:
        self.seconds.append(time)
        if time < self.lowest:
            self.lowest, self.first = time, " ".join(cells).strip()
        if time >= self.highest:
            self.highest, self.last = time, " ".join(cells).strip()

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


def look_at_series(findings: Findings, columns: Sequence[Column], value: str | None, inputs: list[str]) -> Findings:
    """Choose the columns and read all rows; raises InputError where a choice is unsure or no row has numbers."""
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
    forms = time_forms(times)
    drops = Drops()
    readings = [_Times(form) for form in forms]
    values = array("d")
    varying = [False] * len(read)
    first: list[float] = []
    before = inner = 0
    for _, cells, known, row in timed_rows(path, findings, forms, drops):
        if not first:
            first, before = row, drops.counts.total()
        inner = drops.counts.total() - before  # what is dropped after the last row is a footer
        values.append(row[0])
        for reading, time in zip(readings, known, strict=True):
            reading.add(time, cells)
        if row != first:
            varying = [was or now != then for was, now, then in zip(varying, row, first, strict=True)]
    if not values:
        raise InputError(f"{path}: no row has a number in {listed([column.name for column in read])}")
    series = np.frombuffer(values)
    warnings: list[str] = []
    refusals: list[str] = []
    dated = _choose_times(path, readings, times)
    if dated is not None:
        seconds = np.frombuffer(dated.seconds)
        series = series[np.argsort(seconds, kind="stable")]
        _judge_times(np.sort(seconds), columns, target, times, warnings, refusals)
    else:
        unread = [
            f"{column.name} ({shortened(column.cells[0])} in row {column.rows[0]})"
            for column in columns
            if (column.named_as_time or column.has_unread_dates) and column.cells and column not in read
        ]
        what = f"{listed(unread)} can't be read as a date with its year" if unread else "no dates were found"
        warnings.append(f"{what}; the rows are taken to be in time order")
    if not varying[0]:
        refusals.append(f"{target.name} is constant ({series[0]:g}); there is nothing to predict")
    outside = _outside_training(series)
    if outside > 0.05:
        warnings.append(
            f"{outside:.0%} of the last {1 - TRAINING_SHARE:.0%} of {target.name} lie outside the range of what comes "
            "before: a trend that leaves the training range"
        )
    warnings += [
        f"{column.name} is constant and says nothing"
        for column, varies in zip(beside, varying[1:], strict=True)
        if not varies
    ]
    if inner:
        warnings.append(f"{count(inner, 'row')} between the others left out: time steps may differ there")
    if len(series) < _FEWEST_STEPS:
        refusals.append(f"{len(series)} rows; a series needs at least {_FEWEST_STEPS}")
    elif len(series) < _FEW_STEPS:
        warnings.append(f"{len(series)} rows are few: differences between models will be uncertain")
    findings = replace(
        findings,
        date_form=dated.form if dated else None,
        rows=len(series),
        first_date=dated.first if dated else "",
        last_date=dated.last if dated else "",
        order=dated.order if dated else "as in the file",
        lowest=float(series.min()),
        highest=float(series.max()),
        outside_training=outside,
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


def _judge_times(
    time: np.ndarray,
    columns: Sequence[Column],
    target: Column,
    times: Sequence[Column],
    warnings: list[str],
    refusals: list[str],
) -> None:
    steps = np.diff(time)
    same = int((steps == 0).sum())
    name = " and ".join(column.name for column in times)
    if same > 0.05 * len(time):
        apart = [
            c.name
            for c in columns
            if c is not target and c not in times and c.distinct and len(c.distinct) > 1 and not c.is_number
        ]
        tells = f" (does {apart[0]} tell them apart?)" if apart else ""
        refusals.append(
            f"{count(same, 'row')} with the date of another ({name}): several series in one file{tells}; keep one"
        )
    elif same:
        warnings.append(f"{count(same, 'row')} with the date of another ({name})")
    positive = steps[steps > 0]
    if len(positive):
        usual = float(np.median(positive))
        longer = int((positive > 1.5 * usual).sum())
        if 0 < longer < 0.1 * len(positive):
            warnings.append(f"{count(longer, 'step')} in time longer than the usual one")
