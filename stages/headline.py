"""The cell on show: `python -m stages.headline STUDY CELL`."""

from pathlib import Path
from typing import Any

from stages.support.files import read_json, whole, write_json
from stages.support.process import run_stage


def main(study: str, cell: str) -> None:
    """Write metrics/STUDY.json (the corrected arm, same keys for every cell) and plots/headline/STUDY.csv."""
    from stages.results.scores import curves_table, documents, repeats_table, summary_table  # pandas is slow

    scored = read_json(Path("metrics", study, f"{cell}.json"))
    repeats = repeats_table([scored]).query("protocol == 'corrected'")
    headline: dict[str, Any] = {}
    for _, row in summary_table(study, repeats).iterrows():
        place = headline.setdefault(row["setting"], {}) if row["setting"] else headline
        for score in documents()[study]["scores"]:
            interval = {"mean": row[score], "low": row[f"{score}_low"], "high": row[f"{score}_high"]}
            place[score] = {name: round(value, 6) for name, value in interval.items() if value == value}
        place["parameters"] = int(row["parameters"])
        place["repeats"] = int(row["repeats"])
    write_json(Path("metrics", f"{study}.json"), headline)

    curves = curves_table(read_json(Path("models", study, cell, "runs.json")))
    curves = curves[curves["protocols"].str.contains("corrected")]
    column = f"validation_{documents()[study]['curve']['column']}"
    means = curves.pivot_table(index="epoch", columns="setting", values=column, aggfunc="mean")
    means.columns = [f"{setting}_{column}" if setting else column for setting in means.columns]
    with whole(Path("plots/headline", f"{study}.csv")) as temporary:
        means.to_csv(temporary, float_format="%.6g")


if __name__ == "__main__":
    run_stage(main)
