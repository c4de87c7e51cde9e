"""A study whose settings are the values of one hyperparameter: its scores against them, as a figure."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.results.comparison import Drawn
from stages.results.documents import PROTOCOLS, documents
from stages.results.drawing import cell_colours, custom_runs, repeats_counted, save, source, style_of
from stages.results.intervals import score_interval
from stages.results.scores import MADE_OF_LISTS
from stages.results.table import as_sentence
from stages.results.tables import means_in_words, shares_explained


def draw_sweep(study: str, repeats: pd.DataFrame, summary: pd.DataFrame, corpus: str, folder: Path) -> Drawn:
    """One row of panels per score, one panel per protocol, one line per cell.

    `summary` is what `scores.summary_table` makes of the study's repeats. Error bars are the 95 % intervals that the
    tables have: a deviation would describe no repeat where they either solve a length or guess.
    """
    document = documents()[study]
    scores, sweep = document["scores"], document["sweep"]
    repeats = repeats.drop(columns=MADE_OF_LISTS)
    names = list(PROTOCOLS)
    protocols = sorted(set(repeats["protocol"]), key=names.index)
    figure = Figure(figsize=(5.2 * len(protocols) + 0.6, 2.7 * len(scores) + 1.0), layout="constrained")
    grid = figure.subplots(len(scores), len(protocols), squeeze=False, sharex=True, sharey="row")
    colours = cell_colours(repeats["cell"])
    cells = list(dict.fromkeys(repeats["cell"]))
    apart = 0.006 * np.ptp(repeats["setting"])  # side by side, so that no error bar hides another
    for axes, (score, about) in zip(grid, scores.items(), strict=True):
        scale = 100 if about.get("percent") else 1
        for axis, protocol in zip(axes, protocols, strict=True):
            if "chance" in about:
                axis.axhline(about["chance"] * scale, color="0.35", linestyle=":", label="chance")
            for (cell,), group in repeats[repeats["protocol"] == protocol].groupby(["cell"], sort=False):
                points = pd.DataFrame(
                    [(setting, *_spread(values, about)) for setting, values in group.groupby("setting")[score]],
                    columns=["setting", "mean", "below", "above"],
                )
                line, marker = style_of([protocol])
                axis.errorbar(
                    points["setting"] + apart * (cells.index(cell) - (len(cells) - 1) / 2),
                    points["mean"] * scale,
                    yerr=points[["below", "above"]].T * scale,
                    linestyle=line,
                    marker=marker,
                    color=colours[cell],
                    markersize=4,
                    linewidth=1.3,
                    elinewidth=0.8,
                    capsize=2,
                    label=cell,
                )
            if about.get("bounded"):
                axis.set_ylim(-0.06 * scale, 1.06 * scale)
            axis.grid(alpha=0.3)
        axes[0].set_ylabel(about["label"] + (" (%)" if scale == 100 else ""))
    for axis, protocol in zip(grid[0], protocols, strict=True):
        axis.set_title(PROTOCOLS[protocol], fontsize=10)
    for axis in grid[-1]:
        axis.set_xlabel(sweep["label"])
    lines = {  # of all panels: a cell that the document lacks stands in some alone
        label: line for axis in grid[0] for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=len(lines), fontsize=9)
    counts = repeats.groupby(["cell", "setting", "protocol"])["repeat"].nunique()
    figure.suptitle(
        f"{study}: {source(study, corpus)}; mean of {repeats_counted(counts)}, error bars: 95 % interval\n"
        f"{'; '.join(shares_explained(study))}{custom_runs(repeats)}",
        fontsize=10,
    )
    save(figure, folder / "scores")
    settings = sorted(set(summary["setting"]))
    ends = "; ".join(
        f"at {sweep['hyperparameter']} {setting}, {means_in_words(study, summary[summary['setting'] == setting])}"
        for setting in dict.fromkeys((settings[0], settings[-1]))
    )
    labels = ", ".join(about["label"] for about in scores.values())
    return Drawn(
        "scores",
        f"Scores by {sweep['label']}, a column a protocol.",
        as_sentence(f"{labels} by {sweep['label']}, a line for each cell; {ends}"),
    )


def _spread(values: pd.Series, about: Mapping[str, Any]) -> tuple[float, float, float]:
    """A score's mean over repeats, and how far its error bar goes below and above it: not at all of one repeat."""
    mean, low, high = score_interval(values.to_list(), about)
    return (mean, 0.0, 0.0) if math.isnan(low) else (mean, max(0.0, mean - low), max(0.0, high - mean))
