"""The report, a page of this workspace's run and one of the record: `python -m stages.report`."""

from pathlib import Path

from stages.studies import documented
from stages.support.files import write_text
from stages.support.params import load_project
from stages.support.process import run_stage

OUTPUT = Path("report")


def main() -> None:
    """Write report/run.html and report/record.html from what is in metrics/ and plots/."""
    from stages.results.claims import record_verdicts  # scipy is slow
    from stages.results.report import record_page, run_page

    project = load_project()
    params = project.params
    repeats = {
        study: project.studies[study]["full"].training.repeats for study in documented() if study in project.studies
    }
    recorded, sample = record_verdicts(), params.profile == "sample"
    write_text(OUTPUT / "run.html", run_page(params.studies, params.cells, recorded, sample=sample))
    write_text(OUTPUT / "record.html", record_page(params.cells, repeats, recorded))


if __name__ == "__main__":
    run_stage(main)
