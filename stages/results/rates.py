"""How each learning rate validated: the trials by which every cell's own was chosen."""

from collections.abc import Iterable
from statistics import fmean
from typing import cast

from stages.results.documents import documents, tuned_by
from stages.results.measures import setting_of
from stages.results.row import Row
from stages.results.table import Cell, Table
from stages.results.tables import number_text


def rates_table(study: str, trained: Iterable[Row]) -> Table | None:
    """For every setting and learning rate each cell's validation score, mean over its trials, and the best marked.

    None where nothing was tuned. A rate that a cell did not try, or at which one of its trials diverged, has a dash.
    """
    name = tuned_by(study)
    is_share = name == "accuracy"
    tried: dict[tuple[str | int, str], dict[float, list[float]]] = {}
    for row in trained:
        if row.is_trial:
            rates = tried.setdefault((setting_of(row), row.cell), {})
            rates.setdefault(row.hyperparameters["learning_rate"], []).append(cast(float, row.validated[name]))
    if not tried:
        return None
    trials = max(len(scores) for rates in tried.values() for scores in rates.values())
    means = {
        arm: {rate: fmean(scores) for rate, scores in sorted(rates.items()) if len(scores) == trials}
        for arm, rates in tried.items()
    }
    best = {arm: (max if is_share else min)(rates, key=rates.__getitem__) for arm, rates in means.items() if rates}
    cells = list(dict.fromkeys(cell for _, cell in means))
    settings = sorted({setting for setting, _ in means})
    rows = []
    for setting in settings:
        for rate in sorted({rate for arm, rates in tried.items() if arm[0] == setting for rate in rates}):
            scores = [means.get((setting, cell), {}).get(rate) for cell in cells]
            shown = [
                Cell(number_text(score, {"percent": is_share}), "chosen" if best.get((setting, cell)) == rate else "")
                for cell, score in zip(cells, scores, strict=True)
            ]
            rows.append([*([Cell(str(setting))] if len(settings) > 1 else []), Cell(f"{rate:g}"), *shown])
    sweep = documents()[study].get("sweep", {}).get("hyperparameter", "setting")
    leading = [*([sweep] if len(settings) > 1 else []), "learning rate", *cells]
    return Table(f"Validation {name} by learning rate, by which each cell's own was chosen", leading, (), rows)
