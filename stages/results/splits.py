"""What a split of its own adds to a repeat: scores on one split of the data beside those on splits drawn anew."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stages.results.answer import in_points
from stages.results.documents import documents
from stages.results.measures import score_of
from stages.results.row import Row
from stages.results.statistics import widening
from stages.results.table import Cell, Table

_ONE_SPLIT = {"split": "one"}  # the default, which a row's hyperparameters leave out
_FEWEST = 3  # repeats of an arm: the interval of two variances is no answer


def splits_table(studies: Mapping[str, Sequence[Row]]) -> Table:
    """A row a cell, and one of their difference, of each study that has an arm in which each repeat draws its split.

    Both arms have the corrected protocol; what the scores are is the study's first score, a share.
    """
    rows = []
    for study, of_study in studies.items():
        lstm, gru = (_scores([row for row in of_study if row.cell == cell]) for cell in ("lstm", "gru"))
        difference = [
            {n: second[n] - first[n] for n in first.keys() & second.keys()}
            for first, second in zip(lstm, gru, strict=True)
        ]
        label = next(iter(documents()[study]["scores"].values()))["label"]
        for name, arms in (("LSTM", lstm), ("GRU", gru), ("GRU - LSTM", difference)):
            one_split, own_splits = (np.array(list(arm.values())) for arm in arms)
            if min(len(one_split), len(own_splits)) < _FEWEST:
                continue
            value, low, high = widening(one_split, own_splits)
            rows.append(
                [
                    Cell(study),
                    Cell(f"{label}, {name}"),
                    *(Cell(_spread(values)) for values in (one_split, own_splits)),
                    Cell(f"{value:.2g} times [{low:.2g} to {high:.2g}]"),
                ]
            )
    header = ["study", "score", "on one split", "each on a split of its own", "so an interval is as wide"]
    return Table("What a new split adds", header, (), rows)


def _scores(rows: Sequence[Row]) -> list[dict[int, float]]:
    """The scores of one cell by repeat: on one split, and on splits drawn anew, the protocol being the same."""
    corrected = [row for row in rows if "corrected" in row.protocols]
    drawn = [row for row in corrected if row.hyperparameters.get("split") == "a repeat"]
    same = [row.hyperparameters | _ONE_SPLIT for row in drawn]
    fixed = [row for row in corrected if {**_ONE_SPLIT, **row.hyperparameters} in same]
    return [_by_repeat(fixed), _by_repeat(drawn)]


def _by_repeat(rows: Sequence[Row]) -> dict[int, float]:
    return {row.repeat: float(score_of(row, next(iter(documents()[row.study]["scores"])), "corrected")) for row in rows}


def _spread(scores: NDArray[np.float64]) -> str:
    mean, deviation = (in_points(100 * float(value)) for value in (scores.mean(), scores.std(ddof=1)))
    return f"{mean} ± {deviation} points, {len(scores)} repeats"
