"""The report, a page of this workspace's run and one of the record: `python -m stages.report`."""

from pathlib import Path

from stages.support.files import write_text
from stages.support.params import read_report
from stages.support.process import run_stage

OUTPUT = Path("report")


def main() -> None:
    """Write report/run.html and report/record.html from what is in metrics/ and plots/."""
    from stages.results.claims import record_verdicts  # scipy is slow
    from stages.results.report import record_page, run_page

    settings = read_report()
    recorded, sample = record_verdicts(), settings["profile"] == "sample"
    write_text(OUTPUT / "run.html", run_page(settings["studies"], settings["cells"], recorded, sample=sample))
    write_text(OUTPUT / "record.html", record_page(settings["cells"], settings["full_repeats"], recorded))


if __name__ == "__main__":
    run_stage(main)
