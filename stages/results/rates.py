"""How each learning rate validated: the trials by which every cell's own was chosen."""

from collections.abc import Iterable
from statistics import fmean
from typing import cast

from stages.results.answer import in_digits
from stages.results.documents import documents
from stages.results.measures import setting_of
from stages.results.row import Row
from stages.results.table import Cell, Table


def rates_table(study: str, trained: Iterable[Row]) -> Table | None:
    """For every setting and learning rate each cell's validation loss, mean over its trials, and the best marked.

    None where nothing was tuned. A rate that a cell did not try, or at which one of its trials diverged, has a dash.
    """
    tried: dict[tuple[str | int, str], dict[float, list[float]]] = {}
    for row in trained:
        if row.is_trial:
            rates = tried.setdefault((setting_of(row), row.cell), {})
            rates.setdefault(row.hyperparameters["learning_rate"], []).append(cast(float, row.validated["loss"]))
    if not tried:
        return None
    trials = max(len(losses) for rates in tried.values() for losses in rates.values())
    means = {
        arm: {rate: fmean(losses) for rate, losses in sorted(rates.items()) if len(losses) == trials}
        for arm, rates in tried.items()
    }
    best = {arm: min(rates, key=rates.__getitem__) for arm, rates in means.items() if rates}
    cells = list(dict.fromkeys(cell for _, cell in means))
    settings = sorted({setting for setting, _ in means})
    rows = []
    for setting in settings:
        for rate in sorted({rate for arm, rates in tried.items() if arm[0] == setting for rate in rates}):
            losses = [means.get((setting, cell), {}).get(rate) for cell in cells]
            shown = [
                Cell("–" if loss is None else in_digits(loss), "chosen" if best.get((setting, cell)) == rate else "")
                for cell, loss in zip(cells, losses, strict=True)
            ]
            rows.append([*([Cell(str(setting))] if len(settings) > 1 else []), Cell(f"{rate:g}"), *shown])
    sweep = documents()[study].get("sweep", {}).get("hyperparameter", "setting")
    leading = [*([sweep] if len(settings) > 1 else []), "learning rate", *cells]
    return Table("Validation loss by learning rate, by which each cell's own was chosen", leading, (), rows)
