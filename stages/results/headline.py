"""The cell on show: what `dvc metrics diff` sets beside another, and its curve; without pandas, which is slow."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from stages.results.documents import SAMPLE, documents
from stages.results.intervals import score_interval
from stages.results.measures import score_of, setting_of
from stages.results.row import Row
from stages.support.files import write_text
from stages.support.sections import ON_SHOW


def headline(study: str, rows: Sequence[Row]) -> dict[str, Any]:
    """What was measured on; each score of one cell's shown arm with its 95 % interval, parameters, number of repeats.

    By setting where a study has several; of a sweep the unit is the repeat, each one's mean over the settings.
    `rows` are those of metrics/STUDY/CELL.json.
    """
    document = documents()[study]
    shown = shown_rows(rows)
    groups = _grouped(("" if "sweep" in document else row.setting, row) for row in shown)
    found: dict[str, Any] = {"measured_on": "sample text" if rows[0].corpus == SAMPLE else rows[0].corpus}
    for setting in sorted(groups):
        place = found.setdefault(setting, {}) if setting else found
        repeats = _grouped((row.repeat, row) for row in groups[setting])
        for name, about in document["scores"].items():
            values = [[score_of(row, name, "corrected") for row in of_repeat] for of_repeat in repeats.values()]
            means = [fmean(several) for several in values] if "sweep" in document else [one for (one,) in values]
            interval = zip(("mean", "low", "high"), score_interval(means, about), strict=True)
            place[name] = {end: float(f"{value:.6g}") for end, value in interval if value == value}
        place["parameters"] = groups[setting][0].parameters
        place["repeats"] = len(repeats)
    return found


def validation_points(study: str, scored: Iterable[Row], trained: Iterable[Row]) -> list[list[Any]]:
    """Header and lines of a plot of DVC's: means over repeats of each cell's shown arm, a line a point.

    Of a sweep the first score against the setting, from `scored` rows; else the validation curve by epoch, for each
    setting (`model`), from `trained` ones.
    """
    document = documents()[study]
    points: dict[tuple[str, str, Any], list[float]] = {}
    if "sweep" in document:
        name = next(iter(document["scores"]))
        for row in shown_rows(scored):
            points.setdefault((row.cell, "", setting_of(row)), []).append(score_of(row, name, "corrected"))
    else:
        name = f"validation_{document['curve']['validation']['column']}"
        for row in shown_rows(trained):
            for point in row.curve:
                points.setdefault((row.cell, row.setting, point["epoch"]), []).append(point[name])
    lines = [[at, cell, model, fmean(values)] for (cell, model, at), values in points.items()]
    return [["at", "cell", "model", name], *sorted(lines, key=lambda line: (line[1], line[2], line[0]))]


def write_points(path: Path, points: Iterable[Iterable[Any]]) -> None:
    """Write such lines as CSV."""
    lines = (",".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in line) for line in points)
    write_text(path, "\n".join(lines) + "\n")


def shown_rows(rows: Iterable[Row]) -> list[Row]:
    """Those of the arm on show: corrected, which every cell has in a document's study, or tuned in a person's own."""
    found = list(rows)
    shown = next((heading for heading in ON_SHOW if any(heading in row.protocols for row in found)), "")
    return [row for row in found if shown in row.protocols]


def _grouped(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
