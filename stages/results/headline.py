"""The cell on show: what `dvc metrics diff` sets beside another, and its curve; without pandas, which is slow."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from stages.results.documents import documents
from stages.results.intervals import score_interval
from stages.results.measures import score_of, setting_of
from stages.results.row import Row

_SHOWN = "corrected"  # every cell has that arm
_DIGITS = 6


def headline(study: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Each score of one cell's corrected arm with its 95 % interval, the parameters and the number of repeats.

    By setting where a study has several; of a sweep the unit is the repeat, each one's mean over the settings.
    `rows` are those of metrics/STUDY/CELL.json.
    """
    document = documents()[study]
    shown = [row for row in rows if _SHOWN in row.protocols]
    groups = _grouped(("" if "sweep" in document else row.setting, row) for row in shown)
    found: dict[str, Any] = {}
    for setting in sorted(groups):
        place = found.setdefault(setting, {}) if setting else found
        repeats = _grouped((row.repeat, row) for row in groups[setting])
        for name, about in document["scores"].items():
            values = [[score_of(row, name, _SHOWN) for row in of_repeat] for of_repeat in repeats.values()]
            means = [fmean(several) for several in values] if "sweep" in document else [one for (one,) in values]
            interval = zip(("mean", "low", "high"), score_interval(means, about), strict=True)
            place[name] = {end: round(value, _DIGITS) for end, value in interval if value == value}
        place["parameters"] = groups[setting][0].parameters
        place["repeats"] = len(repeats)
    return found


def headline_curve(study: str, scored: Iterable[Row], trained: Iterable[Row]) -> list[list[Any]]:
    """Header and lines of plots/headline/STUDY.csv: means over repeats of the corrected arm.

    Of a sweep the first score against the setting, from `scored` rows; else the validation curve, a column for each
    setting, from `trained` ones.
    """
    document = documents()[study]
    if "sweep" in document:
        name = next(iter(document["scores"]))
        by_setting = _grouped((setting_of(row), row) for row in scored if _SHOWN in row.protocols)
        points = [[at, fmean(score_of(row, name, _SHOWN) for row in by_setting[at])] for at in sorted(by_setting)]
        return [[document["sweep"]["hyperparameter"], name], *points]
    column = f"validation_{document['curve']['validation']['column']}"
    curves = _grouped((row.setting, row.curve) for row in trained if _SHOWN in row.protocols)
    values = _grouped(
        ((point["epoch"], setting), point[column]) for setting in curves for curve in curves[setting] for point in curve
    )
    settings = sorted(curves)
    return [
        ["epoch", *(f"{setting}_{column}" if setting else column for setting in settings)],
        *(
            [epoch, *(fmean(values[epoch, setting]) if (epoch, setting) in values else None for setting in settings)]
            for epoch in sorted({epoch for epoch, _ in values})
        ),
    ]


def _grouped(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
