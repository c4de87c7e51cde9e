"""Print the tables and verdicts of the last run, and where to look next: `python -m stages.show`."""

from pathlib import Path

from stages.support.params import load_params
from stages.support.process import InputError, run_stage


def main() -> None:
    """Print plots/STUDY/table.md of every study in params.yaml, then one line per verdict."""
    params = load_params()
    tables = [Path("plots", study, "table.md") for study in params.studies]
    missing = [path for path in (*tables, Path("report/run.html")) if not path.exists()]
    if missing:
        raise InputError(f"{missing[0]} is not there yet: run `dvc repro` first")
    for path in tables:
        print(path.read_text(encoding="utf-8"))

    from stages.results.claims import run_verdicts  # scipy is slow

    print(f"## Verdicts of this run{' on sample text' if params.profile == 'sample' else ''}\n")
    for verdict in run_verdicts(params.studies, params.cells):
        print(f"{verdict.verdict:<13} {verdict.study:<13} {verdict.protocol or 'both':<10} {verdict.claim}")
    print(
        "\nWhere to look next:\n"
        "  the report           report/run.html, and report/record.html of the published protocols, in any browser\n"
        f"  tables               plots/{{{','.join(params.studies)}}}/  (table, repeats, curves)\n"
        "  figures              plots/figures/\n"
        f"  the cell on show     dvc metrics show   ({params.cell}; every repeat of every cell is in metrics/STUDY/)\n"
        "  LSTM beside GRU      . .venv/bin/activate; dvc exp run -S cell=gru && dvc metrics diff\n"
        "  curves of every run  make ui"
    )


if __name__ == "__main__":
    run_stage(main)
