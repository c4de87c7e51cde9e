"""Predictions that feed on themselves, drawn over what they should be."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.results.comparison import Drawn
from stages.results.documents import documents, protocols_in_words
from stages.results.drawing import cell_colours, custom_runs, repeats_counted, save, source
from stages.results.scores import equal_protocols_once
from stages.support.sections import Heading


def draw_closed_loops(
    study: str, repeats: pd.DataFrame, truth: Sequence[float], means: str, corpus: str, folder: Path
) -> Drawn:
    """One row per setting and heading, one panel per cell: truth in black, repeats thin, the median repeat bold.

    `repeats` is made by `scores.repeats_table`; `truth` has one value per step of the closed loop, and
    `means` says in words what the first score is in each arm.
    """
    document = documents()[study]
    score, about = next(iter(document["scores"].items()))
    repeats = equal_protocols_once(
        repeats.drop(columns="sentences").assign(closed_loop=repeats["closed_loop"].map(tuple))
    )
    rows, colours = _rows(repeats), cell_colours(repeats["cell"])
    figure = Figure(figsize=(max(4.2 * len(colours) + 0.4, 8.0), 2.4 * len(rows) + 1.2), layout="constrained")
    grid = figure.subplots(len(rows), len(colours), squeeze=False, sharex=True, sharey=True)
    steps = np.arange(1, len(truth) + 1)
    for axes, (setting, protocol_of) in zip(grid, rows, strict=True):
        for axis, cell in zip(axes, colours, strict=True):
            protocol = protocol_of.get(cell)
            if protocol is None:
                axis.set_visible(False)
                continue
            of_arm = (repeats["setting"] == setting) & (repeats["protocol"] == protocol) & (repeats["cell"] == cell)
            axis.plot(steps, truth, color="black", linewidth=1.0)
            chosen = median_repeat(repeats[of_arm], score)
            for loop in repeats.loc[of_arm, "closed_loop"]:
                axis.plot(steps, loop, color=colours[cell], linewidth=0.6, alpha=0.35)
            axis.plot(steps, chosen["closed_loop"], color=colours[cell], linewidth=1.8)
            named = ", ".join(part for part in (str(setting), cell, protocols_in_words(protocol.split(" = "))) if part)
            axis.set_title(f"{named}\nmedian {about['label']} {chosen[score]:.3g}", fontsize=9)
            axis.grid(alpha=0.3)
            axis.tick_params(labelbottom=True, labelleft=True)
    # A loop that runs away would leave the truth a flat line.
    low, high = min(truth), max(truth)
    grid[0, 0].set_ylim(low - 0.5 * (high - low), high + 0.5 * (high - low))
    for axis in grid[-1]:
        axis.set_xlabel("step of the closed loop")
    for axis in grid[:, 0]:
        axis.set_ylabel(document["closed_loop"]["label"], fontsize=9)
    counts = repeats.groupby(["cell", "setting", "protocol"])["repeat"].nunique()
    figure.suptitle(
        f"{study}: closed loop, {source(study, corpus)}\nblack: truth; thin: {repeats_counted(counts)}; bold: the one "
        f"of median {about['label']}\n{document['closed_loop']['note']}{custom_runs(repeats)}",
        fontsize=10,
    )
    save(figure, folder / "closed_loop")
    return Drawn(
        "closed_loop",
        f"Closed loop: {document['closed_loop']['note']}.",
        f"The true sequence and each cell's predictions of it, fed back to the net; {means}.",
    )


def _rows(repeats: pd.DataFrame) -> list[tuple[str, dict[str, str]]]:
    """Settings with each cell's protocol, a row a heading, but for headings whose arms all stand in another row."""
    arms = list(dict.fromkeys(zip(repeats["setting"], repeats["cell"], repeats["protocol"], strict=True)))
    rows: list[tuple[str, dict[str, str]]] = []
    for setting in dict.fromkeys(repeats["setting"]):
        under: list[dict[str, str]] = []
        for heading in get_args(Heading):
            row = {c: p for s, c, p in arms if s == setting and heading in p.split(" = ")}
            if row and row not in under:
                under.append(row)
        rows += [(setting, row) for row in under if not any(row.items() < other.items() for other in under)]
    return rows


def median_repeat(repeats: pd.DataFrame, score: str) -> pd.Series:
    """The repeat whose score is the median; of an even number the lower one of the middle two."""
    return repeats.sort_values(score, kind="stable").iloc[(len(repeats) - 1) // 2]
