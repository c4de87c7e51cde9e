"""The cell on show: `python -m stages.headline STUDY CELL`."""

from pathlib import Path

from stages.results.row import read_rows
from stages.support.files import write_json
from stages.support.process import run_stage


def main(study: str, cell: str) -> None:
    """Write metrics/STUDY.json (same keys for every cell) and plots/headline/STUDY.csv.

    Of a sweep they are the means over its settings, and the first score against the setting.
    """
    from stages.results.headline import headline, validation_points, write_points  # numpy and scipy

    scored = read_rows(Path("metrics", study, f"{cell}.json"))
    trained = read_rows(Path("models", study, cell, "runs.json"))
    write_json(Path("metrics", f"{study}.json"), headline(study, scored))
    write_points(Path("plots/headline", f"{study}.csv"), validation_points(study, scored, trained))


if __name__ == "__main__":
    run_stage(main)
