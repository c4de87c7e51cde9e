"""What all figures share: colours, captions, and files whose bytes depend on the numbers alone."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, NullFormatter

from stages.results.documents import SAMPLE, SEQUENCES, the_corpus

Line = str | tuple[int, tuple[int, ...]]
"""A line as Matplotlib takes it: a style, or where dashes and gaps begin and how long they are."""
_LINES: dict[str, Line] = {"published": "--", "tuned": "-.", "equal_size": ":", "what_if": (0, (5, 1, 1, 1, 1, 1))}
_MARKERS = {"published": "s", "tuned": "D", "equal_size": "^", "what_if": "v"}
_MARGIN = 0.05  # of an axis, below its lowest value
# Okabe and Ito's colours, which people with any colour vision can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


class _PlainFormatter(LogFormatter):
    """Labels where `LogFormatter` has them, as 0.6 and not 6e-01."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def style_of(protocols: Sequence[str]) -> tuple[Line, str]:
    """The line and the marker of an arm: those of `corrected`, if it stands under that, else of its first protocol."""
    name = "corrected" if "corrected" in protocols else protocols[0]
    return _LINES.get(name, "-"), _MARKERS.get(name, "o")


def cell_colours(cells: Iterable[Any]) -> dict[Any, str]:
    """One colour per cell, the same in every figure whatever cells are shown."""
    first = ("lstm", "gru", "rnn")
    names = [*first, *(cell for cell in dict.fromkeys(cells) if cell not in first)]
    return {cell: _COLOURS[i % len(_COLOURS)] for i, cell in enumerate(names)}


def source(study: str, corpus: str) -> str:
    """What was measured on, for a caption."""
    if corpus == SEQUENCES:
        return "data made as the protocol says"
    return "sample text made by this project" if corpus == SAMPLE else the_corpus(study, corpus)


def repeats_counted(counts: pd.Series) -> str:
    """How many repeats an arm has, such as `3 repeats` or `1 to 3 repeats`."""
    least, most = int(counts.min()), int(counts.max())
    number = str(least) if least == most else f"{least} to {most}"
    return f"{number} repeat{'' if most == 1 else 's'}"


def custom_runs(rows: pd.DataFrame) -> str:
    """The caption's line on runs that left the protocol; empty where none did."""
    customs = sorted(set(rows["custom"]) - {""})
    return f"\ncustom, not the protocol (in brackets, or after “of”): {'; '.join(customs)}" if customs else ""


def scale_axis(axis: Axes, about: Mapping[str, Any]) -> None:
    """Make the vertical axis as a document says of a score: logarithmic or not, and where it ends at the latest."""
    if about.get("logarithmic"):
        axis.set_yscale("log")
    end = _end(about)
    if axis.get_ylim()[1] > end:
        lowest = min(other.dataLim.ymin for other in axis.get_shared_y_axes().get_siblings(axis))
        logarithmic = about.get("logarithmic")
        bottom = lowest * (lowest / end) ** _MARGIN if logarithmic else lowest - _MARGIN * (end - lowest)
        axis.set_ylim(bottom, end)
    if about.get("logarithmic"):
        _label_logarithmic(axis)


def name_if_beyond(axis: Axes, about: Mapping[str, Any], value: float, text: str, place: float, colour: str) -> None:
    """Say `text` at the axis's end, above `place`, if `value` lies beyond it."""
    end = _end(about)
    if not value > end:
        return
    axis.annotate(
        f"↑ {text}",
        (place, end),
        color=colour,
        xytext=(0, -4),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )


def _end(about: Mapping[str, Any]) -> float:
    end: float = about.get("axis_ends", float("inf"))
    return end


def _label_logarithmic(axis: Axes) -> None:
    """Labels between the powers of ten, where there is room."""
    low, high = axis.get_ylim()
    if high / low > 1000:
        axis.yaxis.set_minor_formatter(NullFormatter())
        return
    # Fewer labels between the powers of ten the more of those there are: else they overlap.
    axis.yaxis.set_major_formatter(_PlainFormatter())
    axis.yaxis.set_minor_formatter(_PlainFormatter(minor_thresholds=(2, 0.5)))


def save(figure: Figure, path: Path) -> None:
    """Write PATH.png and PATH.svg: as `Figure.savefig` would, which draws all twice for each."""
    figure.set_dpi(130)
    FigureCanvasAgg(figure).print_png(path.with_suffix(".png"))  # type: ignore[no-untyped-call]
    figure.set_layout_engine("none")  # what it laid out stays where it is
    with mpl.rc_context({"svg.hashsalt": path.name}):
        svg = path.with_suffix(".svg")
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None})  # type: ignore[no-untyped-call]
