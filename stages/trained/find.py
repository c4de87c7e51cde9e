"""Which trained model to use, and its files. Nothing heavy is imported here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.support.files import read_json, verify
from stages.support.process import InputError

SERVED = ("imdb",)
"""Studies whose model on show MLflow's registry gets."""


@dataclass(frozen=True)
class Trained:
    """One trained repeat of a text study's corrected arm; `settings` is its entry in models/STUDY/CELL/runs.json."""

    study: str
    cell: str
    settings: dict[str, Any]
    weights: Path
    vocabulary: Path

    def __str__(self) -> str:
        text = "sample text made by this project" if self.settings["corpus"] == "sample" else "the real corpus"
        setting = f"{self.settings['setting']} " * bool(self.settings["setting"])
        return f"{self.study}, {setting}{self.cell}, repeat {self.settings['repeat']}: trained on {text}"


def find_trained(study: str, cell: str, setting: str = "", repeat: int | None = None) -> Trained:
    """A repeat of the corrected arm, by default the one with the lowest validation loss; never by its test score.

    Raises:
        InputError: it is not trained, or not on the vocabulary that is there; the line names the command to run.
    """
    models, ready = Path("models", study, cell), Path("data/ready", study)
    command = f"run `dvc repro train@{study}-{cell}`"
    restore = f"run `python -m stages.mend --cache`, then `dvc repro train@{study}-{cell}`"
    for folder in (models, ready):
        if not folder.is_dir():
            raise InputError(f"{folder} is not there, so there is no trained model: {command}")
    verify(models, restore)
    digest = verify(ready, restore)["digest"]
    entries = read_json(models / "runs.json")
    arm = {e["repeat"]: e for e in entries if "corrected" in e["protocols"] and e["setting"] == setting}
    if not arm:
        trained_models = ", ".join(sorted({e["setting"] for e in entries}))
        raise InputError(f"{study}'s model {setting!r}: trained are {trained_models} ({models / 'runs.json'})")
    if repeat is None:
        repeat = min(arm, key=lambda r: (_validation_loss(arm[r]), r))
    if repeat not in arm:
        raise InputError(f"repeat {repeat}: trained are {', '.join(map(str, sorted(arm)))} ({models / 'runs.json'})")
    settings = arm[repeat]
    if settings["data_digest"] != digest:
        raise InputError(f"{models} was trained on other data than {ready} now holds: {command}")
    return Trained(study, cell, settings, models / settings["weights"], ready / "vocabulary.txt")


def _validation_loss(entry: dict[str, Any]) -> float:
    return float(entry["curve"][entry["best_epoch"] - 1]["validation_loss"])
