"""Figures of a study: learning curves and scores."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.results.comparison import Drawn
from stages.results.documents import PROTOCOLS, SAMPLE, documents, protocols_in_words, trains_on_all
from stages.results.drawing import (
    Line,
    cell_colours,
    custom_runs,
    name_if_beyond,
    repeats_counted,
    save,
    scale_axis,
    source,
    style_of,
)
from stages.results.intervals import score_interval
from stages.results.row import Baselines
from stages.results.scores import MADE_OF_LISTS, equal_protocols_once
from stages.results.table import as_sentence
from stages.results.tables import means_in_words

_INCHES_AN_ARM = 1.05
_MOST_ARMS_OF_HALF_A_PAGE = 5
_MARKED_EPOCHS = 40  # more of them and the marks hide the line


def draw_curves(study: str, curves: pd.DataFrame, means: str, corpus: str, folder: Path) -> Drawn:
    """Learning curves: training beside validation, one line per (cell, protocol), a band over the repeats.

    The band goes from the least repeat to the most. `curves` is made by `scores.curves_table`, and
    `means` says in words what the first score is in each arm.
    """
    document = documents()[study]
    settings = list(dict.fromkeys(curves["setting"]))
    figure = Figure(figsize=(9.5, 3.6 * len(settings) + 0.5), layout="constrained")
    grid = figure.subplots(len(settings), 2, squeeze=False)
    colours = cell_colours(curves["cell"])
    lines: dict[str, Artist] = {}
    for axes, setting in zip(grid, settings, strict=True):
        rows = curves[curves["setting"] == setting]
        named = f"{document['sweep']['hyperparameter']} {setting}" if "sweep" in document else setting
        titles = {"train": "training, as the weights change", "validation": "validation"}
        for axis, (part, title) in zip(axes, titles.items(), strict=True):
            about = document["curve"][part]
            column = f"{part}_{about['column']}"
            for (cell, protocols), group in rows.groupby(["cell", "protocols"], sort=False):
                under = str(protocols).split()
                line, _ = style_of(under)
                _band(axis, group, column, f"{cell}, {protocols_in_words(under)}", colours[cell], line)
                last = group["epoch"].max()
                ended = group.loc[group["epoch"] == last, column].mean()
                place = last - 0.1 * (last - group["epoch"].min())
                name_if_beyond(axis, about, ended, str(cell), place, colours[cell])
            if corpus != SAMPLE and "epochs" in document:
                _published_epochs(axis, document["epochs"], column, colours)
            scale_axis(axis, about)
            axis.set_xlabel("epoch")
            axis.set_ylabel(about["label"])
            axis.set_title(f"{named}: {title}" if named else title, fontsize=10)
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.grid(alpha=0.3)
            lines |= {str(line.get_label()): line for line in axis.get_lines()}
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=3, fontsize=8)
    repeats = curves.groupby(["cell", "setting", "protocols"])["repeat"].nunique()
    figure.suptitle(
        f"{study}: learning curves, {source(study, corpus)}; {repeats_counted(repeats)}, "
        f"band: least to most{custom_runs(curves)}",
        fontsize=11,
    )
    save(figure, folder / "curves")
    train, validation = (document["curve"][part]["label"] for part in ("train", "validation"))
    return Drawn(
        "curves",
        "Learning curves: mean of the repeats, band from the least to the most.",
        f"Training {train} and validation {validation} by epoch, a line for each cell and protocol, which end in the "
        f"scores of the table; {means}.",
    )


def draw_scores(
    study: str, repeats: pd.DataFrame, summary: pd.DataFrame, baselines: Baselines, corpus: str, folder: Path
) -> Drawn:
    """A study's first score, by heading and cell: each repeat a small dot, the mean with its interval, baselines.

    `summary` is what `scores.summary_table` makes of the study's repeats.
    """
    document = documents()[study]
    score, about = next(iter(document["scores"].items()))
    scale = 100.0 if about.get("percent") else 1.0
    repeats = equal_protocols_once(repeats.drop(columns=MADE_OF_LISTS))
    repeats = repeats.sort_values(["protocol", "cell"], key=_in_order)  # the cells of a heading stand together
    if "axis_ends" in about:  # nets that diverged must not flatten all others
        arms_of = repeats.groupby(["setting", "cell", "protocol"])[score].median()
        drawn = [*arms_of, *(row["test"][score] for row in baselines if score in row["test"])]
        most = max((value for value in drawn if value < about["axis_ends"]), default=math.inf)
        about = about | {"axis_ends": min(1.5 * most, about["axis_ends"])}
    settings = list(dict.fromkeys(repeats["setting"]))
    arms = repeats.drop_duplicates(["setting", "cell", "protocol"])["setting"].value_counts().max()
    columns = min(len(settings), 2 if arms <= _MOST_ARMS_OF_HALF_A_PAGE else 1)
    lines = -(-len(settings) // columns)
    width = max(4.8, _INCHES_AN_ARM * arms)  # so that the names below the axis stand apart
    figure = Figure(figsize=(width * columns + 2.4, 3.4 * lines + 0.8), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    axes = iter(grid.flat)
    colours = cell_colours(repeats["cell"])
    for setting, axis in zip(settings, axes, strict=False):
        rows = repeats[repeats["setting"] == setting]
        places = []
        for place, ((cell, protocol), group) in enumerate(rows.groupby(["cell", "protocol"], sort=False)):
            values = group[score] * scale
            mean, low, high = (scale * end for end in score_interval(group[score].to_list(), about))
            axis.scatter(np.full(len(values), place + 0.18), values, s=12, color=colours[cell], alpha=0.6)
            errors = [[mean - low], [high - mean]] if low == low else None
            under = str(protocol).split(" = ")
            _, marker = style_of(under)
            axis.errorbar(place, mean, yerr=errors, fmt=marker, color=colours[cell], capsize=5)
            name_if_beyond(axis, about, mean, f"{mean:.2g}", place, colours[cell])
            customs = sorted(set(group["custom"]) - {""})
            places.append("\n".join([str(cell), protocols_in_words(under, "\n= "), *customs]))
            if corpus != SAMPLE and {"published", "corrected"} & set(under):
                _published_score(axis, document, setting, str(cell), score, place, scale)
        digits = "1f" if about.get("percent") else "3g"
        beside = baselines if trains_on_all(study, setting) else ()
        for baseline, style in zip(beside, (":", "-.", "--"), strict=False):
            if score not in baseline["test"]:
                continue
            value = baseline["test"][score] * scale
            axis.axhline(value, color="0.35", linestyle=style, label=f"{baseline['name']}: {value:.{digits}}")
        axis.set_xticks(range(len(places)), places)
        axis.set_title(setting, fontsize=10)
        axis.grid(axis="y", which="both", alpha=0.3)
        axis.set_xlim(-0.5, len(places) - 0.5)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8)
    for axis in axes:
        axis.remove()
    for axis in grid[:, 0]:
        axis.set_ylabel(about["label"] + (" (%)" if scale == 100 else ""))
    scale_axis(grid[0, 0], about)  # and the others, which share it
    counts = repeats.groupby(["cell", "setting", "protocol"])["repeat"].nunique()
    figure.suptitle(
        f"{study}: {about['label']}, {source(study, corpus)}\n"
        f"mean of {repeats_counted(counts)} with 95 % interval; small dots: repeats; "
        f"{about['better']} is better{custom_runs(repeats)}",
        fontsize=10,
    )
    save(figure, folder / "scores")
    better = f"({about['better']} is better)"
    return Drawn(
        "scores",
        as_sentence(f"{about['label']}: every repeat, their mean and its 95 % interval {better}"),
        as_sentence(f"a dot with its interval for each cell and protocol; {means_in_words(study, summary)}"),
    )


def _in_order(names: pd.Series) -> pd.Series:
    """The places of arms' first headings, or of cells, among all."""
    order = list(PROTOCOLS if names.name == "protocol" else cell_colours(names))
    return names.map(lambda name: order.index(name.split(" = ")[0]))


