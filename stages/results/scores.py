"""Scores of a study as one tidy table, whether they come from this workspace or from the record."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from stages.results.statistics import Interval, bootstrap_interval, mean_interval, share_interval

SAMPLE = "sample"  # the corpus name of text that the project made
SEQUENCES = "sequences"  # that of data made as the protocol says
MADE_OF_LISTS = ["sentences", "closed_loop"]  # columns of the repeats' table that a CSV has no place for
_OF_ARMS = ("arm", "parameters", "parameters_in_torch")
_SCALED_IN_SAMPLES_EXCEPT = ("layers", "dropout", "precision")
_CURVE_POINTS = 100
_CURVE_SETTINGS = 4


@cache
def documents() -> dict[str, Any]:
    """What the documents publish, by study: results/documents.yaml."""
    loaded: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("documents.yaml").read_text(encoding="utf-8"))
    return loaded


def repeats_table(cells: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a (setting, protocol, cell, repeat); an arm that stands under two protocols has a row under each.

    `cells` are the contents of metrics/STUDY/CELL.json. Under `published` a score is averaged the document's way.
    Columns: setting (of a sweep: the number), protocol, cell, repeat, parameters, custom, best_epoch, arm (all its
    protocols), those of `MADE_OF_LISTS`, a column a score (a share's: whether the repeat counts), and, where torch's
    layers count other than what is trained, parameters_in_torch.
    """
    rows = []
    for scored in cells:
        document = documents()[scored["study"]]
        for arm in scored["arms"]:
            for repeat in arm["repeats"]:
                for protocol in arm["protocols"]:
                    rows.append(
                        {
                            "setting": _setting(document, arm),
                            "protocol": protocol,
                            "cell": scored["cell"],
                            "repeat": repeat["repeat"],
                            "parameters": arm["parameters"],
                            "parameters_in_torch": arm.get("parameters_in_torch", arm["parameters"]),
                            "custom": departures(document, arm, scored["corpus"]),
                            "best_epoch": repeat["best_epoch"],
                            "arm": " ".join(arm["protocols"]),
                        }
                        | {name: repeat["test"].get(name) for name in MADE_OF_LISTS}
                        | {name: _score(name, about, protocol, repeat) for name, about in document["scores"].items()}
                    )
    table = pd.DataFrame(rows)
    if (table["parameters_in_torch"] == table["parameters"]).all():
        del table["parameters_in_torch"]
    return table


def curves_table(runs: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a (run, epoch), from entries of models/STUDY/CELL/runs.json or of the record; some may have no curve.

    Columns: setting, protocols (separated by spaces), cell, repeat, custom, epoch, train_* and validation_*.
    """
    return pd.DataFrame(
        {
            "setting": _setting(documents()[run["study"]], run),
            "protocols": " ".join(run["protocols"]),
            "cell": run["hyperparameters"]["cell"],
            "repeat": run["repeat"],
            "custom": departures(documents()[run["study"]], run, run["corpus"]),
        }
        | row
        for run in runs
        for row in run.get("curve", ())
    )


def thin_curves(study: str, curves: pd.DataFrame) -> pd.DataFrame:
    """The curves that are drawn: of a sweep a few settings, shortest to longest; of many epochs a hundred or so."""
    if curves.empty:
        return curves
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


def departures(document: Mapping[str, Any], arm: Mapping[str, Any], corpus: str) -> str:
    """Where an arm left the document's protocol, such as `dropout 0.3 (0.5)`, `2 of 40 epochs`; empty: nowhere."""
    fixed = document["protocol"].get("", {}) | document["protocol"].get(arm["setting"], {})
    names = [name for name in fixed if corpus != SAMPLE or name in _SCALED_IN_SAMPLES_EXCEPT]
    found = {name: arm["hyperparameters"][name] for name in names}
    return ", ".join(
        f"{found[name]} of {fixed[name]} epochs"
        if name == "epochs" and found[name] < fixed[name]
        else f"{name} {found[name]} ({fixed[name]})"
        for name in names
        if found[name] != fixed[name]
    )


def mean_over_settings(study: str, repeats: pd.DataFrame) -> pd.DataFrame:
    """One row a (protocol, cell, repeat): each score's mean over a sweep's settings, so that the unit is the repeat.

    The column `setting` says which they were: repeats with other settings are no repeats of the same.
    """
    scores = list(documents()[study]["scores"])
    shared = [name for name in _OF_ARMS if name in repeats]
    groups = repeats.groupby(["protocol", "cell", "repeat", *shared, "custom"], sort=False)
    settings = groups["setting"].agg(lambda values: f"{values.min()} to {values.max()} ({values.nunique()})")
    means = groups[scores].mean()
    return means.assign(setting=settings).reset_index()


def summary_table(study: str, repeats: pd.DataFrame) -> pd.DataFrame:
    """One row a (setting, protocol, cell, custom): each score's mean, interval and published figure.

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
            row[score], row[f"{score}_low"], row[f"{score}_high"] = score_interval(group[score], about)
            row[f"{score}_published"] = figures.get(score, float("nan"))
        rows.append(row | {"note": figures.get("note", "")})
    rows.sort(key=lambda row: (row["setting"], row["protocol"] == "corrected"))
    return pd.DataFrame(rows)


def score_interval(values: pd.Series, about: Mapping[str, Any]) -> Interval:
    """Mean of a score over repeats and its 95 % interval, of the kind that fits what documents.yaml says of it."""
    if values.dtype == bool:
        return share_interval(values.to_numpy())
    if about.get("bounded"):
        return bootstrap_interval(values.to_list())
    return mean_interval(values.to_list(), logarithmic=about.get("logarithmic", False))


def equal_protocols_once(rows: pd.DataFrame) -> pd.DataFrame:
    """One row, of protocol `published = corrected`, for two of one arm that differ in their protocol alone.

    Two arms may score the same, 1.0 for example, and stay two: the column `arm` tells them apart.
    """
    apart = rows.columns.drop("protocol").to_list()
    together = rows.groupby(apart, dropna=False)["protocol"].transform(" = ".join)
    return rows.assign(protocol=together).drop_duplicates(ignore_index=True)


def _setting(document: Mapping[str, Any], arm: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """A grid point's name; in a sweep the hyperparameter's value, since numbers are sorted and drawn as such."""
    sweep = document.get("sweep")
    return arm["hyperparameters"][sweep["hyperparameter"]] if sweep else arm["setting"]


def _score(name: str, about: Mapping[str, Any], protocol: str, repeat: Mapping[str, Any]) -> float | bool:
    source = about.get("from", f"test.{name}")
    if protocol == "published":
        source = about.get("published_from", source)
    part, column = source.split(".")
    value: float = repeat[part][column]
    return value >= about["at_least"] if "at_least" in about else value


def _evenly(values: NDArray[Any], count: int) -> NDArray[Any]:
    """At most `count` of the values, the first and the last among them, evenly spaced in their order."""
    places = np.unique(np.linspace(0, len(values) - 1, count).round().astype(int))
    return np.take(values, places)
