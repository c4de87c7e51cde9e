"""Figures of a study, as PNG and SVG whose bytes depend on the numbers alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from stages.results.scores import SAMPLE, documents, equal_protocols_once
from stages.results.statistics import mean_interval

# Okabe and Ito's colours, which people with any colour vision can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_LINES = {"published": "--"}
_MARKERS = {"published": "s"}


def draw_curves(study: str, curves: pd.DataFrame, corpus: str, folder: Path) -> None:
    """Learning curves: training beside validation, a line a (cell, protocol), a band over the repeats.

    The band goes from the least repeat to the most. `curves` is made by `scores.curves_table`.
    """
    about = documents()[study]["curve"]
    settings = list(dict.fromkeys(curves["setting"]))
    figure = Figure(figsize=(9.5, 3.6 * len(settings) + 0.5), layout="constrained")
    grid = figure.subplots(len(settings), 2, squeeze=False)
    colours = _cell_colours(curves["cell"])
    # Training shows its loss: a perplexity is a mean over a split, not over weights that change.
    for axes, setting in zip(grid, settings, strict=True):
        rows = curves[curves["setting"] == setting]
        for axis, column, title in (
            (axes[0], "train_loss", "training: cross-entropy (nats), as the weights change"),
            (axes[1], f"validation_{about['column']}", f"validation: {about['label']}"),
        ):
            for (cell, protocols), group in rows.groupby(["cell", "protocols"], sort=False):
                _band(
                    axis,
                    group,
                    column,
                    f"{cell}, {str(protocols).replace(' ', ' = ')}",
                    colours[cell],
                    _LINES.get(str(protocols), "-"),
                )
            if corpus != SAMPLE and "epochs" in documents()[study]:
                _published_epochs(axis, documents()[study]["epochs"], column, colours)
            axis.set_xlabel("epoch")
            axis.set_title(f"{setting}: {title}" if setting else title, fontsize=10)
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.grid(alpha=0.3)
        axes[1].legend(fontsize=8)
    repeats = curves.groupby(["cell", "setting", "protocols"])["repeat"].nunique()
    figure.suptitle(
        f"{study}: learning curves, {_source(corpus)}; {_repeats(repeats)}, band: least to most{_custom(curves)}",
        fontsize=11,
    )
    _save(figure, folder / "curves")


def draw_scores(
    study: str, repeats: pd.DataFrame, baselines: Sequence[Mapping[str, Any]], corpus: str, folder: Path
) -> None:
    """A study's first score, cell by cell: each repeat a small dot, the mean with its interval, baselines."""
    document = documents()[study]
    score, about = next(iter(document["scores"].items()))
    scale = 100.0 if about.get("percent") else 1.0
    repeats = equal_protocols_once(repeats.drop(columns="sentences"))
    settings = list(dict.fromkeys(repeats["setting"]))
    figure = Figure(figsize=(4.8 * len(settings) + 2.4, 4.2), layout="constrained")
    colours = _cell_colours(repeats["cell"])
    for axis, setting in zip(np.atleast_1d(figure.subplots(1, len(settings))), settings, strict=True):
        rows = repeats[repeats["setting"] == setting]
        places = []
        for place, ((cell, protocol), group) in enumerate(rows.groupby(["cell", "protocol"], sort=False)):
            values = group[score].to_numpy() * scale
            mean, low, high = mean_interval(values.tolist(), logarithmic=about.get("logarithmic", False))
            axis.scatter(np.full(len(values), place + 0.18), values, s=12, color=colours[cell], alpha=0.6)
            errors = [[mean - low], [high - mean]] if low == low else None
            axis.errorbar(
                place, mean, yerr=errors, fmt=_MARKERS.get(str(protocol), "o"), color=colours[cell], capsize=5
            )
            places.append(f"{cell}\n" + str(protocol).replace(" = ", "\n= "))
            if corpus != SAMPLE:
                _published_score(axis, document, setting, str(cell), score, place, scale)
        for baseline, style in zip(baselines, (":", "-.", "--"), strict=False):
            value = baseline["test"][score] * scale
            axis.axhline(value, color="0.35", linestyle=style, label=f"{baseline['name']}: {value:.1f}")
        axis.set_xticks(range(len(places)), places)
        if about.get("logarithmic"):
            axis.set_yscale("log")
            # Fewer labels between the powers of ten the more of those there are: else they overlap.
            axis.yaxis.set_major_formatter(LogFormatter())
            axis.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
        axis.set_ylabel(about["label"] + (" (%)" if scale == 100 else ""))
        axis.set_title(setting, fontsize=10)
        axis.grid(axis="y", which="both", alpha=0.3)
        axis.margins(x=0.12)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8)
    counts = repeats.groupby(["cell", "setting", "protocol"])["repeat"].nunique()
    figure.suptitle(
        f"{study}: {about['label']}, {_source(corpus)}\n"
        f"mean of {_repeats(counts)} with 95 % interval; small dots: repeats; "
        f"{about['better']} is better{_custom(repeats)}",
        fontsize=10,
    )
    _save(figure, folder / "scores")


def _band(axis: Axes, group: pd.DataFrame, column: str, label: str, colour: str, line: str) -> None:
    by_epoch = group.groupby("epoch")[column]
    epochs = np.array(sorted(group["epoch"].unique()))
    axis.plot(epochs, by_epoch.mean(), line, color=colour, label=label, marker=".", markersize=4)
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
        if (row["setting"], row["cell"]) == (setting, cell):
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


def _cell_colours(cells: pd.Series) -> dict[Any, str]:
    """A colour a cell, the same in every figure whatever cells are shown."""
    first = ("lstm", "gru", "rnn")
    names = [*first, *(cell for cell in dict.fromkeys(cells) if cell not in first)]
    return {cell: _COLOURS[i % len(_COLOURS)] for i, cell in enumerate(names)}


def _source(corpus: str) -> str:
    return "sample text made by this project" if corpus == SAMPLE else f"real corpus ({corpus})"


def _repeats(counts: pd.Series) -> str:
    least, most = int(counts.min()), int(counts.max())
    number = str(least) if least == most else f"{least} to {most}"
    return f"{number} repeat{'' if most == 1 else 's'}"


def _custom(rows: pd.DataFrame) -> str:
    customs = sorted(set(rows["custom"]) - {""})
    return f"\ncustom, not the protocol (in brackets): {'; '.join(customs)}" if customs else ""


def _save(figure: Figure, path: Path) -> None:
    with mpl.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(path.with_suffix(".png"), dpi=130)
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
