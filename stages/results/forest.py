"""The forest plot: by how much either cell is ahead, a row a study, under each heading."""

import math
from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from stages.results.answer import HEADINGS, Answer, Scale, ahead_text
from stages.results.drawing import cell_colours

_WIDTH = 9.0  # inches
_ROW = 0.27
_MOST = {"points": 30.0, "ratio": 8.0}
"""Where an axis ends at the latest: what lies beyond is an arrow, or one wide interval would flatten all others."""

_TICKS = (1, 1.02, 1.05, 1.1, 1.2, 1.5, 2, 3, 4, 8)
_BEYOND_ARROWS = 8  # points
_APART = 0.24  # of half the axis: ticks' labels that are nearer than that overlap
_NAMES: dict[Scale, str] = {
    "points": "percentage points ahead\n← LSTM          GRU →",
    "ratio": "times as good (error or perplexity)\n← LSTM          GRU →",
}


def draw_forest(answers: Sequence[Answer], source: str = "") -> Figure:
    """The differences of at least one answer with their intervals, GRU ahead to the right.

    Rows are grouped by heading, in the order of `HEADINGS`. Differences of shares and ratios of errors have an axis
    each; the grey band is the study's margin. A row that decides nothing says why.
    `source` says where the answers are from.
    """
    answers = sorted(answers, key=lambda answer: HEADINGS.index(answer.heading))
    scales: list[Scale] = [scale for scale in ("points", "ratio") if any(a.score.scale == scale for a in answers)]
    rows: list[Answer | str] = []
    for heading, group in groupby(answers, key=lambda answer: answer.heading):
        rows += [heading, *group]
    figure = Figure(figsize=(_WIDTH, _ROW * len(rows) + 1.6), layout=ConstrainedLayoutEngine(wspace=0.08))
    axes = figure.subplots(1, len(scales), sharey=True, squeeze=False)[0]
    for axis, scale in zip(axes, scales, strict=True):
        _draw(axis, scale, rows)
    axes[0].set_yticks(range(len(rows)), [row if isinstance(row, str) else row.title for row in rows])
    for label, row in zip(axes[0].get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if isinstance(row, str) else "normal")
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    beside = axes[-1].secondary_yaxis("right")
    beside.set_yticks(range(len(rows)), ["" if isinstance(row, str) else ahead_text(row, by="") for row in rows])
    figure.suptitle(
        "LSTM or GRU: who is ahead in each study, by how much [95 % interval]\n"
        "blue: LSTM; orange: GRU; grey: not told apart; grey band: up to there a difference does not matter"
        + (f"\n{source}" if source else ""),
        fontsize=10,
    )
    beside.tick_params(axis="y", pad=_BEYOND_ARROWS)
    for axis in (*axes, beside):
        axis.tick_params(axis="y", length=0)
        axis.spines[["left", "right", "top"]].set_visible(False)
    return figure


def _draw(axis: Axes, scale: Scale, rows: Sequence[Answer | str]) -> None:
    none = 0.0 if scale == "points" else 1.0
    shown = [row for row in rows if not isinstance(row, str) and row.score.scale == scale]
    ends = [abs(_place(end, scale)) for row in shown for end in row.advantage("gru") or ()]
    ends += [_place(row.score.margin, scale) for row in shown]
    most = min(1.1 * max(ends, default=1.0), _place(_MOST[scale], scale))
    colours = cell_colours(["lstm", "gru"]) | {"none": "#555555"}
    for height, row in enumerate(rows):
        if isinstance(row, str):
            continue
        axis.axhline(height, color="black", alpha=0.08, linewidth=0.8, zorder=0)
        if row.score.scale != scale:
            continue
        margin = _place(row.score.margin, scale)
        axis.barh(height, 2 * margin, height=0.8, left=-margin, color="#e6e6e6", zorder=0)
        if (advantage := row.advantage("gru")) is None:
            continue
        value, low, high = (_place(end, scale) for end in advantage)
        colour = colours[row.ahead if row.ahead in ("lstm", "gru") else "none"]
        axis.plot([max(low, -most), min(high, most)], [height, height], color=colour, linewidth=1.6)
        if abs(value) <= most:
            axis.plot(value, height, "o", color=colour, markersize=6)
        for end, beyond, marker in ((-most, low < -most, "<"), (most, high > most, ">")):
            if beyond:
                axis.plot(end, height, marker, color=colour, markersize=6, clip_on=False)
    axis.axvline(_place(none, scale), color="black", linewidth=0.8)
    axis.set_xlim(-most, most)
    axis.set_xlabel(_NAMES[scale])
    if scale == "ratio":
        axis.xaxis.set_major_locator(FixedLocator(_ratio_ticks(most)))
        axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda place, _: _read(abs(place), scale)))
    axis.grid(axis="x", alpha=0.3)


def _ratio_ticks(most: float) -> list[float]:
    """Places on an axis that ends at `most` on either side, no nearer to each other than their labels are wide."""
    chosen = [0.0]
    for tick in map(math.log, _TICKS):
        if chosen[-1] + _APART * most <= tick <= most:
            chosen.append(tick)
    return sorted({side * place for place in chosen for side in (-1, 1)})


def _place(value: float, scale: Scale) -> float:
    """Where a value stands on the axis: on either side of no difference alike."""
    return value if scale == "points" else math.log(value)


def _read(place: float, scale: Scale) -> str:
    return f"{place:g}" if scale == "points" else f"{math.exp(place):.3g}"
