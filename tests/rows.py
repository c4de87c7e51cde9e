"""Rows made for tests: what a repeat has, but for what the test is about."""

from stages.results.row import Row


def make_row(study, cell, hyperparameters=None, **fields):
    """One repeat of an arm that no correction changes, trained on the real corpus."""
    shared = {
        "corpus": "real", "data_digest": "0" * 64, "setting": "", "sweep": "", "protocols": ("published", "corrected"),
        "parameters": 1000, "parameters_in_torch": 1000, "repeat": 0, "seed": 1, "best_epoch": 1,
    }  # fmt: skip
    values = (hyperparameters or {}) | {"cell": cell}
    return Row(study=study, cell=cell, hyperparameters=values, **shared | fields)
