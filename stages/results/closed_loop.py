"""Predictions that feed on themselves, drawn over what they should be."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.results.comparison import Drawn
from stages.results.documents import documents
from stages.results.drawing import cell_colours, custom_runs, repeats_counted, save, source
from stages.results.scores import equal_protocols_once


def draw_closed_loops(
    study: str, repeats: pd.DataFrame, truth: Sequence[float], means: str, corpus: str, folder: Path
) -> Drawn:
    """One row per setting, one panel per (protocol, cell): truth in black, repeats thin, the median repeat bold.

    `repeats` is made by `scores.repeats_table`; `truth` has one value per step of the closed loop, and
    `means` says in words what the first score is in each arm.
    """
    document = documents()[study]
    score, about = next(iter(document["scores"].items()))
    repeats = equal_protocols_once(
        repeats.drop(columns="sentences").assign(closed_loop=repeats["closed_loop"].map(tuple))
    )
    settings = list(dict.fromkeys(repeats["setting"]))
    arms = list(dict.fromkeys(zip(repeats["protocol"], repeats["cell"], strict=True)))
    arms.sort(key=lambda arm: arm[0] == "corrected")
    figure = Figure(figsize=(max(4.2 * len(arms) + 0.4, 8.0), 2.4 * len(settings) + 1.2), layout="constrained")
    grid = figure.subplots(len(settings), len(arms), squeeze=False, sharex=True, sharey=True)
    colours = cell_colours(repeats["cell"])
    steps = np.arange(1, len(truth) + 1)
    for axes, setting in zip(grid, settings, strict=True):
        for axis, (protocol, cell) in zip(axes, arms, strict=True):
            of_arm = (repeats["setting"] == setting) & (repeats["protocol"] == protocol) & (repeats["cell"] == cell)
            axis.plot(steps, truth, color="black", linewidth=1.0)
            if of_arm.any():
                chosen = median_repeat(repeats[of_arm], score)
                for loop in repeats.loc[of_arm, "closed_loop"]:
                    axis.plot(steps, loop, color=colours[cell], linewidth=0.6, alpha=0.35)
                axis.plot(steps, chosen["closed_loop"], color=colours[cell], linewidth=1.8)
                named = ", ".join(part for part in (str(setting), cell, protocol) if part)
                axis.set_title(f"{named}\nmedian error {chosen[score]:.3g}", fontsize=9)
            axis.grid(alpha=0.3)
    # A loop that runs away would leave the truth a flat line.
    low, high = min(truth), max(truth)
    grid[0, 0].set_ylim(low - 0.5 * (high - low), high + 0.5 * (high - low))
    for axis in grid[-1]:
        axis.set_xlabel("step of the closed loop")
    for axis in grid[:, 0]:
        axis.set_ylabel(document["closed_loop"]["label"], fontsize=9)
    counts = repeats.groupby(["cell", "setting", "protocol"])["repeat"].nunique()
    figure.suptitle(
        f"{study}: closed loop, {source(corpus)}\nblack: truth; thin: {repeats_counted(counts)}; bold: the one of "
        f"median {about['label']}\n{document['closed_loop']['note']}{custom_runs(repeats)}",
        fontsize=10,
    )
    save(figure, folder / "closed_loop")
    return Drawn(
        "closed_loop",
        f"Closed loop: {document['closed_loop']['note']}.",
        f"The true sequence and each cell's predictions of it, fed back to the net; {means}.",
    )


def median_repeat(repeats: pd.DataFrame, score: str) -> pd.Series:
    """The repeat whose score is the median; of an even number the lower one of the middle two."""
    return repeats.sort_values(score, kind="stable").iloc[(len(repeats) - 1) // 2]
