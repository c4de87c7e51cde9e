"""Which trained model to use, and its files. Nothing heavy is imported here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.support.files import MANIFEST, read_json, verify
from stages.support.params import load_project
from stages.support.process import InputError
from stages.support.sections import ON_SHOW

SERVED_KINDS = ("classification", "language_model", "series")
"""Kinds whose studies' models on show MLflow's registry gets."""


@dataclass(frozen=True)
class Trained:
    """One trained repeat; `settings` is its entry in models/STUDY/CELL/runs.json, `ready` the manifest of its data.

    `vocabulary`: None for a series.
    """

    study: str
    kind: str
    cell: str
    settings: dict[str, Any]
    weights: Path
    vocabulary: Path | None
    ready: dict[str, Any]

    def __str__(self) -> str:
        corpus = self.settings["corpus"]
        text = (
            "sample text made by this project" if corpus == "sample" else corpus if self.is_own else "the real corpus"
        )
        setting = f"{self.settings['setting']} " * bool(self.settings["setting"])
        return f"{self.study}, {setting}{self.cell}, repeat {self.settings['repeat']}: trained on {text}"

    @property
    def is_own(self) -> bool:
        """Whether the study is a person's own, which has no arm `corrected`."""
        return "corrected" not in self.settings["protocols"]


def find_trained(study: str, cell: str, setting: str = "", repeat: int | None = None) -> Trained:
    """A repeat of the arm in use, by default the one with the lowest validation loss; never by its test score.

    `setting`: where it is empty and no arm is so called, the last one, of ptb's two models the better.

    Raises:
        InputError: it is not trained, or not on the vocabulary that is there; the line names the command to run.
    """
    arm = find_arm(study, cell, setting)
    repeats = {trained.settings["repeat"]: trained for trained in arm}
    if repeat is None:
        repeat = min(repeats, key=lambda r: (_validation_loss(repeats[r].settings), r))
    if repeat not in repeats:
        runs = Path("models", study, cell, "runs.json")
        raise InputError(f"repeat {repeat}: trained are {', '.join(map(str, sorted(repeats)))} ({runs})")
    return repeats[repeat]


def find_arm(study: str, cell: str, setting: str = "") -> Sequence[Trained]:
    """All repeats of the arm in use.

    Raises:
        InputError: as `find_trained`.
    """
    models, ready = Path("models", study, cell), Path("data/ready", study)
    command = f"run `dvc repro train@{study}-{cell}`"
    restore = f"run `python -m stages.mend --cache`, then `dvc repro train@{study}-{cell}`"
    for needed in (models / "runs.json", ready / MANIFEST):
        if not needed.exists():
            raise InputError(f"{needed} is not there, so there is no trained model: {command}")
    verify(models, restore)
    about = verify(ready, restore)
    entries = read_json(models / "runs.json")
    protocol = next((name for name in ON_SHOW if any(name in entry["protocols"] for entry in entries)), "")
    trained = [entry for entry in entries if protocol in entry["protocols"]]
    if not setting and trained and all(entry["setting"] for entry in trained):
        setting = trained[-1]["setting"]
    arm = [entry for entry in trained if entry["setting"] == setting]
    if not arm:
        names = ", ".join(sorted({entry["setting"] for entry in entries}))
        raise InputError(f"{study}'s model {setting!r}: trained are {names} ({models / 'runs.json'})")
    if arm[0]["data_digest"] != about["digest"]:
        raise InputError(f"{models} was trained on other data than {ready} now holds: {command}")
    vocabulary, kind = ready / "vocabulary.txt", load_project().settings(study).kind
    return [
        Trained(study, kind, cell, entry, models / entry["weights"], vocabulary if vocabulary.exists() else None, about)
        for entry in arm
    ]


def _validation_loss(entry: dict[str, Any]) -> float:
    return float(entry["curve"][entry["best_epoch"] - 1]["validation_loss"])
