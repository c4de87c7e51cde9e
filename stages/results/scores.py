"""Scores of a study as one tidy table, whether they come from this workspace or from the record."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from stages.results.statistics import mean_interval

SAMPLE = "sample"  # the corpus name of text that the project made
_SCALED_IN_SAMPLES_EXCEPT = ("layers", "dropout")


@cache
def documents() -> dict[str, Any]:
    """What the documents publish, by study: results/documents.yaml."""
    loaded: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("documents.yaml").read_text(encoding="utf-8"))
    return loaded


def repeats_table(cells: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a (setting, protocol, cell, repeat); an arm that stands under two protocols has a row under each.

    `cells` are the contents of metrics/STUDY/CELL.json. Under `published` a score is averaged the document's way.
    Columns: setting, protocol, cell, repeat, parameters, custom, best_epoch, sentences and a column a score.
    """
    rows = []
    for scored in cells:
        document = documents()[scored["study"]]
        for arm in scored["arms"]:
            for repeat in arm["repeats"]:
                for protocol in arm["protocols"]:
                    names = {
                        score: about.get("published_as", score) if protocol == "published" else score
                        for score, about in document["scores"].items()
                    }
                    rows.append(
                        {
                            "setting": arm["setting"],
                            "protocol": protocol,
                            "cell": scored["cell"],
                            "repeat": repeat["repeat"],
                            "parameters": arm["parameters"],
                            "custom": departures(document, arm, scored["corpus"]),
                            "best_epoch": repeat["best_epoch"],
                            "sentences": repeat["test"].get("sentences"),
                        }
                        | {score: repeat["test"][name] for score, name in names.items()}
                    )
    return pd.DataFrame(rows)


def curves_table(runs: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a (run, epoch), from entries of models/STUDY/CELL/runs.json or of the record.

    Columns: setting, protocols (separated by spaces), cell, repeat, custom, epoch, train_* and validation_*.
    """
    return pd.DataFrame(
        {
            "setting": run["setting"],
            "protocols": " ".join(run["protocols"]),
            "cell": run["hyperparameters"]["cell"],
            "repeat": run["repeat"],
            "custom": departures(documents()[run["study"]], run, run["corpus"]),
        }
        | row
        for run in runs
        for row in run["curve"]
    )


def nearest_to_protocol(rows: pd.DataFrame) -> pd.DataFrame:
    """Without the custom runs of an arm that was also run as its protocol says: what figures show."""
    arm = [column for column in ("setting", "protocol", "protocols", "cell") if column in rows]
    faithful = rows.assign(faithful=rows["custom"] == "").groupby(arm)["faithful"].transform("any")
    return rows[(rows["custom"] == "") | ~faithful]


def departures(document: Mapping[str, Any], arm: Mapping[str, Any], corpus: str) -> str:
    """Where an arm left the document's protocol, such as `dropout 0.3 (0.5)`; empty where it did not."""
    fixed = document["protocol"][arm["setting"]]
    names = [name for name in fixed if corpus != SAMPLE or name in _SCALED_IN_SAMPLES_EXCEPT]
    found = {name: arm["hyperparameters"][name] for name in names}
    return ", ".join(f"{name} {found[name]} ({fixed[name]})" for name in names if found[name] != fixed[name])


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
        row: dict[str, Any] = {
            "setting": setting,
            "protocol": protocol,
            "cell": cell,
            "parameters": group["parameters"].iloc[0],
            "repeats": len(group),
            "custom": custom,
        }
        for score, about in document["scores"].items():
            interval = mean_interval(group[score].to_list(), logarithmic=about.get("logarithmic", False))
            row[score], row[f"{score}_low"], row[f"{score}_high"] = interval
            row[f"{score}_published"] = figures.get(score, float("nan"))
        rows.append(row | {"note": figures.get("note", "")})
    rows.sort(key=lambda row: (row["setting"], row["protocol"] == "corrected"))
    return pd.DataFrame(rows)


def equal_protocols_once(rows: pd.DataFrame) -> pd.DataFrame:
    """One row, of protocol `published = corrected`, for two that differ in their protocol alone."""
    apart = rows.columns.drop("protocol").to_list()
    together = rows.groupby(apart, dropna=False)["protocol"].transform(" = ".join)
    return rows.assign(protocol=together).drop_duplicates(ignore_index=True)
