"""Tables and figures of a study, all cells side by side: `python -m stages.compare STUDY`."""

from pathlib import Path

from stages.support.curves import keep
from stages.support.files import read_json, whole
from stages.support.params import load_params
from stages.support.process import run_stage


def main(study: str) -> None:
    """Write plots/STUDY from the scores and curves of the cells in params.yaml, and of no others."""
    import pandas as pd  # slow, as is what follows

    from stages.results.compare import write_comparison
    from stages.results.scores import curves_table

    cells = load_params().cells
    scored = [read_json(Path("metrics", study, f"{cell}.json")) for cell in cells]
    baseline = Path("metrics", study, "baseline.json")
    baselines = read_json(baseline)["rows"] if baseline.exists() else []
    curves = pd.concat(curves_table(read_json(Path("models", study, cell, "runs.json"))) for cell in cells)
    output = Path("plots", study)
    with whole(output) as temporary:
        write_comparison(study, scored, baselines, curves, temporary)
    keep(study)


if __name__ == "__main__":
    run_stage(main)
