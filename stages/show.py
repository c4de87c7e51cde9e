"""Print the tables of the last run, and where to look next: `python -m stages.show`."""

from pathlib import Path

from stages.support.params import load_params
from stages.support.process import InputError, run_stage


def main() -> None:
    """Print plots/STUDY/table.md of every study in params.yaml."""
    params = load_params()
    tables = [Path("plots", study, "table.md") for study in params.studies]
    missing = [path for path in tables if not path.exists()]
    if missing:
        raise InputError(f"{missing[0]} is not there yet: run `dvc repro` first")
    for path in tables:
        print(path.read_text(encoding="utf-8"))
    print(
        "Where to look next:\n"
        f"  figures and tables   plots/{{{','.join(params.studies)}}}/  (curves, scores, table, repeats)\n"
        f"  the cell on show     dvc metrics show   ({params.cell}; every repeat of every cell is in metrics/STUDY/)\n"
        "  LSTM beside GRU      . .venv/bin/activate; dvc exp run -S cell=gru && dvc metrics diff\n"
        "  curves of every run  make ui"
    )


if __name__ == "__main__":
    run_stage(main)
