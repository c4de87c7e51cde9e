"""Ask the trained models of a series study what comes next: `python -m stages.forecast passengers --steps 12`.

`--file newer.csv` goes on from the end of a file with the columns of the study's own; nothing is trained anew.
"""

import json
import sys
from pathlib import Path

from stages.support.process import InputError, run_stage
from stages.trained.command_line import chosen_cell, make_parser, say_dropped
from stages.trained.find import find_arm, find_trained


def main(*words: str) -> None:
    """Print a line a step: its date or number, the mean forecast of all repeats, and their lowest and highest."""
    parser = make_parser(
        "series", "What will a series be? The trained models say, each going on from its own forecasts."
    )
    parser.add_argument("--steps", type=int, help="how many steps; default: the study's horizon")
    parser.add_argument("--file", type=Path, help="a table with the study's columns, to go on from its last rows")
    parser.add_argument("--json", action="store_true", help="print one JSON object a step")
    arguments = parser.parse_args(words)
    cell = chosen_cell(arguments)
    if arguments.repeat is None:
        arm = find_arm(arguments.study, cell)
    else:
        arm = [find_trained(arguments.study, cell, repeat=arguments.repeat)]

    import numpy as np  # with torch, slow

    from stages.tables.findings import SERIES
    from stages.tables.inspect import inspect
    from stages.tables.raw import series_of
    from stages.trained.series import SeriesModel, later
    from stages.training.device import prepare

    prepare("cpu")
    about, corpus = arm[0].ready, arm[0].ready["corpus"]
    if arguments.file is None:
        ready = Path("data/ready", arguments.study)
        values = np.load(ready / "values.npy")
        times = np.load(ready / "times.npy") if (ready / "times.npy").exists() else None
    else:
        corpus = str(arguments.file)
        value, *inputs = about["columns"]  # that it was trained on, whatever params.yaml names now
        findings = inspect(arguments.file, kind=SERIES, value=value, inputs=inputs, to_train=False)
        if findings.refusals:
            raise InputError(f"--file {arguments.file}: {findings.refusals[0]}")
        say_dropped(arguments.file, findings.dropped)
        for warning in findings.warnings:
            print(f"{arguments.file}: {warning}", file=sys.stderr)
        values, times = series_of(findings)
    steps = about["horizon"] if arguments.steps is None else arguments.steps
    models = [SeriesModel(trained.settings["hyperparameters"], trained.weights, about) for trained in arm]
    forecasts = np.stack([model.forecast(values, steps) for model in models])
    dates = None if times is None else later(times, steps)
    which = f"{len(arm)} repeats" if len(arm) > 1 else f"repeat {arm[0].settings['repeat']}"
    print(
        f"{arguments.study}, {cell}, {which}: {about['columns'][0]} after {len(values):,} steps of {corpus}",
        file=sys.stderr,
    )
    for step, ahead in enumerate(forecasts.T):
        place = dates[step] if dates else f"+{step + 1}"
        low, mean, high = float(ahead.min()), float(ahead.mean()), float(ahead.max())
        if arguments.json:
            print(json.dumps({"step": step + 1, "date": dates and place, "forecast": mean, "low": low, "high": high}))
        else:
            print(f"{place}  {mean:.6g}  [{low:.6g} to {high:.6g}]")


if __name__ == "__main__":
    run_stage(main, has_help=True)
