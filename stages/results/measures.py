"""What a row measures, by what its document says of the scores. Nothing heavier than numpy is imported."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stages.results.documents import SAMPLE, documents, full_hyperparameters
from stages.results.row import Row
from stages.support.sections import OWN_RATE

_FURTHEST_OFF = 1000.0
_SCALED_IN_SAMPLES_EXCEPT = ("layers", "dropout", "precision")


def setting_of(row: Row) -> Any:  # noqa: ANN401
    """A grid point's name; in a sweep the hyperparameter's value, since numbers are sorted and drawn as such."""
    sweep = documents()[row.study].get("sweep")
    return row.hyperparameters[sweep["hyperparameter"]] if sweep else row.setting


def score_of(row: Row, name: str, protocol: str) -> float | bool:
    """A score of one repeat, averaged the document's way under `published`; a share's: whether the repeat counts."""
    about = documents()[row.study]["scores"][name]
    source = about.get("from", f"test.{name}")
    if protocol == "published":
        source = about.get("published_from", source)
    part, column = source.split(".")
    if part == "closed_loop":
        loop: Sequence[float] = row.test["closed_loop"]  # type: ignore[assignment]
        return OF_CLOSED_LOOPS[column](loop, row.closed_loop_truth)
    value: float = (row.test if part == "test" else row.validation)[column]  # type: ignore[assignment]
    return value >= about["at_least"] if "at_least" in about else value


def diverged(row: Row) -> bool:
    """Whether a repeat's first score is worse than guessing could be, where its document says where that lies."""
    name, about = next(iter(documents()[row.study]["scores"].items()))
    return "axis_ends" in about and score_of(row, name, "corrected") > about["axis_ends"]


def amplitude(loop: Sequence[float], truth: Sequence[float]) -> float:
    """How far a closed loop swings: its standard deviation over the truth's."""
    return float(np.std(loop) / np.std(truth)) if np.ptp(loop) else 0.0


def amplitude_off(loop: Sequence[float], truth: Sequence[float]) -> float:
    """How many times too small or too large the swing is, from 1 on; 1,000 at most (a flat line)."""
    ratio = max(amplitude(loop, truth), 1 / _FURTHEST_OFF)
    return max(ratio, 1 / ratio)


def zero_crossings(values: Sequence[float]) -> int:
    """How often values change their sign; zeros have none."""
    signs = np.sign(values)
    signs = signs[signs != 0]
    return int((signs[1:] != signs[:-1]).sum())


def crossings_off(loop: Sequence[float], truth: Sequence[float]) -> int:
    """How many zero crossings a closed loop has too many or too few."""
    return abs(zero_crossings(loop) - zero_crossings(truth))


def lagged_correlation(loop: Sequence[float], truth: Sequence[float]) -> float:
    """Pearson's correlation at the lag, either way, where it is highest; half of the steps at least overlap.

    It does not see how far a loop swings, and is 0 for a flat line.
    """
    steps = len(truth)
    best = -1.0
    for lag in range(-(steps // 2), steps // 2 + 1):
        mine = np.asarray(loop)[max(lag, 0) : steps + min(lag, 0)]
        other = np.asarray(truth)[max(-lag, 0) : steps + min(-lag, 0)]
        if np.ptp(mine) == 0 or np.ptp(other) == 0:
            return 0.0
        mine, other = mine - mine.mean(), other - other.mean()
        best = max(best, float(mine @ other / np.sqrt((mine @ mine) * (other @ other))))
    return best


OF_CLOSED_LOOPS: Mapping[str, Callable[[Sequence[float], Sequence[float]], float]] = {
    "amplitude": amplitude,
    "amplitude_off": amplitude_off,
    "zero_crossings": lambda loop, truth: zero_crossings(loop),
    "crossings_off": crossings_off,
    "correlation": lagged_correlation,
}
"""Scores `from: closed_loop.NAME`: of a closed loop and what it should be."""


def departures(
    study: str, setting: str, hyperparameters: Mapping[str, Any], corpus: str, heading: str = "corrected"
) -> str:
    """Where an arm left the document's protocol, such as `dropout 0.3 (0.5)`, `2 of 40 epochs`; empty: nowhere.

    Under a heading whose cells have each what suits it, only what makes a variant is fixed. On sample text models are
    scaled down on purpose: only what governs every profile counts there.
    """
    protocol, variants = documents()[study]["protocol"], documents()[study]["variants"]
    fixed = {**variants.get(setting, {})}
    if heading not in OWN_RATE:
        of = next(filter(None, protocol), "") if setting in variants else setting  # a variant is one of the first
        fixed = protocol.get("", {}) | protocol.get(of, {}) | fixed
    changes = documents()[study].get("arms", {}).get(heading, {})
    of_heading = changes.get("all", {}) | changes.get(hyperparameters["cell"], {})
    fixed |= {name: of_heading[name] for name in fixed if name in of_heading}
    names = [name for name in fixed if corpus != SAMPLE or name in _SCALED_IN_SAMPLES_EXCEPT]
    full = full_hyperparameters(study, hyperparameters) if names else {}
    found = {name: full[name] for name in names}
    return ", ".join(
        f"{found[name]} of {fixed[name]} epochs"
        if name == "epochs" and found[name] < fixed[name]
        else f"{name} {found[name]} ({fixed[name]})"
        for name in names
        if found[name] != fixed[name]
    )


def departures_of(row: Row, corpus: str) -> str:
    """`departures` of what a row was trained with, as if on `corpus`."""
    heading = next((name for name in reversed(row.protocols) if name not in OWN_RATE), row.protocols[-1])
    return departures(row.study, row.setting, row.hyperparameters, corpus, heading)


def custom_of(row: Row) -> str:
    """Where a row left its document's protocol; empty: nowhere."""
    return departures_of(row, row.corpus)
