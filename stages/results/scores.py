"""Scores of a study as one tidy table, whether their rows come from this workspace or from the record."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.results.documents import documents
from stages.results.intervals import score_interval
from stages.results.measures import custom_of, score_of, setting_of
from stages.results.row import Row

MADE_OF_LISTS = ["sentences", "closed_loop"]  # columns of the repeats' table that a CSV has no place for
_OF_ARMS = ("arm", "parameters", "parameters_in_torch")
_CURVE_POINTS = 100
_CURVE_SETTINGS = 4


def repeats_table(rows: Iterable[Row]) -> pd.DataFrame:
    """One row per (setting, protocol, cell, repeat); a result under two protocols has a row under each.

    Under `published` a score is averaged the document's way. Columns: setting (of a sweep: the number), protocol,
    cell, repeat, parameters, custom, best_epoch, arm (all its protocols), those of `MADE_OF_LISTS`, one per score (a
    share's: whether the repeat counts), and, where torch's layers count other than what is trained,
    parameters_in_torch.
    """
    table = pd.DataFrame(
        {
            "setting": setting_of(row),
            "protocol": protocol,
            "cell": row.cell,
            "repeat": row.repeat,
            "parameters": row.parameters,
            "parameters_in_torch": row.parameters_in_torch or row.parameters,
            "custom": custom_of(row),
            "best_epoch": row.best_epoch,
            "arm": row.arm,
        }
        | {name: row.test.get(name) for name in MADE_OF_LISTS}
        | {name: score_of(row, name, protocol) for name in documents()[row.study]["scores"]}
        for row in rows
        for protocol in row.protocols
    )
    if (table["parameters_in_torch"] == table["parameters"]).all():
        del table["parameters_in_torch"]
    return table


def curves_table(rows: Iterable[Row]) -> pd.DataFrame:
    """One row per (repeat, epoch); rows without a curve, and trials, have none.

    Columns: setting, protocols (separated by spaces), cell, repeat, custom, epoch, train_* and validation_*.
    """
    return pd.DataFrame(
        of_row | point
        for row in rows
        if not row.is_trial
        for of_row in [
            {
                "setting": setting_of(row),
                "protocols": row.arm,
                "cell": row.cell,
                "repeat": row.repeat,
                "custom": custom_of(row),
            }
        ]
        for point in row.curve
    )


def thin_curves(study: str, curves: pd.DataFrame) -> pd.DataFrame:
    """The curves that are drawn: of a sweep a few settings, shortest to longest; of many epochs a hundred or so."""
    if "sweep" in documents()[study]:
        settings = np.unique(curves["setting"])
        curves = curves[curves["setting"].isin(_evenly(settings, _CURVE_SETTINGS))]
    epochs = np.unique(curves["epoch"])
    return curves[curves["epoch"].isin(_evenly(epochs, _CURVE_POINTS))]


def nearest_to_protocol(rows: pd.DataFrame) -> pd.DataFrame:
    """Without the custom runs of an arm that was also run as its protocol says: what figures show."""
    arm = [column for column in ("setting", "protocol", "protocols", "cell") if column in rows]
    faithful = rows.assign(faithful=rows["custom"] == "").groupby(arm)["faithful"].transform("any")
    return rows[(rows["custom"] == "") | ~faithful]


def mean_over_settings(study: str, repeats: pd.DataFrame) -> pd.DataFrame:
    """One row per (protocol, cell, repeat): each score's mean over a sweep's settings, so that the unit is the repeat.

    The column `setting` says which they were: repeats with other settings are no repeats of the same.
    """
    scores = list(documents()[study]["scores"])
    shared = [name for name in _OF_ARMS if name in repeats]
    groups = repeats.groupby(["protocol", "cell", "repeat", *shared, "custom"], sort=False)
    settings = groups["setting"].agg(lambda values: f"{values.min()} to {values.max()} ({values.nunique()})")
    means = groups[scores].mean()
    return means.assign(setting=settings).reset_index()


def summary_table(study: str, repeats: pd.DataFrame) -> pd.DataFrame:
    """One row per (setting, protocol, cell, custom): each score's mean, interval and published figure.

    Columns of a score: NAME, NAME_low, NAME_high (95 % interval of the mean) and NAME_published.
    """
    document = documents()[study]
    published = {(row["setting"], row["cell"]): row for row in document["published"]}
    rows = []
    for (setting, protocol, cell, custom), group in repeats.groupby(
        ["setting", "protocol", "cell", "custom"], sort=False
    ):
        figures = published.get((setting, cell), {})
        row: dict[str, Any] = {"setting": setting, "protocol": protocol, "cell": cell}
        row |= {name: group[name].iloc[0] for name in _OF_ARMS if name in group}
        row |= {"repeats": len(group), "custom": custom}
        for score, about in document["scores"].items():
            row[score], row[f"{score}_low"], row[f"{score}_high"] = score_interval(group[score].to_list(), about)
            row[f"{score}_published"] = figures.get(score, float("nan"))
        rows.append(row | {"note": figures.get("note", "")})
    rows.sort(key=lambda row: (row["setting"], row["protocol"] == "corrected"))
    return pd.DataFrame(rows)


def equal_protocols_once(rows: pd.DataFrame) -> pd.DataFrame:
    """One row, of protocol `published = corrected`, for two of one arm that differ in their protocol alone.

    Two arms may score the same, 1.0 for example, and stay two: the column `arm` tells them apart.
    """
    apart = rows.columns.drop("protocol").to_list()
    together = rows.groupby(apart, dropna=False)["protocol"].transform(" = ".join)
    return rows.assign(protocol=together).drop_duplicates(ignore_index=True)


def _evenly(values: NDArray[Any], count: int) -> NDArray[Any]:
    """At most `count` of the values, the first and the last among them, evenly spaced in their order."""
    places = np.unique(np.linspace(0, len(values) - 1, count).round().astype(int))
    return np.take(values, places)
