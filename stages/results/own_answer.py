"""The answer for a person's own study: what `answers` has of it, and what this machine and the test part say."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stages.baselines.series import origins
from stages.results.answer import Answer, Cell, sentence
from stages.results.answers import study_answers
from stages.results.row import read_rows
from stages.support.files import read_json
from stages.tables.sizes import SMALL

_CELLS: tuple[Cell, Cell] = ("lstm", "gru")


def read_answers(study: str, cells: Sequence[str]) -> tuple[list[Answer], list[str]]:
    """The answers of this workspace's run of a study, and what their reader must know besides, a sentence each."""
    rows = [row for cell in cells for row in read_rows(Path("metrics", study, f"{cell}.json"))]
    baselines = read_json(Path("metrics", study, "baseline.json"))["rows"]
    ready = Path("data/ready", study)
    items, notes = _test_items(ready)
    answers = study_answers(study, rows, baselines, test_items=items, test_to_train=_test_to_train(ready))
    seconds = {cell: _epoch_seconds(study, cell) for cell in _CELLS if cell in cells}
    finals = [row for row in rows if "tuned" in row.protocols and row.cell in _CELLS]
    late = sum(row.best_epoch == row.hyperparameters["epochs"] for row in finals)
    if 2 * late > len(finals):
        notes.append(
            f"In {late} of {len(finals)} trainings the last epoch was the best: with more epochs (BUDGET=) "
            "the scores may still change."
        )
    timed = [replace(found, seconds_an_epoch=seconds) if found.heading == "tuned" else found for found in answers]
    return timed, notes


def said(answers: Sequence[Answer], notes: Sequence[str]) -> list[str]:
    """The answers and the notes as sentences; without answers, why there is none."""
    sentences = [sentence(answer) for answer in answers]
    return [*(sentences or ["There is no answer: cells must hold lstm and gru, and both must be trained."]), *notes]


def _test_items(ready: Path) -> tuple[int | None, list[str]]:
    """How many items the test part has, and where the texts are few what that means."""
    about = read_json(ready / "manifest.json")
    if "texts" in about:
        total, divisions = sum(about["texts"].values()), about["divisions"]
        if divisions > 1:
            note = (
                f"Repeats take {divisions} divisions of the {total:,} texts into parts in turn: the answer's intervals "
                "cover another division, and know that divisions share texts (Nadeau and Bengio 2003)."
            )
            return about["texts"]["test"], [note]
        note = (
            f"The {total:,} texts are divided into parts once: the intervals are over repeated trainings, and another "
            "division may change the scores by more."
        )
        return about["texts"]["test"], [note] if total < SMALL else []
    if "tokens" in about:
        return about["tokens"]["test"], []
    steps = len(np.load(ready / "values.npy", mmap_mode="r"))
    return len(origins(about["validation_end"], steps, about["window"], about["horizon"])), []


def _test_to_train(ready: Path) -> float | None:
    """Test texts over training texts, where repeats have divisions of their own."""
    about = read_json(ready / "manifest.json")
    return about["texts"]["test"] / about["texts"]["train"] if about.get("divisions", 1) > 1 else None


def _epoch_seconds(study: str, cell: str) -> float | None:
    """The least seconds of an epoch of the tuned arm's trainings here, since others at work only ever add to it."""
    rows = read_rows(Path("models", study, cell, "runs.json"))
    timings = {Path("timings", f"{row.job}.json") for row in rows if "tuned" in row.protocols}
    seconds = [epoch["seconds"] for path in timings if path.exists() for epoch in read_json(path)["epochs"]]
    return min(seconds, default=None)