def _band(axis: Axes, group: pd.DataFrame, column: str, label: str, colour: str, line: Line) -> None:
    by_epoch = group.groupby("epoch")[column]
    epochs = np.array(sorted(group["epoch"].unique()))
    marker = "." if len(epochs) <= _MARKED_EPOCHS else None
    axis.plot(epochs, by_epoch.mean(), linestyle=line, color=colour, label=label, marker=marker, markersize=4)
    axis.fill_between(epochs, by_epoch.min(), by_epoch.max(), color=colour, alpha=0.15, linewidth=0)


def _published_epochs(axis: Axes, published: Mapping[str, Any], column: str, colours: Mapping[str, str]) -> None:
    place = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy").index(column)
    for cell, runs in published.items():
        for number, run in enumerate(runs, 1):
            values = [row[place] for row in run]
            label = f"{cell}, document's run {number}"
            axis.plot(
                range(1, len(run) + 1),
                values,
                ":",
                color=colours.get(cell, "0.4"),
                linewidth=1,
                marker="x",
                markersize=4,
                label=label,
            )


def _published_score(
    axis: Axes, document: Mapping[str, Any], setting: str, cell: str, score: str, place: int, scale: float
) -> None:
    for row in document["published"]:
        if (row["setting"], row["cell"]) == (setting, cell) and score in row:
            label = None if "published figure" in axis.get_legend_handles_labels()[1] else "published figure"
            axis.scatter(
                place - 0.18,
                row[score] * scale,
                marker="D",
                s=28,
                facecolor="none",
                edgecolor="black",
                label=label,
            )
