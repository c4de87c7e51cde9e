"""Tables and figures of a study, all cells side by side: `python -m stages.compare STUDY`."""

from pathlib import Path

from stages.results.row import read_baselines, read_rows
from stages.support.files import whole, write_json
from stages.support.params import read_compared_cells
from stages.support.process import run_stage
from stages.tracking.curves import keep


def main(study: str) -> None:
    """Write plots/STUDY (tables), plots/figures/STUDY and plots/cells/STUDY.csv of the cells that `check` resolved."""
    from stages.results.answers import answers_json, of_test_part, study_answers  # scipy is slow
    from stages.results.compare import write_comparison  # pandas and matplotlib are slow
    from stages.results.headline import validation_points, write_points

    cells = read_compared_cells(study)
    scored = [row for cell in cells for row in read_rows(Path("metrics", study, f"{cell}.json"))]
    trained = [row for cell in cells for row in read_rows(Path("models", study, cell, "runs.json"))]
    baselines = read_baselines(Path("metrics", study, "baseline.json"))
    tables, figures = Path("plots", study), Path("plots/figures", study)
    with whole(tables) as new_tables, whole(figures) as new_figures:
        write_comparison(study, scored, trained, baselines, tables=new_tables, figures=new_figures)
        answers = study_answers(study, scored, baselines, **of_test_part(study))
        write_json(new_tables / "answer.json", answers_json(answers))
    write_points(Path("plots/cells", f"{study}.csv"), validation_points(study, scored, trained))
    keep(study)


if __name__ == "__main__":
    run_stage(main)
