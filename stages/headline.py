"""The cell on show: `python -m stages.headline STUDY CELL`."""

from pathlib import Path
from typing import Any

from stages.support.files import read_json, whole, write_json
from stages.support.process import run_stage


def main(study: str, cell: str) -> None:
    """Write metrics/STUDY.json (the corrected arm, same keys for every cell) and plots/headline/STUDY.csv.

    Of a sweep they are the means over its settings, and the first score against the setting.
    """
    from stages.results.scores import (  # pandas is slow
        curves_table,
        documents,
        mean_over_settings,
        repeats_table,
        summary_table,
    )

    document = documents()[study]
    scored = read_json(Path("metrics", study, f"{cell}.json"))
    repeats = repeats_table([scored]).query("protocol == 'corrected'")
    sweep = document.get("sweep")
    headline: dict[str, Any] = {}
    for _, row in summary_table(study, mean_over_settings(study, repeats) if sweep else repeats).iterrows():
        place = headline if sweep or not row["setting"] else headline.setdefault(row["setting"], {})
        for score in document["scores"]:
            interval = {"mean": row[score], "low": row[f"{score}_low"], "high": row[f"{score}_high"]}
            place[score] = {name: round(value, 6) for name, value in interval.items() if value == value}
        place["parameters"] = int(row["parameters"])
        place["repeats"] = int(row["repeats"])
    write_json(Path("metrics", f"{study}.json"), headline)

    if sweep:
        first = next(iter(document["scores"]))
        points = repeats.groupby("setting")[[first]].mean().rename_axis(sweep["hyperparameter"])
    else:
        curves = curves_table(read_json(Path("models", study, cell, "runs.json")))
        curves = curves[curves["protocols"].str.contains("corrected")]
        column = f"validation_{document['curve']['validation']['column']}"
        points = curves.pivot_table(index="epoch", columns="setting", values=column, aggfunc="mean")
        points.columns = [f"{setting}_{column}" if setting else column for setting in points.columns]
    with whole(Path("plots/headline", f"{study}.csv")) as temporary:
        points.to_csv(temporary, float_format="%.6g")


if __name__ == "__main__":
    run_stage(main)
